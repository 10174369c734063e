"""A pool whose storage is served by VMs on two of its hosts, updated by the real services on the simulator. Its journal
is the witness that no SR lost its server while a host had it attached or a VM used it."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import acts, commands, facts
from tests.stories.house import House, tell

RECIPE = Path(__file__).parents[2] / "docs" / "recipes" / "storage-vms.toml"
LAB: Mapping[str, Any] = tomllib.loads(RECIPE.read_text(encoding="utf-8"))["pool"]["lab"]
STORAGE_VMS, POLICY = LAB["storage_vm"], LAB["policy"]
"""What people copy is what is tested."""

USERS = ("shop", "wiki", "db")
STOPPED = frozenset({"filer-alpha", "filer-beta", *USERS})


def storage_lost(house: House) -> list[dict[str, Any]]:
    """The journal's lines of an SR that lost its server."""
    return [line for line in house.sim.journal if line["kind"] == "storage" and line["state"] == "lost"]


def everything_back(house: House) -> None:
    """Every VM runs, every host is enabled and has its storage, every block stands, nothing is noted."""
    state = house.sim.state()
    down = [name for name, vm in state["vms"].items() if vm["state"] != "running" and name != "old"]
    assert down == []
    assert all(host["enabled"] for host in state["hosts"].values())
    world = house.sim.site.world
    detached = [record["uuid"] for _, record in world.all("PBD") if not record["currently_attached"]]
    assert detached == []
    for name in ("filer-alpha", "filer-beta"):
        blocked = world.record("VM", house.sim.site.vm_named(name))["blocked_operations"]
        assert blocked == {"clean_shutdown": "serves storage", "hard_shutdown": "serves storage"}
    notes = [key for key in house.sim.site.pool_record["other_config"] if key.startswith("rota:")]
    assert [key for key in notes if not key.startswith("rota:installed")] == []


def test_two_hosts_with_storage_vms_are_updated_and_no_storage_loses_its_server(tmp_path: Path) -> None:
    """Every VM at home at the end; the report says for how long each was down, and what was detached."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=POLICY))
        over = await house.until("run_ended")
        await house.until("report_sent")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, judge.Promise(may_stop=STOPPED)) == []
        assert storage_lost(house) == []
        everything_back(house)
        downs = {
            fact.sentence: fact.result.down
            for fact in await house.journal()
            if isinstance(fact, facts.StepSucceeded) and isinstance(fact.result, acts.Started)
        }
        assert len(downs) == len(STOPPED)
        assert all(60 < down < 1800 for down in downs.values()), downs

    tell(story, tmp_path, world="two-storage-vms", pool={"storage_vm": STORAGE_VMS})
    page = next(tmp_path.glob("reports/*.html")).read_text(encoding="utf-8")
    assert "Depot alpha is detached from beta, while filer-alpha, which serves it, is down." in page
    assert all(vm in page for vm in STOPPED)


def test_users_whose_disks_go_elsewhere_meanwhile_run_on_and_only_the_storage_vms_are_stopped(tmp_path: Path) -> None:
    """Their disks wait on the pool's other storage, and are home at the end."""
    aside = {**POLICY, "chains": {"storage_vm": ["migrate_with_storage", "shutdown"]}}

    async def story(house: House) -> None:
        before = dict(house.sim.state()["disks"])
        await house.order(commands.StartRun(pool="lab", policy=aside))
        planned = await house.until("run_planned")
        assert isinstance(planned, facts.RunPlanned)
        along = {move.vm.name: move for turn in planned.forecast.turns for move in turn.moves if move.disks}
        assert {name: move.disks[0].to.name for name, move in along.items()} == dict.fromkeys(USERS, "NAS")
        over = await house.until("run_ended")
        await house.until("report_sent")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        promise = judge.Promise(may_stop=frozenset({"filer-alpha", "filer-beta"}))
        assert judge.violations(house.sim.journal, promise) == []
        assert storage_lost(house) == []
        assert dict(house.sim.state()["disks"]) == before
        everything_back(house)

    tell(story, tmp_path, world="two-storage-vms", pool={"storage_vm": STORAGE_VMS})
    page = next(tmp_path.glob("reports/*.html")).read_text(encoding="utf-8")
    assert "GiB of disks" in page


@pytest.mark.parametrize("boundary", ["unplug_pbd over 2", "shutdown_vm over 2", "unplug_pbd over 4"])
def test_a_cancel_while_storage_is_detached_gives_everything_back(tmp_path: Path, boundary: str) -> None:
    """Nobody has it any more; its server is down; the second host, whose VMs can start only once it is updated. Every
    other boundary is played in tests/services/planner."""
    kind, moment, number = boundary.split()

    async def story(house: House) -> None:
        run = await house.order(commands.StartRun(pool="lab", policy=POLICY))
        step = await house.nth_step(kind, int(number))
        if moment == "over":
            await house.until(f"{step}.step_succeeded")
        await house.order(commands.CancelRun(pool="lab", run=run, now=True), "order-2", "bob")
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "cancelled", over
        assert storage_lost(house) == []
        everything_back(house)

    tell(story, tmp_path, world="storage-vm")


def test_a_storage_vm_that_ignores_its_shutdown_costs_its_users_minutes_not_the_night(tmp_path: Path) -> None:
    """Everything is attached again and started by itself; the run is over, and says why."""

    async def story(house: House) -> None:
        house.sim.fault("guest_deaf", vm="filer-alpha")
        await house.order(commands.StartRun(pool="lab", policy={**POLICY, "guest_shutdown_minutes": 3}))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "failed", over
        assert storage_lost(house) == []
        everything_back(house)
        assert not [line for line in house.sim.journal if line["kind"] == "install"]

    tell(story, tmp_path, world="storage-vm")


def test_a_pool_whose_users_nobody_lets_be_stopped_is_refused_with_their_names(tmp_path: Path) -> None:
    """Nothing is touched."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "refused"
        named = " ".join(one.sentence for one in over.blockers)
        assert all(name in named for name in ("shop", "wiki", "db", "filer-alpha", "Depot beta"))
        assert not [line for line in house.sim.journal if line["t"] > 0 and line["kind"] in ("vm", "host", "install")]

    tell(story, tmp_path, world="two-storage-vms", pool={"storage_vm": STORAGE_VMS})
