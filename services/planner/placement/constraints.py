"""What forbids a host to a VM, memory aside, and how much memory a VM takes. Pure."""

from __future__ import annotations

import re
from functools import lru_cache

from shared.domain.model import VM, Host, PoolSnapshot, Versions, lacking


def comfortable(vm: VM) -> int:
    """Bytes a VM takes with the memory it has now."""
    return max(vm.memory_now, vm.memory) + vm.memory_overhead


def tight(vm: VM) -> int:
    """Bytes a VM takes at its dynamic minimum, as XAPI counts (xen-api memory_check.ml)."""
    return vm.footprint


def obstacle(snapshot: PoolSnapshot, vm: VM, source: Host, target: Host, newest: frozenset[str]) -> str:
    """Why a host cannot take a VM, memory aside; empty when it can."""
    if why := unreached(snapshot, vm, target):
        return why
    if target.cpu_vendor and source.cpu_vendor and target.cpu_vendor != source.cpu_vendor:
        return f"{target.name} has another make of CPU"
    if target.uuid not in newest and older(target.versions, source.versions):
        return f"{target.name} runs older software than {source.name}"
    return ""


def unreached(snapshot: PoolSnapshot, vm: VM, target: Host) -> str:
    """Why a host cannot take a VM wherever it comes from; empty when it can. The same for all VMs of one `kind`."""
    if not target.live:
        return f"{target.name} is not live"
    if not target.enabled:
        return f"{target.name} is disabled"
    if missing := [sr for sr in vm.srs if sr not in target.attached]:
        return f"{target.name} does not reach the storage {snapshot.sr_name(missing[0])!r}"
    if any(network not in target.networks for network in vm.networks):
        return f"{target.name} is not on every network of the VM"
    if vm.cpu_features != target.cpu_features and lacking(vm.cpu_features, target.cpu_features):
        return f"the CPU of {target.name} lacks what {vm.name} saw at its boot"
    return ""


def kind(vm: VM) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """What of a VM decides which hosts it reaches."""
    return vm.srs, vm.networks, vm.cpu_features


def backwards(source: str, target: str, newest: frozenset[str], coming: frozenset[str]) -> bool:
    """Whether a move leads from a host that is updated in this run to one that will be only later (hosts by uuid)."""
    return source in newest and target in coming


@lru_cache(maxsize=4096)
def older(target: Versions, source: Versions) -> bool:
    """Whether a target is lower than a source in any key that a migration compares (xen-api helpers.ml, Checks)."""
    if target == source:
        return False
    pairs = (
        (target.platform, source.platform),
        (target.xapi_build, source.xapi_build),
        (target.xen, source.xen),
    )
    return any(_numbers(low) < _numbers(high) for low, high in pairs if low and high)


@lru_cache(maxsize=4096)
def _numbers(version: str) -> tuple[int, ...]:
    """A version as numbers: split on dots and the first dash."""
    return tuple(int(part) for part in re.findall(r"\d+", version.replace("-", ".", 1)))
