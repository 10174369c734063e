"""Who is master: a chosen successor, a promotion in an emergency, and the members' copies of the database.

xen-api ocaml/xapi/xapi_pool.ml designate_new_master, emergency_transition_to_master; pool_db_backup.ml.
"""

from __future__ import annotations

from simulator import boot
from simulator.failure import Failure
from simulator.machine import CLOSED, EMERGENCY, OPEN, Machine
from simulator.site import Site

FUSE = 10.0


def back_up(site: Site) -> None:
    """The members' copy is brought up to date; while the upgrade flag is set they get a dummy instead."""
    site.flushed_generation = site.world.generation
    if not site.upgrading():
        site.backup = {key: dict(site.pool_record["other_config"]) for key in ("other_config",)}


async def designate(site: Site, host: str) -> None:
    """Hands over in two steps; every xapi restarts some ten seconds later."""
    if site.pool_record["ha_enabled"]:
        raise Failure("HA_IS_ENABLED")
    if host == site.master.ref:
        return
    await site.scheduler.sleep(2.0)
    back_up(site)
    site.nature.spawn(hand_over(site, host), "hand over")


async def hand_over(site: Site, host: str) -> None:
    await site.scheduler.sleep(FUSE)
    old, new = site.master, site.machine(host)
    for machine in site.machines.values():
        if machine.door != CLOSED:
            site.journal_host(machine, "restarting", "call")
    boot.stop_xapi(site, old, clean=True)
    site.world.change("pool", site.pool, master=host)
    for machine in site.machines.values():
        if machine is not old and machine.door != CLOSED:
            boot.stop_xapi(site, machine, clean=True)
    site.journal.write("xapi", setting="master", before=old.name, value=new.name)
    for machine in site.machines.values():
        if machine.powered:
            machine.system.spawn(later(site, machine), "xapi starts")


async def later(site: Site, machine: Machine) -> None:
    await site.scheduler.sleep(machine.spec.toolstack)
    await boot.start_xapi(site, machine, booted=False)


def promote(site: Site, machine: Machine) -> None:
    """The member becomes master, of the database as it was when the members last got a copy."""
    if site.pool_record["ha_enabled"]:
        raise Failure("HA_IS_ENABLED")
    if machine is site.master:
        return
    site.nature.spawn(take_over(site, machine), "promotion")


async def take_over(site: Site, machine: Machine) -> None:
    await site.scheduler.sleep(1.0)
    old = site.master
    boot.stop_xapi(site, old, clean=False)
    old.silent_since = site.clock.seconds()
    boot.stop_xapi(site, machine, clean=False)
    site.world.change("pool", site.pool, master=machine.ref)
    if site.backup:
        site.world.change("pool", site.pool, other_config=dict(site.backup["other_config"]))
    site.journal.write("xapi", setting="master", before=old.name, value=machine.name)
    site.journal_host(machine, "restarting", "call")
    await site.scheduler.sleep(machine.spec.toolstack)
    machine.system.spawn(boot.start_xapi(site, machine, booted=False), "xapi starts")


def recover(site: Site) -> list[str]:
    """The new master tells the members that can be reached who it is."""
    reset = []
    for machine in site.machines.values():
        if machine is site.master or not machine.powered:
            continue
        if machine.door in (EMERGENCY, OPEN):
            reset.append(machine.ref)
            site.nature.spawn(boot.restart_toolstack(site, machine), "told of its new master")
    return reset
