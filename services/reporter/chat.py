"""A letter as Slack's and Mattermost's incoming webhooks take it: what an admin needs first, and where the rest is.

Every name is made plain: it links nothing, formats nothing and calls nobody. Neither chat knows a copy by its key, so a
message may stand there twice when the reporter was killed between posting and recording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from services.reporter.letter import Letter, Point
from services.reporter.report import Tone

POINTS = 15
"""Points that are told; Slack takes 50 blocks a message, and each point needs two at most."""

TEXT = 2500
"""Characters of one text; Slack takes 3,000 in a section after escaping."""

HEADER = 150
"""Characters of a header, Slack's limit."""

COLOURS: Mapping[Tone, str] = MappingProxyType(
    {"good": "#2f9e68", "plain": "#5b7fb5", "warn": "#dd9a2b", "bad": "#cf3f33"}
)

QUIET = "\u2060"
"""A word joiner: behind an @ no chat takes what follows for somebody's name."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~>:])")


def slack(letter: Letter) -> bytes:
    """Blocks of plain text (which Slack neither formats nor links) beside a coloured bar; commands stand in code. The
    `text` is what a telephone shows."""
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": _plain(letter.title, HEADER)},
        *([] if _echoed(letter) else [_section(letter.sentence)]),
        *(block for point in letter.points[:POINTS] for block in _blocks(point)),
        *([] if not _calm(letter) else [_section(letter.calm)]),
        *([_section(_numbers(letter))] if letter.numbers else []),
        {"type": "context", "elements": [_plain(_foot(letter), 300)]},
    ]
    attachment = {"color": COLOURS[letter.tone], "blocks": blocks}
    return json.dumps({"text": _escaped(letter.subject), "attachments": [attachment]}, ensure_ascii=False).encode()


def mattermost(letter: Letter) -> bytes:
    """One attachment in Markdown, in which every name is escaped."""
    lines = [f"**{_marked(letter.title)}**", *([] if _echoed(letter) else [_marked(letter.sentence)])]
    for point in letter.points[:POINTS]:
        lines.append(f"**{_marked(point.text)}**" if point.tone in ("bad", "warn") else _marked(point.text))
        lines += [_marked(point.more)] if point.more else []
        lines += [f"```\n{_code(point.command)}\n```"] if point.command else []
    lines += [_marked(letter.calm)] if _calm(letter) else []
    attachment = {
        "fallback": _quiet(letter.subject),
        "color": COLOURS[letter.tone],
        "text": "\n\n".join(lines),
        "fields": [{"short": True, "title": one.name, "value": _marked(one.value)} for one in letter.numbers],
        "footer": _quiet(_foot(letter)),
    }
    return json.dumps({"text": "", "username": "Rota", "attachments": [attachment]}, ensure_ascii=False).encode()


def _blocks(point: Point) -> list[dict[str, Any]]:
    mark = {"bad": "\u203c ", "warn": "\u2757 "}.get(point.tone, "")
    told = [_section(f"{mark}{point.text}{chr(10) + point.more if point.more else ''}")]
    if point.command:
        text = f"```{_escaped(_code(point.command))}```"
        told.append({"type": "section", "text": {"type": "mrkdwn", "text": text, "verbatim": True}})
    return told


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, TEXT)}


def _plain(text: str, most: int) -> dict[str, Any]:
    return {"type": "plain_text", "text": _cut(text, most) or "-", "emoji": False}


def _numbers(letter: Letter) -> str:
    return " · ".join(f"{one.name}: {one.value}" for one in letter.numbers)


def _foot(letter: Letter) -> str:
    more = len(letter.points) - POINTS
    left_out = f"{more} more points are in the report. " if more > 0 else ""
    return f"{left_out}rota report {letter.report.run}" if letter.report else f"{left_out}Sent by Rota."


def _echoed(letter: Letter) -> bool:
    return letter.sentence in [letter.title, *(point.text for point in letter.points)]


def _calm(letter: Letter) -> bool:
    return bool(letter.calm) and not any(point.tone in ("bad", "warn") for point in letter.points)


def _escaped(text: str) -> str:
    """The three characters by which Slack knows links, mentions and entities."""
    return _cut(text, TEXT).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _marked(text: str) -> str:
    """Text in which nothing is Markdown, HTML or somebody's name."""
    plain = _MARKDOWN.sub(r"\\\1", _quiet(text))
    return plain.replace("&", "&amp;").replace("<", "&lt;")


def _quiet(text: str) -> str:
    return _cut(text, TEXT).replace("@", f"@{QUIET}")


def _code(command: str) -> str:
    return _cut(command, TEXT).replace("`", "'")


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"
