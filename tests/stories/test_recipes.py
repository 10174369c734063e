"""The recipes of docs/recipes.md: each is a file that stands on the page, a plan, and a run on a simulated pool."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import acts, commands, facts
from shared.domain.policy import Policy, unsupported
from tests.stories.house import House, tell

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"
WORLDS = Path(__file__).parents[2] / "simulator" / "worlds"


def recipe(name: str) -> tuple[str, Mapping[str, Any]]:
    """The world that a recipe is for, and its policy."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    world = text.splitlines()[0].rpartition("World: ")[2]
    return world, tomllib.loads(text)["pool"]["lab"].get("policy", {})


def files() -> list[Path]:
    """Every recipe."""
    return sorted(RECIPES.glob("*.toml"))


@pytest.mark.parametrize("file", files(), ids=lambda file: file.stem)
def test_a_recipe_stands_on_the_page_and_can_be_carried_out(file: Path) -> None:
    """What people copy is what is tested, for a world that there is."""
    world, policy = recipe(file.stem)
    _, _, body = file.read_text(encoding="utf-8").partition("\n")
    page = (RECIPES.parent / "recipes.md").read_text(encoding="utf-8")
    assert f"```toml\n{body}```" in page
    assert f"(recipes/{file.name})" in page
    assert f"`{world}`" in page
    assert (WORLDS / f"{world}.yaml").is_file()
    assert unsupported(Policy.model_validate(policy)) is None


def test_where_all_storage_is_shared_nothing_need_be_set() -> None:
    """So that the demo itself is that recipe's run (test_rolling_update, and with real processes test_demo)."""
    assert recipe("shared-storage") == ("demo", {})


STOPS: Mapping[str, tuple[str, ...]] = {
    "local-disks": ("scratch",),
    "devices": ("render", "cad"),
    "deaf-guest": ("deaf",),
    "one-host": ("web", "db", "mail"),
}


@pytest.mark.parametrize("name", STOPS)
def test_vms_that_cannot_move_are_stopped_by_policy_and_run_at_home_again(tmp_path: Path, name: str) -> None:
    """The plan says who is stopped and by whose leave (the owner's, or his who names the VM); the report, how long."""
    world, policy = recipe(name)
    stopped = STOPS[name]

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=policy))
        over = await house.until("run_ended")
        await house.until("report_sent")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, judge.Promise(may_stop=frozenset(stopped))) == []
        journal = await house.journal()
        (planned,) = (fact for fact in journal if isinstance(fact, facts.RunPlanned))
        said = {stop.vm.name: stop.consent for turn in planned.forecast.turns for stop in turn.stops}
        assert said == dict.fromkeys(stopped, "ann@desk" if "strategies" in policy else "ops")
        results = [fact.result for fact in journal if isinstance(fact, facts.StepSucceeded)]
        started = [one for one in results if isinstance(one, acts.Started)]
        assert len(started) == len(stopped)
        assert all(one.down > 60 for one in started)

    tell(story, tmp_path, world=world)
    page = next(tmp_path.glob("reports/*.html")).read_text(encoding="utf-8")
    assert "VMs that were stopped" in page
    assert all(vm in page for vm in stopped)


def test_a_disc_that_keeps_a_vm_is_taken_out_and_is_back_at_the_end(tmp_path: Path) -> None:
    """Nobody is stopped for it."""
    world, policy = recipe("discs")

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=policy))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal) == []
        site = house.sim.site
        (fresh,) = (ref for ref, vm in site.world.all("VM") if vm["name_label"] == "fresh")
        drives = [vbd for _, vbd in site.world.all("VBD") if vbd["VM"] == fresh and vbd["type"] == "CD"]
        assert [site.name("VDI", drive["VDI"]) for drive in drives] == ["setup.iso"]
        assert len([one for one in house.sim.journal if one["kind"] == "call" and "VBD.eject" in one["method"]]) == 1

    tell(story, tmp_path, world=world)


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


def test_a_clustered_pool_bears_one_host_away_at_a_time(tmp_path: Path) -> None:
    """Whatever was asked for, and the plan says so; no host's part is missing when the next one goes."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"max_away": 2, "updates": False}))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded_with_warnings", over
        assert "'Clustered' is replicated between the hosts, so at most 1 of the 2 hosts" in over.warnings[0]
        storage = [line["state"] for line in house.sim.journal if line["kind"] == "sr"]
        assert storage[:5] == ["degraded", "whole", "degraded", "whole", "degraded"]

    tell(story, tmp_path, world="clustered")
