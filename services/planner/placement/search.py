"""What is tried when the first attempt leaves a VM without a place: other places for the VMs that leave, then moves of
VMs on the receiving hosts that make room. Pure, and bounded by a count of attempts, never by a clock.

It is a search in depth: the largest VM without a place gets one, and where only another VM stands in its way, that one
is put out and needs a place itself. First nobody is put out, then one, then more. Every VM moves once at most. What
was found impossible once is not tried again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations

from services.planner.placement import constraints, sequence
from services.planner.placement.fill import largest_first
from services.planner.placement.ground import FAILED, MANY, Ground
from services.planner.placement.values import Move, Placement
from shared.domain.model import VM, Host

ATTEMPTS = 3000
"""So many places are tried for one answer at each number of VMs that are put out; it takes some tenths of a second."""

PUT_OUT = (0, 1, 2, 3, 4, 6, 9)
"""So many VMs of receiving hosts at most are moved to make room, the fewest first."""

NEAR = 12
"""So many hosts are tried for one VM, in pools of more."""

ANY = 3
"""Up to so many VMs are put out of one host for one that comes in any choice; more of them only as neighbours by size,
of which there are few."""


def search(ground: Ground, vms: Sequence[VM]) -> Placement | None:
    """A place for every VM that leaves, with the moves that make room and what waits for what; None where none is
    found."""
    if not _could_be(ground, vms):
        return None
    most = PUT_OUT if ground.conditions.may_make_room else PUT_OUT[:1]
    for allowed in most:
        if found := _Search(ground, vms, allowed).found():
            return found
    return None


def _could_be(ground: Ground, vms: Sequence[VM]) -> bool:
    """Whether there is memory at all: what moves make room on one host they take on another. VMs that may go to the
    same hosts are asked together, and all of them."""
    alike = {constraints.kind(vm): vm for vm in vms}
    reaches = [frozenset(host.uuid for host in ground.able(vm, ground.leaving)) for vm in alike.values()]
    together = frozenset().union(*reaches)
    needed = sum(ground.need(vm) for vm in vms)
    if needed > sum(max(0, ground.free[host]) for host in together | _beyond(ground, together)):
        return False
    return all(reaches)


def _beyond(ground: Ground, reach: frozenset[str]) -> frozenset[str]:
    """Hosts that VMs of others might be moved to, to make room."""
    return frozenset(ground.free) if ground.conditions.may_make_room else reach


class _Search:
    """One search, with so many VMs of receiving hosts put out at most."""

    def __init__(self, ground: Ground, vms: Sequence[VM], allowed: int) -> None:
        self.ground = ground
        self.before = dict(ground.free)
        self.leaving = {vm.uuid for vm in vms}
        self.pending = largest_first(ground, vms)
        self.allowed = allowed
        self.attempts = ATTEMPTS
        self.places: dict[str, Move] = {}
        self.out: set[str] = set()
        self.failed: set[object] = set()
        self.ordered: tuple[Move, ...] = ()

    def found(self) -> Placement | None:
        """The answer, or None. The ground is left as it was."""
        ok = self._go_on(self.pending, self.allowed)
        for move in self.places.values():
            self.ground.take(move.vm, move.to.uuid)
            if move.source:
                self.ground.put(move.vm, move.source.uuid)
        if not ok:
            return None
        moves = tuple(move for move in self.ordered if move.source is None)
        rooms = tuple(move for move in self.ordered if move.source is not None)
        return Placement(moves, (), rooms, sequence.needs(self.ordered, self.before))

    def _go_on(self, pending: Sequence[VM], allowed: int) -> bool:
        if not pending:
            return self._in_order()
        state = (tuple(vm.uuid for vm in pending), allowed, self._room())
        if self.attempts <= 0 or state in self.failed:
            return False
        vm, rest = pending[0], pending[1:]
        for host, out in self._options(vm, allowed):
            self.attempts -= 1
            if self._tried(vm, host, out, rest, allowed):
                return True
            if self.attempts <= 0:
                return False
        self.failed.add(state)
        return False

    def _room(self) -> object:
        """What decides whether it can go on from here: the room on every host; in a pool of many who stands where."""
        if len(self.ground.free) <= MANY:
            return tuple(self.ground.free.values())
        return frozenset((vm, move.to.uuid) for vm, move in self.places.items())

    def _tried(self, vm: VM, host: Host, out: tuple[VM, ...], rest: Sequence[VM], allowed: int) -> bool:
        """A VM on a host from which others are put out, and whatever follows from that."""
        source = self._source(vm)
        for one in out:
            self.ground.take(one, host.uuid)
            self.out.add(one.uuid)
        self.ground.put(vm, host.uuid)
        self.places[vm.uuid] = Move(vm, host, self.ground.need(vm), source)
        if self._go_on(largest_first(self.ground, [*rest, *out]) if out else rest, allowed - len(out)):
            return True
        del self.places[vm.uuid]
        self.ground.take(vm, host.uuid)
        for one in out:
            self.ground.put(one, host.uuid)
            self.out.discard(one.uuid)
        return False

    def _source(self, vm: VM) -> Host | None:
        return None if vm.uuid in self.leaving else self.ground.hosts[vm.host or ""]

    def _options(self, vm: VM, allowed: int) -> Iterator[tuple[Host, tuple[VM, ...]]]:
        """Hosts for a VM, those with room first (the most welcome, then the fullest); then those from which others must
        be put out."""
        ground, needed = self.ground, self.ground.need(vm)
        source = self._source(vm) or ground.leaving
        able = [host for host in ground.near(vm, source) if self._may(vm, host)]
        fits = [host for host in able if ground.free[host.uuid] >= needed]
        fits.sort(key=lambda host: (ground.tier(vm, host.uuid), ground.beside(vm, host.uuid), ground.free[host.uuid]))
        for host in fits[:NEAR]:
            yield host, ()
        if not allowed:
            return
        full = [host for host in able if ground.free[host.uuid] < needed]
        full.sort(key=lambda host: (ground.tier(vm, host.uuid) == FAILED, -ground.free[host.uuid]))
        for host in full[:NEAR]:
            for out in self._put_out(host, needed - ground.free[host.uuid], allowed):
                yield host, out

    def _may(self, vm: VM, host: Host) -> bool:
        """Whether a VM that is put out could come back from there: its host is updated later or runs the same."""
        if vm.uuid in self.leaving or vm.host is None:
            return True
        given, home = self.ground.conditions, self.ground.hosts[vm.host]
        if home.uuid in given.coming:
            return True
        if host.uuid in given.newest and home.uuid not in given.newest:
            return False
        return not constraints.older(home.versions, host.versions)

    def _put_out(self, host: Host, missing: int, most: int) -> Iterator[tuple[VM, ...]]:
        """The sets of VMs that a host could spare, no more of them than are needed; the least memory first."""
        may, need = self.ground.conditions.may_make_room, self.ground.need
        if may is None:
            return
        there = [vm for vm in self.ground.snapshot.resident(host.uuid) if vm.uuid not in self.out and may(vm)]
        there = sorted(there, key=need)[:NEAR]
        for count in range(1, most + 1):
            some = combinations(there, count) if count <= ANY else _neighbours(there, count)
            sets = [out for out in some if self._just_enough(out, missing)]
            yield from sorted(sets, key=lambda out: sum(map(need, out)))[:NEAR]

    def _just_enough(self, out: Sequence[VM], missing: int) -> bool:
        sizes = [self.ground.need(vm) for vm in out]
        return sum(sizes) >= missing > sum(sizes) - min(sizes)

    def _in_order(self) -> bool:
        """Whether the moves can be put in an order in which each fits."""
        moves = sorted(self.places.values(), key=lambda move: (move.source is None, -move.memory, move.vm.name))
        ordered = sequence.in_order(moves, self.before)
        if ordered is None:
            return False
        self.ordered = ordered
        return True


def _neighbours(vms: Sequence[VM], count: int) -> Iterator[tuple[VM, ...]]:
    """So many VMs each, next to each other in their order."""
    return (tuple(vms[first : first + count]) for first in range(len(vms) - count + 1))
