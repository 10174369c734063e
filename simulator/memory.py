"""How XAPI counts memory: what a VM needs beside its own, and what a host has left.

Pure functions; formulas from xen-api ocaml/xapi-idl/memory/memory.ml and ocaml/xapi/memory_check.ml.
"""

from __future__ import annotations

from math import ceil

from simulator.values import MIB, Record
from simulator.world import World

PAGE = 4096


def memory_overhead(static_max: int, vcpus: int, domain_type: str = "hvm") -> int:
    """Bytes that Xen needs for a VM beside the VM's memory."""
    if domain_type == "pv":
        return 1 * MIB
    shadow_pages = 256 * vcpus + 2 * (static_max // MIB)
    shadow = max(1, ceil(shadow_pages * PAGE / MIB))
    return (1 + 1 + shadow + ceil(38 * PAGE * vcpus / MIB)) * MIB


def needed(record: Record) -> int:
    """Bytes a VM must find free on the host it goes to, as VM.start and VM.pool_migrate count."""
    own = record["memory_static_max"] if record["domain_type"] == "pv_in_pvh" else record["memory_dynamic_min"]
    return int(own + record["memory_overhead"])


def needed_to_evacuate(record: Record) -> int:
    """The same as the evacuation planner counts it: pvh guests at their static maximum (xapi_ha_vm_failover.ml)."""
    if record["domain_type"] in ("pvh", "pv_in_pvh"):
        return int(record["memory_static_max"] + record["memory_overhead"])
    return needed(record)


def free(world: World, host: str, without: str = "") -> int:
    """host.compute_free_memory: total less overhead less every VM resident or expected there, never below 0.

    VM `without` is not counted.
    """
    record = world.record("host", host)
    total = world.record("host_metrics", record["metrics"])["memory_total"] - record["memory_overhead"]
    here = [vm for vm in record["resident_VMs"] if vm != without]
    here += [
        ref
        for ref, row in world.rows["VM"].items()
        if row.record["scheduled_to_be_resident_on"] == host and ref != without and ref not in here
    ]
    records = [world.record("VM", vm) for vm in here]
    return max(0, int(total - sum(one["memory_dynamic_min"] + one["memory_overhead"] for one in records)))
