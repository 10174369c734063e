"""The pool: HA with its refusals, the upgrade flag, settings key by key, storage plugged and unplugged."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.simulator.pools import Xapi, played, refused, world

HA: dict[str, Any] = {"ha": {"enabled": True, "srs": ["Shared NFS"], "configuration": {"timeout": 60}}}
SRS: list[dict[str, Any]] = [{"name": "Shared NFS", "default": True}]


async def pool(xapi: Xapi) -> dict[str, Any]:
    return dict(next(iter((await xapi("pool.get_all_records")).values())))


def test_ha_goes_off_with_its_statefiles_and_on_again_with_new_ones() -> None:
    async def story(xapi: Xapi) -> None:
        before = await pool(xapi)
        assert before["ha_configuration"] == {"timeout": "60"}
        (old,) = before["ha_statefiles"]
        sr = await xapi("VDI.get_SR", old)
        await xapi("pool.disable_ha")
        assert (await pool(xapi))["ha_statefiles"] == []
        assert await refused(xapi("VDI.get_SR", old)) == ["HANDLE_INVALID", "VDI", old]
        await xapi("pool.enable_ha", [sr], before["ha_configuration"])
        after = await pool(xapi)
        assert after["ha_enabled"]
        assert after["ha_configuration"] == {"timeout": "60"}
        assert await refused(xapi("pool.enable_ha", [sr], {})) == ["HA_IS_ENABLED"]
        assert [(line["before"], line["value"]) for line in xapi.lines("pool", setting="ha_enabled")][1:] == [
            (True, False),
            (False, True),
        ]

    played(story, world(pool=HA, srs=SRS))


def test_ha_is_not_enabled_while_versions_differ_or_a_host_is_not_live() -> None:
    async def story(xapi: Xapi) -> None:
        await xapi.task("host.call_plugin", await xapi.ref("north"), "updater.py", "update", {})
        await xapi("host.restart_agent", await xapi.ref("north"))
        await asyncio.sleep(60)
        await xapi.login()
        assert await refused(xapi("pool.enable_ha", [], {})) == ["NOT_SUPPORTED_DURING_UPGRADE"]
        south = await xapi.ref("south")
        await xapi.task("host.call_plugin", south, "updater.py", "update", {})
        await xapi("host.restart_agent", south)
        await asyncio.sleep(100)
        xapi.sim.fault("power_loss", host="south")
        await asyncio.sleep(700)
        assert await refused(xapi("pool.enable_ha", [], {})) == ["HOST_OFFLINE", south]

    played(story)


def test_with_ha_on_an_unprotected_vm_holds_the_evacuation() -> None:
    async def story(xapi: Xapi) -> None:
        web = await xapi.ref("web")
        stuck = await xapi("host.get_vms_which_prevent_evacuation", await xapi.ref("north"))
        assert stuck[web] == ["HOST_EVACUATE_VM_NOT_HA_PROTECTED", web]
        await xapi("pool.disable_ha")
        assert await xapi("host.get_vms_which_prevent_evacuation", await xapi.ref("north")) == {}

    played(story, world(pool=HA, srs=SRS))


def test_with_ha_on_a_host_that_the_plan_needs_is_not_disabled() -> None:
    hosts = [{"name": name, "memory": "32 GiB"} for name in ("north", "south")]
    vms = [
        {"name": "big", "host": "north", "memory": "16 GiB", "ha": "restart"},
        {"name": "other", "host": "south", "memory": "16 GiB", "ha": "restart"},
    ]

    async def story(xapi: Xapi) -> None:
        answer = await refused(xapi("host.disable", await xapi.ref("south")))
        assert answer == ["HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN"]
        await xapi("pool.disable_ha")
        await xapi("host.disable", await xapi.ref("south"))

    played(story, world(hosts=hosts, vms=vms, pool=HA, srs=SRS))


def test_two_operations_of_the_pool_exclude_one_another_at_once() -> None:
    async def story(xapi: Xapi) -> None:
        await xapi("Async.pool.disable_ha")
        assert await refused(xapi("pool.enable_ha", [], {})) == ["HA_DISABLE_IN_PROGRESS"]

    played(story, world(pool=HA, srs=SRS))


def test_the_upgrade_flag_comes_and_goes_with_the_half_minute() -> None:
    """It comes when a host differs from the master, and goes when they agree again; both are XAPI's own doing."""

    async def story(xapi: Xapi) -> None:
        for name in ("north", "south"):
            host = await xapi.ref(name)
            await xapi.task("host.call_plugin", host, "updater.py", "update", {})
            await xapi("host.restart_agent", host)
            await asyncio.sleep(100)
            await xapi.login()
            assert ("rolling_upgrade_in_progress" in (await pool(xapi))["other_config"]) == (name == "north")
        assert [line["value"] for line in xapi.lines("xapi")] == ["true", None]

    played(story)


def test_while_the_flag_is_set_the_database_dump_is_a_dummy() -> None:
    async def dump(xapi: Xapi) -> str:
        url = f"{xapi.sim.master_url}/pool/xmldbdump?session_id={xapi.session}"
        async with aiohttp.ClientSession() as http, http.get(url) as response:
            assert response.status == 200
            return await response.text()

    async def story(xapi: Xapi) -> None:
        assert '<table name="VM">' in await dump(xapi)
        await xapi("pool.add_to_other_config", (await xapi("pool.get_all"))[0], "rolling_upgrade_in_progress", "true")
        assert "<table" not in await dump(xapi)

    played(story)


def test_adding_a_key_that_is_there_is_refused_and_removing_one_that_is_not_is_silent() -> None:
    """add_to is no upsert; every key that changes has its own line, null for absent."""

    async def story(xapi: Xapi) -> None:
        ref = (await xapi("pool.get_all"))[0]
        await xapi("pool.add_to_other_config", ref, "auto_poweron", "false")
        assert await refused(xapi("pool.add_to_other_config", ref, "auto_poweron", "true")) == [
            "MAP_DUPLICATE_KEY",
            "pool",
            "other_config",
            ref,
            "auto_poweron",
        ]
        await xapi("pool.remove_from_other_config", ref, "nothing")
        await xapi("pool.remove_from_other_config", ref, "auto_poweron")
        lines = [(line["before"], line["value"]) for line in xapi.lines("pool", setting="other_config.auto_poweron")]
        assert lines == [(None, None), (None, "false"), ("false", None)]

    played(story)


def test_a_pbd_is_not_unplugged_under_running_disks() -> None:
    """VDI_IN_USE with the disks; empty it goes, and comes back by a plug."""

    async def story(xapi: Xapi) -> None:
        south, sr = await xapi.ref("south"), await xapi.ref("Shared NFS")
        (pbd,) = [one for one in await xapi("host.get_PBDs", south) if await xapi("PBD.get_SR", one) == sr]
        code, *disks = await refused(xapi("PBD.unplug", pbd))
        assert code == "VDI_IN_USE"
        assert [await xapi("VDI.get_name_label", disk) for disk in disks] == ["mail disk 0"]
        await xapi.task("VM.clean_shutdown", await xapi.ref("mail"))
        await xapi("PBD.unplug", pbd)
        assert not await xapi("PBD.get_currently_attached", pbd)
        await xapi("PBD.plug", pbd)
        assert await xapi("PBD.get_currently_attached", pbd)

    played(story)


def test_an_sr_that_a_vm_serves_is_reachable_only_while_that_vm_runs() -> None:
    srs = [{"name": "Shared NFS", "default": True}, {"name": "Depot", "served_by": "filer", "unplugged_on": ["south"]}]
    vms = [{"name": "filer", "host": "north"}]

    async def story(xapi: Xapi) -> None:
        south, sr, filer = await xapi.ref("south"), await xapi.ref("Depot"), await xapi.ref("filer")
        (pbd,) = [one for one in await xapi("host.get_PBDs", south) if await xapi("PBD.get_SR", one) == sr]
        await xapi("VM.clean_shutdown", filer)
        assert (await refused(xapi("PBD.plug", pbd)))[0] == "SR_BACKEND_FAILURE_73"
        await xapi("VM.start_on", filer, await xapi.ref("north"), False, False)
        await xapi("PBD.plug", pbd)

    played(story, world(srs=srs, vms=vms))


def test_another_host_becomes_master_and_every_toolstack_restarts() -> None:
    async def story(xapi: Xapi) -> None:
        await xapi("pool.designate_new_master", await xapi.ref("south"))
        old = xapi.sim.hosts["north"]
        await asyncio.sleep(60)
        assert xapi.sim.master_url == xapi.sim.hosts["south"]
        await xapi.login()
        assert (await pool(xapi))["master"] == await xapi.ref("south")
        assert (await refused(xapi.ask("session.login_with_password", "x", "y", url=old)))[0] == "HOST_IS_SLAVE"

    played(story)


def test_a_member_is_promoted_when_the_master_is_dead() -> None:
    """With a local session, on the member; the pool's settings are those of the last copy."""

    async def story(xapi: Xapi) -> None:
        ref = (await xapi("pool.get_all"))[0]
        await xapi("pool.sync_database")
        await xapi("pool.add_to_other_config", ref, "later", "lost")
        xapi.sim.fault("power_loss", host="master")
        await asyncio.sleep(30)
        south = xapi.sim.hosts["south"]
        local = await xapi.ask("session.slave_local_login_with_password", "root", "simulated", url=south)
        await xapi.ask("pool.emergency_transition_to_master", local, url=south)
        await asyncio.sleep(30)
        await xapi.login(url=south)
        told = next(iter((await xapi("pool.get_all_records", url=south)).values()))
        assert "later" not in told["other_config"]

    played(story)


def test_a_message_can_be_left_on_the_pool() -> None:
    async def story(xapi: Xapi) -> None:
        uuid = (await pool(xapi))["uuid"]
        ref = await xapi("message.create", "rolling update", 3, "Pool", uuid, "begins now")
        assert (await xapi("message.get_record", ref))["body"] == "begins now"
        batch = await xapi("event.from", ["message"], "", 1.0)
        assert [event["ref"] for event in batch["events"]] == [ref]

    played(story)
