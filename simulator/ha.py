"""High availability: switching it on and off, its refusals, and what it makes of a host that is about to go.

xen-api ocaml/xapi/xapi_ha.ml and xapi_pool.ml enable_ha. The failover plan is a packing by memory, no more.
"""

from __future__ import annotations

from itertools import combinations

from simulator import memory, placement
from simulator.failure import Failure
from simulator.site import Site

ENABLING, DISABLING = 12.0, 4.0


def plan_exists(site: Site, failures: int, without: str = "") -> bool:
    """Whether the protected VMs of any `failures` hosts would fit on those that stay."""
    hosts = [
        host
        for host in site.machines
        if host != without and site.is_live(host) and site.world.record("host", host)["enabled"]
    ]
    gone_first = [without] if without else []
    return all(
        fits(site, [host for host in hosts if host not in lost], [*gone_first, *lost])
        for lost in combinations(hosts, min(failures, len(hosts)))
    )


def fits(site: Site, staying: list[str], lost: list[str]) -> bool:
    room = sorted((memory.free(site.world, host) for host in staying), reverse=True)
    sizes = [
        memory.needed(site.world.record("VM", vm))
        for host in lost
        for vm in site.guests(host)
        if site.world.record("VM", vm)["ha_restart_priority"] == "restart"
    ]
    for size in sorted(sizes, reverse=True):
        place = next((number for number, free in enumerate(room) if free >= size), None)
        if place is None:
            return False
        room[place] -= size
        room.sort(reverse=True)
    return True


def assert_plan_without(site: Site, host: str) -> None:
    """With HA on, a host may not go if the plan would no longer hold."""
    pool = site.pool_record
    if pool["ha_enabled"] and not plan_exists(site, pool["ha_host_failures_to_tolerate"], without=host):
        raise Failure("HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN")


def assert_safe_to_enable(site: Site, host: str) -> None:
    """With HA on, a host comes back only with the storage and networks that protected VMs need."""
    if not site.pool_record["ha_enabled"]:
        return
    for pbd in site.world.record("host", host)["PBDs"]:
        told = site.world.record("PBD", pbd)
        if not told["currently_attached"] and site.world.record("SR", told["SR"])["shared"]:
            raise Failure("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", told["SR"])


async def enable(site: Site, srs: list[str], configuration: dict[str, str]) -> None:
    """Switches HA on; refused while it is on, while versions differ, and while a host is not live."""
    if site.pool_record["ha_enabled"]:
        raise Failure("HA_IS_ENABLED")
    if any(not placement.same_release(site, site.master.ref, host) for host in site.machines) or site.upgrading():
        raise Failure("NOT_SUPPORTED_DURING_UPGRADE")
    chosen = srs or [site.pool_record["default_SR"]]
    for host in site.machines:
        if not site.is_live(host):
            raise Failure("HOST_OFFLINE", host)
        if not site.machines[host].reachable:
            raise Failure("CANNOT_CONTACT_HOST", host)
    for sr in chosen:
        assert_statefile_possible(site, sr)
    await site.scheduler.sleep(ENABLING)
    files = [statefile(site, sr) for sr in chosen]
    set_on(site, files, configuration)


def assert_statefile_possible(site: Site, sr: str) -> None:
    record = site.world.record("SR", sr)
    if not record["shared"]:
        raise Failure("SR_OPERATION_NOT_SUPPORTED", sr)
    attached = {
        site.world.record("PBD", pbd)["host"]
        for pbd in record["PBDs"]
        if site.world.record("PBD", pbd)["currently_attached"]
    }
    if any(host not in attached for host in site.machines):
        raise Failure("HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED", sr)


def statefile(site: Site, sr: str) -> str:
    return site.world.add(
        "VDI",
        f"statefile {site.count('statefile made')}",
        name_label="Statefile for HA",
        SR=sr,
        virtual_size=4 * 1024**2,
        type="ha_statefile",
        sharable=True,
        managed=True,
    )


def set_on(site: Site, files: list[str], configuration: dict[str, str]) -> None:
    site.world.change(
        "pool",
        site.pool,
        ha_enabled=True,
        ha_statefiles=files,
        ha_configuration=configuration,
        ha_cluster_stack="xhad",
        allowed_operations=["ha_disable"],
    )
    for host in site.machines:
        site.world.change("host", host, ha_statefiles=files, ha_network_peers=list(site.machines))
    site.journal.write("pool", setting="ha_enabled", before=False, value=True)


async def disable(site: Site) -> None:
    """Switches HA off; its statefiles are gone afterwards. Nothing to do when it is off."""
    if not site.pool_record["ha_enabled"]:
        return
    await site.scheduler.sleep(DISABLING)
    files = list(site.pool_record["ha_statefiles"])
    site.world.change(
        "pool",
        site.pool,
        ha_enabled=False,
        ha_statefiles=[],
        ha_overcommitted=False,
        allowed_operations=["ha_enable", "designate_new_master", "apply_updates"],
    )
    for host in site.machines:
        site.world.change("host", host, ha_statefiles=[], ha_network_peers=[])
    for file in files:
        site.world.remove("VDI", file)
    site.journal.write("pool", setting="ha_enabled", before=True, value=False)
