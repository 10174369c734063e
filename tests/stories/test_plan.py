"""A plan is made by looking alone, and what is planned is about what happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from shared.domain import commands, facts
from tests.stories.house import House, tell

LOOKING = ("get_", "compute_", "assert_", "login_with_", "logout", "from")
"""What the names of calls begin with that change nothing."""

ASKED_OF_PLUGINS = ("check_update", "query_installed", "get_", "df")

CHANGES = ("vm", "host", "pool", "install", "migration", "task")


def looks(line: dict[str, Any]) -> bool:
    """Whether a line of the simulator's journal is a call that only reads."""
    name = line["method"].rpartition(".")[2]
    if name == "call_plugin":
        return any(str(param).startswith(ASKED_OF_PLUGINS) for param in line["params"])
    return str(name).startswith(LOOKING)


def test_a_plan_and_what_if_are_made_by_reading_calls_alone(tmp_path: Path) -> None:
    """The simulator's own journal has every call: none of them changes anything. Several ways, one reading."""

    async def story(house: House) -> None:
        ways = ({"max_away": 2}, {"skip": ["aramis"]})
        await house.order(commands.PlanPool(pool="lab", compare=ways))
        made = await house.until("forecast_made")

        assert isinstance(made, facts.ForecastMade)
        assert [(row.turns, row.max_away) for row in made.compared] == [(3, 1), (3, 1), (2, 1)]
        assert [row.moves for row in made.compared] == [24, 24, 16]
        calls = [line for line in house.sim.journal if line["kind"] == "call"]
        assert calls
        assert [line for line in calls if not looks(line)] == []
        changes = [line for line in house.sim.journal if line["t"] > 0 and line["kind"] in CHANGES]
        assert changes == []

    tell(story, tmp_path, staff=("planner", "executor"))


def test_the_second_plan_knows_what_the_first_run_took(tmp_path: Path) -> None:
    """After one run the estimate is from the pool's history, and within a tenth of what such a run took."""

    async def story(house: House) -> None:
        began = house.clock.now()
        await house.order(commands.StartRun(pool="lab", policy={"updates": False}))
        ended = await house.until("run_ended")
        assert isinstance(ended, facts.RunEnded)
        took = house.clock.now() - began
        await house.order(commands.PlanPool(pool="lab", policy={"updates": False}), "order-2")
        made = await house.until("forecast_made")

        assert isinstance(made, facts.ForecastMade)
        assert made.forecast.basis == "The times are estimated from the last 3 turns on this pool."
        assert made.forecast.seconds == pytest.approx(took, rel=0.1)

    tell(story, tmp_path, staff=("planner", "executor", "watcher"))
