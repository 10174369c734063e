"""Whether the hosts of a pool will run different versions in the middle of a run, and what XAPI refuses then. Pure.

Told from what the updaters offer, before anything is installed; None is said where it cannot be told (conduct 7).
"""

from __future__ import annotations

import re

from shared.domain.model import Host, PoolSnapshot, Versions

COMPARED = frozenset({"xapi-core", "xen-hypervisor", "xcp-ng-release"})
"""Packages whose versions XAPI compares between the hosts of a move (xen-api helpers.ml, Checks)."""

BY_XAPI_TOO = (25, 31)
"""Since this xapi the upgrade flag is set by its own major.minor too; before by the platform's version alone."""


def will_differ(snapshot: PoolSnapshot) -> bool | None:
    """Whether between the first and the last reboot VMs can only go to hosts that are as new (conduct 13, facts)."""
    if any(_compared(host.versions) != _compared(snapshot.hosts[0].versions) for host in snapshot.hosts):
        return True
    offered = [{package.name for package in host.updates} for host in snapshot.hosts if host.updates is not None]
    if any(names & COMPARED for names in offered):
        return True
    return False if len(offered) == len(snapshot.hosts) else None


def flag_will_be_set(snapshot: PoolSnapshot) -> bool | None:
    """Whether `rolling_upgrade_in_progress` will be set from the master's reboot until the last host's. While it is,
    XAPI refuses snapshots, and so backups, storage motion of single disks, and HA (xen-api db_gc.ml, xapi_globs.ml)."""
    if snapshot.settings.rolling_upgrade_in_progress:
        return True
    told = [_rises(host) for host in snapshot.hosts]
    return True if True in told else None if None in told else False


def _rises(host: Host) -> bool | None:
    """Whether a host's updates change what the flag is set by."""
    if host.updates is None:
        return None
    offered = {package.name: package.version for package in host.updates}
    product = host.versions.product.rpartition(" ")[2]
    if "xcp-ng-release" in offered and product and _numbers(offered["xcp-ng-release"]) != _numbers(product):
        return True
    if "xapi-core" not in offered:
        return False
    now = _numbers(host.versions.xapi or host.versions.xapi_build)[:2]
    if not now:
        return None
    after = _numbers(offered["xapi-core"])[:2]
    return now != after and max(now, after) >= BY_XAPI_TOO


def _compared(versions: Versions) -> tuple[str, str, str]:
    return versions.platform, versions.xapi_build, versions.xen


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version))
