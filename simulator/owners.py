"""What people and programs other than the client do meanwhile: owners of VMs, a backup, a load balancer.

All of it goes through the same rules as a call would, and is journalled with `owner` as its cause.
"""

from __future__ import annotations

from typing import Any

from simulator import memory, operations, placement, vms
from simulator import migration as carrying
from simulator.build_vms import build_vm
from simulator.description import VmSpec
from simulator.failure import Failure
from simulator.migration import Migration
from simulator.site import Site, is_guest

CAUSE = "owner"
BACKUP_TEXT = "VM migration is blocked during backup"
BACKUP_BLOCKS = ("pool_migrate", "migrate_send")


def vm_stops(site: Site, words: dict[str, Any]) -> None:
    """The VM's owner shuts it down."""
    vm = site.vm_named(words["vm"])
    if site.world.record("VM", vm)["power_state"] != "Halted":
        vms.halt(site, vm, CAUSE)


def vm_starts(site: Site, words: dict[str, Any]) -> None:
    """The VM's owner starts it, on `host` or where XAPI would; nothing happens where XAPI would refuse."""
    vm = site.vm_named(words["vm"])
    try:
        operations.check(site, vm, "start")
        target = site.named(words["host"]).ref if "host" in words else placement.choose_host(site, vm)
        placement.assert_start_allowed(site, target)
        placement.assert_can_boot_here(site, vm, target)
    except Failure:
        return
    vms.boot(site, vm, target, CAUSE)


def vm_moves(site: Site, words: dict[str, Any]) -> None:
    """The VM's owner migrates it to `host`."""
    move(site, site.vm_named(words["vm"]), site.named(words["host"]).ref)


def move(site: Site, vm: str, target: str) -> bool:
    """One migration that is nobody's call; False where XAPI would refuse it."""
    source = site.world.record("VM", vm)["resident_on"]
    try:
        operations.check(site, vm, "pool_migrate")
        if site.upgrading() and not placement.not_lower(site, source, target):
            return False
        placement.assert_can_boot_here(site, vm, target, with_cpu=True)
    except Failure:
        return False
    task = f"OpaqueRef:{site.world.name_uuid('owner', str(site.count('owner')))}"
    operations.claim(site, "VM", vm, task, "pool_migrate")
    carrying.begin(site, Migration(vm, site.machine(source), site.machine(target), task, CAUSE))
    return True


def vm_deleted(site: Site, words: dict[str, Any]) -> None:
    """The VM is stopped and gone."""
    vm = site.vm_named(words["vm"])
    vm_stops(site, words)
    record = site.world.record("VM", vm)
    for cls, refs in (("VBD", record["VBDs"]), ("VIF", record["VIFs"]), ("VM_metrics", [record["metrics"]])):
        for ref in refs:
            site.world.remove(cls, ref)
    site.world.remove("VM", vm)


def vm_appears(site: Site, words: dict[str, Any]) -> None:
    """Somebody makes a VM `name` on `host` and starts it; `memory` in bytes."""
    spec = VmSpec(name=words["name"], host=words["host"], memory=int(words.get("memory", 2 * 1024**3)))
    networks = {record["name_label"]: ref for ref, record in site.world.all("network")}
    vm = build_vm(site, spec, networks)
    vms.journal_vm(site, vm, CAUSE)


def backup(site: Site, words: dict[str, Any]) -> None:
    """A backup of a VM runs for `seconds`: moving it is blocked, and a disk of it hangs on the control domain."""
    vm = site.vm_named(words["vm"])
    record = site.world.record("VM", vm)
    blocked = {**record["blocked_operations"], **dict.fromkeys(BACKUP_BLOCKS, BACKUP_TEXT)}
    site.world.change("VM", vm, blocked_operations=blocked)
    operations.refresh_vm(site, vm)
    host = record["resident_on"] if site.world.has("host", record["resident_on"]) else site.master.ref
    vbd, vdi = hang_on_control_domain(site, vm, host)
    site.clock.after(float(words.get("seconds", 600)), lambda: backup_ends(site, vm, vbd, vdi))


def hang_on_control_domain(site: Site, vm: str, host: str) -> tuple[str, str]:
    number = site.count("backup")
    name = f"{site.name('VM', vm)} backup"
    disks = [site.world.record("VBD", one)["VDI"] for one in site.world.record("VM", vm)["VBDs"]]
    sr = next((site.world.record("VDI", one)["SR"] for one in disks if site.world.has("VDI", one)), "OpaqueRef:NULL")
    vdi = site.world.add(
        "VDI",
        f"backup {number}",
        name_label=name,
        SR=sr,
        virtual_size=1024**3,
        type="user",
        managed=True,
        is_a_snapshot=True,
    )
    vbd = site.world.add(
        "VBD",
        f"backup {number}",
        VM=site.world.record("host", host)["control_domain"],
        VDI=vdi,
        mode="RO",
        type="Disk",
        currently_attached=True,
        userdevice=str(number),
        device=f"xvd{number}",
    )
    return vbd, vdi


def backup_ends(site: Site, vm: str, vbd: str, vdi: str) -> None:
    site.world.remove("VBD", vbd)
    site.world.remove("VDI", vdi)
    if site.world.has("VM", vm):
        told = site.world.record("VM", vm)["blocked_operations"]
        left = {name: text for name, text in told.items() if text != BACKUP_TEXT}
        site.world.change("VM", vm, blocked_operations=left)
        operations.refresh_vm(site, vm)


def balancer(site: Site, words: dict[str, Any]) -> None:
    """A load balancer outside the pool moves a VM to the emptiest host every so often (`every`, `times`)."""
    site.nature.spawn(balance(site, float(words.get("every", 120)), int(words.get("times", 5))), "balancer")


async def balance(site: Site, every: float, times: int) -> None:
    for _ in range(times):
        await site.scheduler.sleep(every)
        guests = [
            (ref, record)
            for ref, record in site.world.all("VM")
            if is_guest(record) and record["power_state"] == "Running"
        ]
        room = {
            host: memory.free(site.world, host) for host in site.machines if site.world.record("host", host)["enabled"]
        }
        if not room:
            continue
        emptiest = max(room, key=lambda host: room[host])
        fullest_first = sorted(guests, key=lambda one: room.get(one[1]["resident_on"], 0))
        for ref, record in fullest_first:
            if record["resident_on"] != emptiest and move(site, ref, emptiest):
                break


def host_enabled(site: Site, words: dict[str, Any]) -> None:
    """Somebody enables a host that the client had disabled."""
    machine = site.named(words["host"])
    machine.user_disabled = machine.stay_disabled = False
    site.set_enabled(machine, True, CAUSE)
