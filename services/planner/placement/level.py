"""The moves that level the hosts of a pool: as few as it takes, the largest VMs first. Pure.

The load of a host is what its VMs take of the memory that VMs may take there, 0 to 1. A VM goes from a host that is
fuller than the pool as a whole to one that is emptier, and only where nothing forbids it. It is done in rounds: a host
that receives has the room before anything leaves it, so the moves of a round fit in whatever order they are made. Each
move brings the two hosts nearer to the middle, so it comes to an end.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from services.planner.placement.constraints import comfortable, obstacle
from services.planner.placement.values import Move
from shared.domain.model import VM, Host, PoolSnapshot

WITHIN = 0.10
"""So far the loads of the fullest and the emptiest host may lie apart at the end (10 percentage points)."""

ROUNDS = 5
"""So many at most; nearly always one is enough."""

May = Callable[[VM, Host, Host], bool]
"""Whether a VM may go from a host to another, as far as the caller knows."""


def level(
    snapshot: PoolSnapshot, newest: frozenset[str], may: May, within: float = WITHIN
) -> tuple[tuple[Move, ...], ...]:
    """Rounds of moves after which the loads of the hosts that take VMs lie `within` of each other, or as near as moves
    bring them; a round begins when the one before it is over, and a VM moves once in it. `newest` are hosts that run
    the new versions whatever the snapshot says."""
    rounds: list[tuple[Move, ...]] = []
    while len(rounds) < ROUNDS and (moves := tuple(_Scales(snapshot, newest, may, within).moves())):
        rounds.append(moves)
        snapshot = moved(snapshot, moves)
    return tuple(rounds)


def moved(snapshot: PoolSnapshot, moves: Iterable[Move]) -> PoolSnapshot:
    """The pool after these moves."""
    put = {move.vm.uuid: move.to.uuid for move in moves}
    vms = tuple(replace(vm, host=put[vm.uuid]) if vm.uuid in put else vm for vm in snapshot.vms)
    return replace(snapshot, vms=vms)


def loads(snapshot: PoolSnapshot) -> dict[str, float]:
    """The load of each host that takes VMs, by uuid."""
    return {
        host.uuid: sum(comfortable(vm) for vm in snapshot.resident(host.uuid)) / _usable(host)
        for host in snapshot.hosts
        if host.live and host.enabled and _usable(host) > 0
    }


def _usable(host: Host) -> int:
    return host.memory_total - host.memory_overhead


class _Scales:
    """The loads while VMs are put from one host on another. Lives for one answer."""

    def __init__(self, snapshot: PoolSnapshot, newest: frozenset[str], may: May, within: float) -> None:
        self.snapshot, self.newest, self.may, self.within = snapshot, newest, may, within
        self.load = loads(snapshot)
        self.hosts = {host.uuid: host for host in snapshot.hosts if host.uuid in self.load}
        self.left = {uuid: _usable(host) * (1 - self.load[uuid]) for uuid, host in self.hosts.items()}
        self.vms = {uuid: sorted(snapshot.resident(uuid), key=_largest_first) for uuid in self.hosts}
        self.groups = Counter((vm.group, vm.host) for vm in snapshot.vms if vm.group and vm.host)
        whole = sum(map(_usable, self.hosts.values()))
        self.middle = sum(load * _usable(self.hosts[uuid]) for uuid, load in self.load.items()) / max(1, whole)

    def moves(self) -> Iterator[Move]:
        while self.load and max(self.load.values()) - min(self.load.values()) > self.within:
            found = next(self._found(), None)
            if found is None:
                return
            vm, source, target = found
            self.vms[source.uuid].remove(vm)
            self.left[target.uuid] -= comfortable(vm)
            self.load[source.uuid], self.load[target.uuid] = self._after(vm, source, target)
            self.groups[vm.group, source.uuid] -= 1
            self.groups[vm.group, target.uuid] += 1
            yield Move(vm, target, comfortable(vm), source)

    def _found(self) -> Iterator[tuple[VM, Host, Host]]:
        """Moves that bring the hosts nearer to each other, the best first: between hosts of which one is the farthest
        from the middle of all."""
        for source, target in self._pairs():
            if vm := self._best(source, target):
                yield vm, source, target

    def _pairs(self) -> Iterator[tuple[Host, Host]]:
        ordered = sorted(self.load, key=lambda uuid: self.load[uuid])
        fuller = [uuid for uuid in reversed(ordered) if self.load[uuid] > self.middle]
        emptier = [uuid for uuid in ordered if self.load[uuid] < self.middle]
        if not fuller or not emptier:
            return
        from_top = [(fuller[0], target) for target in emptier]
        to_bottom = [(source, emptier[0]) for source in fuller]
        top_first = self.load[fuller[0]] - self.middle >= self.middle - self.load[emptier[0]]
        for source, target in (*from_top, *to_bottom) if top_first else (*to_bottom, *from_top):
            yield self.hosts[source], self.hosts[target]

    def _best(self, source: Host, target: Host) -> VM | None:
        """The largest VM after whose move neither host is farther from the middle than the others may be; else the one
        that leaves the two nearest to it, if that is nearer than they are."""
        half = self.within / 2
        now = max(self.load[source.uuid] - self.middle, self.middle - self.load[target.uuid])
        nearest: tuple[float, VM] | None = None
        for vm in self.vms[source.uuid]:
            above, below = self._after(vm, source, target)
            far = max(abs(above - self.middle), abs(below - self.middle))
            good = above >= self.middle - half and below <= self.middle + half
            if not good and (far >= now or (nearest and far >= nearest[0])):
                continue
            if not self._takes(vm, source, target):
                continue
            if good:
                return vm
            nearest = far, vm
        return nearest[1] if nearest else None

    def _after(self, vm: VM, source: Host, target: Host) -> tuple[float, float]:
        size = comfortable(vm)
        return self.load[source.uuid] - size / _usable(source), self.load[target.uuid] + size / _usable(target)

    def _takes(self, vm: VM, source: Host, target: Host) -> bool:
        """Whether a VM may go there: it has the room now, none of its group is there, and nothing forbids it."""
        if self.left[target.uuid] < comfortable(vm) or (vm.group and self.groups[vm.group, target.uuid] > 0):
            return False
        return not obstacle(self.snapshot, vm, source, target, self.newest) and self.may(vm, source, target)


def _largest_first(vm: VM) -> tuple[int, str, str]:
    return -comfortable(vm), vm.name, vm.uuid
