"""What becomes of a machine in time: toolstack restart, reboot, power loss, and the whole boot in XAPI's order.

Order of events: xen-api ocaml/xapi/xapi.ml, xapi_pool.ml hello, dbsync_slave.ml, storage_access.ml,
xapi_host_helpers.ml consider_enabling_host. Shutdown's own script is `reboot_script.py`.
"""

from __future__ import annotations

from simulator import fencing, housekeeping, migration, placement, reboot_script, storage, tasks, vms
from simulator.failure import Failure
from simulator.faulttable import take
from simulator.machine import BOOTING, CLOSED, EMERGENCY, OPEN, Machine, software_version
from simulator.schema import version_of
from simulator.site import Site, refresh_host
from simulator.values import ocaml_float

REBOOT_DELAY, AGENT_DELAY = 10.0, 1.0
HELLO_RETRY, REFUSED_RETRY = 5.0, 60.0
AUTOSTART_AFTER = 8.0


def host_clock(site: Site, machine: Machine) -> float:
    """The host's own idea of Unix time."""
    return site.clock.unix() + machine.clock_offset


def stop_xapi(site: Site, machine: Machine, *, clean: bool) -> None:
    """The host's xapi is gone. A clean stop of a member tells the master; the master's takes every session and task."""
    master = machine is site.master
    machine.startup_complete = machine.joined = False
    machine.xapi.kill()
    site.set_door(machine, CLOSED)
    if master:
        lose_master(site, clean)
    elif clean:
        machine.shutting_down = True
        if site.master.reachable:
            tasks.drop_forwarded(site, machine.ref)
            site.set_enabled(machine, False, "xapi")
            site.set_live(machine.ref, False)
    else:
        machine.silent_since = site.clock.seconds()


def lose_master(site: Site, clean: bool) -> None:
    """What dies with the master's xapi: sessions, tasks, what operations were under way, the list of deleted rows."""
    tasks.forget_all(site)
    for ref, _ in site.world.all("session"):
        site.world.remove("session", ref)
    for ended in site.sessions_ended:
        ended()
    moving = {one.vm for one in site.migrations}
    for cls in ("VM", "host", "pool"):
        for ref, record in site.world.all(cls):
            if record["current_operations"] and ref not in moving:
                site.world.change(cls, ref, current_operations={})
    site.world.forget_history(None if clean else site.flushed_generation)


async def start_xapi(site: Site, machine: Machine, *, booted: bool) -> None:
    """xapi from its start to its last step."""
    machine.running["xapi-core"] = machine.installed["xapi-core"]
    machine.agent_started_at = host_clock(site, machine)
    machine.starts_count += 1
    machine.user_disabled = False
    pending = site.world.record("host", machine.ref).get("pending_guidances", [])
    left = [one for one in pending if one != "restart_toolstack"]
    site.world.change("host", machine.ref, pending_guidances=left)
    machine.emergency = list(BOOTING)
    if machine is site.master:
        master_is_up(site, machine)
    else:
        await join(site, machine)
    site.journal_host(machine, "up", "boot" if booted else "xapi")
    await site.scheduler.sleep(1.0)
    await refresh_database(site, machine, booted=booted)
    await plug_all(site, machine)
    if booted:
        storage.host_returned(site)
    await site.scheduler.sleep(1.0)
    machine.startup_complete = True
    consider_enabling(site, machine)
    if booted:
        await site.scheduler.sleep(AUTOSTART_AFTER)
        autostart(site)


def master_is_up(site: Site, machine: Machine) -> None:
    """The master answers as soon as its database is open; members reconnect and get a fresh grace."""
    machine.joined, machine.shutting_down, machine.silent_since = True, False, None
    site.set_door(machine, OPEN)
    site.set_enabled(machine, False, "xapi")
    site.set_live(machine.ref, True)
    machine.xapi.spawn(housekeeping.every_half_minute(site), "housekeeping")
    for other in site.machines.values():
        if other is machine:
            continue
        if other.joined and other.reachable:
            site.set_live(other.ref, True)
        elif other.silent_since is not None:
            other.silent_since = site.clock.seconds()
        elif other.shutting_down:
            site.set_live(other.ref, False)
    site.master_returned.fire()


async def join(site: Site, machine: Machine) -> None:
    """A member in emergency mode knocks at the master until it is let in (Pool.hello)."""
    site.set_door(machine, EMERGENCY)
    await site.scheduler.sleep(2.0)
    while True:
        if not site.master.reachable:
            await site.scheduler.sleep(HELLO_RETRY)
        elif ahead_of_master(site, machine):
            machine.emergency = ["HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR", machine.running["xapi-core"].version]
            await site.scheduler.sleep(REFUSED_RETRY)
        else:
            break
    hello(site, machine)


def ahead_of_master(site: Site, machine: Machine) -> bool:
    """A member newer than its master is refused, by xapi since 23.30."""
    mine, masters = machine.running["xapi-core"], site.master.running["xapi-core"]
    return version_of(mine.version) >= (23, 30) and version_of(mine.version) > version_of(masters.version)


def hello(site: Site, machine: Machine) -> None:
    """The master takes the member back: disabled, live, and what was pending there cancelled."""
    machine.joined, machine.shutting_down, machine.silent_since = True, False, None
    site.set_enabled(machine, False, "xapi")
    site.set_live(machine.ref, True)
    tasks.cancel_forwarded(site, machine.ref)
    moving = {one.task for one in site.migrations}
    left = {
        task: what
        for task, what in site.world.record("host", machine.ref)["current_operations"].items()
        if task in moving
    }
    site.world.change("host", machine.ref, current_operations=left)
    refresh_host(site, machine.ref)
    site.set_door(machine, OPEN)
    site.settled.fire()


async def refresh_database(site: Site, machine: Machine, *, booted: bool) -> None:
    """The host writes itself into the database anew; its times are away for a moment."""
    world = site.world
    kept = {
        key: value
        for key, value in world.record("host", machine.ref)["other_config"].items()
        if key not in ("boot_time", "agent_start_time")
    }
    world.change("host", machine.ref, other_config=kept)
    await site.scheduler.sleep(0.2)
    kept = dict(world.record("host", machine.ref)["other_config"])
    started = ocaml_float(float(int(machine.agent_started_at)))
    times = {"boot_time": boot_time(site, machine), "agent_start_time": started}
    features = str(machine.faults.get("cpu_features", machine.spec.cpu_features))
    cpu = dict(world.record("host", machine.ref)["cpu_info"])
    cpu |= dict.fromkeys(("features_pv", "features_hvm", "features_pv_host", "features_hvm_host"), features)
    world.change(
        "host",
        machine.ref,
        software_version=software_version(machine, site.profile),
        other_config={**kept, **times},
        cpu_info=cpu,
        address=machine.address,
    )
    control = world.record("host", machine.ref)["control_domain"]
    world.change("VM", control, power_state="Running", resident_on=machine.ref)
    for vm in list(machine.lost_vms):
        machine.lost_vms.discard(vm)
        if world.has("VM", vm) and world.record("VM", vm)["resident_on"] == machine.ref:
            vms.halt(site, vm, "xapi")
    if booted:
        storage.detach_all(site, machine.ref)


def boot_time(site: Site, machine: Machine) -> str:
    """host.other_config:boot_time as this xapi works it out at its start.

    Older ones take now in whole seconds minus the uptime and cut: one second apart at random for the same boot;
    newer ones take the kernel's btime (xen-api ocaml/xapi/dbsync_slave.ml get_start_time; facts 4.5).
    """
    booted = machine.booted_at
    if site.profile.boot_time_jitters:
        booted -= site.chance("boot_time", machine.name, machine.starts_count).random()
    return ocaml_float(float(int(booted)))


async def plug_all(site: Site, machine: Machine) -> None:
    """Every PBD of the host is tried once; those that fail leave a message and stay as they are."""
    failed = False
    for pbd in site.world.record("host", machine.ref)["PBDs"]:
        try:
            await storage.plug(site, pbd)
        except Failure:
            failed = True
    if failed:
        uuid = site.world.record("host", machine.ref)["uuid"]
        housekeeping.message(site, "PBD_PLUG_FAILED_ON_SERVER_START", 3, "Host", uuid, "")


def consider_enabling(site: Site, machine: Machine) -> None:
    """A host enables itself unless something speaks against it."""
    record = site.world.record("host", machine.ref)
    unplugged = any(not site.world.record("PBD", pbd)["currently_attached"] for pbd in record["PBDs"])
    if machine.user_disabled or machine.stay_disabled or machine.until_reboot:
        return
    if record.get("pending_guidances") or machine.faults.get("xen_incompatible"):
        return
    if site.pool_record["ha_enabled"] and unplugged:
        return
    site.set_enabled(machine, True, "xapi")


def autostart(site: Site) -> None:
    """xapi-autostart-vms: every halted VM that asks for it, pool-wide, errors swallowed."""
    if site.pool_record["other_config"].get("auto_poweron") != "true" or not site.master.reachable:
        return
    for vm, record in list(site.world.all("VM")):
        if record["power_state"] == "Halted" and record["other_config"].get("auto_poweron") == "true":
            site.nature.spawn(start_by_itself(site, vm), "autostart")


async def start_by_itself(site: Site, vm: str) -> None:
    if not site.world.record("VM", vm)["is_a_template"]:
        host = placement.choose_host(site, vm)
        await site.scheduler.sleep(vms.STARTING)
        if site.world.record("VM", vm)["power_state"] == "Halted":
            vms.boot(site, vm, host, "boot")


async def restart_toolstack(site: Site, machine: Machine, after: float = AGENT_DELAY) -> None:
    """xe-toolstack-restart: xapi goes away and comes back, the VMs never notice."""
    await site.scheduler.sleep(after)
    if not machine.powered or machine.door == CLOSED:
        return
    site.journal_host(machine, "restarting", "xapi" if after == 0 else "call")
    stop_xapi(site, machine, clean=True)
    await site.scheduler.sleep(machine.spec.toolstack)
    machine.system.spawn(start_xapi(site, machine, booted=False), "xapi starts")


async def go_down(site: Site, machine: Machine, *, back: bool, cause: str = "call") -> None:
    """What `shutdown -r now` (or -h) does, ten seconds after the call: the script, then the power cycle."""
    await site.scheduler.sleep(REBOOT_DELAY)
    if machine.going_down or not machine.powered:
        return  # another order to go down came first, and one `shutdown -r now` is as good as two
    machine.going_down = True
    site.journal_host(machine, "rebooting" if back else "down", cause)
    await reboot_script.run(site, machine)
    power_off(site, machine, clean=True)
    if back:
        await power_cycle(site, machine)


def power_off(site: Site, machine: Machine, *, clean: bool) -> None:
    """The machine stops; whatever ran on it is over."""
    stop_xapi(site, machine, clean=clean)
    machine.powered = machine.going_down = False
    machine.system.kill()
    machine.updater_lock = ""
    machine.workers_busy = 0
    migration.target_died(site, machine)
    storage.host_went(site, machine)
    if not clean and site.pool_record["ha_enabled"]:
        site.nature.spawn(fencing.take_care(site, machine), "HA takes care of a dead host")


async def power_cycle(site: Site, machine: Machine) -> None:
    """Firmware, Xen, kernel, and then xapi."""
    if take(site, "never_back", host=machine.name):
        return
    site.journal_host(machine, "booting", "boot")
    slow = take(site, "slow_boot", host=machine.name)
    await site.scheduler.sleep(machine.boot_seconds + (float(slow.get("seconds", 600)) if slow else 0.0))
    power_on(site, machine)


def power_on(site: Site, machine: Machine) -> None:
    """The kernel runs: what is installed runs now, and xapi starts."""
    machine.powered = True
    machine.until_reboot = False
    machine.faults.pop("xen_incompatible", None)
    site.world.change("host", machine.ref, pending_guidances=[])
    machine.running = dict(machine.installed)
    machine.boots_count += 1
    if behind := take(site, "clock_behind", host=machine.name):
        machine.clock_offset = -float(behind.get("seconds", 3600))
        site.clock.after(float(behind.get("for", 600)), lambda: clock_corrected(machine))
    machine.booted_at = host_clock(site, machine) - 25.0
    machine.system.spawn(start_xapi(site, machine, booted=True), "xapi starts")


def clock_corrected(machine: Machine) -> None:
    """The time service sets the host's clock; the kernel's btime follows the step."""
    machine.booted_at -= machine.clock_offset
    machine.clock_offset = 0.0


def power_loss(site: Site, machine: Machine, cause: str) -> None:
    """The plug is pulled: VMs are dead at once, the database learns it later."""
    lost = site.guests(machine.ref)
    machine.lost_vms.update(lost)
    site.mourned.update(lost)
    site.journal_host(machine, "down", cause)
    for vm in lost:
        record = site.world.record("VM", vm)
        site.journal.write("vm", vm=record["name_label"], state="halted", host=None, cause=cause)
    power_off(site, machine, clean=False)
