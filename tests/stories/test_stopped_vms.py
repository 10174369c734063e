"""Whole runs on pools whose VMs cannot all move: local disks, devices, deaf guests, one host. Judged from the
simulator's journal: nobody is stopped that policy did not name, and everybody runs at home in the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import commands, facts
from tests.stories.house import House, tell


async def ended(house: House, policy: Mapping[str, Any], consents: tuple[str, ...] = ()) -> facts.RunEnded:
    """Start a run and wait for its end."""
    await house.order(commands.StartRun(pool="lab", policy=policy, consents=consents))
    fact = await house.until("run_ended")
    assert isinstance(fact, facts.RunEnded)
    return fact


def allowed(*names: str) -> judge.Promise:
    """The demo's promise, but for VMs that policy lets be stopped."""
    return judge.Promise(may_stop=frozenset(names))


def test_a_pool_is_refused_whose_vm_nobody_lets_be_stopped(tmp_path: Path) -> None:
    """One sentence with the VM, the cause and the fix; nothing is touched."""

    async def story(house: House) -> None:
        over = await ended(house, {})
        assert over.outcome == "refused"
        assert "scratch" in over.sentence
        assert not [line for line in house.sim.journal if line["t"] > 0 and line["kind"] in ("vm", "host", "install")]

    tell(story, tmp_path, world="local-disk")


def test_a_guest_that_ignores_its_shutdown_holds_the_run_and_a_cancel_gives_everything_back(tmp_path: Path) -> None:
    """It was not stopped, the others go home, and the host works as before."""

    async def story(house: House) -> None:
        run = await house.order(
            commands.StartRun(pool="lab", policy={"strategies": {"deaf": "shutdown"}, "guest_shutdown_minutes": 3})
        )
        held = await house.until("run_held")
        assert isinstance(held, facts.RunHeld)
        assert held.who_can_help == "the VM's owner"
        await house.order(commands.CancelRun(pool="lab", run=run, now=True), "order-2", "bob")
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "cancelled"
        vms = house.sim.state()["vms"].values()
        assert all(vm["state"] == "running" for vm in vms)
        assert all(host["enabled"] for host in house.sim.state()["hosts"].values())

    tell(story, tmp_path, world="deaf-guest")


@pytest.mark.parametrize("service", ["planner", "executor"])
def test_a_service_that_dies_again_and_again_leaves_no_vm_down(tmp_path: Path, service: str) -> None:
    """Killed every twenty seconds of the whole run."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"chains": {"one_host": ["suspend", "shutdown"]}}))

        async def monkey() -> None:
            while True:
                await asyncio.sleep(20.0)
                await house.dismiss(service)
                await asyncio.sleep(2.0)
                house.employ(service)

        killing = asyncio.create_task(monkey())
        over = await house.until("run_ended")
        killing.cancel()
        await asyncio.gather(killing, return_exceptions=True)
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, allowed("web", "db", "mail")) == []

    tell(story, tmp_path, world="one-host")


def test_undo_brings_back_what_was_stopped_from_the_pool_alone(tmp_path: Path) -> None:
    """Everything of Rota's is gone, and its bus: what was shut down is started, what was suspended is resumed."""

    async def story(house: House) -> None:
        policy = {"chains": {"one_host": ["suspend"]}, "strategies": {"web": "shutdown"}}
        await house.order(commands.StartRun(pool="lab", policy=policy))
        async with asyncio.timeout(3600):
            while any(vm["state"] == "running" for vm in house.sim.state()["vms"].values()):
                await asyncio.sleep(1)
        states = {name: vm["state"] for name, vm in house.sim.state()["vms"].items()}
        assert states == {"web": "halted", "db": "suspended", "mail": "suspended"}
        for name in [*house.tasks]:
            await house.dismiss(name)
        await house.forget()

        for service in ("planner", "executor", "watcher"):
            house.employ(service)
        await house.order(commands.UndoPool(pool="lab"), id="undo-1")
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome == "succeeded", over
        state = house.sim.state()
        assert {(vm["state"], vm["host"]) for vm in state["vms"].values()} == {("running", "alpha")}
        assert state["hosts"]["alpha"]["enabled"]
        other_config = house.sim.site.pool_record["other_config"]
        assert [key for key in other_config if key.startswith("rota:vm:")] == []

    tell(story, tmp_path, world="one-host")


FULL: Mapping[str, Any] = {
    "name": "full",
    "pool": {"name": "full"},
    "hosts": [
        {"name": "north", "master": True, "memory": "32 GiB", "boot": 60, "install": 30},
        {"name": "south", "memory": "32 GiB", "boot": 60, "install": 30},
    ],
    "srs": [{"name": "Shared NFS", "type": "nfs", "size": "1 TiB", "default": True}],
    "vms": [
        {"name": "large", "host": "north", "memory": "20 GiB"},
        {"name": "huge", "host": "south", "memory": "20 GiB"},
        {"name": "appliance", "host": "south", "memory": "1 GiB", "tools": False},
    ],
}


def test_no_room_and_no_tools_are_causes_of_their_own(tmp_path: Path) -> None:
    """What finds no room is shut down; what has no tools is switched off, where policy lets it; all run again."""

    async def story(house: House) -> None:
        chains = {"memory": ["shutdown"], "no_tools": ["suspend", "shutdown"]}
        over = await ended(house, {"chains": chains, "hard_shutdown": True, "owner": "ops"})
        assert over.outcome == "succeeded", over
        assert judge.violations(house.sim.journal, allowed("large", "huge", "appliance")) == []
        (planned,) = (fact for fact in await house.journal() if isinstance(fact, facts.RunPlanned))
        said = {stop.vm.name: stop.cause for turn in planned.forecast.turns for stop in turn.stops}
        assert said == {"large": "memory", "huge": "memory", "appliance": "no_tools"}

    tell(story, tmp_path, world=FULL)


TWO: Mapping[str, Any] = {
    "name": "two",
    "pool": {"name": "two"},
    "hosts": [
        {"name": "north", "master": True, "memory": "32 GiB", "boot": 60, "install": 30, "local_sr": "100 GiB"},
        {"name": "south", "memory": "32 GiB", "boot": 60, "install": 30, "local_sr": "100 GiB"},
    ],
    "srs": [{"name": "Shared NFS", "type": "nfs", "size": "1 TiB", "default": True}],
    "vms": [
        {"name": "web", "host": "south", "memory": "2 GiB"},
        {"name": "scratch", "host": "north", "disks": [{"sr": "Local storage on north", "size": "5 GiB"}]},
        {"name": "data", "host": "south", "disks": [{"sr": "Local storage on south", "size": "5 GiB"}]},
    ],
}


@pytest.mark.parametrize("now", [False, True])
@pytest.mark.parametrize(
    "boundary", ["shutdown_vm ordered 1", "shutdown_vm over 1", "start_vm ordered 1", "shutdown_vm over 2"]
)
def test_a_cancel_while_a_vm_is_down_gives_it_back(tmp_path: Path, boundary: str, now: bool) -> None:
    """On the first host, whose VM may start as it is, and on the second, whose turn must go on for it."""
    kind, moment, number = boundary.split()

    async def story(house: House) -> None:
        policy = {"chains": {"local_disk": ["shutdown"]}}
        run = await house.order(commands.StartRun(pool="lab", policy=policy))
        step = await house.nth_step(kind, int(number))
        if moment == "over":
            await house.until(f"{step}.step_succeeded")
        await house.order(commands.CancelRun(pool="lab", run=run, now=now), "order-2", "bob")
        over = await house.until("run_ended")
        assert isinstance(over, facts.RunEnded)
        assert over.outcome in ("cancelled", "succeeded"), over
        vms = house.sim.state()["vms"]
        assert {name: (vm["state"], vm["host"]) for name, vm in vms.items() if name != "web"} == {
            "scratch": ("running", "north"),
            "data": ("running", "south"),
        }
        assert all(host["enabled"] for host in house.sim.state()["hosts"].values())

    tell(story, tmp_path, world=TWO)
