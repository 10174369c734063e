"""Which pools have a run and which hosts are away by its order, folded from the planner's facts: what decides how
often a host is looked at, and nothing else. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from shared.domain import acts, facts
from shared.domain.names import turn_of


@dataclass(frozen=True, slots=True)
class Attention:
    """`runs` is the open run of each pool that has one; `away` the hosts told to reboot, by run and turn."""

    runs: Mapping[str, str] = field(default_factory=dict)
    away: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def has_run(self, pool: str) -> bool:
        """Whether a pool has a run."""
        return pool in self.runs

    def is_away(self, host: str) -> bool:
        """Whether a host (uuid) is away by an order: from its reboot's order until its wait is over."""
        return host in self.away.values()


def fold(attention: Attention, fact: facts.Fact) -> Attention:
    """After a fact; those that say nothing here leave it as it is."""
    match fact:
        case facts.RunRequested(pool=pool, run=run):
            return replace(attention, runs={**attention.runs, pool: run})
        case facts.RunEnded(pool=pool, run=run) if attention.runs.get(pool) == run:
            runs = {key: open_ for key, open_ in attention.runs.items() if key != pool}
            return Attention(runs, {key: host for key, host in attention.away.items() if key[0] != run})
        case facts.StepOrdered(run=run, step=step, act=acts.RebootHost(host=host)):
            return replace(attention, away={**attention.away, (run, turn_of(step)): host.uuid})
        case facts.WaitOver(run=run, step=step):
            return _over(attention, run, turn_of(step))
        case facts.TurnEnded(run=run, turn=turn):
            return _over(attention, run, turn)
        case _:
            return attention


def fold_all(attention: Attention, many: Iterable[facts.Fact]) -> Attention:
    """After facts in their order."""
    for fact in many:
        attention = fold(attention, fact)
    return attention


def _over(attention: Attention, run: str, turn: str) -> Attention:
    away = {key: host for key, host in attention.away.items() if key != (run, turn)}
    return replace(attention, away=away)
