"""The JSON form: what a webhook is posted."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC
from typing import Any

from pydantic import TypeAdapter

from services.reporter import envelope, folding, occasions, wording
from services.reporter.letter import Letter
from shared.bus import wire
from shared.domain import facts
from tests.services.reporter import schema, story
from tests.services.reporter.story import Story


def last(night: Story) -> Letter:
    """The last letter of a night."""
    recorded = night.recorded()
    occasion = next(found for one in reversed(recorded) if (found := occasions.occasion(one)))
    return wording.letter(occasion, folding.fold(night.pool, night.run, recorded), UTC)


def posted(letter: Letter) -> dict[str, Any]:
    """The body, read back."""
    body: dict[str, Any] = json.loads(envelope.body(letter))
    return body


def test_a_body_says_what_where_and_how_it_went() -> None:
    """The keys that a receiver leans on."""
    body = posted(last(story.all_well()))
    assert (body["schema"], body["occasion"], body["pool"], body["run"]) == (1, "ended", "lab", story.RUN)
    assert body["subject"] == "[Rota] lab: succeeded, 3 of 3 hosts updated"
    assert body["sentence"] == "All 3 hosts of lab are updated, and every VM is where it was."
    assert body["at"].startswith("2026-11-23T01:23:")
    assert (body["report"]["updated"], body["report"]["total"], body["report"]["outcome"]) == (3, 3, "succeeded")
    assert body["attention"] == []


def test_what_needs_a_person_stands_by_itself() -> None:
    """With its commands; hints that are no alarm are left out."""
    attention = posted(last(story.left_behind()))["attention"]
    assert {point["tone"] for point in attention} == {"bad", "warn"}
    assert story.ENABLE_HA in {point["command"] for point in attention}


def test_a_body_reads_back_to_what_was_told() -> None:
    """Nothing is lost on the way through JSON."""
    letter = last(story.left_behind())
    assert TypeAdapter(envelope.Envelope).validate_json(envelope.body(letter)) == envelope.envelope(letter)


def test_an_occasion_without_a_run_has_no_report() -> None:
    """Null, not an empty one."""
    fact = facts.MessageRejected(rejected_subject="rota.x", seq=3, because="It is not JSON.", service="planner")
    occasion = occasions.occasion(wire.Recorded(fact, story.MIDNIGHT, "planner", 3, story.MIDNIGHT))
    assert occasion is not None
    body = posted(wording.letter(occasion, None, UTC))
    assert (body["report"], body["run"], body["pool"]) == (None, "none", "none")


def test_the_schema_names_every_key_of_a_body() -> None:
    """The printed schema is the one that is posted."""
    printed = json.loads(envelope.schema_text())
    body = posted(last(story.left_behind()))
    assert printed["required"] == list(body)
    report = printed["$defs"]["Report"]["properties"]
    assert set(body["report"]) == set(report)
    assert printed["properties"]["schema"]["const"] == 1


def test_a_body_is_bounded_and_says_what_was_cut() -> None:
    """Changelogs go first; a report of absurd size is still posted, and is still JSON."""
    letter = last(story.all_well())
    assert letter.report is not None
    huge = replace(letter.report, events=letter.report.events * 400, moves=letter.report.moves * 200)
    body = envelope.body(replace(letter, report=huge))
    assert len(body) <= envelope.LARGEST
    told = json.loads(body)["report"]
    assert told["cut"] == ["changelogs", "events", "moves"]
    assert told["updated"] == 3


def test_secrets_of_xapi_never_reach_a_body() -> None:
    """A session's reference in a sentence of the pool's is not passed on."""
    night = story.announced()
    night.say(facts.RunHeld(pool=night.pool, run=night.run, because="SESSION_INVALID OpaqueRef:0f-1e-2d"))
    assert b"OpaqueRef" not in envelope.body(last(night))


def test_the_schema_under_docs_is_the_one_that_is_posted() -> None:
    """Who writes a receiver reads it there."""
    assert schema.FILE.read_text(encoding="utf-8") == envelope.schema_text(), "run `make docs`"
