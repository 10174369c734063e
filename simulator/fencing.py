"""What high availability does about a host that died: its liveset drops it, protected VMs start elsewhere.

A dead master is replaced by a member. Only the outcome and its time are simulated, not xhad's voting.
"""

from __future__ import annotations

from simulator import memory, placement, succession, vms
from simulator.failure import Failure
from simulator.machine import Machine
from simulator.site import Site

NOTICED = 60.0
RESTART = 10.0


async def take_care(site: Site, machine: Machine) -> None:
    """Some time after the death: a new master if need be, the host counted dead, its protected VMs started."""
    await site.scheduler.sleep(NOTICED)
    if machine.powered or not site.pool_record["ha_enabled"]:
        return
    if machine is site.master:
        await replace_master(site, machine)
    site.set_live(machine.ref, False)
    site.set_enabled(machine, False, "xapi")
    lost = [vm for vm in site.guests(machine.ref) if vm in machine.lost_vms]
    machine.lost_vms.clear()
    for vm in lost:
        vms.halt(site, vm, "xapi")
    for vm in sorted(lost, key=lambda one: -memory.needed(site.world.record("VM", one))):
        if site.world.record("VM", vm)["ha_restart_priority"]:
            await restart(site, vm)


async def replace_master(site: Site, dead: Machine) -> None:
    """The first member that lives becomes master."""
    heirs = [one for one in site.machines.values() if one is not dead and one.powered and one.joined]
    if heirs:
        await succession.take_over(site, heirs[0])
        while not site.master.reachable:
            await site.master_returned.wait(site.scheduler)


async def restart(site: Site, vm: str) -> None:
    try:
        host = placement.choose_host(site, vm)
    except Failure:
        return
    await site.scheduler.sleep(RESTART)
    if site.world.record("VM", vm)["power_state"] == "Halted":
        vms.boot(site, vm, host, "xapi")
