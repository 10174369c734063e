"""Cron in a zone: the moments at which an expression comes due, in seconds since 1970.

Five fields, as Debian's cron has them, with `L` and `SUN#2`. A fixed hour comes due once a day: at the end of the gap
when clocks go forward, the first time when they go back. Here lives no clock; what is done at a tick is told elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from cronsim import CronSim, CronSimError
from pydantic import AfterValidator

LONGEST = 200
"""Characters of an expression or a zone's name."""


def ticks(expression: str, zone: str, after: float) -> Iterator[float]:
    """Every tick later than `after` (seconds since 1970), each once and in order, until 50 years go by without one.

    cronsim 2.8 answers a start inside the hour that clocks repeat with a tick of its first pass, which is past; that
    one is left out here, so that cutting a span of time in two loses no tick and doubles none.
    """
    begin = datetime.fromtimestamp(after, UTC).astimezone(ZoneInfo(zone))
    last = after
    for tick in CronSim(expression, begin):
        moment = tick.timestamp()
        if moment > last:
            yield moment
            last = moment


def next_tick(expression: str, zone: str, after: float) -> float | None:
    """The first tick later than `after`, or None."""
    return next(ticks(expression, zone, after), None)


def shown(moment: float, zone: str) -> str:
    """A moment as people write it: `Sun 13 Dec 2026 02:00 (Europe/Rome)`."""
    return f"{datetime.fromtimestamp(moment, ZoneInfo(zone)):%a %d %b %Y %H:%M} ({zone})"


def _expression(text: str) -> str:
    if len(text) > LONGEST or len(text.split()) != 5:
        raise ValueError(
            f"{text[:LONGEST]!r} has not the five fields of cron: minute, hour, day, month, weekday, as '0 2 * * SUN'"
        )
    try:
        CronSim(text, datetime(2026, 1, 1, tzinfo=UTC))
    except CronSimError as error:
        raise ValueError(f"{text!r} cannot be read as cron: {error}") from error
    return text


def _zone(text: str) -> str:
    try:
        if not text or len(text) > LONGEST:
            raise ValueError(text)
        ZoneInfo(text)
    except (KeyError, ValueError, OSError) as error:
        raise ValueError(f"{text[:LONGEST]!r} is no time zone known here; write one as 'Europe/Rome'") from error
    return text


Cron = Annotated[str, AfterValidator(_expression)]
"""A cron expression that can come due."""

Zone = Annotated[str, AfterValidator(_zone)]
"""The name of a time zone that is known here."""
