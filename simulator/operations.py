"""Which operations a VM takes and when: the check XAPI makes before any of them, and the queue behind a busy object.

Order and codes of the check: xen-api ocaml/xapi/xapi_vm_lifecycle.ml check_operation_error.
"""

from __future__ import annotations

from simulator.failure import NULL, Failure
from simulator.site import Site
from simulator.values import Record

LIVE, STILL = ("Running", "Paused"), ("Halted", "Suspended")
BUSY_LIMIT = 7200.0
HARMLESS_BESIDE = {"hard_shutdown", "clean_shutdown", "hard_reboot"}


def check(site: Site, vm: str, operation: str, *, strict: bool = True, beside: tuple[str, ...] = ()) -> None:
    """Raises what XAPI would say to `operation` on this VM now; `beside` are tasks of the same call, not in the way."""
    record = site.world.record("VM", vm)
    if operation in record["blocked_operations"]:
        raise Failure("OPERATION_BLOCKED", vm, record["blocked_operations"][operation])
    states = STATES.get(operation, ("Halted", "Running", "Suspended", "Paused"))
    if record["power_state"] not in states:
        raise Failure("VM_BAD_POWER_STATE", vm, ", ".join(states).lower(), record["power_state"].lower())
    for task, current in record["current_operations"].items():
        if task not in beside and operation != "hard_shutdown":
            raise Failure("OTHER_OPERATION_IN_PROGRESS", "VM", vm, current, task)
    if record["is_a_snapshot"]:
        raise Failure("VM_IS_SNAPSHOT", vm, operation)
    if record["is_a_template"] and operation not in ("clone", "copy", "destroy", "export", "provision"):
        raise Failure("VM_IS_TEMPLATE", vm, operation)
    check_mobility(site, vm, record, operation)
    if record["is_control_domain"]:
        raise Failure("OPERATION_NOT_ALLOWED", f"{operation} is not permitted on a control domain")
    if strict:
        check_features(vm, record, operation)
    check_devices(site, vm, record, operation)
    if site.upgrading() and operation in NOT_WHILE_UPGRADING:
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")


def check_mobility(site: Site, vm: str, record: Record, operation: str) -> None:
    if operation not in MOVING:
        return
    metrics = record["metrics"]
    told = site.world.record("VM_metrics", metrics) if site.world.has("VM_metrics", metrics) else {}
    if told.get("nomigrate") or told.get("nested_virt"):
        raise Failure("VM_IS_IMMOBILE", vm)


def check_features(vm: str, record: Record, operation: str) -> None:
    """HVM guests need their tools for what the guest must do itself; PV guests never lack them, and one that does not
    run is not asked (xapi_vm_lifecycle.ml check_op_for_feature)."""
    if record["power_state"] != "Running" or record["domain_type"] != "hvm":
        return
    if operation in NEEDS_TOOLS and record["guest_metrics"] == NULL:
        raise Failure("VM_LACKS_FEATURE", vm)


def check_devices(site: Site, vm: str, record: Record, operation: str) -> None:
    if operation not in MOVING and operation not in ("suspend", "checkpoint"):
        return
    if record["attached_PCIs"]:
        raise Failure("VM_HAS_PCI_ATTACHED", vm)
    if record["VGPUs"]:
        raise Failure("VM_HAS_VGPU", vm)
    if record["VUSBs"]:
        raise Failure("VM_HAS_VUSBS", vm)
    if record["other_config"].get("simulated:sriov"):
        raise Failure("VM_HAS_SRIOV_VIF", vm)


def allowed(site: Site, vm: str) -> list[str]:
    """What VM.allowed_operations says: everything the check lets pass now."""
    found = []
    for operation in STATES:
        try:
            check(site, vm, operation)
        except Failure:
            continue
        found.append(operation)
    return found


def refresh_vm(site: Site, vm: str) -> None:
    """Works out VM.allowed_operations again."""
    if site.world.has("VM", vm):
        site.world.change("VM", vm, allowed_operations=allowed(site, vm))


def claim(site: Site, cls: str, ref: str, task: str, operation: str) -> None:
    """Writes an operation into an object's current_operations."""
    record = site.world.record(cls, ref)
    site.world.change(cls, ref, current_operations={**record["current_operations"], task: operation})
    if cls == "VM":
        refresh_vm(site, ref)


def release(site: Site, cls: str, ref: str, task: str) -> None:
    """Takes an operation out again and lets the queue look."""
    if not site.world.has(cls, ref):
        return
    record = site.world.record(cls, ref)
    if task in record["current_operations"]:
        left = {key: value for key, value in record["current_operations"].items() if key != task}
        site.world.change(cls, ref, current_operations=left)
        if cls == "VM":
            refresh_vm(site, ref)
    site.settled.fire()


async def claim_vm(site: Site, vm: str, task: str, operation: str, *, strict: bool = True) -> None:
    """Waits while the VM is busy, then claims it; raises what else stands in the way."""
    since = site.clock.seconds()
    while True:
        try:
            check(site, vm, operation, strict=strict)
        except Failure as refused:
            if refused.code != "OTHER_OPERATION_IN_PROGRESS" or site.clock.seconds() - since > BUSY_LIMIT:
                raise
            await site.settled.wait(site.scheduler)
            continue
        claim(site, "VM", vm, task, operation)
        return


MOVING = {"pool_migrate", "migrate_send", "suspend", "checkpoint"}
NEEDS_TOOLS = {
    "clean_shutdown",
    "clean_reboot",
    "suspend",
    "checkpoint",
    "pool_migrate",
    "migrate_send",
    "changing_VCPUs_live",
    "changing_dynamic_range",
}
NOT_WHILE_UPGRADING = {
    "snapshot",
    "checkpoint",
    "revert",
    "snapshot_with_quiesce",
    "changing_dynamic_range",
    "changing_static_range",
    "metadata_export",
    "changing_memory_limits",
}
# operation -> the power states it is possible in
STATES: dict[str, tuple[str, ...]] = {
    "start": ("Halted",),
    "start_on": ("Halted",),
    "provision": ("Halted",),
    "destroy": ("Halted",),
    "make_into_template": ("Halted",),
    "clone": ("Halted", "Suspended"),
    "copy": ("Halted", "Suspended"),
    "export": ("Halted", "Suspended"),
    "snapshot": ("Halted", "Running", "Suspended", "Paused"),
    "checkpoint": ("Running",),
    "changing_VCPUs": ("Halted",),
    "changing_static_range": ("Halted",),
    "changing_memory_limits": ("Halted", "Running"),
    "changing_dynamic_range": ("Halted", "Running"),
    "changing_VCPUs_live": ("Running",),
    "pause": ("Running",),
    "unpause": ("Paused",),
    "clean_shutdown": ("Running",),
    "clean_reboot": ("Running",),
    "hard_shutdown": ("Running", "Paused", "Suspended"),
    "hard_reboot": ("Running", "Paused"),
    "suspend": ("Running",),
    "resume": ("Suspended",),
    "resume_on": ("Suspended",),
    "pool_migrate": ("Running",),
    "migrate_send": ("Running", "Halted", "Suspended"),
    "send_sysrq": ("Running",),
    "send_trigger": ("Running",),
    "metadata_export": ("Halted", "Running", "Suspended"),
}
