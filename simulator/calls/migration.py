"""VM.pool_migrate and its relatives: what is checked, what is reserved, and who carries it out.

Order of checks: xen-api ocaml/xapi/message_forwarding.ml pool_migrate; the copying is `simulator.migration`'s.
"""

from __future__ import annotations

from simulator import housekeeping, operations, placement
from simulator import migration as carrying
from simulator.calls.context import Context
from simulator.failure import NULL, Failure
from simulator.migration import Migration
from simulator.processes import Cancelled, Process


async def pool_migrate(ctx: Context, vm: str, host: str, options: dict[str, str]) -> None:
    """Moves a running VM to another host of the pool, or to its own."""
    site = ctx.site
    record, there = site.world.record("VM", vm), site.world.record("host", host)
    force = options.get("force") == "true"
    if not force:
        placement.assert_cpu(site, vm, record, there, host)
    await operations.claim_vm(site, vm, ctx.task, "pool_migrate", strict=not force)
    carried = False
    try:
        source = site.world.record("VM", vm)["resident_on"]
        assert_version(ctx, source, host)
        placement.assert_can_boot_here(site, vm, host)
        assert_network(ctx, host, options.get("network", NULL))
        await room_for_guests(ctx, host)
        ctx.reach(source)
        process = start(ctx, vm, source, host, options)
        carried = True
    finally:
        if not carried:
            operations.release(site, "VM", vm, ctx.task)
    await carried_through(ctx, process)
    left_message(ctx, vm, source, host)


async def carried_through(ctx: Context, process: Process) -> None:
    """Waits for a migration; whoever cancels the call cancels it too, while a xapi that goes away does not."""
    try:
        await ctx.site.scheduler.join(process)
    except Cancelled:
        process.throw(Failure("TASK_CANCELLED", ctx.task))
        raise


def start(ctx: Context, vm: str, source: str, host: str, options: dict[str, str]) -> Process:
    site = ctx.site
    operations.claim(site, "host", host, ctx.task, "vm_migrate")
    compress = options.get("compress", str(site.pool_record.get("migration_compression", False)).lower())
    move = Migration(vm, site.machine(source), site.machine(host), ctx.task, "call", compress in ("true", "on", "1"))
    return carrying.begin(site, move)


def assert_version(ctx: Context, source: str, host: str) -> None:
    """From newer to older is refused while a rolling upgrade is in progress, and only then."""
    site = ctx.site
    if site.upgrading() and not placement.not_lower(site, source, host):
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")


def assert_network(ctx: Context, host: str, network: str) -> None:
    """The network a migration is to use must reach the destination with an address."""
    if network == NULL:
        return
    site = ctx.site
    for pif in site.world.record("host", host)["PIFs"]:
        told = site.world.record("PIF", pif)
        if told["network"] == network:
            if not told["currently_attached"]:
                raise Failure("REQUIRED_PIF_IS_UNPLUGGED", pif)
            if not told["IP"]:
                raise Failure("INTERFACE_HAS_NO_IP", pif)
            return
    raise Failure("PIF_NOT_PRESENT", host, network)


async def room_for_guests(ctx: Context, host: str) -> None:
    """Bringing a VM in waits while the host is being emptied or goes down."""
    site = ctx.site
    since = site.clock.seconds()
    while True:
        current = site.world.record("host", host)["current_operations"]
        busy = [(task, one) for task, one in current.items() if one in ("evacuate", "reboot", "shutdown")]
        if not busy:
            return
        if site.clock.seconds() - since > operations.BUSY_LIMIT:
            raise Failure("OTHER_OPERATION_IN_PROGRESS", "host", host, busy[0][1], busy[0][0])
        await site.settled.wait(site.scheduler)


def left_message(ctx: Context, vm: str, source: str, host: str) -> None:
    site = ctx.site
    if not site.world.has("VM", vm):
        return
    record = site.world.record("VM", vm)
    there, here = site.name("host", source), site.name("host", host)
    body = f"VM '{record['name_label']}' migrated from host '{there}' to host '{here}'"
    housekeeping.message(site, "VM_MIGRATED", 5, "VM", record["uuid"], body)


def get_possible_hosts(ctx: Context, vm: str) -> list[str]:
    """The hosts this VM could start on now; the one it is expected on, if it is expected anywhere."""
    site = ctx.site
    expected = site.world.record("VM", vm)["scheduled_to_be_resident_on"]
    if expected != NULL:
        return [expected]
    return [host for host in site.machines if passes(ctx, vm, host)]


def passes(ctx: Context, vm: str, host: str) -> bool:
    try:
        placement.assert_can_boot_here(ctx.site, vm, host)
    except Failure:
        return False
    return True


def assert_can_boot_here(ctx: Context, self: str, host: str) -> None:
    """As XAPI's own check, and a host of another version than the master's is refused."""
    site = ctx.site
    if site.upgrading() and not placement.same_release(site, site.master.ref, host):
        raise Failure("VM_HOST_INCOMPATIBLE_VERSION", host, self)
    placement.assert_can_boot_here(site, self, host)


CALLS = {
    "VM.pool_migrate": pool_migrate,
    "VM.get_possible_hosts": get_possible_hosts,
    "VM.assert_can_boot_here": assert_can_boot_here,
}
