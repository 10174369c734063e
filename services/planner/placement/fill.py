"""The first attempt: the largest VM first, each to the best host for it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from services.planner.placement import constraints
from services.planner.placement.ground import Ground
from services.planner.placement.values import Move, Placement, Short
from shared.domain.model import VM


def largest_first(ground: Ground, vms: Iterable[VM]) -> list[VM]:
    """VMs by what they need, the largest first."""
    return sorted(vms, key=lambda vm: (-ground.need(vm), vm.name, vm.uuid))


def fill(ground: Ground, vms: Sequence[VM], *, packed: bool) -> Placement:
    """A place for each VM as it comes: spread, or packed. What is placed stays so; others may be left without."""
    moves: list[Move] = []
    short: list[Short] = []
    for vm in largest_first(ground, vms):
        to = ground.choose(vm, packed)
        if to is None:
            short.append(_why_short(ground, vm))
            continue
        ground.put(vm, to)
        moves.append(Move(vm, ground.hosts[to], ground.need(vm)))
    return Placement(tuple(moves), tuple(short))


def _why_short(ground: Ground, vm: VM) -> Short:
    leaving, given = ground.leaving, ground.conditions
    if able := ground.able(vm, leaving):
        most = max(ground.free[host.uuid] for host in able)
        return Short(vm, ground.need(vm) - max(0, most), "no other host has enough free memory")
    targets = [host for host in ground.snapshot.hosts if host.uuid in ground.free]
    if not targets:
        return Short(vm, 0, "there is no other host")
    reasons = dict.fromkeys(
        constraints.obstacle(ground.snapshot, vm, leaving, host, given.newest)
        or f"{host.name} runs older software than {leaving.name}"
        for host in targets
    )
    return Short(vm, 0, "; ".join(reasons))
