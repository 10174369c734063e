"""VMs: moved in exact time under XAPI's rules, started, stopped, suspended."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from simulator.memory import memory_overhead
from simulator.values import GIB, MIB
from tests.simulator.pools import Xapi, played, refused, world

SETUP_AND_SWITCH = 1.5


async def moved(xapi: Xapi, vm: str, host: str) -> dict[str, Any]:
    return await xapi.task("VM.pool_migrate", await xapi.ref(vm), await xapi.ref(host), {"live": "true"})


def test_a_migration_takes_its_memory_over_the_rate_and_is_told_when_it_ends() -> None:
    """2 GiB at 100 MB/s: 21.5 s and the switch; the migration's line stands before the VM's."""

    async def story(xapi: Xapi) -> None:
        record = await moved(xapi, "web", "south")
        assert record["status"] == "success"
        assert record["progress"] == 1.0
        (line,) = xapi.lines("migration")
        assert (line["vm"], line["from"], line["to"], line["outcome"]) == ("web", "north", "south", "success")
        assert line["ended"] - line["began"] == pytest.approx(2 * GIB / 100e6 + SETUP_AND_SWITCH, abs=1e-6)
        kinds = [line["kind"] for line in xapi.sim.journal if line["t"] > 0 and line["kind"] in ("migration", "vm")]
        assert kinds == ["migration", "vm"]
        assert await xapi("VM.get_resident_on", await xapi.ref("web")) == await xapi.ref("south")

    played(story)


def test_two_migrations_share_what_the_source_can_send() -> None:
    """100 MB/s of NIC for two streams that could each take it all."""
    hosts = [{"name": name, "memory": "32 GiB", "nic": "100 MB/s", "stream": "100 MB/s"} for name in ("north", "south")]
    vms = [{"name": name, "host": "north", "memory": "1 GiB"} for name in ("one", "two")]

    async def story(xapi: Xapi) -> None:
        await asyncio.gather(moved(xapi, "one", "south"), moved(xapi, "two", "south"))
        for line in xapi.lines("migration"):
            assert line["ended"] - line["began"] == pytest.approx(2 * GIB / 100e6 + SETUP_AND_SWITCH, abs=1e-6)

    played(story, world(hosts=hosts, vms=vms))


def test_four_operations_run_on_a_host_and_the_fifth_waits() -> None:
    """xenopsd's workers: the fifth migration begins to copy when one of the first four is through."""
    vms = [{"name": f"vm{number}", "host": "north", "memory": "1 GiB"} for number in range(5)]

    async def story(xapi: Xapi) -> None:
        await asyncio.gather(*(moved(xapi, f"vm{number}", "south") for number in range(5)))
        ends = sorted(line["ended"] for line in xapi.lines("migration"))
        one = GIB / 100e6 + SETUP_AND_SWITCH
        assert ends == [pytest.approx(one, abs=0.3)] * 4 + [pytest.approx(2 * one, abs=0.6)]

    played(story, world(vms=vms))


def test_a_task_shows_progress_while_it_runs() -> None:
    async def story(xapi: Xapi) -> None:
        task = await xapi("Async.VM.pool_migrate", await xapi.ref("db"), await xapi.ref("south"), {})
        seen = set()
        while (record := await xapi("task.get_record", task))["status"] == "pending":
            seen.add(record["progress"])
            await asyncio.sleep(2)
        assert len(seen) > 5
        assert max(seen) < 1
        assert record["progress"] == 1.0

    played(story)


def test_room_on_the_target_is_reserved_from_the_start() -> None:
    """Two VMs that do not fit together: the second is refused with what it needs and what there is."""
    hosts = [{"name": "north", "memory": "32 GiB"}, {"name": "south", "memory": "12 GiB", "dom0_memory": "1 GiB"}]
    vms = [{"name": "one", "host": "north", "memory": "6 GiB"}, {"name": "two", "host": "north", "memory": "6 GiB"}]

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("Async.VM.pool_migrate", await xapi.ref("one"), south, {})
        free = await xapi("host.compute_free_memory", south)
        code, needed, available = await refused(xapi("VM.pool_migrate", await xapi.ref("two"), south, {}))
        assert code == "HOST_NOT_ENOUGH_FREE_MEMORY"
        assert int(available) == free
        assert int(needed) == 6 * GIB + memory_overhead(6 * GIB, 2)

    played(story, world(hosts=hosts, vms=vms))


def test_memory_is_counted_by_the_dynamic_minimum() -> None:
    """compute_free_memory: total less overhead, less dom0, less what each VM may be squeezed to."""
    vms = [{"name": "one", "host": "south", "memory": "8 GiB", "memory_min": "2 GiB"}]

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        told = await xapi("host.get_record", south)
        expected = 32 * GIB - told["memory_overhead"] - 4 * GIB - 2 * GIB - memory_overhead(8 * GIB, 2)
        assert await xapi("host.compute_free_memory", south) == expected

    played(story, world(vms=vms))


def test_memory_overhead_is_worked_out_as_xapi_does() -> None:
    """4 GiB and 2 CPUs: 1 + 1 + shadow of 34 + 1 MiB."""
    assert memory_overhead(4 * GIB, 2) == (1 + 1 + 34 + 1) * MIB


def test_a_vm_does_not_go_from_newer_to_older_while_the_flag_is_set() -> None:
    """Before the flag is set an explicit migration is still taken; evacuation never is."""
    hosts = [{"name": "north", "memory": "32 GiB", "updated": True}, {"name": "south", "memory": "32 GiB"}]

    async def story(xapi: Xapi) -> None:
        north, south = await xapi.ref("north"), await xapi.ref("south")
        stuck = await xapi("host.get_vms_which_prevent_evacuation", north)
        assert {details[0] for details in stuck.values()} == {"NO_HOSTS_AVAILABLE"}
        await moved(xapi, "web", "south")
        await asyncio.sleep(30)
        assert xapi.lines("xapi")[0]["setting"] == "other_config.rolling_upgrade_in_progress"
        answer = await refused(xapi("VM.pool_migrate", await xapi.ref("db"), south, {}))
        assert answer == ["NOT_SUPPORTED_DURING_UPGRADE"]
        assert (await moved(xapi, "web", "north"))["status"] == "success"

    played(story, world(hosts=hosts))


def test_a_vm_does_not_start_on_an_old_host_while_the_flag_is_set() -> None:
    hosts = [{"name": "north", "memory": "32 GiB", "updated": True}, {"name": "south", "memory": "32 GiB"}]
    vms = [{"name": "idle", "state": "halted"}]

    async def story(xapi: Xapi) -> None:
        await asyncio.sleep(31)
        vm = await xapi.ref("idle")
        answer = await refused(xapi("VM.start_on", vm, await xapi.ref("south"), False, False))
        assert answer == ["NOT_SUPPORTED_DURING_UPGRADE"]
        await xapi("VM.start", vm, False, False)
        assert await xapi("VM.get_resident_on", vm) == await xapi.ref("north")

    played(story, world(hosts=hosts, vms=vms))


def test_a_cpu_that_lacks_features_is_refused_unless_forced() -> None:
    hosts: list[dict[str, Any]] = [{"name": "north", "memory": "32 GiB"}, {"name": "south", "memory": "32 GiB"}]

    async def story(xapi: Xapi) -> None:
        south, vm = await xapi.ref("south"), await xapi.ref("web")
        xapi.sim.site.machines[south].faults["cpu_features"] = "00000000-00000000"
        await xapi("host.restart_agent", south)
        await asyncio.sleep(60)
        code, *params = await refused(xapi("VM.pool_migrate", vm, south, {}))
        assert (code, params[:2]) == ("VM_INCOMPATIBLE_WITH_THIS_HOST", [vm, south])
        assert (await xapi.task("VM.pool_migrate", vm, south, {"force": "true"}))["status"] == "success"

    played(story, world(hosts=hosts))


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"tools": False}, "VM_LACKS_FEATURE"),
        ({"devices": ["pci"]}, "VM_HAS_PCI_ATTACHED"),
        ({"devices": ["vgpu"]}, "VM_HAS_VGPU"),
        ({"devices": ["vusb"]}, "VM_HAS_VUSBS"),
        ({"devices": ["sriov"]}, "VM_HAS_SRIOV_VIF"),
        ({"nomigrate": True}, "VM_IS_IMMOBILE"),
        ({"blocked": {"pool_migrate": "VM migration is blocked during backup"}}, "OPERATION_BLOCKED"),
        ({"state": "paused"}, "VM_BAD_POWER_STATE"),
        ({"disks": [{"sr": "Local storage on north"}]}, "VM_REQUIRES_SR"),
        ({"networks": ["island"]}, "VM_REQUIRES_NETWORK"),
    ],
)
def test_what_holds_a_vm_is_told_alike_by_the_migration_and_by_the_question(words: dict[str, Any], code: str) -> None:
    """VM.pool_migrate and host.get_vms_which_prevent_evacuation give the same code."""
    hosts = [{"name": "north", "memory": "32 GiB", "local_sr": "100 GiB"}, {"name": "south", "memory": "32 GiB"}]
    networks = [{"name": "main", "management": True}, {"name": "island", "missing_on": ["south"]}]
    vms = [{"name": "odd", "host": "north", **words}]

    async def story(xapi: Xapi) -> None:
        vm, south = await xapi.ref("odd"), await xapi.ref("south")
        assert (await refused(xapi("VM.pool_migrate", vm, south, {})))[0] == code
        stuck = await xapi("host.get_vms_which_prevent_evacuation", await xapi.ref("north"))
        assert stuck[vm][0] == code
        joined = await refused(xapi("host.assert_can_evacuate", await xapi.ref("north")))
        assert joined == ["CANNOT_EVACUATE_HOST", ",".join(stuck[vm])]

    played(story, world(hosts=hosts, networks=networks, vms=vms))


def test_evacuate_moves_all_and_disables_nothing() -> None:
    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        record = await xapi.task("host.evacuate", north, "OpaqueRef:NULL", 0)
        assert record["status"] == "success"
        assert await xapi("host.get_enabled", north)
        assert {line["host"] for line in xapi.lines("vm")} == {"south"}

    played(story)


def test_evacuate_demands_that_every_target_takes_every_vm() -> None:
    """One enabled host with an unplugged PBD blocks it all, though another has room."""
    hosts = [{"name": name, "memory": "32 GiB"} for name in ("north", "south", "west")]
    srs = [{"name": "Shared NFS", "default": True, "unplugged_on": ["west"]}]

    async def story(xapi: Xapi) -> None:
        north, web = await xapi.ref("north"), await xapi.ref("web")
        assert await refused(xapi("host.evacuate", north)) == ["VM_REQUIRES_SR", web, await xapi.ref("Shared NFS")]
        await xapi("host.disable", await xapi.ref("west"))
        assert await xapi("host.get_vms_which_prevent_evacuation", north) == {}

    played(story, world(hosts=hosts, srs=srs))


def test_a_failed_child_ends_the_evacuation_while_others_move_on() -> None:
    """The first error is the evacuation's; the migration that runs is not rolled back."""

    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("migration_fails", vm="web", code="INTERNAL_ERROR", params=["the guest refused"])
        record = await xapi.task("host.evacuate", await xapi.ref("north"))
        assert record["error_info"] == ["INTERNAL_ERROR", "the guest refused"]
        await asyncio.sleep(200)
        assert [(line["vm"], line["host"]) for line in xapi.lines("vm")] == [("db", "south")]

    played(story)


def test_a_busy_vm_is_not_refused_but_waited_for() -> None:
    """A second migration stands in the queue until the first is over."""

    async def story(xapi: Xapi) -> None:
        vm, north, south = await xapi.ref("web"), await xapi.ref("north"), await xapi.ref("south")
        first = await xapi("Async.VM.pool_migrate", vm, south, {})
        await asyncio.sleep(1)
        record = await xapi.task("VM.pool_migrate", vm, north, {})
        assert record["status"] == "success"
        assert await xapi("task.get_status", first) == "success"
        assert [line["host"] for line in xapi.lines("vm")] == ["south", "north"]

    played(story)


def test_a_migration_ends_well_though_the_masters_toolstack_went_away() -> None:
    """The task is lost, the VM arrives: xenopsd carries on."""

    async def story(xapi: Xapi) -> None:
        await xapi("Async.VM.pool_migrate", await xapi.ref("db"), await xapi.ref("south"), {})
        await asyncio.sleep(5)
        await xapi("host.restart_agent", await xapi.ref("north"))
        await asyncio.sleep(120)
        await xapi.login()
        db = await xapi("VM.get_record", await xapi.ref("db"))
        assert db["resident_on"] == await xapi.ref("south")
        assert db["current_operations"] == {}
        (line,) = xapi.lines("call", method="Async.VM.pool_migrate")
        assert line["outcome"] == "lost"

    played(story)


def test_clean_shutdown_waits_for_the_guest_and_a_deaf_one_is_told() -> None:
    vms = [
        {"name": "web", "host": "north", "shutdown": 20},
        {"name": "deaf", "host": "north", "ignores_shutdown": True},
    ]

    async def story(xapi: Xapi) -> None:
        began = xapi.now
        await xapi("VM.clean_shutdown", await xapi.ref("web"))
        assert xapi.now - began == pytest.approx(20)
        deaf = await xapi.ref("deaf")
        assert await refused(xapi("VM.clean_shutdown", deaf)) == ["VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", deaf]
        await xapi("VM.hard_shutdown", deaf)
        assert [(line["vm"], line["state"], line["cause"]) for line in xapi.lines("vm")] == [
            ("web", "halted", "call"),
            ("deaf", "halted", "call"),
        ]

    played(story, world(vms=vms))


def test_suspend_and_resume_keep_the_memory_on_the_suspend_sr() -> None:
    async def story(xapi: Xapi) -> None:
        vm, south = await xapi.ref("web"), await xapi.ref("south")
        await xapi("VM.suspend", vm)
        image = await xapi("VM.get_suspend_VDI", vm)
        assert await xapi("VDI.get_type", image) == "suspend"
        await xapi("VM.resume_on", vm, south, False, False)
        assert await xapi("VM.get_resident_on", vm) == south
        assert await xapi("VM.get_suspend_VDI", vm) == "OpaqueRef:NULL"
        assert [line["state"] for line in xapi.lines("vm")] == ["suspended", "running"]

    played(story)


def test_auto_poweron_starts_halted_vms_after_a_boot_if_the_pool_says_so() -> None:
    """At the end of any host's boot, pool-wide, with `boot` as the cause."""
    vms = [{"name": "idle", "state": "halted", "auto_poweron": True}, {"name": "off", "state": "halted"}]

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.disable", south)
        await xapi("host.reboot", south)
        await asyncio.sleep(200)
        told = [(line["vm"], line["state"], line["cause"]) for line in xapi.lines("vm")]
        assert told == ([("idle", "running", "boot")] if flag else [])

    for flag in (True, False):
        played(story, world(vms=vms, pool={"auto_poweron": flag}))


def test_a_tag_in_the_header_is_in_the_tasks_other_config_from_its_birth() -> None:
    """`x-http-other-config-run-step: t1` becomes `http:run-step`."""

    async def story(xapi: Xapi) -> None:
        headers = {"X-HTTP-Other-Config-Run-Step": "t1"}
        task = await xapi("Async.VM.clean_shutdown", await xapi.ref("web"), headers=headers)
        assert await xapi("task.get_other_config", task) == {"http:run-step": "t1"}

    played(story)


def test_cancelling_a_queued_migration_ends_its_task_as_cancelled() -> None:
    async def story(xapi: Xapi) -> None:
        vm, north, south = await xapi.ref("web"), await xapi.ref("north"), await xapi.ref("south")
        await xapi("Async.VM.pool_migrate", vm, south, {})
        second = await xapi("Async.VM.pool_migrate", vm, north, {})
        await xapi("task.cancel", second)
        record = await xapi("task.get_record", second)
        assert (record["status"], record["error_info"]) == ("cancelled", ["TASK_CANCELLED", second])
        await asyncio.sleep(60)
        assert [line["host"] for line in xapi.lines("vm")] == ["south"]

    played(story)


def test_cancelling_a_migration_that_runs_leaves_the_vm_where_it_was() -> None:
    async def story(xapi: Xapi) -> None:
        vm = await xapi.ref("db")
        task = await xapi("Async.VM.pool_migrate", vm, await xapi.ref("south"), {})
        await asyncio.sleep(20)
        await xapi("task.cancel", task)
        await asyncio.sleep(1)
        assert await xapi("task.get_status", task) == "cancelled"
        record = await xapi("VM.get_record", vm)
        assert record["resident_on"] == await xapi.ref("north")
        assert record["current_operations"] == {}
        assert record["scheduled_to_be_resident_on"] == "OpaqueRef:NULL"
        await asyncio.sleep(200)
        assert xapi.lines("vm") == []
        (line,) = xapi.lines("migration")
        assert line["outcome"] == "failed"

    played(story)


def test_finished_tasks_are_gone_after_sixty_five_minutes() -> None:
    async def story(xapi: Xapi) -> None:
        task = await xapi("Async.VM.clean_shutdown", await xapi.ref("web"))
        await asyncio.sleep(3900)
        assert await xapi("task.get_status", task) == "success"
        await asyncio.sleep(60)
        assert await refused(xapi("task.get_status", task)) == ["HANDLE_INVALID", "task", task]

    played(story)
