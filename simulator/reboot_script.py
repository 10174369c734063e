"""What a host does to its VMs when it is told to reboot or shut down with VMs on it.

xen-api ocaml/xapi/vm_evacuation.ml and scripts/xapi-domains: host.reboot never refuses for them. It moves what it can
and shuts the rest, and each of these is in the journal as the script's doing.
"""

from __future__ import annotations

from simulator import memory, migration, placement, storage, vms
from simulator.failure import Failure
from simulator.machine import Machine
from simulator.migration import Migration
from simulator.operations import claim, release
from simulator.processes import Process
from simulator.site import Site

CLEAN_LIMIT = 60.0
CAUSE = "reboot_script"


async def run(site: Site, machine: Machine) -> None:
    """Empties the host its own way, unplugs its storage, and marks it disabled until it has rebooted."""
    await site.scheduler.sleep(1.0)
    if site.guests(machine.ref):
        await empty(site, machine)
    for pbd in site.world.record("host", machine.ref)["PBDs"]:
        site.world.change("PBD", pbd, currently_attached=False)
        await site.scheduler.sleep(0.5)
    machine.until_reboot = True
    await site.scheduler.sleep(1.0)


async def empty(site: Site, machine: Machine) -> None:
    """First those that cannot move are shut down, then the others move, then what is left is shut down."""
    plan: dict[str, str] = {}
    if site.master.reachable:
        plan, stuck = placement.evacuation(site, machine.ref)
        await shut_all(site, list(stuck))
    await move_all(site, machine, plan)
    await shut_all(site, site.guests(machine.ref))
    storage.detach_all(site, machine.ref)


async def move_all(site: Site, machine: Machine, plan: dict[str, str]) -> None:
    limit = max(240.0, sum(memory.needed(site.world.record("VM", vm)) for vm in plan) * 8 / 1e9)
    deadline = site.clock.seconds() + limit
    moves: list[Process] = []
    for vm, target in plan.items():
        number = site.count("script")
        task = f"OpaqueRef:{site.world.name_uuid('script', f'{machine.name}/{number}')}"
        claim(site, "VM", vm, task, "pool_migrate")
        moves.append(migration.begin(site, Migration(vm, machine, site.machines[target], task, CAUSE)))
    while any(not move.done for move in moves) and site.clock.seconds() < deadline:
        await site.scheduler.sleep(1.0)
    for one in [one for one in site.migrations if one.source is machine and one.process is not None]:
        if one.process is not None:
            one.process.throw(Failure("VM_MIGRATE_FAILED", one.vm, machine.ref, one.target.ref, "the host goes down"))


async def shut_all(site: Site, guests: list[str]) -> None:
    """A clean shutdown for each, sixty seconds for all of them together, then a hard one."""
    shutting = [site.nature.spawn(shut_cleanly(site, vm), "shutdown by the host") for vm in guests]
    deadline = site.clock.seconds() + CLEAN_LIMIT
    while any(not one.done for one in shutting) and site.clock.seconds() < deadline:
        await site.scheduler.sleep(0.5)
    for vm in guests:
        if site.world.has("VM", vm) and site.world.record("VM", vm)["power_state"] in ("Running", "Paused"):
            vms.halt(site, vm, CAUSE)
            for task in list(site.world.record("VM", vm)["current_operations"]):
                release(site, "VM", vm, task)


async def shut_cleanly(site: Site, vm: str) -> None:
    if site.world.record("VM", vm)["power_state"] == "Running" and vms.has_tools(site, vm):
        await vms.clean_shutdown(site, vm, CAUSE, CLEAN_LIMIT)
