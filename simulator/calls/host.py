"""host: enabled or not, down and up again, its clock and memory, plugins (xen-api ocaml/xapi/xapi_host.ml).

Emptying a host stands in `evacuation.py`, what the plugins do in `plugins.py`.
"""

from __future__ import annotations

from simulator import boot, ha, memory, operations, tasks
from simulator.calls import plugins
from simulator.calls.context import Context
from simulator.failure import NULL, Failure
from simulator.site import refresh_host
from simulator.values import DateTime, moment


def disable(ctx: Context, host: str, auto_enable: bool = True) -> None:
    """No VM may start there any more; nothing moves. Without auto_enable it stays so until somebody enables it."""
    site = ctx.site
    machine = ctx.reach(host)
    if site.world.record("host", host)["enabled"]:
        ha.assert_plan_without(site, host)
        machine.user_disabled = True
        site.set_enabled(machine, False, "call")
    if not auto_enable:
        machine.user_disabled = machine.stay_disabled = True


def enable(ctx: Context, host: str) -> None:
    """Takes the host in again; refused while it starts, until it has rebooted, or with mandatory guidance pending."""
    site = ctx.site
    machine = ctx.reach(host)
    record = site.world.record("host", host)
    if not machine.startup_complete:
        raise Failure("HOST_STILL_BOOTING")
    if machine.until_reboot:
        raise Failure("HOST_DISABLED_UNTIL_REBOOT", host)
    if record.get("pending_guidances"):
        raise Failure("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", host)
    if machine.faults.get("xen_incompatible"):
        raise Failure("XEN_INCOMPATIBLE")
    ha.assert_safe_to_enable(site, host)
    machine.user_disabled = machine.stay_disabled = False
    site.set_enabled(machine, True, "call")


async def reboot(ctx: Context, host: str) -> None:
    """Returns at once; ten seconds later the host goes down, whatever runs on it."""
    await going_down(ctx, host, "reboot")


async def shutdown(ctx: Context, host: str) -> None:
    """As reboot, and the host stays off."""
    await going_down(ctx, host, "shutdown")


async def going_down(ctx: Context, host: str, operation: str) -> None:
    """Waits while another operation holds the host, checks, and leaves the rest to the host itself."""
    site = ctx.site
    machine = site.machine(host)
    since = site.clock.seconds()
    while (other := holder(ctx, host)) is not None:
        if site.clock.seconds() - since > operations.BUSY_LIMIT:
            raise Failure("OTHER_OPERATION_IN_PROGRESS", "host", host, *other)
        await site.settled.wait(site.scheduler)
    if site.world.record("host", host)["enabled"]:
        raise Failure("HOST_NOT_DISABLED")
    assert_clusters_whole(ctx, host)
    ctx.reach(host)
    if not site.upgrading():
        child = tasks.create(site, "Host is rebooting" if operation == "reboot" else "Host is shutting down")
        site.errands[child].cancellable = False
        operations.claim(site, "host", host, child, "shutdown")
        refresh_host(site, host)
    if machine.powered:
        machine.hardware.spawn(boot.go_down(site, machine, back=operation == "reboot"), f"{operation} of host")


def holder(ctx: Context, host: str) -> tuple[str, str] | None:
    """The operation, and its task, that a reboot must wait for."""
    for task, operation in ctx.site.world.record("host", host)["current_operations"].items():
        if operation in ("reboot", "shutdown", "apply_updates", "provision", "vm_resume", "vm_migrate", "vm_start"):
            return operation, task
    return None


def assert_clusters_whole(ctx: Context, host: str) -> None:
    """A clustered SR bears one host away at a time."""
    site = ctx.site
    for pbd in site.world.record("host", host)["PBDs"]:
        told = site.world.record("PBD", pbd)
        if not told["currently_attached"] or not site.world.record("SR", told["SR"])["clustered"]:
            continue
        if told["SR"] in site.degraded_srs or any(not site.is_live(other) for other in site.machines):
            raise Failure("CLUSTERED_SR_DEGRADED", told["SR"])


def power_on(ctx: Context, host: str) -> None:
    """Switches on a host that is off, if its power_on_mode says how."""
    site = ctx.site
    machine = site.machine(host)
    if site.is_live(host):
        raise Failure("HOST_IS_LIVE", host)
    if not site.world.record("host", host)["power_on_mode"]:
        raise Failure("HOST_POWER_ON_MODE_DISABLED")
    if not machine.powered:
        machine.hardware.spawn(boot.power_cycle(site, machine), "power on")


def restart_agent(ctx: Context, host: str) -> None:
    """The toolstack restarts a second later."""
    machine = ctx.reach(host)
    ctx.site.nature.spawn(boot.restart_toolstack(ctx.site, machine), "toolstack restart")


def shutdown_agent(ctx: Context) -> None:
    site, machine = ctx.site, ctx.machine
    site.clock.after(1.0, lambda: boot.stop_xapi(site, machine, clean=True))


def get_servertime(ctx: Context, host: str) -> DateTime:
    return moment(boot.host_clock(ctx.site, ctx.reach(host)))


def compute_free_memory(ctx: Context, host: str) -> int:
    ctx.site.machine(host)
    return memory.free(ctx.site.world, host)


def compute_memory_overhead(ctx: Context, host: str) -> int:
    return int(ctx.site.world.record("host", host)["memory_overhead"])


def get_management_interface(ctx: Context, host: str) -> str:
    for pif in ctx.site.world.record("host", host)["PIFs"]:
        if ctx.site.world.record("PIF", pif)["management"]:
            return str(pif)
    return NULL


def get_uncooperative_resident_vms(ctx: Context, self: str) -> list[str]:
    return []


def migrate_receive(ctx: Context, host: str, network: str, options: dict[str, str]) -> dict[str, str]:
    """What VM.migrate_send needs to know of its destination; good while the session lives."""
    site = ctx.site
    machine = ctx.reach(host)
    address = address_on(ctx, host, network)
    session = site.world.add(
        "session",
        f"migration {site.count('session')}",
        this_host=host,
        pool=True,
        last_active=site.today(),
        is_local_superuser=True,
        originator="migration",
    )
    return {
        "SM": f"http://{address}/services/SM?session_id={session}",
        "host": host,
        "session_id": session,
        "xenops": f"http://{address}/services/xenops?session_id={session}",
        "master": f"http://{machine.address}/",
    }


def address_on(ctx: Context, host: str, network: str) -> str:
    """The host's IP on a network; raises what migrate_receive says where there is none."""
    site = ctx.site
    site.world.record("network", network)
    for pif in site.world.record("host", host)["PIFs"]:
        told = site.world.record("PIF", pif)
        if told["network"] == network:
            if not told["currently_attached"]:
                raise Failure("HOST_CANNOT_ATTACH_NETWORK", host, network)
            if not told["IP"]:
                raise Failure("INTERFACE_HAS_NO_IP", pif)
            return str(told["IP"])
    raise Failure("HOST_CANNOT_ATTACH_NETWORK", host, network)


async def call_plugin(ctx: Context, host: str, plugin: str, fn: str, args: dict[str, str]) -> str:
    return await plugins.call(ctx, ctx.reach(host), plugin, fn, args)


def list_methods(ctx: Context) -> list[str]:
    return sorted(ctx.site.world.schema.calls)


def is_in_emergency_mode(ctx: Context) -> bool:
    return ctx.machine.door == "emergency"


CALLS = {
    "host.disable": disable,
    "host.enable": enable,
    "host.reboot": reboot,
    "host.shutdown": shutdown,
    "host.power_on": power_on,
    "host.restart_agent": restart_agent,
    "host.shutdown_agent": shutdown_agent,
    "host.get_servertime": get_servertime,
    "host.get_server_localtime": get_servertime,
    "host.compute_free_memory": compute_free_memory,
    "host.compute_memory_overhead": compute_memory_overhead,
    "host.get_management_interface": get_management_interface,
    "host.get_uncooperative_resident_VMs": get_uncooperative_resident_vms,
    "host.migrate_receive": migrate_receive,
    "host.call_plugin": call_plugin,
    "host.list_methods": list_methods,
    "host.is_in_emergency_mode": is_in_emergency_mode,
}
