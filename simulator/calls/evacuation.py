"""host.evacuate and the questions around it (xen-api ocaml/xapi/xapi_host.ml 273-776)."""

from __future__ import annotations

from simulator import operations, placement, tasks
from simulator.calls import migration
from simulator.calls.context import Context
from simulator.failure import NULL, Failure
from simulator.processes import Process, Signal
from simulator.site import refresh_host


def get_vms_which_prevent_evacuation(ctx: Context, self: str) -> dict[str, list[str]]:
    """VM to the error that holds it there; empty when the host can be emptied."""
    ctx.site.machine(self)
    return placement.evacuation(ctx.site, self)[1]


def assert_can_evacuate(ctx: Context, host: str) -> None:
    """CANNOT_EVACUATE_HOST with one string, entries joined by `|`, each `CODE,param,param`."""
    ctx.site.machine(host)
    stuck = placement.evacuation(ctx.site, host)[1]
    if stuck:
        raise Failure("CANNOT_EVACUATE_HOST", "|".join(",".join(details) for details in stuck.values()))


async def evacuate(ctx: Context, host: str, network: str = NULL, evacuate_batch_size: int = 0) -> None:
    """Moves every VM away; disables nothing and rolls nothing back. The first failure ends it, running moves go on."""
    site = ctx.site
    await claim_host(ctx, host)
    try:
        plan, stuck = placement.evacuation(site, host)
        for details in stuck.values():
            raise Failure(details[0], *details[1:])
        batch = max(1, abs(evacuate_batch_size)) if evacuate_batch_size else site.profile.evacuate_batch
        await move_all(ctx, host, plan, batch, network)
        left = site.guests(host)
        if left:
            raise Failure("INTERNAL_ERROR", f"evacuate: {len(left)} VMs are still resident on {host}")
    finally:
        operations.release(site, "host", host, ctx.task)
        refresh_host_if_there(ctx, host)


async def claim_host(ctx: Context, host: str) -> None:
    site = ctx.site
    machine = site.machine(host)
    since = site.clock.seconds()
    blocking = ("evacuate", "reboot", "shutdown", "provision", "vm_resume", "vm_migrate", "vm_start")
    while True:
        current = site.world.record("host", host)["current_operations"]
        busy = [(task, one) for task, one in current.items() if one in blocking]
        if not busy:
            break
        if site.clock.seconds() - since > operations.BUSY_LIMIT:
            raise Failure("OTHER_OPERATION_IN_PROGRESS", "host", host, busy[0][1], busy[0][0])
        await site.settled.wait(site.scheduler)
    operations.claim(site, "host", machine.ref, ctx.task, "evacuate")
    refresh_host(site, host)


def refresh_host_if_there(ctx: Context, host: str) -> None:
    if ctx.site.world.has("host", host):
        refresh_host(ctx.site, host)


async def move_all(ctx: Context, host: str, plan: dict[str, str], batch: int, network: str) -> None:
    """A window of `batch` migrations at once; each is a task of its own under this one."""
    site = ctx.site
    waiting = list(plan.items())
    done = 0
    ended = Signal()
    running: dict[Process, str] = {}
    while waiting or running:
        while waiting and len(running) < batch:
            vm, target = waiting.pop(0)
            process = start_child(ctx, vm, target, network)
            running[process] = vm
            process.when_done(lambda _: ended.fire())
        if not any(process.done for process in running):
            await ended.wait(site.scheduler)
        for process in [one for one in running if one.done]:
            del running[process]
            done += 1
            tasks.progress(site, ctx.task, done / len(plan))
            failed = process.error
            if isinstance(failed, Failure) and failed.code != "VM_BAD_POWER_STATE":
                raise failed


def start_child(ctx: Context, vm: str, target: str, network: str) -> Process:
    """One VM.pool_migrate under the evacuation, as its own task."""
    site = ctx.site
    options = {"live": "true"} | ({"network": network} if network != NULL else {})
    child = tasks.create(site, "Async.VM.pool_migrate", parent=ctx.task)
    inner = Context(site, ctx.machine, "VM.pool_migrate", ctx.session, {}, child, ctx.originator)
    process = site.nature.spawn(migration.pool_migrate(inner, vm, target, options), "child of an evacuation")
    if child in site.errands:
        site.errands[child].process = process
        process.when_done(lambda ended: close_child(ctx, child, ended))
    else:
        close_child(ctx, child, process)
    return process


def close_child(ctx: Context, child: str, process: Process) -> None:
    """The child's own end, and it is thrown away, as the evacuation does with its children."""
    if isinstance(process.error, Failure):
        tasks.fail(ctx.site, child, process.error.details)
    else:
        tasks.succeed(ctx.site, child)
    ctx.site.world.remove("task", child)


CALLS = {
    "host.evacuate": evacuate,
    "host.assert_can_evacuate": assert_can_evacuate,
    "host.get_vms_which_prevent_evacuation": get_vms_which_prevent_evacuation,
}
