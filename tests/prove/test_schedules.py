"""The planner's schedules beside the shortest: 30 in the suite, 60 by `make prove`, with more time for each."""

from __future__ import annotations

import statistics
from dataclasses import replace

import pytest

from tests.prove import solver
from tests.prove.pools import Update, update
from tests.prove.schedules import AIM, Row, judge, too_short
from tests.prove.shortest import shortest

pytestmark = pytest.mark.skipif(not solver.HERE, reason=solver.MISSING)

SEEDS = range(1, 31)
WORK = 0.3


def test_schedules_are_near_the_shortest_and_none_is_sooner_than_can_be() -> None:
    """At the median of those whose optimum is proved soon, which are nearly all."""
    rows = [judge(seed, work=WORK) for seed in SEEDS]
    assert not [row for row in rows if too_short(row)]
    proved = [row.over for row in rows if row.proved]
    assert len(proved) >= 0.8 * len(SEEDS)
    assert statistics.median(proved) <= AIM


def test_a_length_that_cannot_be_is_seen() -> None:
    """The optimum is a bound: a forecast below it is told."""
    row = judge(SEEDS[0], work=WORK)
    assert row.proved
    assert not too_short(row)
    assert too_short(replace(row, planner=row.bound - 1))


def test_the_solver_keeps_the_limits_that_the_planner_keeps() -> None:
    """With one move at a time from each host an update takes longer than with three, for the solver too."""

    def seconds(asked: Update) -> float:
        return shortest(asked, work=WORK).objective

    wide = next(found for seed in range(1, 50) if _sends_three(found := update(seed)))
    narrow = replace(wide, policy=wide.policy.model_copy(update={"migrations_per_source": 1}))
    assert seconds(narrow) > seconds(wide) > 0


def _sends_three(asked: Update) -> bool:
    most = max(len(asked.snapshot.resident(one.uuid)) for one in asked.snapshot.hosts)
    return len(asked.snapshot.hosts) == 2 and most >= 3 and asked.policy.migrations_per_source == 3


def test_what_was_not_proved_is_compared_with_the_bound() -> None:
    """Never with the best that was found, which may be far from the optimum."""
    row = Row(1, 3, 9, 1, 0, planner=110, solver=110, bound=100, proved=False)
    assert row.over == pytest.approx(1.1)
