"""Slack's and Mattermost's shape: within their limits, and no name formats, links or calls anybody."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from services.reporter import chat
from services.reporter.letter import Letter, Point
from tests.services.reporter import evil, story
from tests.services.reporter.channels.parcels import parcels
from tests.services.reporter.channels.test_webhook import Receiver, channel, receiving

HARM = "<!channel> <@U1> <https://x|y> *b* _i_ `c` @all @channel [l](http://x) # & ~~~"


def letters() -> Iterator[Letter]:
    """Every letter of some nights, evil ones among them."""
    for night in (story.all_well(), story.held(), story.left_behind(), evil.left_behind(), evil.all_well()):
        yield from (parcel.letter for parcel in parcels(night).values())


def texts(value: Any) -> Iterator[dict[str, Any]]:
    """Every text object within a Slack message."""
    if isinstance(value, dict):
        if value.get("type") in ("plain_text", "mrkdwn"):
            yield value
        for one in value.values():
            yield from texts(one)
    if isinstance(value, list):
        for one in value:
            yield from texts(one)


def test_a_slack_message_keeps_to_slack_s_limits() -> None:
    """50 blocks, 150 characters of a header, 3,000 of a text, none empty."""
    for letter in letters():
        many = replace(letter, points=(*letter.points, *[Point("bad", "x" * 9000, "y" * 9000, "<" * 9000)] * 40))
        for one in (letter, many):
            message = json.loads(chat.slack(one))
            blocks = message["attachments"][0]["blocks"]
            assert len(blocks) <= 50
            assert len(blocks[0]["text"]["text"]) <= 150
            assert message["text"]
            assert all(text["text"] for text in texts(message))
            assert all(len(text["text"]) <= 3000 for text in texts(message) if text["type"] == "plain_text")


def test_no_name_is_more_than_text_in_slack() -> None:
    """Only commands are formatted, and in those the three characters that mean something are escaped."""
    letter = next(letters())
    harmful = replace(letter, title=HARM, subject=HARM, sentence=HARM, points=(Point("bad", HARM, HARM, HARM),))
    message = json.loads(chat.slack(harmful))
    assert "<" not in message["text"]
    formatted = [text for text in texts(message) if text["type"] == "mrkdwn"]
    assert len(formatted) == 1
    inner = formatted[0]["text"].removeprefix("```").removesuffix("```")
    assert not {"<", ">", "`"} & set(inner)


def test_no_name_is_more_than_text_in_mattermost() -> None:
    """Markdown is escaped, nobody is called, and a command cannot leave its box."""
    letter = next(letters())
    harmful = replace(letter, title=HARM, subject=HARM, sentence=HARM, points=(Point("bad", HARM, HARM, HARM),))
    (attachment,) = json.loads(chat.mattermost(harmful))["attachments"]
    outside = "".join(attachment["text"].split("```")[::2]) + attachment["fallback"]
    assert attachment["text"].count("```") == 2
    for call in ("@all", "@channel"):
        assert call not in outside
    marked = "".join(attachment["text"].split("```")[::2])
    assert not {"<", " *b", "[l]", "](h"} & {part for part in ("<", " *b", "[l]", "](h") if part in marked}
    assert "\\*b\\*" in marked


def test_the_first_block_and_its_command_are_there() -> None:
    """What an admin needs at seven in the morning, with where the rest is."""
    letter = parcels(story.left_behind())["ended"].letter
    for make in (chat.slack, chat.mattermost):
        body = make(letter).decode()
        assert "xe pool-ha-enable" in body
        assert chat.COLOURS["bad"] in body
    assert f"rota report {story.RUN}" in chat.slack(letter).decode()


def test_nobody_is_asked_for_anything_after_a_good_night() -> None:
    """One calm line in green."""
    letter = parcels(story.all_well())["ended"].letter
    assert "Nothing is asked of you" in chat.slack(letter).decode()
    assert chat.COLOURS["good"] in chat.mattermost(letter).decode()


@pytest.mark.parametrize(("shape", "key"), [("slack", "blocks"), ("mattermost", "fallback")])
async def test_a_destination_s_shape_is_what_is_posted(shape: str, key: str) -> None:
    """To a real receiver; the key by which a copy is known is there as well."""
    receiver = Receiver()
    async with receiving(receiver) as url, channel(url, shape=shape) as hook:
        reference = await hook.deliver(parcels(story.all_well())["ended"])
    headers, body = receiver.got[0]
    assert key in json.loads(body)["attachments"][0]
    assert headers["Idempotency-Key"] == reference
