"""The run as a picture: hosts as lanes, the parts of their turns as bars, migrations as lines between lanes. Pure.

Places are shares of the whole, 0 to 1, from left to right and within a lane; how large a pixel is, templates say.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from services.reporter import doing
from services.reporter.report import Hold, Move, Phase, Report, Turn, Wait
from services.reporter.spoken import capital, clock, duration, on_day

MOST_LINES = 400
"""Migrations that are drawn; above it a picture is a blot, and the table has them all."""

HELD_SHARE = 0.25
"""How much room a hold gets at most, as a share of all the rest of the run."""

TICKS = 7
"""At most so many marks on the axis."""

_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400)

PHASES: tuple[tuple[Phase, str], ...] = (
    ("preparing", "reading and disabling"),
    ("emptying", "VMs move away"),
    ("installing", "packages are installed"),
    ("away", "away: reboot"),
    ("checking", "checks, enable"),
    ("returning", "VMs come home"),
)
"""The parts of a turn, in their order, with what they are called."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a turn in its host's lane."""

    phase: Phase
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Lane:
    """A host's lane; `turn` is its first turn."""

    turn: str
    host: str
    master: bool
    bars: tuple[Bar, ...]
    note: str


@dataclass(frozen=True, slots=True)
class Line:
    """A migration from one lane (counted from 0) to another."""

    purpose: str
    source: int
    destination: int
    left: float
    right: float
    title: str


@dataclass(frozen=True, slots=True)
class Band:
    """A time over all lanes: the run was held."""

    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A time in which a setting of the pool was off."""

    name: str
    left: float
    width: float
    title: str


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark on the axis."""

    left: float
    label: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture."""

    lanes: tuple[Lane, ...]
    lines: tuple[Line, ...]
    bands: tuple[Band, ...]
    strips: tuple[Strip, ...]
    ticks: tuple[Tick, ...]
    description: str
    undrawn: int = 0


@dataclass(frozen=True, slots=True)
class Cell:
    """A piece of a lane where there are no pictures: whole percents, and the part of the turn, or nothing."""

    percent: int
    phase: Phase | None


@dataclass(frozen=True, slots=True)
class _Scale:
    """Moments to shares of the width. `pieces` are stretches of time: from, until, and how long a second is drawn."""

    pieces: tuple[tuple[float, float, float], ...]

    @property
    def start(self) -> float:
        return self.pieces[0][0]

    @property
    def end(self) -> float:
        return self.pieces[-1][1]

    def at(self, when: float) -> float:
        drawn = sum(max(0.0, min(when, until) - since) * rate for since, until, rate in self.pieces)
        return min(1.0, drawn / sum((until - since) * rate for since, until, rate in self.pieces))

    def span(self, start: float, end: float | None) -> tuple[float, float]:
        left = self.at(start)
        return left, max(0.0, self.at(self.end if end is None else end) - left)

    def shortened(self, when: float) -> bool:
        """Whether a moment lies where time is drawn shorter than it was."""
        return any(since < when < until and rate < 1 for since, until, rate in self.pieces)


def _scale(report: Report) -> _Scale:
    """A hold, or a wait for the next window, may last for hours in which nothing is to be seen: it takes no more room
    than `HELD_SHARE` of the rest."""
    start = report.began_at or 0.0
    end = max(report.ended_at or report.through, start + 1.0)
    still: list[Hold | Wait] = [*report.holds, *report.waits]
    spans = [(max(start, one.since), min(end, one.until or end)) for one in still]
    holds = [(since, until) for since, until in spans if since < until]
    awake = (end - start) - sum(until - since for since, until in holds)
    room = max(1.0, awake) * HELD_SHARE
    pieces: list[tuple[float, float, float]] = []
    for since, until in sorted(holds):
        pieces += [(start, since, 1.0), (since, until, min(1.0, room / max(until - since, 0.001)))]
        start = max(start, until)
    return _Scale(tuple(piece for piece in (*pieces, (start, end, 1.0)) if piece[0] <= piece[1]))


def timeline(report: Report, zone: tzinfo) -> Timeline | None:
    """The picture of a run, or None where nothing has been done yet."""
    if report.began_at is None or not any(turn.spans for turn in report.turns):
        return None
    scale = _scale(report)
    lanes = {turn.host.uuid: n for n, turn in reversed(list(enumerate(_lanes(report))))}
    moves = [move for move in report.moves if _drawn(move, lanes)]
    return Timeline(
        lanes=tuple(_lane(turn, report, scale) for turn in _lanes(report)),
        lines=tuple(_line(move, lanes, scale, zone) for move in moves[:MOST_LINES]),
        bands=tuple(
            Band(*scale.span(hold.since, hold.until), f"Held for {_lasted(hold.since, hold.until, report)}")
            for hold in report.holds
        ),
        strips=tuple(
            Strip(
                f"{capital(doing.setting(one.setting))} off",
                *scale.span(one.changed_at, one.back_at),
                f"{capital(doing.setting(one.setting))} off for {_lasted(one.changed_at, one.back_at, report)}",
            )
            for one in report.settings
        ),
        ticks=_ticks(scale, zone),
        description=_description(report),
        undrawn=max(0, len(moves) - MOST_LINES),
    )


def cells(lane: Lane) -> tuple[Cell, ...]:
    """A lane as table cells that make up 100 percent, for mail programs that draw nothing."""
    marks: list[Phase | None] = [None] * 100
    for bar in sorted(lane.bars, key=lambda bar: -bar.width):
        first = min(99, int(bar.left * 100))
        last = max(first + 1, round((bar.left + bar.width) * 100))
        marks[first:last] = [bar.phase] * (min(100, last) - first)
    changes = [n for n in range(100) if n == 0 or marks[n] != marks[n - 1]]
    return tuple(Cell(until - n, marks[n]) for n, until in zip(changes, [*changes[1:], 100], strict=True))


def _lanes(report: Report) -> tuple[Turn, ...]:
    """The first turn of each host; a second turn is drawn in the same lane."""
    seen: dict[str, Turn] = {}
    for turn in report.turns:
        seen.setdefault(turn.host.uuid, turn)
    return tuple(seen.values())


def _lane(first: Turn, report: Report, scale: _Scale) -> Lane:
    turns = [turn for turn in report.turns if turn.host.uuid == first.host.uuid]
    bars = tuple(
        Bar(span.phase, *scale.span(span.start, span.end), _bar_title(first, span.phase, span.start, span.end, report))
        for turn in turns
        for span in turn.spans
    )
    away = sum(turn.away_seconds or 0.0 for turn in turns)
    return Lane(first.id, first.host.name, first.master, bars, f"{duration(away)} away" if away else "")


def _bar_title(turn: Turn, phase: Phase, start: float, end: float | None, report: Report) -> str:
    return f"{turn.host}: {dict(PHASES)[phase]}, {_lasted(start, end, report)}"


def _lasted(start: float, end: float | None, report: Report) -> str:
    return duration((report.ended_at or report.through if end is None else end) - start)


def _drawn(move: Move, lanes: dict[str, int]) -> bool:
    known = move.destination is not None and {move.source.uuid, move.destination.uuid} <= lanes.keys()
    return known and move.state == "moved" and move.started_at is not None and move.ended_at is not None


def _line(move: Move, lanes: dict[str, int], scale: _Scale, zone: tzinfo) -> Line:
    assert move.destination is not None
    assert move.started_at is not None
    assert move.ended_at is not None
    took = duration(move.ended_at - move.started_at)
    title = f"{move.vm}: {move.source} to {move.destination}, {clock(move.started_at, zone, seconds=True)}, {took}"
    return Line(
        move.purpose,
        lanes[move.source.uuid],
        lanes[move.destination.uuid],
        scale.at(move.started_at),
        scale.at(move.ended_at),
        title,
    )


def _ticks(scale: _Scale, zone: tzinfo) -> tuple[Tick, ...]:
    """Round times of the zone's own clock, no more than fit."""
    whole = sum((until - since) * rate for since, until, rate in scale.pieces)
    step = next((step for step in _STEPS if whole / step <= TICKS), whole / TICKS)
    offset = (datetime.fromtimestamp(scale.start, zone).utcoffset() or _NO_OFFSET).total_seconds()
    first = -((scale.start + offset) // -step) * step - offset
    moments = [first + n * step for n in range(100) if first + n * step <= scale.end]
    return tuple(Tick(scale.at(at), _label(at, step, scale, zone)) for at in moments if not scale.shortened(at))


def _label(at: float, step: float, scale: _Scale, zone: tzinfo) -> str:
    return clock(at, zone, seconds=True) if step < 60 else on_day(at, scale.start, zone)


def _description(report: Report) -> str:
    parts = [f"{turn.host} was away for {duration(turn.away_seconds)}" for turn in report.turns if turn.away_seconds]
    moves = f"{len(report.moved)} live migrations"
    return f"Timeline of {len(_lanes(report))} hosts: {'; '.join((*parts, moves))}."


_NO_OFFSET = timedelta()
