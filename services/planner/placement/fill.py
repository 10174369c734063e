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
    without: list[VM] = []
    for vm in largest_first(ground, vms):
        to = ground.choose(vm, packed)
        if to is None:
            without.append(vm)
            continue
        ground.put(vm, to)
        moves.append(Move(vm, ground.hosts[to], ground.need(vm)))
    return Placement(tuple(moves), tuple(_why_short(ground, vm) for vm in without))


def _why_short(ground: Ground, vm: VM) -> Short:
    """How much a VM lacks once all others have their places. It is put on its roomiest host all the same, so that the
    next one is not told of the same room: with so many bytes more as are told in all, every VM has a place."""
    leaving, given = ground.leaving, ground.conditions
    if able := ground.able(vm, leaving):
        roomiest = max(able, key=lambda host: ground.free[host.uuid])
        missing = ground.need(vm) - max(0, ground.free[roomiest.uuid])
        ground.put(vm, roomiest.uuid)
        return Short(vm, missing, "no other host has enough free memory")
    targets = [host for host in ground.snapshot.hosts if host.uuid in ground.free]
    if not targets:
        return Short(vm, 0, "there is no other host")
    reasons = dict.fromkeys(
        constraints.obstacle(ground.snapshot, vm, leaving, host, given.newest)
        or f"{host.name} runs older software than {leaving.name}"
        for host in targets
    )
    return Short(vm, 0, "; ".join(reasons))
