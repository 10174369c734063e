"""How long the house was at a loss after a blow: from the blow to the next sign that what was struck does its work.

Pure: blows and facts with the machine time they were stored at, to seconds.
"""

from __future__ import annotations

from collections.abc import Sequence

from shared.bus import wire
from shared.domain import facts

SOON = 2.0


def recoveries(blows: Sequence[tuple[str, float]], journal: Sequence[wire.Recorded]) -> list[tuple[str, float]]:
    """For each blow (its kind, and machine time in seconds since 1970) the seconds until the work went on, where there
    was work to do: for a planner from a step's end to the next word of a planner, for an executor from an order to its
    start, for a reporter from an occasion to its report, for a watcher to its next word, for the bus as for a planner.
    Only work that falls due within `SOON` of the blow tells anything."""
    found = []
    for kind, at in blows:
        seconds = _after(kind.rpartition(" ")[2], at, journal)
        if seconds is not None:
            found.append((kind, round(seconds, 3)))
    return found


def _after(service: str, at: float, journal: Sequence[wire.Recorded]) -> float | None:
    if service == "watcher":
        words = (one.stored_at for one in journal if one.stored_at > at and service in one.source)
        return next((then - at for then in words), None)
    asks, answers = _QUESTIONS[service]
    due: float | None = None
    for one in journal:
        if isinstance(one.fact, asks):
            due = max(one.stored_at, at)
        elif isinstance(one.fact, answers):
            if one.stored_at > at and due is not None:
                return one.stored_at - due if due - at < SOON else None
            due = None
    return None


_STARTS = (facts.StepStarted, facts.StepSucceeded, facts.StepFailed)
_QUESTIONS: dict[str, tuple[tuple[type[facts.Fact], ...], tuple[type[facts.Fact], ...]]] = {
    "planner": ((facts.StepSucceeded, facts.StepFailed, facts.HostCameBack), (facts.RunFact,)),
    "executor": ((facts.StepOrdered, facts.StepStarted), _STARTS),
    "reporter": ((facts.RunPlanned, facts.RunEnded), (facts.ReportFact,)),
    "scheduler": ((), ()),
    "bus": ((facts.StepSucceeded, facts.HostCameBack), (facts.RunFact,)),
}
"""Facts that ask something of a service, and facts that show that it does. (A scheduler says nothing in a run.)"""
