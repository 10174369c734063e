"""The recipes of docs/recipes.md: each is a file that stands on the page, a plan, and a run on a simulated pool."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import judge
from shared.domain import acts, commands, facts
from tests.stories.house import House, tell

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


def recipe(name: str) -> tuple[str, Mapping[str, Any]]:
    """The world that a recipe is for, and its policy."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    world = text.splitlines()[0].rpartition("World: ")[2]
    return world, tomllib.loads(text)["pool"]["lab"]["policy"]


def test_an_xostor_pool_keeps_its_storage_whole_and_of_one_version(tmp_path: Path) -> None:
    """LINSTOR's packages are on all hosts before any is disabled; the next host goes when everything is in sync again,
    as the simulator knows it; and the plan said so."""
    world, policy = recipe("xostor")

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=policy))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal) == []
        lines = house.sim.journal
        storage = [line["state"] for line in lines if line["kind"] == "sr"]
        assert storage[:5] == ["degraded", "whole", "degraded", "whole", "degraded"]
        disabled = next(line["t"] for line in lines if line["kind"] == "host" and line["state"] == "disabled")
        linstor = [line for line in lines if line["kind"] == "install" and line["packages"][0].startswith("linstor")]
        assert [line["host"] for line in linstor] == ["alpha", "beta", "gamma"] * 2
        assert all(line["t"] < disabled for line in linstor)
        assert [line["service"] for line in lines if line["kind"] == "service"] == [
            *["linstor-controller"] * 3,
            *["linstor-satellite"] * 3,
        ]
        planned = next(fact for fact in await house.journal() if isinstance(fact, facts.RunPlanned))
        assert "LINSTOR's services are restarted" in " ".join(planned.forecast.notes)
        waited = [fact for fact in await house.journal() if isinstance(fact, facts.StepSucceeded)]
        assert any(isinstance(fact.result, acts.Installed) and fact.result.packages for fact in waited)

    tell(story, tmp_path, world=world)
    page = next(tmp_path.glob("reports/*.html")).read_text(encoding="utf-8")
    assert "linstor-satellite" in page


def test_an_xostor_pool_that_does_not_become_whole_is_held_before_the_next_host(tmp_path: Path) -> None:
    """With what it lacks; nobody else was sent away."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"resync_minutes": 1, "updates": False}))
        held = await house.until("run_held")
        assert isinstance(held, facts.RunHeld)
        assert "The storage Replicated is not whole after" in held.because
        assert "for want of alpha" in held.because
        reboots = [line["host"] for line in house.sim.journal if line.get("state") == "rebooting"]
        assert reboots == ["alpha"]
        assert house.sim.state()["hosts"]["beta"]["enabled"]

    tell(story, tmp_path, world="xostor")
