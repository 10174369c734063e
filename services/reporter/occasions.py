"""When somebody is told: which fact is which occasion, whom it concerns, and the names it goes by. Pure.

An occasion's names are made from the journal alone, so that whoever tells it, and however often, uses the same ones.
"""

from __future__ import annotations

import re
from collections.abc import Container, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from shared.bus import wire
from shared.domain import facts
from shared.settings import Destination

NONE = "none"
"""Stands for the pool or the run where there is none."""


@dataclass(frozen=True, slots=True)
class Occasion:
    """A fact that people are told of. `seq` is its place in the journal, `at` pool time, `stored_at` machine time;
    `again` is after how many minutes of pool time this very word on it comes, 0 for the first."""

    name: facts.Occasion
    pool: str
    run: str
    seq: int
    at: float
    stored_at: float
    fact: facts.Fact
    again: int = 0

    @property
    def id(self) -> str:
        """The same for everybody who tells this very fact, and for no other: `lab.r4f0c21a9.ended.214-1795395600`; a
        reminder's has its minutes at the end.

        The second it was stored stands in it because a bus that was set up anew counts from 1 again.
        """
        reminder = f"-{self.again}" if self.again else ""
        return f"{self.pool}.{self.run}.{self.name}.{self.seq}-{int(self.stored_at)}{reminder}"


def occasion(recorded: wire.Recorded, known: Container[str] = ()) -> Occasion | None:
    """What a fact is an occasion for, or None. A refusal is laid to a pool only where that is one of the `known`."""
    name = OCCASIONS.get(type(recorded.fact))
    fact = recorded.fact
    if name is None or _nothing_to_tell(fact):
        return None
    pool = fact.pool if isinstance(fact, facts.RunFact) else _pool(fact)
    if not isinstance(fact, facts.RunFact) and pool not in known:
        pool = NONE
    run = fact.run if isinstance(fact, facts.RunFact) else NONE
    return Occasion(name, pool, run, recorded.seq, recorded.at, recorded.stored_at, fact)


def concerns(destination: Destination, what: Occasion) -> bool:
    """Whether a destination wants to hear of it. What cannot be laid to a pool concerns everybody."""
    missed = what.fact.pools if isinstance(what.fact, facts.TickMissed) else ()
    of_its_pools = not destination.pools or what.pool == NONE or what.pool in destination.pools
    if destination.pools and missed:
        of_its_pools = not set(destination.pools).isdisjoint(missed)
    return what.name in destination.occasions and of_its_pools


def _nothing_to_tell(fact: facts.Fact) -> bool:
    """A run without turns; a forecast that somebody waits for himself, or one of a pool where nothing waits."""
    if isinstance(fact, facts.RunPlanned):
        return not fact.forecast.turns
    if isinstance(fact, facts.ForecastMade):
        waits = any(turn.updates for turn in fact.forecast.turns) or bool(fact.forecast.blockers)
        return not (fact.tell and waits)
    return isinstance(fact, facts.ForecastFailed) and not fact.tell


def announcement(recorded: list[wire.Recorded]) -> Occasion | None:
    """The occasion that a run's later mails answer, or None where the run was never announced."""
    return next((occasion(one) for one in recorded if isinstance(one.fact, facts.RunPlanned)), None)


def _pool(fact: facts.Fact) -> str:
    if isinstance(fact, facts.PlanFact):
        return fact.pool
    if isinstance(fact, facts.TickMissed) and len(fact.pools) == 1:
        return fact.pools[0]
    if isinstance(fact, facts.OrderRefused):
        return fact.pool
    if isinstance(fact, facts.MessageRejected):
        return _pool_of_subject(fact.rejected_subject)
    return NONE


def _pool_of_subject(subject: str) -> str:
    """`lab` of `rota.command.executor.survey.lab.…` and of `rota.fact.run.lab.…`."""
    tokens = subject.split(".")
    place = {"command": 4, "fact": 3}.get(tokens[1] if len(tokens) > 1 else "")
    return NONE if place is None or len(tokens) <= place else tokens[place]


OCCASIONS: Mapping[type[facts.Fact], facts.Occasion] = MappingProxyType(
    {
        facts.RunPlanned: "announced",
        facts.RunBegan: "started",
        facts.RunHeld: "held",
        facts.ApprovalAsked: "approval",
        facts.TurnEnded: "host_done",
        facts.RunRefused: "rejected",
        facts.OrderRefused: "rejected",
        facts.MessageRejected: "rejected",
        facts.SettingOwed: "owed",
        facts.SettingPaid: "paid",
        facts.RunEnded: "ended",
        facts.ForecastMade: "updates",
        facts.ForecastFailed: "updates",
        facts.TickMissed: "missed",
    }
)
"""Which fact is which occasion."""

FILTERS: tuple[str, ...] = tuple(re.sub(r"\{[a-z]+\}", "*", fact.subject) for fact in OCCASIONS)
"""The subjects of those facts."""
