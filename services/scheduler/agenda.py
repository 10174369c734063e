"""What falls due between two moments, and what is said of it. Pure: moments are pool time, seconds since 1970.

Of several ticks that nobody was there for only the last can still start something: a pool is updated once, not once
for each night that was missed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import takewhile

from pydantic import BaseModel, ConfigDict

from shared.domain import cron
from shared.domain.commands import PlanPool, StartRun
from shared.domain.schedule import FILE, InForce, Schedule

ON_TIME = 600.0
"""Seconds after a tick at which its order is still on time: a restart of everything passes unnoticed."""

FUTURE = 86_400.0
"""Seconds that a mark may lie ahead. One that lies further was made by a clock that was wrong, and would silence the
schedule until then."""


class Mark(BaseModel):
    """Up to which moment the ticks of a schedule are dealt with, and of which cron expression they were."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    through: float
    cron: str
    zone: str


@dataclass(frozen=True, slots=True)
class Due:
    """What to do now: the tick that starts runs, those that no longer do, and up to where all is dealt with then."""

    start: float | None
    missed: tuple[float, ...]
    through: float


def beginning(mark: Mark | None, one: InForce, now: float) -> Mark:
    """From where the ticks of a schedule count: where the last scheduler left off; for a schedule that is new, or has
    another cron expression than before, since it was set (in rota.toml: since it was first seen, which is now)."""
    schedule = one.schedule
    if mark is None or (mark.cron, mark.zone) != (schedule.cron, schedule.zone):
        through = one.since or now
    else:
        through = max(mark.through, one.since)
    return Mark(through=now if through > now + FUTURE else through, cron=schedule.cron, zone=schedule.zone)


def due(schedule: Schedule, through: float, now: float) -> Due | None:
    """What became due after `through` and by now, or None."""
    found = list(takewhile(lambda tick: tick <= now, cron.ticks(schedule.cron, schedule.zone, through)))
    if not found:
        return None
    last = found[-1]
    start = last if now <= not_after(schedule, last) else None
    return Due(start, tuple(found if start is None else found[:-1]), last)


def not_after(schedule: Schedule, tick: float) -> float:
    """Until when a tick may still start a run."""
    late = schedule.late_hours * 3600.0 if schedule.missed == "run_late" else 0.0
    return tick + max(late, ON_TIME)


def order_id(key: str, pool: str, tick: float) -> str:
    """The message id of the order for a pool at a tick: the same whoever publishes it, and however often."""
    return f"schedule.{key}.{pool}.{datetime.fromtimestamp(tick, UTC):%Y%m%dT%H%M}Z"


def order(one: InForce, pool: str, tick: float) -> StartRun | PlanPool:
    """The order for a pool at a tick. It says until when it may be taken up, in case the planners are away too; one to
    tell people what waits may come at any time."""
    schedule = one.schedule
    if schedule.does == "tell":
        return PlanPool(pool=pool, policy=schedule.policy, tell=True)
    reason = f"Schedule {one.key}, due {cron.shown(tick, schedule.zone)}."
    return StartRun(pool=pool, policy=schedule.policy, reason=reason, not_after=not_after(schedule, tick))


def ordered_by(one: InForce) -> str:
    """Who gives that order: the schedule, and whoever set it."""
    return f"schedule {one.key} ({'in' if one.by == FILE else 'set by'} {one.by})"


def missed_sentence(schedule: Schedule, last: float, ticks: int, start: float | None) -> str:
    """Why `ticks` up to the `last` start nothing; `start` is the one that is started now."""
    which = "the tick of" if ticks == 1 else f"{ticks} ticks up to that of"
    nobody = f"Nothing was started for {which} {cron.shown(last, schedule.zone)}, because no scheduler was at work"
    if start is not None:
        return f"{nobody}; the next one, of {cron.shown(start, schedule.zone)}, stands for it."
    if schedule.missed == "run_late":
        return f"{nobody}, and it is more than {schedule.late_hours:g} h ago."
    return f"{nobody} within {ON_TIME / 60:g} min; the schedule says to skip it."


def nobody_sentence(one: InForce) -> str:
    """Why a tick starts nothing although somebody was there."""
    return f"Schedule {one.key} updates no pool: none in rota.toml has the tag {' or '.join(one.schedule.tags)}."


def set_sentence(one: InForce, pools: Sequence[str], now: float) -> str:
    """What a schedule does from now on."""
    schedule = one.schedule
    following = cron.next_tick(schedule.cron, schedule.zone, now)
    when = (
        f"next on {cron.shown(following, schedule.zone)}" if following is not None else "but its cron never comes due"
    )
    does = "tells what waits to be installed on" if schedule.does == "tell" else "updates"
    return f"Schedule {one.key} {does} {', '.join(pools)}, {when}."
