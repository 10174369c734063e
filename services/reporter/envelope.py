"""A letter as JSON for machines: what a webhook is posted, and the schema that says so.

Within one `schema` number fields are only ever added; a reader ignores those it does not know.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Literal

from pydantic import TypeAdapter

from services.reporter.letter import Letter, Point
from services.reporter.report import Report, Turn
from shared.domain import facts
from shared.domain.offers import Offer

SCHEMA: Literal[1] = 1

LARGEST = 512 * 1024
"""Bytes of a body; receivers commonly take 1 MiB."""


@dataclass(frozen=True, slots=True)
class Envelope:
    """The body of a webhook. `id` is the same for every try at telling this occasion to this receiver; `at` is pool
    time in ISO 8601; `run` and `pool` are "none" for an occasion without one, and `report` is null then; `attention` is
    what needs a person; `updates` what waits to be installed, on the occasion of that name. Times in the report are
    pool time, seconds since 1970."""

    schema: Literal[1]
    id: str
    occasion: facts.Occasion
    at: str
    pool: str
    run: str
    subject: str
    title: str
    sentence: str
    attention: tuple[Point, ...]
    report: Report | None
    updates: tuple[Offer, ...]


def envelope(letter: Letter) -> Envelope:
    """A letter as it is posted."""
    occasion = letter.occasion
    return Envelope(
        schema=SCHEMA,
        id=occasion.id,
        occasion=occasion.name,
        at=datetime.fromtimestamp(occasion.at, UTC).isoformat(),
        pool=occasion.pool,
        run=occasion.run,
        subject=letter.subject,
        title=letter.title,
        sentence=letter.sentence,
        attention=tuple(point for point in letter.points if point.tone in ("warn", "bad")),
        report=letter.report,
        updates=letter.offers,
    )


def body(letter: Letter) -> bytes:
    """The bytes that are posted: UTF-8 JSON, no larger than `LARGEST`. What had to be left out stands in the report's
    `cut`; in the order of the table below, changelogs first."""
    told = envelope(letter)
    if told.updates and len(_ENVELOPE.dump_json(told)) > LARGEST:
        bare = (Offer(replace(one.package, changelog="", description=""), one.hosts[:20]) for one in told.updates[:500])
        told = replace(told, updates=tuple(bare))
    for name, shorter in (("", _as_it_is), *_SHORTER.items()):
        if told.report is not None and name:
            report = shorter(told.report)
            told = replace(told, report=replace(report, cut=(*report.cut, name)))
        data = _ENVELOPE.dump_json(told)
        if len(data) <= LARGEST or told.report is None:
            return data
    return _ENVELOPE.dump_json(replace(told, report=None))


def report_json(report: Report) -> str:
    """A whole report as JSON, for people who ask for it themselves."""
    return _REPORT.dump_json(report, indent=2).decode()


def schema() -> Mapping[str, Any]:
    """The JSON Schema of a webhook's body (draft 2020-12)."""
    written = _ENVELOPE.json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **written, "title": "What Rota posts"}


def schema_text() -> str:
    """The schema as it is printed into the documentation."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _as_it_is(report: Report) -> Report:
    return report


def _without_changelogs(report: Report) -> Report:
    def bare(turn: Turn) -> Turn:
        offered = tuple(replace(one, changelog="", description="") for one in turn.offered)
        return replace(turn, offered=offered, installed=tuple(replace(one, changelog="") for one in turn.installed))

    return replace(report, turns=tuple(map(bare, report.turns)))


def _without_offers(report: Report) -> Report:
    return replace(
        report, turns=tuple(replace(turn, offered=(), installed=turn.installed[:20]) for turn in report.turns)
    )


def _without_guests_at_home(report: Report) -> Report:
    return replace(report, guests=(*report.strays, *report.gone)[:200])


_SHORTER: Mapping[str, Callable[[Report], Report]] = MappingProxyType(
    {
        "changelogs": _without_changelogs,
        "events": lambda report: replace(report, events=report.events[-50:]),
        "moves": lambda report: replace(report, moves=report.moves[:200]),
        "guests": _without_guests_at_home,
        "packages": _without_offers,
    }
)
"""What is left out of a body that is too large, one after the other."""

_ENVELOPE = TypeAdapter(Envelope)
_REPORT = TypeAdapter(Report)
