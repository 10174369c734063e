"""The room there is while one host is emptied: who may go where, and what is free. Lives for one placement."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from services.planner.placement import constraints
from services.planner.placement.values import Conditions, Need
from shared.domain.model import VM, Host, PoolSnapshot

Entry = tuple[int, str, str]
"""A host in a queue: bytes free, name, uuid."""

MANY = 100
"""So many hosts at most are looked at for one VM, however many the pool has."""

FAILED = 3
"""The tier of a host to which a VM failed to go before: the last resort."""

Reach = Callable[[VM], Sequence[Host]]


class Ground:
    """Free memory of the hosts that may be entered, counted by one `need`, as VMs are put and taken."""

    def __init__(
        self,
        snapshot: PoolSnapshot,
        leaving: Host,
        conditions: Conditions,
        need: Need,
        rooms: dict[str, int],
        reach: Reach,
    ) -> None:
        self.snapshot = snapshot
        self.leaving = leaving
        self.conditions = conditions
        self.need = need
        promised = conditions.promised
        self.free = {
            host.uuid: rooms[host.uuid] - promised.get(host.uuid, 0)
            for host in snapshot.hosts
            if host.uuid != leaving.uuid and host.uuid not in conditions.closed
        }
        self.hosts = {host.uuid: host for host in snapshot.hosts}
        self._reach = reach
        self._able: dict[object, list[Host]] = {}
        self._queues: dict[object, tuple[list[Entry], ...]] = {}
        self._queued_in: dict[str, list[list[Entry]]] = {}
        self._members: dict[str, Counter[str]] = {}

    # --- who may go where ---------------------------------------------------------------------------------------------

    def able(self, vm: VM, source: Host) -> list[Host]:
        """The hosts that a VM may go to from a host, memory aside."""
        key = (source.uuid, constraints.kind(vm))
        if key not in self._able:
            self._able[key] = [host for host in self._reach(vm) if host.uuid in self.free and self._takes(source, host)]
        return self._able[key]

    def _takes(self, source: Host, target: Host) -> bool:
        """Whether a host takes VMs from another as far as the two alone decide it."""
        given = self.conditions
        if target.uuid == source.uuid:
            return False
        if target.cpu_vendor and source.cpu_vendor and target.cpu_vendor != source.cpu_vendor:
            return False
        if constraints.backwards(source.uuid, target.uuid, given.newest, given.coming):
            return False
        return target.uuid in given.newest or not constraints.older(target.versions, source.versions)

    def tier(self, vm: VM, host: str) -> int:
        """How unwelcome a host is to a VM: 0 no word against it, 1 its own VMs come home just now, 2 it will be emptied
        again, FAILED it failed to before."""
        if host in self.conditions.avoid.get(vm.uuid, ()):
            return FAILED
        if host in self.conditions.soon:
            return 2
        return 1 if host in self.conditions.busy else 0

    def beside(self, vm: VM, host: str) -> int:
        """How many other VMs of its group stand on a host: anti-affinity keeps them apart where it can (best effort, as
        XAPI's own xapi_vm_group_helpers.ml is)."""
        return self._group(vm.group)[host] if vm.group else 0

    def _group(self, group: str) -> Counter[str]:
        if group not in self._members:
            inside = (vm.host for vm in self.snapshot.vms if vm.group == group and vm.host)
            self._members[group] = Counter(inside)
        return self._members[group]

    # --- what is free -------------------------------------------------------------------------------------------------

    def put(self, vm: VM, host: str) -> None:
        """A VM goes to a host."""
        self._set(host, self.free[host] - self.need(vm))
        if vm.group:
            self._group(vm.group)[host] += 1

    def take(self, vm: VM, host: str) -> None:
        """A VM goes from a host."""
        self._set(host, self.free[host] + self.need(vm))
        if vm.group:
            self._group(vm.group)[host] -= 1

    def _set(self, host: str, free: int) -> None:
        before, name = self.free[host], self.hosts[host].name
        self.free[host] = free
        for queue in self._queued_in.get(host, ()):
            del queue[bisect_left(queue, (before, name, host))]
            insort(queue, (free, name, host))

    def choose(self, vm: VM, packed: bool) -> str | None:
        """The host for a VM that leaves: of the most welcome, where fewest of its group stand, the roomiest, or the
        fullest that takes it. None where none has the room. No host is asked that is not near the answer."""
        for queue in self._queue(vm):
            best: tuple[int, str] | None = None
            for _, _, host in islice(self._fitting(queue, self.need(vm), packed), MANY):
                company = self.beside(vm, host)
                if best is None or company < best[0]:
                    best = company, host
                if not best[0]:
                    break
            if best:
                return best[1]
        return None

    def near(self, vm: VM, source: Host) -> list[Host]:
        """The hosts that a VM may go to from a host; in a pool of many those alone whose free memory is nearest to what
        it needs, some that have it and some that have not, of each tier."""
        if len(self.free) <= MANY:
            return self.able(vm, source)
        found: list[Entry] = []
        each = MANY // (2 * (FAILED + 1))
        for queue in self._queue(vm):
            first = bisect_left(queue, (self.need(vm), "", ""))
            found += queue[max(0, first - each) : first + each]
        return [self.hosts[host] for _, _, host in found if self._takes(source, self.hosts[host])]

    def _fitting(self, queue: list[Entry], needed: int, packed: bool) -> Iterator[Entry]:
        """The hosts of a queue that have the room, best first."""
        first = bisect_left(queue, (needed, "", ""))
        places = range(first, len(queue)) if packed else range(len(queue) - 1, first - 1, -1)
        return (queue[place] for place in places)

    def _queue(self, vm: VM) -> tuple[list[Entry], ...]:
        """Its able hosts by free memory, a queue for each tier."""
        avoided = self.conditions.avoid.get(vm.uuid, frozenset())
        key = (constraints.kind(vm), avoided)
        if key not in self._queues:
            tiers: tuple[list[Entry], ...] = tuple([] for _ in range(FAILED + 1))
            for host in self.able(vm, self.leaving):
                queue = tiers[self.tier(vm, host.uuid)]
                queue.append((self.free[host.uuid], host.name, host.uuid))
                self._queued_in.setdefault(host.uuid, []).append(queue)
            for queue in tiers:
                queue.sort()
            self._queues[key] = tiers
        return self._queues[key]
