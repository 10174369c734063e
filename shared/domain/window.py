"""When turns may begin: windows by cron, zone and duration, minus dates on which nothing may.

All moments are pool time, seconds since 1970. A window opens at a tick and stays open for its duration in UTC, so that
six hours are six hours when clocks change; of that, whatever lies on a closed date is taken out. Nothing asks the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import islice
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from shared.domain import cron
from shared.domain.cron import Cron, Zone

LOOKED_AT = 1000
"""Openings that are looked at for one that something fits into."""

LAST_YEAR = 2199


@dataclass(frozen=True, slots=True)
class Days:
    """Dates from the first to the last, both of them included."""

    first: date
    last: date


def _days(value: Any) -> Any:
    """`2026-12-24` or `2026-12-24..2027-01-06`, or a date as TOML has it."""
    if isinstance(value, Days):
        return value
    text = value.isoformat() if type(value) is date else str(value)
    first, dots, last = text.partition("..")
    try:
        days = Days(date.fromisoformat(first.strip()), date.fromisoformat((last if dots else first).strip()))
    except ValueError as error:
        raise ValueError(
            f"{text[:100]!r} is no date; write '2026-12-24', or '2026-12-24..2027-01-06' for all of them"
        ) from error
    if days.last < days.first or days.last.year > LAST_YEAR:
        raise ValueError(f"{text[:100]!r} is no span of dates: the first comes first, and {LAST_YEAR} is the last year")
    return days


class Window(BaseModel):
    """When turns may begin. A turn that has begun is finished whatever the hour."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: Cron
    """When it opens: minute, hour, day, month, weekday."""

    zone: Zone = "UTC"
    """The time zone of `cron` and of the closed dates."""

    hours: Annotated[float, Field(gt=0, le=7 * 24)]
    """How long it stays open."""

    closed: tuple[Annotated[Days, BeforeValidator(_days)], ...] = ()
    """Dates on which it is not open at all: '2026-12-24', or '2026-12-24..2027-01-06'. A window that opened the evening
    before ends at midnight."""


def contains(window: Window, now: float) -> bool:
    """Whether it is open now. The moment at which it closes is no longer in it."""
    begin, _ = next(openings(window, now), (None, 0.0))
    return begin is not None and begin <= now


def next_opening(window: Window, now: float) -> float | None:
    """When it is open next: `now` where it is open, None where it never is again."""
    begin, _ = next(openings(window, now), (None, 0.0))
    return None if begin is None else max(begin, now)


def closes(window: Window, now: float, *, within: float) -> float | None:
    """When the opening that `now` lies in ends, or `now + within` where it lasts so long; None where it is shut."""
    until = now
    for begin, end in openings(window, now):
        if begin > until or until >= now + within:
            break
        until = max(until, end)
    return min(until, now + within) if until > now else None


def fits(window: Window, now: float, seconds: float) -> bool:
    """Whether something that begins now and lasts `seconds` ends before the window does. What lasts no time fits
    wherever it is open."""
    if seconds <= 0:
        return contains(window, now)
    closing = closes(window, now, within=seconds)
    return closing is not None and closing >= now + seconds


def next_fit(window: Window, now: float, seconds: float) -> float | None:
    """The first moment from `now` on at which something of `seconds` may begin, or None where it fits into none of
    the next openings: a window too short for it, or one that is over for good."""
    for begin, _ in islice(openings(window, now), LOOKED_AT):
        if fits(window, max(begin, now), seconds):
            return max(begin, now)
    return None


def openings(window: Window, since: float) -> Iterator[tuple[float, float]]:
    """Begin and end of every opening that ends after `since`, in order. They may touch and overlap."""
    length = window.hours * 3600.0
    shut = _shut(window)
    after = since - length
    while True:
        for begin in cron.ticks(window.cron, window.zone, after):
            over = next((end for start, end in shut if start <= begin and begin + length <= end), None)
            if over is not None:
                after = over - length
                break
            yield from (part for part in _cut(begin, begin + length, shut) if part[1] > since)
        else:
            return


def _cut(begin: float, end: float, shut: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """What is left of a span when the shut ones (in order, apart) are taken out."""
    for start, over in shut:
        if over <= begin or start >= end:
            continue
        if start > begin:
            yield begin, start
        begin = over
    if begin < end:
        yield begin, end


def _shut(window: Window) -> Sequence[tuple[float, float]]:
    """The closed dates as spans of time, in order, those that touch made one."""
    zone = ZoneInfo(window.zone)
    spans: list[tuple[float, float]] = []
    for days in sorted(window.closed, key=lambda one: one.first):
        start, end = _midnight(days.first, zone), _midnight(days.last + timedelta(days=1), zone)
        if spans and start <= spans[-1][1]:
            start, end = spans[-1][0], max(end, spans.pop()[1])
        spans.append((start, end))
    return spans


def _midnight(day: date, zone: ZoneInfo) -> float:
    """When a date begins; where clocks skip midnight, the first moment after it."""
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
