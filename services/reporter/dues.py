"""When a destination is told, where that is not at once and once: a hold is told again until somebody answers it, a
debt when it is paid or has stood for a while. Pure; everything is read from the journal, so nobody keeps a list.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from services.reporter.occasions import Occasion
from services.reporter.outcomes import Outcome
from shared.bus import wire
from shared.domain import facts
from shared.settings import Destination


@dataclass(frozen=True, slots=True)
class Due:
    """What one destination is to be told now: nothing (None), the first word (0), or the word after so many minutes of
    pool time. `look_in` is after how many seconds of pool time there may be more, None where there never is."""

    now: int | None
    look_in: float | None = None


NOTHING = Due(None)


def due(wishes: Destination, occasion: Occasion, stand: Callable[[int], Outcome], now: float, *, is_open: bool) -> Due:
    """What a destination is due at `now` (pool time). `stand` is how it stands with the word after so many minutes;
    `is_open` whether a hold is unanswered, a debt unpaid."""
    if occasion.name in _LATER:
        return _LATER[occasion.name](wishes, occasion, stand, now - occasion.at) if is_open else _once(occasion, stand)
    return _once(occasion, stand)


def is_open(occasion: Occasion, recorded: Sequence[wire.Recorded], debts: Sequence[wire.Recorded]) -> bool:
    """Whether a hold waits for an answer, a debt to be paid. `recorded` are the run's facts, `debts` the pool's."""
    later = [one.fact for one in recorded if one.seq > occasion.seq]
    if isinstance(occasion.fact, facts.SettingOwed):
        setting = occasion.fact.setting
        paid = [one.fact for one in debts if one.seq > occasion.seq and isinstance(one.fact, facts.SettingPaid)]
        return all(one.setting != setting for one in paid)
    return not any(isinstance(fact, ANSWERS) for fact in later)


def is_news(occasion: Occasion, recorded: Sequence[wire.Recorded], debts: Sequence[wire.Recorded]) -> bool:
    """Whether anybody is told of it at all. Not of a run that only tries again to pay what is owed: its end is one more
    word on a debt, every six hours. Not of a debt that was owed already, nor of one paid before its run was over."""
    if occasion.name in _OF_A_RUN:
        asked = next((one.fact for one in recorded if isinstance(one.fact, facts.RunRequested)), None)
        return asked is None or asked.purpose != "pay"
    if isinstance(occasion.fact, facts.SettingOwed):
        return _owed_since(occasion.fact.setting, occasion.seq, debts) is None
    if isinstance(occasion.fact, facts.SettingPaid):
        since = _owed_since(occasion.fact.setting, occasion.seq, debts)
        ends = [one.seq for one in debts if isinstance(one.fact, facts.RunEnded)]
        return since is not None and any(since < end < occasion.seq for end in ends)
    return True


def debt_filters(pool: str) -> tuple[str, ...]:
    """The facts by which a pool's debts are known."""
    named = {"pool": pool, "run": "*", "step": "*"}
    return tuple(kind.subject.format(**named) for kind in (facts.SettingOwed, facts.SettingPaid, facts.RunEnded))


def _once(occasion: Occasion, stand: Callable[[int], Outcome]) -> Due:
    return NOTHING if occasion.name == "owed" or stand(0).settled else Due(0)


def _held(wishes: Destination, occasion: Occasion, stand: Callable[[int], Outcome], passed: float) -> Due:
    """At once, and after each `again_minutes`; those that were missed are not made up for."""
    every = wishes.again_minutes
    if not every:
        return _once(occasion, stand)
    minutes = int(passed / 60.0 // every) * every
    look_in = (minutes + every) * 60.0 - passed
    if not stand(0).settled:
        return Due(0, look_in)
    return Due(minutes if minutes > 0 and not stand(minutes).settled else None, look_in)


def _owed(wishes: Destination, occasion: Occasion, stand: Callable[[int], Outcome], passed: float) -> Due:
    """Once, after `owed_hours`."""
    minutes = wishes.owed_hours * 60
    if not minutes:
        return NOTHING
    if passed < minutes * 60.0:
        return Due(None, minutes * 60.0 - passed)
    return NOTHING if stand(minutes).settled else Due(minutes)


def _owed_since(setting: str, before: int, debts: Sequence[wire.Recorded]) -> int | None:
    """Where the journal first says that a setting is owed, as it stood before a place in it; None where it was not."""
    since: int | None = None
    for one in debts:
        if one.seq >= before or not isinstance(one.fact, facts.SettingOwed | facts.SettingPaid):
            continue
        if one.fact.setting == setting:
            since = None if isinstance(one.fact, facts.SettingPaid) else since or one.seq
    return since


ANSWERS = (
    facts.RunHeld,
    facts.HoldAcknowledged,
    facts.RunResumed,
    facts.RunPaused,
    facts.RunCancelling,
    facts.RunFinishing,
    facts.RunEnded,
)
"""What ends a hold, or takes its place."""

_OF_A_RUN = frozenset({"announced", "started", "ended"})

_LATER: Mapping[str, Callable[[Destination, Occasion, Callable[[int], Outcome], float], Due]] = MappingProxyType(
    {"held": _held, "owed": _owed}
)
