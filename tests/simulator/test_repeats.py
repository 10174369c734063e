"""The same story gives the same journal to the byte, under a virtual clock and under one that is turned by hand."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import aiohttp
import pytest
import XenAPI

import simulator
from simulator.clock import run_virtual
from simulator.simulation import Simulation
from tests.simulator.pools import TWO_HOSTS, Xapi, played


def login(simulation: Simulation) -> XenAPI.Session:
    session = XenAPI.Session(simulation.master_url)
    session.login_with_password("root", "simulated", "1.0", "threads")
    return session


async def update(simulation: Simulation, name: str) -> None:
    """Empties, patches and reboots one host, as a blocking client in worker threads does it."""
    session = await asyncio.to_thread(login, simulation)
    (host,) = await asyncio.to_thread(session.xenapi.host.get_by_name_label, name)
    await asyncio.to_thread(session.xenapi.host.disable, host)
    await asyncio.to_thread(session.xenapi.host.evacuate, host)
    await asyncio.to_thread(session.xenapi.host.call_plugin, host, "updater.py", "update", {})
    await asyncio.to_thread(session.xenapi.host.reboot, host)
    await asyncio.to_thread(session("close"))
    await asyncio.sleep(300)


def run_of(file: Path, seed: int = 0) -> tuple[float, str]:
    """A whole pool updated under a virtual clock, with a watcher beside; its last second and its journal."""

    async def story() -> float:
        async with simulator.running("small", drive="virtual", seed=seed, journal=file) as sim:
            watcher = asyncio.create_task(watch(sim))
            await update(sim, "north")
            await update(sim, "south")
            watcher.cancel()
            return asyncio.get_running_loop().time()

    return run_virtual(story()), file.read_text()


async def watch(simulation: Simulation) -> None:
    """Follows the events with a client in the same loop, logging in again whenever the master was away."""
    async with aiohttp.ClientSession() as http:
        client = Xapi(simulation, http)
        token = ""
        while True:
            try:
                if not client.session:
                    await client.login()
                    token = ""
                token = (await client("event.from", ["host", "vm", "task"], token, 30.0))["token"]
            except (aiohttp.ClientError, ValueError, LookupError):
                client.session = ""
                await asyncio.sleep(1)
            except Exception as refused:  # noqa: BLE001 - the session went with its master
                client.session = "" if "SESSION_INVALID" in str(refused) else client.session


def test_two_runs_in_virtual_time_give_the_same_journal(tmp_path: Path) -> None:
    """Blocking clients in threads and a watcher in the loop; hundreds of simulated seconds."""
    first = run_of(tmp_path / "one.ndjson")
    second = run_of(tmp_path / "two.ndjson")
    assert first[0] > 700
    assert first == second


def test_the_journal_alone_tells_who_was_rebooted_and_that_nobody_was_on_it(tmp_path: Path) -> None:
    _, text = run_of(tmp_path / "journal.ndjson")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [line["host"] for line in lines if line.get("state") == "rebooting"] == ["north", "south"]
    assert not [line for line in lines if line.get("cause") == "reboot_script"]
    assert {line["kind"] for line in lines} == {"host", "vm", "pool", "call", "migration", "install", "xapi"}


def test_a_clock_turned_by_hand_repeats_with_one_client(tmp_path: Path) -> None:
    async def story(file: Path) -> str:
        async with simulator.running(TWO_HOSTS, drive="manual", journal=file) as sim, aiohttp.ClientSession() as http:
            client = Xapi(sim, http)
            await client.login()
            south = await client.ref("south")
            await client("Async.VM.pool_migrate", await client.ref("web"), south, {})
            sim.clock.turn(10)
            assert await client("task.get_all")
            sim.clock.turn(90)
            assert await client("VM.get_resident_on", await client.ref("web")) == south
            return sim.site.journal.text()

    assert asyncio.run(story(tmp_path / "one")) == asyncio.run(story(tmp_path / "two"))


def test_another_seed_gives_other_references() -> None:
    """But the same story."""
    refs = []

    async def story(xapi: Xapi) -> None:
        refs.append(await xapi.ref("web"))

    played(story, seed=1)
    played(story, seed=2)
    assert refs[0] != refs[1]


@pytest.mark.parametrize("factor", [20.0, 200.0])
def test_durations_are_exact_at_any_factor_of_the_walls_clock(factor: float) -> None:
    """The moment is the act's own, never the CPU's: 2 GiB at 100 MB/s is the same to the microsecond."""

    async def story() -> float:
        async with simulator.running(TWO_HOSTS, drive="wall", factor=factor) as sim, aiohttp.ClientSession() as http:
            client = Xapi(sim, http)
            await client.login()
            await client("VM.pool_migrate", await client.ref("web"), await client.ref("south"), {})
            (line,) = client.lines("migration")
            return float(line["ended"] - line["began"])

    assert asyncio.run(story()) == pytest.approx(2 * 1024**3 / 100e6 + 1.5, abs=2e-6)
