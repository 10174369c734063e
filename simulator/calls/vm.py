"""VM: started, stopped, suspended, paused, asked about (xen-api ocaml/xapi/xapi_vm.ml, message_forwarding.ml).

Moving stands in `migration.py` and `storage_migration.py`.
"""

from __future__ import annotations

from simulator import memory, operations, placement, storage, vms
from simulator.calls.context import Context
from simulator.failure import NULL, Failure
from simulator.values import MIB

DISK = 200e6


async def start(ctx: Context, vm: str, start_paused: bool, force: bool) -> None:
    """Starts a VM wherever it can run; NO_HOSTS_AVAILABLE when that is nowhere."""
    await operations.claim_vm(ctx.site, vm, ctx.task, "start")
    try:
        await power_up(ctx, vm, placement.choose_host(ctx.site, vm), start_paused)
    finally:
        operations.release(ctx.site, "VM", vm, ctx.task)


async def start_on(ctx: Context, vm: str, host: str, start_paused: bool, force: bool) -> None:
    """Starts a VM on this host."""
    await operations.claim_vm(ctx.site, vm, ctx.task, "start_on")
    try:
        assert_may_come(ctx, vm, host)
        await power_up(ctx, vm, host, start_paused)
    finally:
        operations.release(ctx.site, "VM", vm, ctx.task)


def assert_may_come(ctx: Context, vm: str, host: str) -> None:
    site = ctx.site
    site.machine(host)
    placement.assert_start_allowed(site, host)
    if "evacuate" in site.world.record("host", host)["current_operations"].values():
        raise Failure("HOST_EVACUATE_IN_PROGRESS", host)
    placement.assert_can_boot_here(site, vm, host)


async def power_up(ctx: Context, vm: str, host: str, paused: bool) -> None:
    """Reserves the room and boots."""
    site = ctx.site
    ctx.reach(host)
    storage.assert_served(site, placement.srs_of(site, site.world.record("VM", vm)))
    site.world.change("VM", vm, scheduled_to_be_resident_on=host)
    try:
        await site.scheduler.sleep(vms.STARTING)
        vms.boot(site, vm, host, "call", paused=paused)
    finally:
        if site.world.has("VM", vm):
            site.world.change("VM", vm, scheduled_to_be_resident_on=NULL)


async def clean_shutdown(ctx: Context, vm: str) -> None:
    """Asks the guest to shut down and waits for it."""
    await operations.claim_vm(ctx.site, vm, ctx.task, "clean_shutdown")
    try:
        ctx.reach(ctx.site.world.record("VM", vm)["resident_on"])
        await vms.clean_shutdown(ctx.site, vm, "call")
    finally:
        operations.release(ctx.site, "VM", vm, ctx.task)


async def hard_shutdown(ctx: Context, vm: str) -> None:
    """Ends the domain, whatever else is under way with it."""
    site = ctx.site
    operations.check(site, vm, "hard_shutdown")
    for move in [one for one in site.migrations if one.vm == vm]:
        if move.process is not None:
            move.process.throw(Failure("VM_BAD_POWER_STATE", vm, "running", "halted"))
    host = site.world.record("VM", vm)["resident_on"]
    if host != NULL:
        ctx.reach(host)
    operations.claim(site, "VM", vm, ctx.task, "hard_shutdown")
    try:
        await vms.hard_shutdown(site, vm, "call")
    finally:
        operations.release(site, "VM", vm, ctx.task)


async def shutdown(ctx: Context, vm: str) -> None:
    """Cleanly, and if the guest will not, hard."""
    try:
        await clean_shutdown(ctx, vm)
    except Failure as refused:
        if refused.code in ("OPERATION_BLOCKED", "VM_BAD_POWER_STATE"):
            raise
        await hard_shutdown(ctx, vm)


async def reboot_guest(ctx: Context, vm: str, operation: str) -> None:
    site = ctx.site
    await operations.claim_vm(site, vm, ctx.task, operation)
    try:
        host = site.world.record("VM", vm)["resident_on"]
        ctx.reach(host)
        takes = vms.shutdown_seconds(site, vm) if operation == "clean_reboot" else vms.STOPPING
        if takes is None:
            await site.scheduler.sleep(60.0)
            raise Failure("VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", vm)
        await site.scheduler.sleep(takes + vms.STARTING)
    finally:
        operations.release(site, "VM", vm, ctx.task)


async def clean_reboot(ctx: Context, vm: str) -> None:
    await reboot_guest(ctx, vm, "clean_reboot")


async def hard_reboot(ctx: Context, vm: str) -> None:
    await reboot_guest(ctx, vm, "hard_reboot")


async def suspend(ctx: Context, vm: str) -> None:
    """Writes the memory to the suspend SR; VM_NO_SUSPEND_SR where there is none."""
    site = ctx.site
    await operations.claim_vm(site, vm, ctx.task, "suspend")
    try:
        host = site.world.record("VM", vm)["resident_on"]
        machine = ctx.reach(host)
        sr = suspend_sr(ctx, vm, host)
        size = site.world.record("VM", vm)["memory_dynamic_max"]
        assert_room(ctx, sr, size)
        await through_disk(ctx, machine.name, size)
        image = site.world.add(
            "VDI",
            f"suspend {site.count('suspend')}",
            name_label="Suspend image",
            SR=sr,
            virtual_size=size + 16 * MIB,
            physical_utilisation=size,
            type="suspend",
            managed=True,
        )
        site.world.change("VM", vm, suspend_VDI=image)
        vms.settle(site, vm, "Suspended", NULL, "call")
    finally:
        operations.release(site, "VM", vm, ctx.task)


def suspend_sr(ctx: Context, vm: str, host: str) -> str:
    """Where XAPI writes: the VM's own choice, the pool's, the host's."""
    site = ctx.site
    record = site.world.record("VM", vm)
    hosts_own = site.world.record("host", host)["suspend_image_sr"]
    for sr in (record["suspend_SR"], site.pool_record["suspend_image_SR"], hosts_own):
        if sr != NULL and site.world.has("SR", sr):
            return str(sr)
    raise Failure("VM_NO_SUSPEND_SR", vm)


def assert_room(ctx: Context, sr: str, size: int) -> None:
    record = ctx.site.world.record("SR", sr)
    left = record["physical_size"] - record["physical_utilisation"]
    if left < size:
        raise Failure("SR_FULL", str(size), str(left))


async def through_disk(ctx: Context, host: str, size: float) -> None:
    """So many bytes to or from a host's storage."""
    site = ctx.site
    flow = site.flows.begin((f"{host} disk",), size, DISK)
    try:
        while not flow.over:
            await flow.progressed.wait(site.scheduler)
    finally:
        site.flows.stop(flow)


async def resume(ctx: Context, vm: str, start_paused: bool, force: bool) -> None:
    await operations.claim_vm(ctx.site, vm, ctx.task, "resume")
    try:
        await wake_up(ctx, vm, placement.choose_host(ctx.site, vm), start_paused)
    finally:
        operations.release(ctx.site, "VM", vm, ctx.task)


async def resume_on(ctx: Context, vm: str, host: str, start_paused: bool, force: bool) -> None:
    await operations.claim_vm(ctx.site, vm, ctx.task, "resume_on")
    try:
        assert_may_come(ctx, vm, host)
        await wake_up(ctx, vm, host, start_paused)
    finally:
        operations.release(ctx.site, "VM", vm, ctx.task)


async def wake_up(ctx: Context, vm: str, host: str, paused: bool) -> None:
    site = ctx.site
    machine = ctx.reach(host)
    storage.assert_served(site, placement.srs_of(site, site.world.record("VM", vm)))
    site.world.change("VM", vm, scheduled_to_be_resident_on=host)
    try:
        await through_disk(ctx, machine.name, site.world.record("VM", vm)["memory_dynamic_max"])
        vms.drop_suspend_image(site, vm)
        vms.settle(site, vm, "Paused" if paused else "Running", host, "call")
    finally:
        if site.world.has("VM", vm):
            site.world.change("VM", vm, scheduled_to_be_resident_on=NULL)


def pause(ctx: Context, vm: str) -> None:
    operations.check(ctx.site, vm, "pause")
    vms.settle(ctx.site, vm, "Paused", ctx.site.world.record("VM", vm)["resident_on"], "call")


def unpause(ctx: Context, vm: str) -> None:
    operations.check(ctx.site, vm, "unpause")
    vms.settle(ctx.site, vm, "Running", ctx.site.world.record("VM", vm)["resident_on"], "call")


def power_state_reset(ctx: Context, vm: str) -> None:
    if ctx.site.world.record("VM", vm)["power_state"] != "Halted":
        vms.halt(ctx.site, vm, "call")


def destroy(ctx: Context, self: str) -> None:
    """The VM's rows are gone; its disks stay."""
    operations.check(ctx.site, self, "destroy")
    record = ctx.site.world.record("VM", self)
    for vbd in record["VBDs"]:
        ctx.site.world.remove("VBD", vbd)
    for vif in record["VIFs"]:
        ctx.site.world.remove("VIF", vif)
    ctx.site.world.remove("VM_metrics", record["metrics"])
    ctx.site.world.remove("VM", self)


def assert_agile(ctx: Context, self: str) -> None:
    """Whether the VM could run on every enabled host, as HA asks (xen-api ocaml/xapi/agility.ml)."""
    site = ctx.site
    record = site.world.record("VM", self)
    enabled = [host for host in site.machines if site.world.record("host", host)["enabled"]]
    if record["VGPUs"]:
        raise Failure("VM_HAS_VGPU", self)
    if record["VUSBs"]:
        raise Failure("VM_HAS_VUSBS", self)
    for host in enabled:
        for sr in placement.srs_of(site, record):
            if not site.world.record("SR", sr)["shared"]:
                raise Failure("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)
        try:
            placement.assert_sees_srs(site, self, record, host)
        except Failure as failure:
            raise Failure("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", failure.params[1]) from None
        try:
            placement.assert_sees_networks(site, self, record, host)
        except Failure as failure:
            raise Failure("HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED", failure.params[1]) from None


def assert_operation_valid(ctx: Context, self: str, op: str) -> None:
    operations.check(ctx.site, self, op)


def update_allowed_operations(ctx: Context, self: str) -> None:
    operations.refresh_vm(ctx.site, self)


def compute_memory_overhead(ctx: Context, vm: str) -> int:
    record = ctx.site.world.record("VM", vm)
    return memory.memory_overhead(record["memory_static_max"], record["VCPUs_max"], record["domain_type"])


def set_memory_dynamic_range(ctx: Context, self: str, min: int, max: int) -> None:
    """The balloon's range; refused while a rolling upgrade is in progress."""
    operations.check(ctx.site, self, "changing_dynamic_range")
    ctx.site.world.change("VM", self, memory_dynamic_min=min, memory_dynamic_max=max)


def set_memory_limits(
    ctx: Context, self: str, static_min: int, static_max: int, dynamic_min: int, dynamic_max: int
) -> None:
    operations.check(ctx.site, self, "changing_memory_limits")
    overhead = memory.memory_overhead(static_max, ctx.site.world.record("VM", self)["VCPUs_max"])
    ctx.site.world.change(
        "VM",
        self,
        memory_static_min=static_min,
        memory_static_max=static_max,
        memory_dynamic_min=dynamic_min,
        memory_dynamic_max=dynamic_max,
        memory_overhead=overhead,
    )


def set_memory(ctx: Context, self: str, value: int) -> None:
    set_memory_limits(ctx, self, ctx.site.world.record("VM", self)["memory_static_min"], value, value, value)


CALLS = {
    "VM.start": start,
    "VM.start_on": start_on,
    "VM.clean_shutdown": clean_shutdown,
    "VM.hard_shutdown": hard_shutdown,
    "VM.shutdown": shutdown,
    "VM.clean_reboot": clean_reboot,
    "VM.hard_reboot": hard_reboot,
    "VM.suspend": suspend,
    "VM.resume": resume,
    "VM.resume_on": resume_on,
    "VM.pause": pause,
    "VM.unpause": unpause,
    "VM.power_state_reset": power_state_reset,
    "VM.destroy": destroy,
    "VM.assert_agile": assert_agile,
    "VM.assert_operation_valid": assert_operation_valid,
    "VM.update_allowed_operations": update_allowed_operations,
    "VM.compute_memory_overhead": compute_memory_overhead,
    "VM.set_memory_dynamic_range": set_memory_dynamic_range,
    "VM.set_memory_limits": set_memory_limits,
    "VM.set_memory": set_memory,
}
