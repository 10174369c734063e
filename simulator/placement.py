"""Where a VM may run: the version rule, storage, networks, CPU and memory, and XAPI's plan for emptying a host.

Pure questions about the world; nothing is changed. Sources: xen-api ocaml/xapi/xapi_vm_helpers.ml
assert_can_boot_here, helpers.ml module Checks, xapi_host.ml compute_evacuation_plan_no_wlb.
"""

from __future__ import annotations

from simulator import memory, operations
from simulator.failure import NULL, Failure
from simulator.faulttable import take
from simulator.schema import version_of
from simulator.site import Site
from simulator.values import Record


def versions(site: Site, host: str, keys: tuple[str, ...]) -> list[tuple[int, ...]]:
    """A host's versions under these software_version keys, as numbers that compare."""
    told = site.world.record("host", host)["software_version"]
    return [version_of(told.get(key, "")) for key in keys]


def not_lower(site: Site, source: str, target: str) -> bool:
    """No migration key is lower on the target than on the source."""
    keys = site.profile.migration_keys
    pairs = zip(versions(site, source, keys), versions(site, target, keys), strict=True)
    return all(target_version >= source_version for source_version, target_version in pairs)


def same_release(site: Site, host: str, other: str) -> bool:
    """The two hosts agree in what sets the upgrade flag."""
    keys = site.profile.upgrade_keys
    return versions(site, host, keys) == versions(site, other, keys)


def is_highest(site: Site, host: str) -> bool:
    """No host of the pool has a higher version than this one."""
    return all(not_lower(site, other, host) for other in site.machines)


def assert_start_allowed(site: Site, host: str) -> None:
    """While a rolling upgrade is in progress VMs start only on hosts with the highest version."""
    if site.upgrading() and not is_highest(site, host):
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")


def assert_can_boot_here(site: Site, vm: str, host: str, *, with_memory: bool = True, with_cpu: bool = False) -> None:
    """Raises why this VM cannot run on this host now."""
    record = site.world.record("VM", vm)
    there = site.world.record("host", host)
    if not site.is_live(host):
        raise Failure("HOST_NOT_LIVE")
    if not there["enabled"]:
        raise Failure("HOST_DISABLED", host)
    assert_sees_srs(site, vm, record, host)
    assert_sees_networks(site, vm, record, host)
    if with_cpu:
        assert_cpu(site, vm, record, there, host)
    if record["VCPUs_max"] > int(there["cpu_info"]["cpu_count"]):
        raise Failure("HOST_NOT_ENOUGH_PCPUS", str(record["VCPUs_max"]), there["cpu_info"]["cpu_count"])
    if with_memory:
        assert_memory(site, vm, host)


def assert_memory(site: Site, vm: str, host: str) -> None:
    record = site.world.record("VM", vm)
    need, have = memory.needed(record), memory.free(site.world, host, without=vm)
    if need > have or take(site, "memory_refused", vm=record["name_label"], host=site.name("host", host) or ""):
        raise Failure("HOST_NOT_ENOUGH_FREE_MEMORY", str(need), str(have))


def srs_of(site: Site, record: Record) -> list[str]:
    """The SRs a VM's disks, its image in the drive and its suspend image lie on."""
    vdis = [site.world.record("VBD", vbd) for vbd in record["VBDs"]]
    refs = [vbd["VDI"] for vbd in vdis if not vbd["empty"]] + [record["suspend_VDI"]]
    srs = [site.world.record("VDI", vdi)["SR"] for vdi in refs if vdi != NULL and site.world.has("VDI", vdi)]
    return list(dict.fromkeys(srs))


def assert_sees_srs(site: Site, vm: str, record: Record, host: str) -> None:
    attached = {
        pbd["SR"]
        for pbd in (site.world.record("PBD", ref) for ref in site.world.record("host", host)["PBDs"])
        if pbd["currently_attached"]
    }
    for sr in srs_of(site, record):
        if sr not in attached:
            raise Failure("VM_REQUIRES_SR", vm, sr)


def assert_sees_networks(site: Site, vm: str, record: Record, host: str) -> None:
    pifs = [site.world.record("PIF", ref) for ref in site.world.record("host", host)["PIFs"]]
    reached = {pif["network"] for pif in pifs if pif["currently_attached"]}
    for vif in record["VIFs"]:
        network = site.world.record("VIF", vif)["network"]
        if network not in reached and site.world.record("network", network)["PIFs"]:
            raise Failure("VM_REQUIRES_NETWORK", vm, network)


def assert_cpu(site: Site, vm: str, record: Record, there: Record, host: str) -> None:
    """The features a running VM has seen must all be there, from the same vendor."""
    seen = record["last_boot_CPU_flags"]
    if not seen:
        return
    if seen["vendor"] != there["cpu_info"]["vendor"]:
        raise Failure("VM_INCOMPATIBLE_WITH_THIS_HOST", vm, host, "VM last booted on a CPU from a different vendor")
    have = there["cpu_info"]["features_hvm"].split("-")
    if any(int(need, 16) & ~int(has, 16) for need, has in zip(seen["features"].split("-"), have, strict=False)):
        reason = "VM last booted on a CPU with features this host's CPU does not have."
        raise Failure("VM_INCOMPATIBLE_WITH_THIS_HOST", vm, host, reason)


def targets(site: Site, host: str) -> list[str]:
    """The hosts XAPI would empty this one onto: other, enabled, and not lower in version."""
    return [
        other
        for other in site.machines
        if other != host and site.world.record("host", other)["enabled"] and not_lower(site, host, other)
    ]


def evacuation(site: Site, host: str) -> tuple[dict[str, str], dict[str, list[str]]]:
    """XAPI's plan for emptying a host: VM to target, and VM to the error that holds it.

    A VM counts as able to move only if every target could take it; memory is packed largest first.
    """
    where = targets(site, host)
    stuck: dict[str, list[str]] = {}
    movable: list[str] = []
    for vm in site.guests(host):
        try:
            assert_evacuable(site, vm, where)
        except Failure as failure:
            stuck[vm] = failure.details
        else:
            movable.append(vm)
    plan = pack(site, movable, where)
    stuck |= {vm: ["HOST_NOT_ENOUGH_FREE_MEMORY", vm] for vm in movable if vm not in plan}
    return plan, stuck


def assert_evacuable(site: Site, vm: str, where: list[str]) -> None:
    record = site.world.record("VM", vm)
    operations.check(site, vm, "pool_migrate")
    if not where:
        raise Failure("NO_HOSTS_AVAILABLE", vm)
    if site.pool_record["ha_enabled"] and record["ha_restart_priority"] != "restart":
        raise Failure("HOST_EVACUATE_VM_NOT_HA_PROTECTED", vm)
    for target in where:
        assert_can_boot_here(site, vm, target, with_memory=False, with_cpu=True)


def pack(site: Site, vms: list[str], where: list[str]) -> dict[str, str]:
    """Largest VM first, each onto the target with the most room; VMs that fit nowhere are left out."""
    room = {host: memory.free(site.world, host) for host in where}
    sizes = {vm: memory.needed_to_evacuate(site.world.record("VM", vm)) for vm in vms}
    plan: dict[str, str] = {}
    for vm in sorted(vms, key=lambda one: -sizes[one]):
        best = max(room, key=lambda host: room[host], default=None)
        if best is not None and room[best] >= sizes[vm]:
            plan[vm] = best
            room[best] -= sizes[vm]
    return plan


def choose_host(site: Site, vm: str) -> str:
    """Where XAPI starts a VM that names no host: its affinity if it can, else the one with the most room."""
    possible = [host for host in site.machines if can_start(site, vm, host)]
    if not possible:
        raise Failure("NO_HOSTS_AVAILABLE")
    affinity = site.world.record("VM", vm)["affinity"]
    return affinity if affinity in possible else max(possible, key=lambda host: memory.free(site.world, host))


def can_start(site: Site, vm: str, host: str) -> bool:
    """Automatic placement would take this host: it can, it is not being emptied, and its version is high enough."""
    if site.upgrading() and not is_highest(site, host):
        return False
    if "evacuate" in site.world.record("host", host)["current_operations"].values():
        return False
    try:
        assert_can_boot_here(site, vm, host)
    except Failure:
        return False
    return True
