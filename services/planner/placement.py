"""Where VMs can go. Pure: a snapshot, a host to be emptied, room already promised; out comes a place for each VM, or
by how much it is short.

The planner chooses, not XAPI: XAPI's own planner refuses a VM that any one host cannot take, and packs by memory only.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.domain.model import VM, Host, PoolSnapshot, Versions, lacking


@dataclass(frozen=True, slots=True)
class Move:
    """A VM and the host it goes to; `memory` in bytes, overhead included."""

    vm: VM
    to: Host
    memory: int


@dataclass(frozen=True, slots=True)
class Short:
    """A VM with no place. `missing` bytes on the roomiest host that could take it but for memory; 0 when no host
    could, and `because` says why."""

    vm: VM
    missing: int
    because: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The moves, largest VM first, and the VMs that found no place."""

    moves: tuple[Move, ...] = ()
    short: tuple[Short, ...] = ()


@dataclass(frozen=True, slots=True)
class Conditions:
    """What else holds while a host is emptied: hosts that may not be entered, hosts that run the new versions already
    whatever the snapshot says, bytes promised on hosts, hosts that a VM should rather not go to (it failed to before),
    and whether guests may be squeezed."""

    closed: frozenset[str] = frozenset()
    newest: frozenset[str] = frozenset()
    promised: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    avoid: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    squeeze: bool = False


Need = Callable[[VM], int]


def place(snapshot: PoolSnapshot, leaving: Host, vms: Sequence[VM], conditions: Conditions) -> Placement:
    """A place for each VM that leaves a host, under all constraints.

    Spread first (the roomiest host takes the next-largest VM), since the load of the hosts then stays even; packed
    where spreading leaves one without a place. Guests are squeezed to their dynamic minimum only when allowed.
    """
    needs: Sequence[Need] = (comfortable, tight) if conditions.squeeze else (comfortable,)
    best: Placement | None = None
    for need in needs:
        for packed in (False, True):
            found = _fill(snapshot, leaving, vms, conditions, need, _fullest if packed else _roomiest)
            if not found.short:
                return found
            if best is None or len(found.short) < len(best.short):
                best = found
    return best or Placement()


def comfortable(vm: VM) -> int:
    """Bytes a VM takes with the memory it has now."""
    return max(vm.memory_now, vm.memory) + vm.memory_overhead


def tight(vm: VM) -> int:
    """Bytes a VM takes at its dynamic minimum, as XAPI counts (xen-api memory_check.ml)."""
    return vm.footprint


def obstacle(snapshot: PoolSnapshot, vm: VM, source: Host, target: Host, newest: frozenset[str]) -> str:
    """Why a host cannot take a VM, memory aside; empty when it can."""
    if not target.live:
        return f"{target.name} is not live"
    if not target.enabled:
        return f"{target.name} is disabled"
    if missing := [sr for sr in vm.srs if sr not in target.attached]:
        return f"{target.name} does not reach the storage {snapshot.sr_name(missing[0])!r}"
    if any(network not in target.networks for network in vm.networks):
        return f"{target.name} is not on every network of the VM"
    if target.cpu_vendor and source.cpu_vendor and target.cpu_vendor != source.cpu_vendor:
        return f"{target.name} has another make of CPU"
    if vm.cpu_features != target.cpu_features and lacking(vm.cpu_features, target.cpu_features):
        return f"the CPU of {target.name} lacks what {vm.name} saw at its boot"
    if target.uuid not in newest and older(target.versions, source.versions):
        return f"{target.name} runs older software than {source.name}"
    return ""


def older(target: Versions, source: Versions) -> bool:
    """Whether a target is lower than a source in any key that a migration compares (xen-api helpers.ml, Checks)."""
    pairs = (
        (target.platform, source.platform),
        (target.xapi_build, source.xapi_build),
        (target.xen, source.xen),
    )
    return any(_numbers(low) < _numbers(high) for low, high in pairs if low and high)


def _numbers(version: str) -> tuple[int, ...]:
    """A version as numbers: split on dots and the first dash."""
    return tuple(int(part) for part in re.findall(r"\d+", version.replace("-", ".", 1)))


def _fill(
    snapshot: PoolSnapshot,
    leaving: Host,
    vms: Sequence[VM],
    conditions: Conditions,
    need: Need,
    choose: Callable[[Iterable[Host], Mapping[str, int]], Host],
) -> Placement:
    targets = [host for host in snapshot.hosts if host.uuid != leaving.uuid and host.uuid not in conditions.closed]
    free = {host.uuid: _room(snapshot, host, need) - conditions.promised.get(host.uuid, 0) for host in targets}
    moves: list[Move] = []
    short: list[Short] = []
    for vm in sorted(vms, key=lambda vm: (-need(vm), vm.name, vm.uuid)):
        able = [host for host in targets if not obstacle(snapshot, vm, leaving, host, conditions.newest)]
        fits = [host for host in able if free[host.uuid] >= need(vm)]
        if not fits:
            short.append(_why_short(snapshot, leaving, vm, targets, able, free, need(vm), conditions))
            continue
        avoided = conditions.avoid.get(vm.uuid, frozenset())
        to = choose([host for host in fits if host.uuid not in avoided] or fits, free)
        free[to.uuid] -= need(vm)
        moves.append(Move(vm, to, need(vm)))
    return Placement(tuple(moves), tuple(short))


def _why_short(
    snapshot: PoolSnapshot,
    leaving: Host,
    vm: VM,
    targets: Sequence[Host],
    able: Sequence[Host],
    free: Mapping[str, int],
    needed: int,
    conditions: Conditions,
) -> Short:
    if able:
        most = max(free[host.uuid] for host in able)
        return Short(vm, needed - max(0, most), "no other host has enough free memory")
    if not targets:
        return Short(vm, 0, "there is no other host")
    reasons = dict.fromkeys(obstacle(snapshot, vm, leaving, host, conditions.newest) for host in targets)
    return Short(vm, 0, "; ".join(reasons))


def _room(snapshot: PoolSnapshot, host: Host, need: Need) -> int:
    taken = sum(need(vm) for vm in snapshot.resident(host.uuid))
    return host.memory_total - host.memory_overhead - taken


def _roomiest(hosts: Iterable[Host], free: Mapping[str, int]) -> Host:
    return max(hosts, key=lambda host: (free[host.uuid], host.name))


def _fullest(hosts: Iterable[Host], free: Mapping[str, int]) -> Host:
    return min(hosts, key=lambda host: (free[host.uuid], host.name))
