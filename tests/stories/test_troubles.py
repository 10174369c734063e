"""What befalls a pool while it is updated, by the real services and a simulated pool: lost, slow, changed, lied to."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cli import judge
from shared.bus import wire
from shared.domain import commands, facts, names
from tests.stories.house import House, tell

SMALL_HOST: Mapping[str, Any] = {"memory": "32 GiB", "boot": 60, "install": 30}


def world(*faults: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """A small pool with two VMs, and what befalls it."""
    return {
        "name": "troubled",
        "hosts": [{"name": name, **SMALL_HOST} for name in ("north", "south")],
        "vms": [
            {"name": "web", "host": "north", "memory": "2 GiB"},
            {"name": "db", "host": "south", "memory": "4 GiB"},
        ],
        "faults": list(faults),
        **more,
    }


async def held(house: House, times: int = 1) -> str:
    """Why the run was held, for the so-manieth time."""
    async with asyncio.timeout(6 * 3600), house.bus.follow(["rota.fact.run.*.*.run.run_held"], after=0) as stored_facts:
        async for stored in stored_facts:
            fact = wire.read_fact(stored).fact
            times -= 1
            if isinstance(fact, facts.RunHeld) and times == 0:
                return fact.because
    raise AssertionError("the run was not held")


async def resume(house: House, after: float) -> None:
    """A person looks after so many seconds, and says that the run goes on."""
    await asyncio.sleep(after)
    order = commands.ResumeRun(pool="lab", run=names.run_id("lab", "order-1"))
    await house.order(order, id=f"go-on-{house.clock.now()}")


async def end(house: House) -> facts.RunEnded:
    """How the run ended."""
    ended = await house.until("run_ended")
    assert isinstance(ended, facts.RunEnded)
    return ended


async def until_rebooting(house: House, host: str) -> None:
    """Wait until a host goes down for its reboot."""
    async with asyncio.timeout(6 * 3600):
        while host not in reboots(house):
            await asyncio.sleep(2)


def reboots(house: House) -> list[str]:
    """The hosts that went down for a reboot, in order."""
    return [str(line["host"]) for line in house.sim.journal if line["kind"] == "host" and line["state"] == "rebooting"]


SMALL = (
    {"kind": "slow_boot", "host": "north", "seconds": 900},
    {"kind": "plugin_busy", "times": 2},
    {"kind": "migration_fails", "times": 1},
    {"kind": "memory_refused", "times": 1},
    {"kind": "pbd_plug_fails", "times": 1},
    {"kind": "reply_lost", "method": "host.reboot", "times": 2},
    {"kind": "reply_lost", "method": "VM.pool_migrate", "times": 2},
    {"kind": "install_restarts_toolstack", "at_second": 10, "times": 2},
)
"""Troubles of a night that ask nobody: each passes, is looked at again, tried again or planned again."""


def test_small_troubles_of_one_night_ask_nobody(tmp_path: Path) -> None:
    """All of them, on an XAPI whose toolstack enables its host when it starts, and a bus that is away for five minutes
    while the master is: the run ends as any other, and no host is rebooted twice or with a VM on it."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        await until_rebooting(house, "north")
        house.server.stop()
        await asyncio.sleep(300)
        house.server.start()
        assert (await end(house)).outcome == "succeeded"
        assert judge.violations(house.sim.journal) == []
        assert not [fact for fact in await house.journal() if isinstance(fact, facts.RunHeld)]

    tell(story, tmp_path, world=world(*SMALL, profile="xcp-ng-8.3"))


def test_a_master_that_dies_while_another_host_is_away_is_told_and_waited_for(tmp_path: Path) -> None:
    """Nothing new begins and a person is asked, by the host's name; when it is back and the run told to go on, every
    host is updated."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        await until_rebooting(house, "south")
        house.sim.fault("power_loss", host="north", back=400)
        assert (await held(house)).startswith("Host north is unreachable and Rota did not order it")
        await resume(house, after=400)
        ended = await end(house)
        assert ended.outcome == "succeeded_with_warnings", ended
        assert reboots(house) == ["north", "south"]
        assert all(one["enabled"] and not one["updates"] for one in house.sim.state()["hosts"].values())

    tell(story, tmp_path, world=world())


def test_a_host_that_installed_nothing_and_one_that_never_returns_are_a_persons_business(tmp_path: Path) -> None:
    faults = ({"kind": "install_lies", "host": "south", "times": 2}, {"kind": "never_back", "host": "south"})

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"attempts": 2, "host_back_minutes": 10}))
        assert "The updater of south says that it is done, and kernel" in await held(house)
        assert reboots(house) == ["north"]
        await resume(house, after=60)
        assert "south has not come back 10 min after its reboot" in await held(house, 2)
        house.sim.fault("power_on", host="south")
        await resume(house, after=200)
        assert (await end(house)).outcome == "succeeded"
        wrong = [one for one in judge.violations(house.sim.journal) if "ended with nothing installed" not in one]
        assert wrong == []  # and the two lies themselves

    tell(story, tmp_path, world=world(*faults))


def test_a_master_that_somebody_changed_is_told_and_the_run_goes_on_with_it(tmp_path: Path) -> None:
    """Even to an older host, by which the updated one is locked out: it has its turn as master, which lets it in."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        await house.until("turn_ended")
        house.sim.fault("master_change", host="south")
        assert (await held(house)).startswith("south is master now instead of north")
        await resume(house, after=120)
        ended = await end(house)
        assert ended.outcome == "succeeded_with_warnings", ended
        assert judge.violations(house.sim.journal) == []

    tell(story, tmp_path, world=world())
