"""VM.migrate_send and VDI.pool_migrate: disks that change their SR, with the VM or under it.

What is refused, and in which direction: xen-api ocaml/xapi/xapi_vm_migrate.ml 1966-1976, message_forwarding.ml.
Read there, not tried on a real pool. Only within the pool; a migration to another pool is not simulated.
"""

from __future__ import annotations

from simulator import migration as carrying
from simulator import operations, placement
from simulator.calls.context import Context
from simulator.calls.migration import carried_through, left_message
from simulator.failure import NULL, Failure
from simulator.migration import Migration
from simulator.processes import Process
from simulator.storage import spec_of
from simulator.values import Record

MOST_AT_ONCE = 3


def assert_can_migrate(
    ctx: Context,
    vm: str,
    dest: dict[str, str],
    live: bool,
    vdi_map: dict[str, str],
    vif_map: dict[str, str],
    options: dict[str, str],
    vgpu_map: dict[str, str] | None = None,
) -> None:
    """Raises why VM.migrate_send would refuse."""
    operations.check(ctx.site, vm, "migrate_send", strict=options.get("force") != "true")
    assert_movable(ctx, vm, destination(ctx, dest), vdi_map, vif_map)


def destination(ctx: Context, dest: dict[str, str]) -> str:
    """The host of what host.migrate_receive gave, while its session lives."""
    session = dest.get("session_id", "")
    if not ctx.site.world.has("session", session):
        raise Failure("SESSION_INVALID", session)
    return ctx.site.machine(dest.get("host", "")).ref


def assert_movable(ctx: Context, vm: str, host: str, vdi_map: dict[str, str], vif_map: dict[str, str]) -> None:
    site = ctx.site
    record = site.world.record("VM", vm)
    if vif_map:
        raise Failure("OPERATION_NOT_ALLOWED", "VIF mapping is not allowed for intra-pool migration")
    for vdi in disks_of(ctx, record):
        if vdi not in vdi_map:
            raise Failure("VDI_NOT_IN_MAP", vdi)
        assert_disk_movable(ctx, vdi, vdi_map[vdi])
    source = record["resident_on"]
    if source == NULL:
        return
    if not placement.not_lower(site, source, host):
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")
    assert_sees(ctx, vm, host, list(vdi_map.values()))
    if source != host:
        placement.assert_sees_networks(site, vm, record, host)
        placement.assert_cpu(site, vm, record, site.world.record("host", host), host)
        if not site.world.record("host", host)["enabled"]:
            raise Failure("HOST_DISABLED", host)
        placement.assert_memory(site, vm, host)


def disks_of(ctx: Context, record: Record) -> list[str]:
    vbds = [ctx.site.world.record("VBD", vbd) for vbd in record["VBDs"]]
    return [vbd["VDI"] for vbd in vbds if vbd["type"] == "Disk" and vbd["VDI"] != NULL]


def assert_disk_movable(ctx: Context, vdi: str, sr: str) -> None:
    """A disk that stays where it is moves nothing and needs nothing."""
    site = ctx.site
    record = site.world.record("VDI", vdi)
    target = site.world.record("SR", sr)
    if record["SR"] == sr:
        return
    if record["on_boot"] == "reset":
        raise Failure("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")
    if record["cbt_enabled"]:
        raise Failure("VDI_CBT_ENABLED", vdi)
    for one in (record["SR"], sr):
        told = spec_of(site, one)
        if told is not None and not told.migrates:
            raise Failure("SR_DOES_NOT_SUPPORT_MIGRATION", one, "VDI_SNAPSHOT;VDI_MIRROR")
    left = target["physical_size"] - target["physical_utilisation"] - carrying.on_their_way(site, sr)
    needed = carrying.used(site, vdi)
    if left < needed:
        raise Failure("SR_FULL", str(needed), str(left))


def assert_sees(ctx: Context, vm: str, host: str, srs: list[str]) -> None:
    site = ctx.site
    attached = {
        site.world.record("PBD", pbd)["SR"]
        for pbd in site.world.record("host", host)["PBDs"]
        if site.world.record("PBD", pbd)["currently_attached"]
    }
    for sr in srs:
        if sr not in attached:
            raise Failure("VM_REQUIRES_SR", vm, sr)


async def migrate_send(
    ctx: Context,
    vm: str,
    dest: dict[str, str],
    live: bool,
    vdi_map: dict[str, str],
    vif_map: dict[str, str],
    options: dict[str, str],
    vgpu_map: dict[str, str] | None = None,
    vdi_format_map: dict[str, str] | None = None,
) -> str:
    """Moves a VM with its disks within the pool, or its disks under it when the host is its own; the same VM."""
    site = ctx.site
    host = destination(ctx, dest)
    await operations.claim_vm(site, vm, ctx.task, "migrate_send", strict=options.get("force") != "true")
    carried = False
    try:
        assert_movable(ctx, vm, host, vdi_map, vif_map)
        source = site.world.record("VM", vm)["resident_on"]
        assert_not_too_many(ctx, source)
        process = start(ctx, vm, source if source != NULL else host, host, vdi_map)
        carried = True
    finally:
        if not carried:
            operations.release(site, "VM", vm, ctx.task)
    await carried_through(ctx, process)
    left_message(ctx, vm, source if source != NULL else host, host)
    return vm


def assert_not_too_many(ctx: Context, source: str) -> None:
    moving = [one for one in ctx.site.migrations if one.disks and one.source.ref == source]
    if len(moving) >= MOST_AT_ONCE:
        raise Failure("TOO_MANY_STORAGE_MIGRATES", str(MOST_AT_ONCE))


def start(ctx: Context, vm: str, source: str, host: str, vdi_map: dict[str, str]) -> Process:
    site = ctx.site
    ctx.reach(source)
    if source != host:
        operations.claim(site, "host", host, ctx.task, "vm_migrate")
    move = Migration(vm, site.machine(source), site.machine(host), ctx.task, "call", disks=dict(vdi_map))
    return carrying.begin(site, move)


async def pool_migrate_vdi(ctx: Context, vdi: str, sr: str, options: dict[str, str]) -> str:
    """Moves one disk of a running VM to another SR; refused while the upgrade flag is set. The new disk."""
    site = ctx.site
    record = site.world.record("VDI", vdi)
    if site.upgrading():
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")
    vbds = [site.world.record("VBD", vbd) for vbd in record["VBDs"]]
    owners = [vbd["VM"] for vbd in vbds if vbd["currently_attached"]]
    if not owners:
        raise Failure("VDI_NEEDS_VM_FOR_MIGRATE", vdi)
    assert_disk_movable(ctx, vdi, sr)
    vm = owners[0]
    host = site.world.record("VM", vm)["resident_on"]
    assert_sees(ctx, vm, host, [sr])
    assert_not_too_many(ctx, host)
    await operations.claim_vm(site, vm, ctx.task, "migrate_send")
    vbd = next(one for one in record["VBDs"])
    await site.scheduler.join(start(ctx, vm, host, host, {vdi: sr}))
    return str(site.world.record("VBD", vbd)["VDI"])


CALLS = {
    "VM.assert_can_migrate": assert_can_migrate,
    "VM.migrate_send": migrate_send,
    "VDI.pool_migrate": pool_migrate_vdi,
}
