"""A live migration as xenopsd does it: waits for a worker on both hosts, copies memory, switches over.

It belongs to the hosts, not to the call: when the master's xapi goes away it runs on to its end.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator import tasks, vms
from simulator.failure import NULL, Failure
from simulator.faulttable import take
from simulator.machine import Machine
from simulator.operations import release
from simulator.processes import Gone, Process
from simulator.site import Site

SETUP, SWITCH = 1.0, 0.5
STORAGE_RATE = 120e6
COMPRESSED = 0.6


@dataclass(slots=True, eq=False)
class Migration:
    """One migration under way; `moved` once the VM runs on the target."""

    vm: str
    source: Machine
    target: Machine
    task: str
    cause: str
    compress: bool = False
    disks: dict[str, str] = field(default_factory=dict)
    process: Process | None = None
    moved: bool = False


def begin(site: Site, migration: Migration) -> Process:
    """Starts a migration that was checked and claimed; its process ends with None or raises why it failed."""
    site.world.change("VM", migration.vm, scheduled_to_be_resident_on=migration.target.ref)
    site.migrations.append(migration)
    process = migration.source.system.spawn(carry(site, migration), f"migration of {migration.vm}")
    migration.process = process
    return process


async def carry(site: Site, migration: Migration) -> None:
    began = site.clock.seconds()
    outcome = "failed"
    try:
        await with_workers(site, migration)
        outcome = "success"
    except Gone:
        outcome = "lost"
        raise
    finally:
        site.migrations.remove(migration)
        finish(site, migration, began, outcome)


async def with_workers(site: Site, migration: Migration) -> None:
    """Holds a worker on both hosts while the memory is copied."""
    machines = {migration.source.name: migration.source, migration.target.name: migration.target}
    while any(machine.workers_busy >= machine.spec.workers for machine in machines.values()):
        busy = next(one for one in machines.values() if one.workers_busy >= one.spec.workers)
        await busy.worker_freed.wait(site.scheduler)
    for machine in machines.values():
        machine.workers_busy += 1
    try:
        await copy(site, migration)
    finally:
        for machine in machines.values():
            machine.workers_busy -= 1
        for machine in machines.values():
            machine.worker_freed.fire()


async def copy(site: Site, migration: Migration) -> None:
    """Setup, the memory through both NICs, and the switch."""
    name = site.name("VM", migration.vm) or ""
    if fault := take(site, "migration_fails", vm=name):
        await site.scheduler.sleep(float(fault.get("after", 5)))
        raise Failure(
            str(fault.get("code", "VM_MIGRATE_FAILED")),
            *fault.get("params", (migration.vm, migration.source.ref, migration.target.ref, "simulated failure")),
        )
    state = site.world.record("VM", migration.vm)["power_state"]
    await site.scheduler.sleep(SETUP)
    stream = min(migration.source.spec.stream, migration.target.spec.stream)
    if migration.disks:
        await copy_disks(site, migration, min(STORAGE_RATE, stream))
    if state == "Running":
        size = memory_of(site, migration.vm) * (COMPRESSED if migration.compress else 1.0)
        await carry_bytes(site, migration, size, stream, (0.8 if migration.disks else 0.0, 0.99))
    await site.scheduler.sleep(SWITCH)
    if site.world.record("VM", migration.vm)["power_state"] != state:
        raise Failure("VM_BAD_POWER_STATE", migration.vm, state.lower(), "halted")
    migration.moved = True


async def copy_disks(site: Site, migration: Migration, rate: float) -> None:
    """The disks with their snapshots; a mirror that breaks leaves everything where it was (xen-api xapi_vm_migrate.ml
    stops the mirrors and destroys the copies)."""
    whole = disk_bytes(site, migration.disks)
    if fault := take(site, "mirror_fails", vm=site.name("VM", migration.vm) or ""):
        share = float(fault.get("at_fraction", 0.5))
        await carry_bytes(site, migration, whole * share, rate, (0.0, 0.8 * share))
        moving = next((vdi for vdi, sr in migration.disks.items() if site.world.record("VDI", vdi)["SR"] != sr), "")
        raise Failure(str(fault.get("code", "MIRROR_FAILED")), *fault.get("params", (moving,)))
    await carry_bytes(site, migration, whole, rate, (0.0, 0.8))


async def carry_bytes(site: Site, migration: Migration, size: float, ceiling: float, part: tuple[float, float]) -> None:
    """One flow from host to host; the task's progress goes from one end of `part` to the other."""
    pipes: tuple[str, ...] = (f"{migration.source.name} out", f"{migration.target.name} in")
    if migration.source is migration.target:
        pipes = (f"{migration.source.name} disk",)
    flow = site.flows.begin(pipes, size, ceiling)
    hang = take(site, "migration_hangs", vm=site.name("VM", migration.vm) or "")
    begin, end = part
    try:
        while not flow.over:
            await flow.progressed.wait(site.scheduler)
            tasks.progress(site, migration.task, round(begin + flow.fraction * (end - begin), 4))
            if hang is not None and flow.fraction >= float(hang.get("at_fraction", 0.5)):
                await site.scheduler.sleep(float(hang.get("seconds", 1e9)))
                hang = None
    finally:
        site.flows.stop(flow)


def disk_bytes(site: Site, disks: dict[str, str]) -> float:
    """What must be copied of disks that go to another SR, their snapshots included."""
    return float(sum(used(site, vdi) for vdi, sr in disks.items() if site.world.record("VDI", vdi)["SR"] != sr))


def used(site: Site, vdi: str) -> int:
    """Bytes that a disk and its snapshots take on their SR."""
    return sum(int(site.world.record("VDI", one)["physical_utilisation"]) for one in (vdi, *snapshots_of(site, vdi)))


def snapshots_of(site: Site, vdi: str) -> list[str]:
    """The snapshots of a disk that are there."""
    return [one for one in site.world.record("VDI", vdi)["snapshots"] if site.world.has("VDI", one)]


def on_their_way(site: Site, sr: str) -> int:
    """Bytes that migrations under way take on an SR already."""
    return sum(
        used(site, vdi)
        for one in site.migrations
        for vdi, to in one.disks.items()
        if to == sr and site.world.has("VDI", vdi) and site.world.record("VDI", vdi)["SR"] != sr
    )


def memory_of(site: Site, vm: str) -> float:
    record = site.world.record("VM", vm)
    metrics = record["metrics"]
    actual = site.world.record("VM_metrics", metrics)["memory_actual"] if site.world.has("VM_metrics", metrics) else 0
    return float(actual or record["memory_dynamic_max"])


def finish(site: Site, migration: Migration, began: float, outcome: str) -> None:
    """Journal and database at the end, whichever it was."""
    if not site.world.has("VM", migration.vm):
        return
    record = site.world.record("VM", migration.vm)
    ends = {"from": migration.source.name, "to": migration.target.name}
    site.journal.write(
        "migration",
        vm=record["name_label"],
        **ends,
        began=round(began, 6),
        ended=round(site.clock.seconds(), 6),
        outcome=outcome,
    )
    if migration.moved:
        swap_disks(site, migration.disks)
    if migration.moved and record["resident_on"] != NULL:
        vms.settle(site, migration.vm, record["power_state"], migration.target.ref, migration.cause)
        if take(site, "guest_freezes", vm=record["name_label"], host=migration.target.name):
            site.frozen[record["guest_metrics"]] = site.clock.unix()
    else:
        site.world.change("VM", migration.vm, scheduled_to_be_resident_on=NULL)
    release(site, "VM", migration.vm, migration.task)
    release(site, "host", migration.target.ref, migration.task)


def swap_disks(site: Site, disks: dict[str, str]) -> None:
    """Each moved disk is a new one on its new SR, in the old one's place, and so are its snapshots."""
    for vdi, sr in disks.items():
        if site.world.has("VDI", vdi) and site.world.record("VDI", vdi)["SR"] != sr:
            snapshots = snapshots_of(site, vdi)
            new = swap_disk(site, vdi, sr)
            for snapshot in snapshots:
                site.world.change("VDI", swap_disk(site, snapshot, sr), snapshot_of=new)


def swap_disk(site: Site, vdi: str, sr: str) -> str:
    """The new disk; the room it takes goes from one SR to the other."""
    old = dict(site.world.record("VDI", vdi))
    kept = {key: value for key, value in old.items() if key not in ("uuid", "VBDs", "SR", "snapshots", "location")}
    new = site.world.add("VDI", f"moved disk {site.count('moved disk')}", SR=sr, **kept)
    site.world.change("VDI", new, location=site.world.record("VDI", new)["uuid"])
    for vbd in old["VBDs"]:
        site.world.change("VBD", vbd, VDI=new)
    site.world.remove("VDI", vdi)
    for one, sign in ((old["SR"], -1), (sr, 1)):
        record = site.world.record("SR", one)
        site.world.change(
            "SR",
            one,
            physical_utilisation=record["physical_utilisation"] + sign * old["physical_utilisation"],
            virtual_allocation=record["virtual_allocation"] + sign * old["virtual_size"],
        )
    return new


def target_died(site: Site, machine: Machine) -> None:
    """Every migration to a host that is gone fails; the VM stays where it was."""
    for migration in list(site.migrations):
        if migration.target is machine and migration.source is not machine and migration.process is not None:
            migration.process.throw(
                Failure(
                    "VM_MIGRATE_FAILED",
                    migration.vm,
                    migration.source.ref,
                    machine.ref,
                    "the connection to the destination was lost",
                )
            )
