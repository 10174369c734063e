"""Faults on order: each does what it says, is in the journal, and is refused when it names what is not there."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import aiohttp
import pytest

from simulator.faults import ARMED, FAULTS, UnknownFault
from tests.simulator.pools import Xapi, played, refused, world


async def update(xapi: Xapi, host: str) -> dict[str, Any]:
    return await xapi.task("host.call_plugin", await xapi.ref(host), "updater.py", "update", {})


async def reboot(xapi: Xapi, host: str) -> None:
    ref = await xapi.ref(host)
    await xapi("host.disable", ref)
    await xapi("host.reboot", ref)


def came_up(xapi: Xapi, host: str) -> float:
    return float(xapi.lines("host", host=host, state="up")[-1]["t"])


@pytest.mark.parametrize(
    "words",
    [
        {"kind": "earthquake"},
        {"kind": "power_loss", "host": "west"},
        {"kind": "vm_moves", "vm": "web"},
        {"kind": "sr_unreachable", "sr": "none"},
    ],
)
def test_a_fault_that_cannot_be_is_refused_in_one_sentence(words: dict[str, Any]) -> None:
    async def story(xapi: Xapi) -> None:
        with pytest.raises(UnknownFault, match=r"^(There is|The fault) .*\.$"):
            xapi.sim.fault(**words)

    played(story)


def test_a_slow_boot_is_slower_by_so_many_seconds() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("slow_boot", host="south", seconds=500)
        await reboot(xapi, "south")
        await asyncio.sleep(900)
        (booting,) = xapi.lines("host", host="south", state="booting")
        assert came_up(xapi, "south") - booting["t"] == pytest.approx(100 + 500 + 2)

    played(story)


def test_a_host_may_never_come_back() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("never_back", host="south")
        await reboot(xapi, "south")
        await asyncio.sleep(5000)
        assert not xapi.lines("host", host="south", state="up")

    played(story)


def test_a_reply_may_be_lost_after_the_act_was_done() -> None:
    """The connection is cut without an answer, and the host is disabled all the same."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        xapi.sim.fault("reply_lost", method="host.disable")
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await xapi("host.disable", south)
        assert not await xapi("host.get_enabled", south)
        await xapi("host.disable", south)

    played(story)


def test_a_connection_may_be_cut_in_mid_call_while_the_call_goes_on() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("connection_cut", method="VM.pool_migrate", after=3)
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await xapi("VM.pool_migrate", await xapi.ref("web"), await xapi.ref("south"), {})
        assert xapi.now == pytest.approx(3)
        await asyncio.sleep(60)
        assert [line["host"] for line in xapi.lines("vm")] == ["south"]
        assert await xapi("task.get_all") == []

    played(story)


def test_a_migration_may_hang_and_then_end() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("migration_hangs", vm="web", at_fraction=0.5, seconds=300)
        record = await xapi.task("VM.pool_migrate", await xapi.ref("web"), await xapi.ref("south"), {})
        assert record["status"] == "success"
        assert xapi.now > 300

    played(story)


def test_memory_may_be_refused_though_there_is_some() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("memory_refused", vm="web", host="south")
        words: tuple[Any, ...] = (await xapi.ref("web"), await xapi.ref("south"), {})
        assert (await refused(xapi("VM.pool_migrate", *words)))[0] == "HOST_NOT_ENOUGH_FREE_MEMORY"
        await xapi("VM.pool_migrate", *words)

    played(story)


def test_a_plugin_may_be_busy_for_a_while() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("plugin_busy", host="south", times=2)
        words: tuple[Any, ...] = (await xapi.ref("south"), "updater.py", "check_update", {})
        for _ in range(2):
            assert (await refused(xapi("host.call_plugin", *words)))[0] == "-1"
        assert await xapi("host.call_plugin", *words)

    played(story)


def test_a_pbd_may_plug_at_the_second_try_only() -> None:
    """At boot it fails; the host is enabled without it, a message says so, and a plug by hand mends it."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        xapi.sim.fault("pbd_plug_fails", host="south")
        await reboot(xapi, "south")
        await asyncio.sleep(200)
        assert await xapi("host.get_enabled", south)
        (pbd,) = await xapi("host.get_PBDs", south)
        assert not await xapi("PBD.get_currently_attached", pbd)
        names = [one["name"] for one in (await xapi("message.get_all_records")).values()]
        assert "PBD_PLUG_FAILED_ON_SERVER_START" in names
        await xapi("PBD.plug", pbd)

    played(story)


def test_a_mount_may_hold_the_boot_for_minutes() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("slow_mount", host="south", seconds=240)
        await reboot(xapi, "south")
        await asyncio.sleep(600)
        (enabled,) = xapi.lines("host", host="south", state="enabled")
        assert enabled["t"] - came_up(xapi, "south") > 240

    played(story)


def test_the_clock_may_be_behind_after_a_boot() -> None:
    """Its own time and agent_start_time are in the past until the time service has corrected them."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        xapi.sim.fault("clock_behind", **{"host": "south", "seconds": 7200, "for": 600})
        await reboot(xapi, "south")
        await asyncio.sleep(200)
        times = await xapi("host.get_other_config", south)
        assert float(times["agent_start_time"]) < 1767225600
        before = await xapi("host.get_servertime", south)
        await asyncio.sleep(600)
        assert before < "20260101T00:00:00Z" < await xapi("host.get_servertime", south)

    played(story)


def test_an_install_without_a_reboot_may_leave_a_host_that_cannot_be_enabled() -> None:
    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        xapi.sim.fault("xen_incompatible", host="north")
        await update(xapi, "north")
        await xapi("host.disable", north)
        await xapi("host.restart_agent", north)
        await asyncio.sleep(60)
        await xapi.login()
        assert await refused(xapi("host.enable", north)) == ["XEN_INCOMPATIBLE"]

    played(story)


def test_the_repository_may_publish_more_between_two_hosts() -> None:
    """After the master's turn a member is offered what the master has not; a mirror may differ for one host alone."""

    async def story(xapi: Xapi) -> None:
        await update(xapi, "north")
        xapi.sim.fault(
            "publish", packages=["kernel", {"name": "new-tool", "version": "1.0", "release": "1"}], hosts=["south"]
        )
        waiting = {}
        for name in ("north", "south"):
            told = await xapi("host.call_plugin", await xapi.ref(name), "updater.py", "check_update", {})
            waiting[name] = {one["name"]: one["release"] for one in json.loads(told)}
        assert waiting["north"] == {}
        assert waiting["south"]["kernel"] == "8.0.44.1.1.xcpng8.3"
        assert "new-tool" in waiting["south"]

    played(story)


def test_a_host_may_lose_cpu_features_with_its_next_start() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("cpu_features_lost", host="south")
        await xapi("host.restart_agent", await xapi.ref("south"))
        await asyncio.sleep(60)
        stuck = await xapi("host.get_vms_which_prevent_evacuation", await xapi.ref("north"))
        assert {details[0] for details in stuck.values()} == {"VM_INCOMPATIBLE_WITH_THIS_HOST"}

    played(story)


def test_an_address_may_be_unreachable_for_clients_while_the_pool_sees_the_host_alive() -> None:
    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        xapi.sim.fault("unreachable", host="south", seconds=900)
        with pytest.raises(aiohttp.ClientConnectorError):
            await xapi.ask("session.login_with_password", "x", "y", url=xapi.sim.hosts["south"])
        await asyncio.sleep(700)
        metrics = await xapi("host_metrics.get_record", await xapi("host.get_metrics", south))
        assert metrics["live"]
        await asyncio.sleep(250)
        answer = await refused(xapi.ask("session.login_with_password", "x", "y", url=xapi.sim.hosts["south"]))
        assert answer[0] == "HOST_IS_SLAVE"

    played(story)


def test_a_backup_blocks_the_move_and_hangs_a_disk_on_the_control_domain() -> None:
    async def story(xapi: Xapi) -> None:
        web, north = await xapi.ref("web"), await xapi.ref("north")
        xapi.sim.fault("backup", vm="web", seconds=300)
        answer = await refused(xapi("VM.pool_migrate", web, await xapi.ref("south"), {}))
        assert answer == ["OPERATION_BLOCKED", web, "VM migration is blocked during backup"]
        dom0 = await xapi("host.get_control_domain", north)
        assert await xapi("VM.get_VBDs", dom0)
        await asyncio.sleep(301)
        assert await xapi("VM.get_blocked_operations", web) == {}
        assert await xapi("VM.get_VBDs", dom0) == []

    played(story)


def test_owners_start_stop_move_delete_and_make_vms() -> None:
    """All of it is the owner's doing in the journal, and bows to XAPI's rules."""

    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("vm_stops", vm="web")
        xapi.sim.fault("vm_starts", vm="web", host="south")
        xapi.sim.fault("vm_moves", vm="db", host="south")
        await asyncio.sleep(120)
        xapi.sim.fault("vm_deleted", vm="mail")
        xapi.sim.fault("vm_appears", name="fresh", host="north")
        told = [(line["vm"], line["state"], line["host"]) for line in xapi.lines("vm", cause="owner")]
        assert told == [
            ("web", "halted", None),
            ("web", "running", "south"),
            ("db", "running", "south"),
            ("mail", "halted", None),
            ("fresh", "running", "north"),
        ]
        await xapi("host.disable", await xapi.ref("south"))
        xapi.sim.fault("vm_moves", vm="fresh", host="south")
        await asyncio.sleep(60)
        assert len(xapi.lines("vm")) == 5

    played(story)


def test_a_balancer_moves_vms_under_the_clients_feet() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("balancer", every=60, times=3)
        await asyncio.sleep(600)
        assert xapi.lines("vm", cause="owner")

    played(story)


def test_a_guest_may_freeze_after_its_migration() -> None:
    """XAPI says Running; its metrics are no longer updated, while the others' are."""

    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("guest_freezes", vm="web")
        for vm in ("web", "db"):
            await xapi("VM.pool_migrate", await xapi.ref(vm), await xapi.ref("south"), {})
        before = await heard(xapi)
        await asyncio.sleep(180)
        after = await heard(xapi)
        assert after["web"] == before["web"]
        assert after["db"] > before["db"]

    played(story)


async def heard(xapi: Xapi) -> dict[str, str]:
    found = {}
    for vm in ("web", "db"):
        metrics = await xapi("VM.get_guest_metrics", await xapi.ref(vm))
        found[vm] = str((await xapi("VM_guest_metrics.get_record", metrics))["last_updated"])
    return found


def test_a_world_file_can_order_faults_for_later() -> None:
    async def story(xapi: Xapi) -> None:
        await asyncio.sleep(49)
        assert not xapi.lines("host", state="down")
        await asyncio.sleep(2)
        (line,) = xapi.lines("host", state="down")
        assert (line["t"], line["host"]) == (50.0, "south")

    played(story, world(faults=[{"kind": "power_loss", "host": "south", "at": 50}]))


def test_with_ha_a_dead_host_is_noticed_and_its_protected_vms_start_elsewhere() -> None:
    vms = [
        {"name": "kept", "host": "south", "memory": "2 GiB", "ha": "restart"},
        {"name": "left", "host": "south", "memory": "2 GiB"},
    ]

    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("power_loss", host="south")
        await asyncio.sleep(120)
        told = [(line["vm"], line["state"], line["host"]) for line in xapi.lines("vm")]
        assert ("kept", "running", "north") in told
        assert ("left", "running", "north") not in told

    played(story, world(vms=vms, pool={"ha": {"enabled": True}}, srs=[{"name": "Shared NFS", "default": True}]))


def test_with_ha_a_dead_master_is_replaced() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("power_loss", host="master")
        await asyncio.sleep(150)
        assert xapi.sim.master_url == xapi.sim.hosts["south"]
        await xapi.login()

    played(story, world(pool={"ha": {"enabled": True}}, srs=[{"name": "Shared NFS", "default": True}]))


def test_linstor_resyncs_after_a_reboot_and_a_clustered_sr_bears_one_host_away() -> None:
    srs = [
        {"name": "Shared NFS", "default": True},
        {"name": "Replicated", "type": "linstor", "resync": 300},
        {"name": "Clustered", "type": "gfs2", "resync": 300},
    ]
    vms = [{"name": "web", "host": "north", "disks": [{"sr": "Replicated"}]}]

    async def clean(xapi: Xapi) -> bool:
        asked = (await xapi.ref("north"), "linstor-manager", "healthCheck", {"groupName": "linstor_group/thin_device"})
        told = json.loads(await xapi("host.call_plugin", *asked))
        return told["errors"] == [] and "SyncTarget" not in json.dumps(told["resources"])

    async def story(xapi: Xapi) -> None:
        assert await clean(xapi)
        await reboot(xapi, "south")
        await asyncio.sleep(200)
        assert not await clean(xapi)
        north = await xapi.ref("north")
        await xapi("host.disable", north)
        assert await refused(xapi("host.reboot", north)) == ["CLUSTERED_SR_DEGRADED", await xapi.ref("Clustered")]
        await asyncio.sleep(300)
        assert await clean(xapi)

    played(story, world(srs=srs, vms=vms))


def test_every_kind_of_fault_is_named_once() -> None:
    assert not set(FAULTS) & set(ARMED)
