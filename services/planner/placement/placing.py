"""A place for each VM that leaves a host: filled, and searched for where filling leaves one without. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.planner.placement import constraints
from services.planner.placement.constraints import comfortable, tight
from services.planner.placement.fill import fill
from services.planner.placement.ground import Ground
from services.planner.placement.search import search
from services.planner.placement.values import Conditions, Need, Placement
from shared.domain.model import VM, Host, PoolSnapshot


def place(snapshot: PoolSnapshot, leaving: Host, vms: Sequence[VM], conditions: Conditions) -> Placement:
    """A place for each VM that leaves a host, under all constraints.

    Spread first (the roomiest host takes the next-largest VM), since the load of the hosts then stays even; packed
    where spreading leaves one without a place; then searched for. Guests are squeezed to their dynamic minimum only
    when allowed, and when nothing else helps.
    """
    return Placer(snapshot).place(leaving, vms, conditions)


def _lacks(found: Placement) -> tuple[int, int]:
    """How many VMs are without a place, and the bytes they lack."""
    return len(found.short), sum(short.missing for short in found.short)


class Placer:
    """Placements on one snapshot. What they have in common is counted once: the room on every host, and which hosts
    VMs of a kind reach."""

    def __init__(self, snapshot: PoolSnapshot) -> None:
        self.snapshot = snapshot
        self._rooms: dict[Need, dict[str, int]] = {}
        self._reach: dict[object, tuple[Host, ...]] = {}

    def place(self, leaving: Host, vms: Sequence[VM], conditions: Conditions) -> Placement:
        """A place for each VM that leaves a host; or the attempt that leaves the fewest without."""
        best: Placement | None = None
        for need in (comfortable, tight) if conditions.squeeze else (comfortable,):
            best = None
            for packed in (False, True):
                found = fill(self._ground(leaving, conditions, need), vms, packed=packed)
                if not found.short:
                    return found
                if best is None or _lacks(found) < _lacks(best):
                    best = found
            if searched := search(self._ground(leaving, conditions, need), vms):
                return searched
        return best or Placement()

    def _ground(self, leaving: Host, conditions: Conditions, need: Need) -> Ground:
        if need not in self._rooms:
            self._rooms[need] = {host.uuid: self._room(host, need) for host in self.snapshot.hosts}
        return Ground(self.snapshot, leaving, conditions, need, self._rooms[need], self._reached)

    def _room(self, host: Host, need: Need) -> int:
        taken = sum(need(vm) for vm in self.snapshot.resident(host.uuid))
        return host.memory_total - host.memory_overhead - taken

    def _reached(self, vm: VM) -> tuple[Host, ...]:
        key = constraints.kind(vm)
        if key not in self._reach:
            hosts = self.snapshot.hosts
            self._reach[key] = tuple(one for one in hosts if not constraints.unreached(self.snapshot, vm, one))
        return self._reach[key]
