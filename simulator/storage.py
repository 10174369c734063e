"""Plugging and unplugging PBDs: what stands in the way, how long it takes, and an SR that a VM of the pool serves.

Used by the calls and by a host that boots.
"""

from __future__ import annotations

from functools import partial

from simulator.description import SrSpec
from simulator.failure import NULL, Failure
from simulator.faulttable import take
from simulator.machine import Machine
from simulator.site import Site

MOUNT_PATIENCE = 60.0
UNREACHABLE = ("SR_BACKEND_FAILURE_73", "", "NFS mount error [opterr=mount failed with return code 32]", "")


def spec_of(site: Site, sr: str) -> SrSpec | None:
    """What the world file said of an SR."""
    name = site.name("SR", sr)
    return next((one for one in site.spec.srs if one.name == name), None)


def served(site: Site, sr: str) -> bool:
    """The SR's server answers: always, unless a VM of the pool serves it and does not run."""
    spec = spec_of(site, sr)
    if sr in site.unreachable_srs:
        return False
    if spec is None or not spec.served_by:
        return True
    server = site.vm_named(spec.served_by)
    return bool(site.world.record("VM", server)["power_state"] == "Running")


def assert_served(site: Site, srs: list[str]) -> None:
    """Raises SR_BACKEND_FAILURE_* when the server of one of these SRs does not answer."""
    if any(not served(site, sr) for sr in srs):
        raise Failure(*UNREACHABLE)


def server_went(site: Site, vm: str) -> None:
    """A VM is down. Whatever it served hangs: each host that has it attached, and each VM with a disk there, is in the
    journal."""
    name = site.world.record("VM", vm)["name_label"]
    for sr in (one.name for one in site.spec.srs if one.served_by == name):
        ref = site.world.find("SR", sr)
        for pbd in site.world.record("SR", ref)["PBDs"] if ref else ():
            told = site.world.record("PBD", pbd)
            if ref and told["currently_attached"] and site.machine(told["host"]).powered:
                users = [*users_of(site, ref, told["host"])]
                host = site.name("host", told["host"])
                site.journal.write("storage", sr=sr, server=name, state="lost", host=host, vms=users)


def users_of(site: Site, sr: str, host: str) -> list[str]:
    """The names of VMs on a host that have a disk of an SR attached."""
    names = []
    for vm in site.guests(host):
        record = site.world.record("VM", vm)
        vbds = (site.world.record("VBD", vbd) for vbd in record["VBDs"])
        vdis = {vbd["VDI"] for vbd in vbds if vbd["currently_attached"] and not vbd["empty"]}
        if any(site.world.has("VDI", vdi) and site.world.record("VDI", vdi)["SR"] == sr for vdi in vdis):
            names.append(record["name_label"])
    return names


async def plug(site: Site, pbd: str) -> None:
    """Attaches an SR to a host; nothing to do when it is attached. Raises SR_BACKEND_FAILURE_* when it cannot."""
    record = site.world.record("PBD", pbd)
    if record["currently_attached"]:
        return
    sr, host = record["SR"], record["host"]
    refuse_second_user(site, sr, host)
    words = {"host": site.name("host", host) or "", "sr": site.name("SR", sr) or ""}
    spec = spec_of(site, sr)
    slow = take(site, "slow_mount", **words)
    await site.scheduler.sleep(float(slow.get("seconds", 180)) if slow else spec.plug_seconds if spec else 1.0)
    if fault := take(site, "pbd_plug_fails", **words):
        raise Failure(str(fault.get("code", UNREACHABLE[0])), *fault.get("params", UNREACHABLE[1:]))
    if not served(site, sr):
        await site.scheduler.sleep(MOUNT_PATIENCE)
        if not served(site, sr):
            raise Failure(*UNREACHABLE)
    if site.world.has("PBD", pbd):
        site.world.change("PBD", pbd, currently_attached=True)
        journal_pbd(site, words["sr"], words["host"], attached=True)


def refuse_second_user(site: Site, sr: str, host: str) -> None:
    record = site.world.record("SR", sr)
    for other in record["PBDs"]:
        told = site.world.record("PBD", other)
        if not record["shared"] and told["currently_attached"] and told["host"] != host:
            raise Failure("SR_NOT_SHARABLE", sr, host)


async def unplug(site: Site, pbd: str) -> None:
    """Detaches an SR from a host; raises VDI_IN_USE with the disks in use there, HA_IS_ENABLED for a statefile's SR."""
    record = site.world.record("PBD", pbd)
    if not record["currently_attached"]:
        return
    used = disks_in_use(site, record["SR"], record["host"])
    if used:
        raise Failure("VDI_IN_USE", *used)
    files = site.pool_record["ha_statefiles"]
    if any(site.world.has("VDI", one) and site.world.record("VDI", one)["SR"] == record["SR"] for one in files):
        raise Failure("HA_IS_ENABLED")
    await site.scheduler.sleep(1.0)
    if site.world.has("PBD", pbd):
        site.world.change("PBD", pbd, currently_attached=False)
        sr, host = site.name("SR", record["SR"]) or "", site.name("host", record["host"]) or ""
        journal_pbd(site, sr, host, attached=False)


def journal_pbd(site: Site, sr: str, host: str, *, attached: bool) -> None:
    """An SR that a VM of the pool serves, detached by a call, or attached by anybody."""
    if any(one.name == sr and one.served_by for one in site.spec.srs):
        site.journal.write("storage", sr=sr, host=host, state="attached" if attached else "detached")


def disks_in_use(site: Site, sr: str, host: str) -> list[str]:
    """The disks of an SR attached to VMs (the control domain too) on a host."""
    used = []
    for vdi in site.world.record("SR", sr)["VDIs"]:
        for vbd in site.world.record("VDI", vdi)["VBDs"]:
            told = site.world.record("VBD", vbd)
            vm = told["VM"]
            if told["currently_attached"] and vm != NULL and site.world.record("VM", vm)["resident_on"] == host:
                used.append(vdi)
                break
    return used


def host_went(site: Site, machine: Machine) -> None:
    """A host is away: replicated and clustered SRs lack its part from now on. One that lacked another's already is
    harmed: with two replicas its disks are gone."""
    for sr, record in site.world.all("SR"):
        if record["clustered"] or record["type"] == "linstor":
            state = "harmed" if sr in site.degraded_srs else "degraded"
            site.journal.write("sr", sr=site.name("SR", sr), state=state, host=machine.name)
            site.degraded_srs[sr] = site.clock.seconds()
            site.lagging.add(machine.name)


def host_returned(site: Site) -> None:
    """The host has its storage again: each such SR is whole once it has resynchronised, if nobody else went."""
    for sr, since in list(site.degraded_srs.items()):
        spec = spec_of(site, sr)
        site.clock.after(spec.resync if spec else 120.0, partial(resynced, site, sr, since))


def resynced(site: Site, sr: str, since: float) -> None:
    if site.degraded_srs.get(sr) == since and all(machine.powered for machine in site.machines.values()):
        del site.degraded_srs[sr]
        if not site.degraded_srs:
            site.lagging.clear()
        site.journal.write("sr", sr=site.name("SR", sr), state="whole")
        site.settled.fire()


def detach_all(site: Site, host: str) -> None:
    """What a host that goes down does to its PBDs."""
    for pbd in site.world.record("host", host)["PBDs"]:
        site.world.change("PBD", pbd, currently_attached=False)
