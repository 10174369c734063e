"""Disks that move: by call and by direction, with what makes a disk unmovable."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.values import GIB
from tests.simulator.pools import Xapi, played, refused, world

HOSTS: list[dict[str, Any]] = [
    {"name": "north", "memory": "32 GiB", "local_sr": "200 GiB", "updated": True},
    {"name": "south", "memory": "32 GiB", "local_sr": "200 GiB"},
]
LOCAL_NORTH, LOCAL_SOUTH = "Local storage on north", "Local storage on south"


async def receiver(xapi: Xapi, host: str) -> dict[str, str]:
    (network,) = await xapi("network.get_all")
    return dict(await xapi("host.migrate_receive", await xapi.ref(host), network, {}))


async def disks(xapi: Xapi, vm: str) -> list[str]:
    vbds = [await xapi("VBD.get_record", one) for one in await xapi("VM.get_VBDs", await xapi.ref(vm))]
    return [vbd["VDI"] for vbd in vbds if vbd["type"] == "Disk"]


async def send(xapi: Xapi, vm: str, host: str, sr: str) -> list[Any]:
    mapped = {vdi: await xapi.ref(sr) for vdi in await disks(xapi, vm)}
    return [await xapi.ref(vm), await receiver(xapi, host), True, mapped, {}, {}]


def test_a_vm_goes_with_its_disk_from_old_to_new_and_not_back() -> None:
    """Flag or no flag: only down is refused. The disk is a new one; 8 GiB of it at 120 MB/s, then the memory."""
    vms = [{"name": "web", "host": "south", "memory": "1 GiB", "disks": [{"sr": LOCAL_SOUTH, "size": "20 GiB"}]}]

    async def story(xapi: Xapi) -> None:
        (old,) = await disks(xapi, "web")
        await xapi("VM.assert_can_migrate", *await send(xapi, "web", "north", LOCAL_NORTH))
        record = await xapi.task("VM.migrate_send", *await send(xapi, "web", "north", LOCAL_NORTH))
        assert record["status"] == "success"
        assert record["result"] == f"<value>{await xapi.ref('web')}</value>"
        (new,) = await disks(xapi, "web")
        assert new != old
        assert await xapi("VDI.get_SR", new) == await xapi.ref(LOCAL_NORTH)
        (line,) = xapi.lines("migration")
        expected = 1.5 + 20 * GIB * 2 / 5 / 120e6 + GIB / 400e6
        assert line["ended"] - line["began"] == pytest.approx(expected, abs=1e-3)
        back = await send(xapi, "web", "south", LOCAL_SOUTH)
        assert await refused(xapi("VM.assert_can_migrate", *back)) == ["NOT_SUPPORTED_DURING_UPGRADE"]

    played(story, world(hosts=HOSTS, vms=vms))


def test_a_disk_moves_under_a_vm_that_stays_but_not_by_vdi_pool_migrate_while_the_flag_is_set() -> None:
    async def story(xapi: Xapi) -> None:
        (vdi,) = await disks(xapi, "mail")
        sr = await xapi.ref(LOCAL_SOUTH)
        await xapi("pool.add_to_other_config", (await xapi("pool.get_all"))[0], "rolling_upgrade_in_progress", "true")
        assert await refused(xapi("VDI.pool_migrate", vdi, sr, {})) == ["NOT_SUPPORTED_DURING_UPGRADE"]
        record = await xapi.task("VM.migrate_send", *await send(xapi, "mail", "south", LOCAL_SOUTH))
        assert record["status"] == "success"
        (moved,) = await disks(xapi, "mail")
        assert await xapi("VDI.get_SR", moved) == sr
        assert xapi.lines("vm") == [], "the VM never noticed"

    played(story, world(hosts=HOSTS))


@pytest.mark.parametrize(
    ("disk", "code"),
    [
        ({"cbt": True}, "VDI_CBT_ENABLED"),
        ({"on_boot": "reset"}, "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION"),
        ({"sr": "Rigid"}, "SR_DOES_NOT_SUPPORT_MIGRATION"),
        ({"size": "900 GiB"}, "SR_FULL"),
    ],
)
def test_what_makes_a_disk_unmovable(disk: dict[str, Any], code: str) -> None:
    srs = [{"name": "Shared NFS", "default": True}, {"name": "Rigid", "migrates": False}]

    async def story(xapi: Xapi) -> None:
        words = await send(xapi, "odd", "north", LOCAL_NORTH)
        assert (await refused(xapi("VM.assert_can_migrate", *words)))[0] == code
        assert (await refused(xapi("VM.migrate_send", *words)))[0] == code

    played(story, world(hosts=HOSTS, srs=srs, vms=[{"name": "odd", "host": "south", "disks": [disk]}]))


def test_every_disk_must_be_in_the_map() -> None:
    async def story(xapi: Xapi) -> None:
        vm, dest = await xapi.ref("mail"), await receiver(xapi, "north")
        (vdi,) = await disks(xapi, "mail")
        assert await refused(xapi("VM.migrate_send", vm, dest, True, {}, {}, {})) == ["VDI_NOT_IN_MAP", vdi]

    played(story, world(hosts=HOSTS))


def test_a_fourth_storage_migration_from_one_host_is_refused() -> None:
    vms = [{"name": f"vm{number}", "host": "south", "memory": "1 GiB"} for number in range(4)]

    async def story(xapi: Xapi) -> None:
        for number in range(3):
            await xapi("Async.VM.migrate_send", *await send(xapi, f"vm{number}", "north", LOCAL_NORTH))
        answer = await refused(xapi("VM.migrate_send", *await send(xapi, "vm3", "north", LOCAL_NORTH)))
        assert answer == ["TOO_MANY_STORAGE_MIGRATES", "3"]

    played(story, world(hosts=HOSTS, vms=vms))


def test_snapshots_go_along_and_room_goes_from_one_sr_to_the_other() -> None:
    """A disk of 10 GiB takes 4, each of its two snapshots 1; the destination's room is taken while they are copied."""
    disk = {"sr": LOCAL_SOUTH, "size": "10 GiB", "snapshots": 2}
    vms = [{"name": "web", "host": "south", "memory": "1 GiB", "disks": [disk]}]

    async def story(xapi: Xapi) -> None:
        async def taken() -> list[int]:
            return [
                int(await xapi("SR.get_physical_utilisation", await xapi.ref(sr))) for sr in (LOCAL_SOUTH, LOCAL_NORTH)
            ]

        assert await taken() == [6 * GIB, 0]
        record = await xapi.task("VM.migrate_send", *await send(xapi, "web", "north", LOCAL_NORTH))
        assert record["status"] == "success"
        assert await taken() == [0, 6 * GIB]
        (new,) = await disks(xapi, "web")
        snapshots = await xapi("VDI.get_snapshots", new)
        assert len(snapshots) == 2
        assert {await xapi("VDI.get_SR", one) for one in snapshots} == {await xapi.ref(LOCAL_NORTH)}
        (line,) = xapi.lines("migration")
        assert line["ended"] - line["began"] == pytest.approx(1.5 + 6 * GIB / 120e6 + GIB / 400e6, abs=1e-3)

    played(story, world(hosts=HOSTS, vms=vms))


def test_a_mirror_that_breaks_half_way_leaves_everything_where_it_was() -> None:
    """The VM runs on, its disk is the same, and no room is taken."""
    vms = [{"name": "web", "host": "south", "memory": "1 GiB", "disks": [{"sr": LOCAL_SOUTH, "size": "20 GiB"}]}]

    async def story(xapi: Xapi) -> None:
        before = await disks(xapi, "web")
        xapi.sim.fault("mirror_fails", vm="web", at_fraction=0.5)
        record = await xapi.task("VM.migrate_send", *await send(xapi, "web", "north", LOCAL_NORTH))
        assert record["error_info"] == ["MIRROR_FAILED", before[0]]
        assert await disks(xapi, "web") == before
        assert int(await xapi("SR.get_physical_utilisation", await xapi.ref(LOCAL_NORTH))) == 0
        (line,) = xapi.lines("migration")
        assert line["ended"] - line["began"] == pytest.approx(1 + 20 * GIB * 2 / 5 / 2 / 120e6, abs=1)

    played(story, world(hosts=HOSTS, vms=vms))


def test_the_drivers_of_srs_say_what_they_can_do() -> None:
    """By type; a library of ISOs can mirror nothing."""
    srs = [
        {"name": "NFS", "default": True},
        {"name": "ISOs", "type": "iso"},
        {"name": "Rigid", "type": "smb", "migrates": False},
    ]

    async def story(xapi: Xapi) -> None:
        told = {one["type"]: set(one["features"]) for one in (await xapi("SM.get_all_records")).values()}
        assert {type_ for type_, can in told.items() if {"VDI_SNAPSHOT", "VDI_MIRROR"} <= can} == {"nfs", "ext"}

    played(story, world(hosts=HOSTS, srs=srs))
