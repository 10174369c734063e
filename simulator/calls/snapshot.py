"""VM.snapshot: a copy of a VM's record and of its disks' records (xen-api ocaml/xapi/xapi_vm_snapshot.ml)."""

from __future__ import annotations

from simulator import operations
from simulator.calls.context import Context
from simulator.failure import NULL


async def snapshot(ctx: Context, vm: str, new_name: str, ignore_vdis: list[str] | None = None) -> str:
    """A snapshot of the VM and its disks, itself a VM; refused while the upgrade flag is set."""
    site = ctx.site
    await operations.claim_vm(site, vm, ctx.task, "snapshot")
    try:
        await site.scheduler.sleep(3.0)
        return copy_of(ctx, vm, new_name)
    finally:
        operations.release(site, "VM", vm, ctx.task)


def copy_of(ctx: Context, vm: str, new_name: str) -> str:
    world = ctx.site.world
    number = ctx.site.count("snapshot")
    record = world.record("VM", vm)
    kept = {key: value for key, value in record.items() if key not in NOT_IN_A_SNAPSHOT}
    ref = world.add(
        "VM",
        f"snapshot {number}",
        **kept
        | {
            "name_label": new_name,
            "is_a_snapshot": True,
            "is_a_template": True,
            "snapshot_of": vm,
            "snapshot_time": ctx.site.today(),
            "power_state": "Halted",
            "domid": -1,
            "current_operations": {},
            "metrics": world.add("VM_metrics", f"snapshot {number}", last_updated=ctx.site.today()),
        },
    )
    for place, vbd in enumerate(record["VBDs"]):
        told = world.record("VBD", vbd)
        if told["type"] == "Disk" and told["VDI"] != NULL:
            disk = {
                key: value
                for key, value in world.record("VDI", told["VDI"]).items()
                if key not in ("uuid", "VBDs", "snapshots")
            }
            vdi = world.add(
                "VDI",
                f"snapshot {number}/{place}",
                **disk | {"is_a_snapshot": True, "snapshot_of": told["VDI"], "snapshot_time": ctx.site.today()},
            )
            world.add(
                "VBD",
                f"snapshot {number}/{place}",
                VM=ref,
                VDI=vdi,
                mode="RW",
                type="Disk",
                userdevice=told["userdevice"],
            )
    return ref


NOT_IN_A_SNAPSHOT = (
    "uuid",
    "VBDs",
    "VIFs",
    "VGPUs",
    "VUSBs",
    "snapshots",
    "children",
    "resident_on",
    "metrics",
    "guest_metrics",
    "scheduled_to_be_resident_on",
    "groups",
    "attached_PCIs",
)
CALLS = {"VM.snapshot": snapshot}
