"""Hosts in time: disabled and enabled, rebooted in XAPI's order, and what a toolstack restart does to both."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import aiohttp
import pytest

from tests.simulator.pools import Xapi, played, refused, world


def listens(url: str) -> bool:
    host, port = url.removeprefix("http://").split(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


async def metrics(xapi: Xapi, host: str) -> dict[str, Any]:
    return dict(await xapi("host_metrics.get_record", await xapi("host.get_metrics", host)))


def states(xapi: Xapi, host: str) -> list[tuple[float, str]]:
    return [(line["t"], line["state"]) for line in xapi.lines("host", host=host)]


def test_reboot_needs_a_disabled_host() -> None:
    async def story(xapi: Xapi) -> None:
        assert await refused(xapi("host.reboot", await xapi.ref("south"))) == ["HOST_NOT_DISABLED"]

    played(story)


def test_a_member_reboots_ten_seconds_later_and_comes_back_in_order() -> None:
    """The call returns at once; then down, the port closed, emergency, live, times anew, storage, enabled."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        vm = await xapi.ref("mail")
        await xapi.task("VM.pool_migrate", vm, await xapi.ref("north"), {"live": "true"})
        before = await xapi("host.get_other_config", south)
        await xapi("host.disable", south)
        token = (await xapi("event.from", ["host", "host_metrics", "pbd"], "", 1.0))["token"]
        began = xapi.now
        await xapi("host.reboot", south)
        assert xapi.now == began
        assert "shutdown" in (await xapi("host.get_current_operations", south)).values()
        await asyncio.sleep(9.9)
        assert listens(xapi.sim.hosts["south"])
        assert (await metrics(xapi, south))["live"]
        await asyncio.sleep(5)
        assert not listens(xapi.sim.hosts["south"])
        assert not (await metrics(xapi, south))["live"]
        pbds = await xapi("host.get_PBDs", south)
        assert not any([await xapi("PBD.get_currently_attached", pbd) for pbd in pbds])
        seen = await watch(xapi, token, south, 130)
        assert seen[-1] == "enabled"
        assert seen.index("live") < seen.index("no boot_time") < seen.index("boot_time") < seen.index("plugged")
        assert seen.index("plugged") < seen.index("enabled")
        after = await xapi("host.get_other_config", south)
        assert float(after["boot_time"]) > float(before["boot_time"]) + 60
        assert float(after["agent_start_time"]) > 1767225600 + began
        assert after["boot_time"].endswith("."), "a float as OCaml writes it"
        told = states(xapi, "south")
        assert [state for _, state in told] == ["disabled", "rebooting", "booting", "up", "enabled"]
        assert told[1][0] == pytest.approx(began + 10)
        assert await xapi("host.get_current_operations", south) == {}

    played(story)


async def watch(xapi: Xapi, token: str, host: str, seconds: float) -> list[str]:
    """What the events say of a host, each thing once, in the order it was first seen."""
    seen: list[str] = []
    deadline = xapi.now + seconds
    while xapi.now < deadline and "enabled" not in seen:
        batch = await xapi("event.from", ["host", "host_metrics", "pbd"], token, 5.0)
        token = batch["token"]
        for event in batch["events"]:
            seen += [word for word in words_of(event, host, "no boot_time" in seen) if word not in seen]
    return seen


def words_of(event: dict[str, Any], host: str, anew: bool) -> list[str]:
    told = event["snapshot"]
    if event["class"] == "host" and event["ref"] == host:
        away = "boot_time" not in told["other_config"]
        times = ["no boot_time"] if away else ["boot_time"] if anew else []
        return times + (["enabled"] if told["enabled"] else [])
    if event["class"] == "pbd" and told["host"] == host and told["currently_attached"]:
        return ["plugged"]
    return ["live"] if event["class"] == "host_metrics" and told["live"] else []


def test_a_second_reboot_in_the_ten_seconds_stands_in_the_queue_and_reboots_again() -> None:
    """A pending task until the member says hello, disabled for a moment: what a client must fence itself against."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi.task("VM.pool_migrate", await xapi.ref("mail"), await xapi.ref("north"), {})
        await xapi("host.disable", south)
        await xapi("host.reboot", south)
        await asyncio.sleep(4)
        second = await xapi("Async.host.reboot", south)
        await asyncio.sleep(5)
        assert await xapi("task.get_status", second) == "pending"
        await asyncio.sleep(400)
        assert await xapi("task.get_status", second) == "success"
        assert [state for _, state in states(xapi, "south")].count("rebooting") == 2
        calls = [line for line in xapi.lines("call") if line["method"].endswith("host.reboot")]
        assert len(calls) == 2, "both are in the journal"

    played(story)


def test_while_the_upgrade_flag_is_set_a_second_reboot_is_taken_at_once_and_changes_nothing() -> None:
    """Nothing is recorded then, so nothing queues; the machine is going down already."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi.task("VM.pool_migrate", await xapi.ref("mail"), await xapi.ref("north"), {})
        pool = (await xapi("pool.get_all"))[0]
        await xapi("pool.add_to_other_config", pool, "rolling_upgrade_in_progress", "true")
        await xapi("host.disable", south)
        await xapi("host.reboot", south)
        await asyncio.sleep(5)
        await xapi("host.reboot", south)
        await asyncio.sleep(300)
        assert [state for _, state in states(xapi, "south")].count("rebooting") == 1

    played(story)


def test_the_masters_reboot_takes_sessions_and_tasks_and_the_members_only_point_to_it() -> None:
    """A member answers login with HOST_IS_SLAVE and lets every other call hang until the master is back."""

    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        for name in ("web", "db"):
            await xapi.task("VM.pool_migrate", await xapi.ref(name), await xapi.ref("south"), {})
        await xapi("host.disable", north)
        await xapi("host.reboot", north)
        await asyncio.sleep(20)
        assert not listens(xapi.sim.master_url)
        south = xapi.sim.hosts["south"]
        assert (await refused(xapi.ask("session.login_with_password", "x", "y", url=south)))[0] == "HOST_IS_SLAVE"
        hanging = asyncio.create_task(refused(xapi("host.get_all", url=south)))
        await asyncio.sleep(30)
        assert not hanging.done()
        await asyncio.sleep(64)
        assert (await hanging)[0] in ("SESSION_INVALID", "HOST_IS_SLAVE")
        assert (await refused(xapi("host.get_all")))[0] == "SESSION_INVALID"
        await xapi.login()
        assert not await xapi("host.get_enabled", north)
        await asyncio.sleep(20)
        assert await xapi("host.get_enabled", north)

    played(story)


def test_a_call_under_way_is_cut_when_the_masters_xapi_goes_away() -> None:
    """No answer at all: the connection ends."""

    async def story(xapi: Xapi) -> None:
        token = (await xapi("event.from", ["vm"], "", 1.0))["token"]
        waiting = asyncio.create_task(xapi("event.from", ["vm"], token, 600.0))
        await asyncio.sleep(1)
        await xapi("host.restart_agent", await xapi.ref("north"))
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await waiting
        assert xapi.now < 5

    played(story)


def test_a_toolstack_restart_enables_a_host_that_was_disabled_the_plain_way() -> None:
    """The flag was in memory; boot_time stays within a second, agent_start_time is new, VMs never notice."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        before = await xapi("host.get_other_config", south)
        await xapi("host.disable", south)
        await xapi("host.restart_agent", south)
        await asyncio.sleep(5)
        assert not (await metrics(xapi, south))["live"]
        await asyncio.sleep(30)
        assert await xapi("host.get_enabled", south)
        after = await xapi("host.get_other_config", south)
        assert abs(float(after["boot_time"]) - float(before["boot_time"])) <= 1
        assert float(after["agent_start_time"]) > float(before["agent_start_time"])
        assert [state for _, state in states(xapi, "south")] == ["disabled", "restarting", "up", "enabled"]
        assert xapi.lines("vm") == []

    played(story)


def test_auto_enable_false_keeps_a_host_disabled_through_restarts() -> None:
    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.disable", south, False)
        await xapi("host.restart_agent", south)
        await asyncio.sleep(60)
        assert not await xapi("host.get_enabled", south)
        await xapi("host.enable", south)
        assert await xapi("host.get_enabled", south)

    played(story)


def test_boot_time_wanders_by_a_second_on_an_old_xapi() -> None:
    """Now minus uptime, worked out again at each start; on a current one it stays."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        seen = {float((await xapi("host.get_other_config", south))["boot_time"])}
        for _ in range(8):
            await xapi("host.restart_agent", south)
            await asyncio.sleep(60)
            seen.add(float((await xapi("host.get_other_config", south))["boot_time"]))
        wanders = xapi.sim.site.profile.boot_time_jitters
        assert max(seen) - min(seen) == (1.0 if wanders else 0.0)

    played(story, world(profile="xcp-ng-8.3"))
    played(story, world(profile="xcp-ng-current"))


def test_enable_says_still_booting_until_the_start_is_over() -> None:
    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.disable", south, False)
        await xapi("host.restart_agent", south)
        await asyncio.sleep(1 + 12 + 2.5)
        assert await refused(xapi("host.enable", south)) == ["HOST_STILL_BOOTING"]
        await asyncio.sleep(10)
        await xapi("host.enable", south)

    played(story)


def test_reboot_with_vms_on_the_host_moves_or_kills_them_by_its_own_script() -> None:
    """host.reboot never refuses: the VM that can go is moved, the one that cannot is shut down, both are told."""
    vms = [
        {"name": "web", "host": "south", "memory": "2 GiB"},
        {"name": "pinned", "host": "south", "memory": "2 GiB", "devices": ["pci"]},
    ]

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.disable", south)
        await xapi("host.reboot", south)
        await asyncio.sleep(200)
        told = {(line["vm"], line["state"], line["host"]) for line in xapi.lines("vm", cause="reboot_script")}
        assert told == {("web", "running", "north"), ("pinned", "halted", None)}
        (rebooting,) = xapi.lines("host", host="south", state="rebooting")
        (booting,) = xapi.lines("host", host="south", state="booting")
        assert booting["t"] - rebooting["t"] > 16, "the script waits for its VMs before the machine goes down"

    played(story, world(vms=vms))


def test_power_loss_kills_the_vms_and_the_pool_learns_it_after_ten_minutes() -> None:
    """live stays true; calls to that host cannot be delivered, then it is offline."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        xapi.sim.fault("power_loss", host="south")
        assert not listens(xapi.sim.hosts["south"])
        await asyncio.sleep(300)
        assert (await metrics(xapi, south))["live"]
        assert await refused(xapi("host.disable", south)) == ["CANNOT_CONTACT_HOST", south]
        assert await xapi("VM.get_power_state", await xapi.ref("mail")) == "Running"
        await asyncio.sleep(340)
        assert not (await metrics(xapi, south))["live"]
        assert await refused(xapi("host.disable", south)) == ["HOST_OFFLINE", south]
        (line,) = xapi.lines("vm", vm="mail")
        assert (line["state"], line["cause"]) == ("halted", "fault")

    played(story)


def test_after_power_loss_the_host_comes_back_with_its_vms_halted() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("power_loss", host="south", back=30)
        await asyncio.sleep(200)
        assert await xapi("host.get_enabled", await xapi.ref("south"))
        assert await xapi("VM.get_power_state", await xapi.ref("mail")) == "Halted"
        assert len(xapi.lines("vm", vm="mail")) == 1

    played(story)


def test_a_member_newer_than_its_master_is_not_let_in() -> None:
    """It waits in emergency mode with its version, and joins once the master has caught up."""

    async def story(xapi: Xapi) -> None:
        south, north = await xapi.ref("south"), await xapi.ref("north")
        await xapi.task("host.call_plugin", south, "updater.py", "update", {})
        await xapi("host.restart_agent", south)
        await asyncio.sleep(60)
        answer = await refused(xapi.ask("session.login_with_password", "x", "y", url=xapi.sim.hosts["south"]))
        assert answer == ["HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", "26.1.3"]
        assert not (await metrics(xapi, south))["live"]
        await xapi.task("host.call_plugin", north, "updater.py", "update", {})
        await xapi("host.restart_agent", north)
        await asyncio.sleep(150)
        await xapi.login()
        assert (await metrics(xapi, south))["live"]

    played(story)


def test_versions_change_when_xapi_starts_and_xens_only_with_a_boot() -> None:
    """After the update nothing; after a toolstack restart xapi's; after the reboot Xen's too."""

    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")

        async def versions() -> tuple[str, str]:
            told = await xapi("host.get_software_version", north)
            return told["xapi_build"], told["xen"]

        await xapi.task("host.call_plugin", north, "updater.py", "update", {})
        assert await versions() == ("25.33.1", "4.17.5-20.1")
        await xapi("host.restart_agent", north)
        await asyncio.sleep(60)
        await xapi.login()
        assert await versions() == ("26.1.3", "4.17.5-20.1")
        await xapi("host.disable", north)
        await xapi("host.reboot", north)
        await asyncio.sleep(400)
        await xapi.login()
        assert await versions() == ("26.1.3", "4.17.6-2.1")

    played(story, world(vms=[]))
