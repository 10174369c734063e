"""One turn's placement as a question to CP-SAT: is there one, with moves that make room, in an order in which each
fits?

The rules are written here once more, from docs/planning.md, and not taken from the code that is judged.

What is decided: places of VMs on the receiving hosts at each of `steps` + 1 moments, one move at most between two of
them, and then a place for each VM that leaves. It loses nothing that those come last: a VM that has not come yet takes
no memory. The load of a host is counted with the VM that is on its way to it while it is still where it was, so no
capacity is exceeded at any moment. Anti-affinity and hosts better avoided are wishes and forbid nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from shared.domain.model import VM, Host
from tests.prove import solver
from tests.prove.worlds import MIB, OLDER, World
from tests.services.planner.play import NEW

STEPS = 8
"""So many moves that make room are asked for at the most. Where not even the places at the end exist (`ends`), no
number of moves helps."""

WORK = 5.0
"""What CP-SAT may spend on one question."""


def reaches(world: World, vm: VM, source: Host, to: Host) -> bool:
    """Whether a VM may be moved from a host to another, memory aside."""
    given = world.conditions
    new = to.versions == NEW or to.uuid in given.newest
    return (
        to.uuid not in (source.uuid, world.leaving.uuid)
        and to.uuid not in given.closed
        and to.live
        and to.enabled
        and set(vm.srs) <= set(to.attached)
        and set(vm.networks) <= set(to.networks)
        and vm.cpu_features in (to.cpu_features, OLDER)
        and (new or source.versions != NEW)
        and not (source.uuid in given.newest and to.uuid in given.coming)
    )


def comes_back(world: World, home: Host, to: Host) -> bool:
    """Whether a VM that makes room on its home can go back there later: it is updated later, or runs the same."""
    given = world.conditions
    if home.uuid in given.coming:
        return True
    return not (to.uuid in given.newest and home.uuid not in given.newest) and not (
        to.versions == NEW and home.versions != NEW
    )


def need(world: World, vm: VM) -> int:
    """MiB that a VM takes: what it has now, or its minimum where guests may be squeezed."""
    size = vm.memory if world.conditions.squeeze else max(vm.memory, vm.memory_now)
    return -(-(size + vm.memory_overhead) // MIB)


def room(world: World, host: Host) -> int:
    """MiB for VMs on a host, all that it has but what is promised there."""
    return (host.memory_total - host.memory_overhead - world.conditions.promised.get(host.uuid, 0)) // MIB


@dataclass(frozen=True, slots=True)
class Found:
    """An answer: `said` as CP-SAT says it, places of VMs that leave and the moves that make room (VM and host by uuid,
    in their order); `extra` the MiB that hosts were given so that there is one."""

    said: solver.Said
    places: Mapping[str, str]
    rooms: tuple[tuple[str, str], ...] = ()
    extra: int = 0

    @property
    def found(self) -> bool:
        """Whether there is a placement."""
        return self.said in ("optimal", "feasible")


def ends(world: World, more: Mapping[str, int] | None = None, *, work: float = WORK) -> Found:
    """Whether there are places for all VMs at the end, in whatever order they get there. `more` are MiB given to hosts.
    Where there are none, there is no placement by any number of moves."""
    model = solver.new_model()
    asked = _Model(world, model, more or {})
    asked.leave(asked.anywhere())
    return asked.answer(solver.ask(model, work=work))


def least_short(world: World, *, work: float = WORK) -> Found:
    """The fewest MiB, given to any hosts, with which there were places for all VMs at the end."""
    model = solver.new_model()
    asked = _Model(world, model, {})
    asked.leave(asked.anywhere(), lacking=True)
    return asked.answer(solver.ask(model, work=work))


def moves(
    world: World, steps: int, more: Mapping[str, int] | None = None, *, work: float = WORK,
    hint: Iterable[tuple[str, str]] = (),
) -> Found:  # fmt: skip
    """A placement with at most so many moves that make room, each fitting when it begins; `hint` are such moves."""
    model = solver.new_model()
    asked = _Model(world, model, more or {})
    asked.leave(asked.stepwise(steps, tuple(hint)))
    return asked.answer(solver.ask(model, work=work))


class _Model:
    """One question while it is written down."""

    def __init__(self, world: World, model: Any, more: Mapping[str, int]) -> None:
        self.world, self.model = world, model
        self.hosts = {one.uuid: one for one in world.snapshot.hosts if one.uuid != world.leaving.uuid}
        self.room = {uuid: room(world, one) + more.get(uuid, 0) for uuid, one in self.hosts.items()}
        self.movable = [
            one for one in world.snapshot.vms if one.host in self.hosts and one.uuid in (world.movable or ())
        ]
        self.fixed = dict.fromkeys(self.hosts, 0)
        movable = {one.uuid for one in self.movable}
        for one in world.snapshot.vms:
            if one.host in self.hosts and one.uuid not in movable:
                self.fixed[one.host] += need(world, one)
        self.places: dict[tuple[str, str], Any] = {}
        self.moments: list[dict[str, dict[str, Any]]] = []
        self.lacking: dict[str, Any] = {}

    def anywhere(self) -> dict[str, dict[str, Any]]:
        """For each VM that may make room where it may be at the end."""
        return {one.uuid: self._one_of(one, self._range(one)) for one in self.movable}

    def stepwise(self, steps: int, hint: tuple[tuple[str, str], ...]) -> dict[str, dict[str, Any]]:
        """The same after so many steps; the hosts hold what they carry at each of them."""
        now = {one.uuid: self._one_of(one, self._range(one)) for one in self.movable}
        for one in self.movable:
            assert one.host is not None
            self.model.add(now[one.uuid][one.host] == 1)
        self.moments = [now]
        moved_before = None
        for step in range(steps):
            after = {one.uuid: self._one_of(one, self._range(one)) for one in self.movable}
            goes = [self._step(one, now[one.uuid], after[one.uuid]) for one in self.movable]
            self.model.add_at_most_one(goes)
            if moved_before is not None:
                self.model.add(sum(goes) <= sum(moved_before))
            self._hint(after, hint[: step + 1])
            self._hold(after)
            now, moved_before = after, goes
            self.moments.append(now)
        return now

    def leave(self, at: dict[str, dict[str, Any]], *, lacking: bool = False) -> None:
        """Places for the VMs that leave, beside those that are there at the end."""
        world = self.world
        coming: dict[str, list[Any]] = {uuid: [] for uuid in self.hosts}
        for vm in world.vms:
            able = [uuid for uuid, one in self.hosts.items() if reaches(world, vm, world.leaving, one)]
            chosen = self._one_of(vm, able)
            for uuid, var in chosen.items():
                self.places[vm.uuid, uuid] = var
                coming[uuid].append(need(world, vm) * var)
        if lacking:
            self.lacking = {uuid: self.model.new_int_var(0, 1 << 20, "") for uuid in self.hosts}
            self.model.minimize(sum(self.lacking.values()))
        self._hold(at, coming)

    def answer(self, said: solver.Answer) -> Found:
        """What was said, as values."""
        if not said.found:
            return Found(said.said, {})
        places = {vm: host for (vm, host), var in self.places.items() if said.values(var)}
        rooms = [
            (vm, host)
            for before, after in zip(self.moments, self.moments[1:], strict=False)
            for vm, hosts in after.items()
            for host, var in hosts.items()
            if said.values(var) and not said.values(before[vm][host])
        ]
        return Found(said.said, places, tuple(rooms), round(said.objective))

    # --- parts ----------------------------------------------------------------------------------------------------

    def _one_of(self, vm: VM, hosts: Iterable[str]) -> dict[str, Any]:
        chosen = {uuid: self.model.new_bool_var(f"{vm.name} on {uuid}") for uuid in hosts}
        self.model.add_exactly_one(chosen.values())
        return chosen

    def _range(self, vm: VM) -> list[str]:
        """Where a VM that makes room may get to by any number of moves, its own host first."""
        assert vm.host is not None
        found = [vm.host]
        for here in found:
            found += [uuid for uuid in self.hosts if uuid not in found and self._edge(vm, here, uuid)]
        return found

    def _edge(self, vm: VM, here: str, to: str) -> bool:
        home = self.hosts[vm.host or ""]
        there = self.hosts[to]
        return reaches(self.world, vm, self.hosts[here], there) and (
            to == vm.host or comes_back(self.world, home, there)
        )

    def _step(self, vm: VM, now: dict[str, Any], after: dict[str, Any]) -> Any:
        """Whether a VM moves between two moments; only along what it may."""
        goes = self.model.new_bool_var("")
        for here, var in now.items():
            self.model.add_bool_or(after[here], goes).only_enforce_if(var)
            self.model.add(after[here] == 0).only_enforce_if(var, goes)
            for to, other in after.items():
                if to != here and not self._edge(vm, here, to):
                    self.model.add_bool_or(var.negated(), other.negated())
        return goes

    def _hold(self, at: dict[str, dict[str, Any]], coming: Mapping[str, list[Any]] | None = None) -> None:
        for uuid in self.hosts:
            there = [need(self.world, one) * at[one.uuid][uuid] for one in self.movable if uuid in at[one.uuid]]
            load = self.fixed[uuid] + sum(there) + sum(coming[uuid] if coming else [])
            if there or (coming and coming[uuid]):
                self.model.add(load <= self.room[uuid] + self.lacking.get(uuid, 0))

    def _hint(self, at: dict[str, dict[str, Any]], moved: Iterable[tuple[str, str]]) -> None:
        places = dict(moved)
        for one in self.movable:
            for uuid, var in at[one.uuid].items():
                self.model.add_hint(var, int(places.get(one.uuid, one.host) == uuid))
