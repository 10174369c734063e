"""What the planner's rules look at and say. Pure values.

A rule is a function of a `View` that answers with what it has to say, or None; the table of rules stands in `advance`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypedDict

from shared.domain import facts
from shared.domain.book import Book
from shared.domain.model import PoolSnapshot
from shared.domain.run import Run, Step, Turn

Snapshots = Mapping[str, PoolSnapshot]


class Ids(TypedDict):
    """The two fields that every fact of a run carries."""

    pool: str
    run: str


HOMES_PER_FACT = 2000
"""So that a fact stays far under the bus's largest message."""

LOST_AFTER = 300.0
"""Seconds of pool time a host of the pool may be unreachable before it is lost (conduct: unreachable is not down)."""


@dataclass(frozen=True, slots=True)
class View:
    """What every rule looks at; `no_room` is why the run may not begin beside those of other pools, or nothing."""

    book: Book
    run: Run
    now: float
    snapshots: Snapshots
    no_room: str = ""

    @property
    def ids(self) -> Ids:
        """The two fields that every fact of this run carries."""
        return Ids(pool=self.run.pool, run=self.run.id)

    def turn_of(self, step: Step) -> Turn:
        """The open turn that a step is of."""
        return next(turn for turn in self.run.turns.values() if step.id in turn.steps)

    @property
    def hosts_done(self) -> frozenset[str]:
        """Hosts whose turn is done, by uuid."""
        return frozenset(turn.host.uuid for turn in self.run.closed if turn.host and turn.outcome == "done")


@dataclass(frozen=True, slots=True)
class Said:
    """What a rule says: facts to write, or a snapshot it wants, or only what is waited for; None is no opinion."""

    facts: tuple[facts.RunFact, ...] = ()
    wants: tuple[str, ...] = ()
    sentence: str = ""
    wake_at: float | None = None


def ended(
    view: View,
    outcome: facts.Outcome,
    sentence: str,
    *,
    warnings: tuple[str, ...] = (),
    blockers: tuple[facts.Blocker, ...] = (),
) -> facts.RunEnded:
    """The fact that ends the run."""
    return facts.RunEnded(**view.ids, outcome=outcome, sentence=sentence, warnings=warnings, blockers=blockers)


Rule = Callable[[View], Said | None]
