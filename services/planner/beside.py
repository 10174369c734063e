"""What other open turns of a run will still do, as a turn must know it that is planned beside them. Pure.

Their moves are counted wherever they are in their life: what has not ended takes room where it goes, and frees it where
it comes from; what ended after the survey is put where it is now.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from services.planner import pacing, placement, storage_moves
from shared.domain import acts
from shared.domain.model import PoolSnapshot
from shared.domain.run import Run, Step, StepState

Move = tuple[Step, acts.MigrateVM]


@dataclass(frozen=True, slots=True)
class Departure:
    """A VM that a step of another turn takes away from a host, and the bytes that this frees there."""

    step: str
    vm: str
    size: int


@dataclass(frozen=True, slots=True)
class Beside:
    """What is under way beside a turn, by uuid of hosts. Nothing may go to the `closed`, in a turn under way;
    `promised` are the bytes that moves not yet ended will take; `leaving` is what will go from a host, `arriving` the
    steps that bring VMs to it; `disks` the bytes that disks of a VM will take on an SR (uuids of both)."""

    closed: frozenset[str] = frozenset()
    promised: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    leaving: Mapping[str, tuple[Departure, ...]] = field(default_factory=lambda: MappingProxyType({}))
    arriving: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    disks: storage_moves.Promised = field(default_factory=lambda: MappingProxyType({}))


def of_turn(run: Run, turn: str, snapshot: PoolSnapshot) -> Beside:
    """What every other open turn will still do, sized by a snapshot that `brought_up` has made current."""
    sizes = {vm.uuid: placement.comfortable(vm) for vm in snapshot.vms}
    where = {vm.uuid: vm.host for vm in snapshot.vms}
    promised: dict[str, int] = {}
    leaving: dict[str, list[Departure]] = {}
    arriving: dict[str, list[str]] = {}
    for step, act in _moves(run, but=turn):
        if step.settled:
            continue
        size = sizes.get(act.vm.uuid, 0)
        if where.get(act.vm.uuid) != act.to.uuid or act.purpose == "home":
            promised[act.to.uuid] = promised.get(act.to.uuid, 0) + size
        here = where.get(act.vm.uuid) or ""
        if here != act.to.uuid and (here == act.away_from.uuid or act.purpose == "home"):
            leaving.setdefault(here, []).append(Departure(step.id, act.vm.uuid, size))
        arriving.setdefault(act.to.uuid, []).append(step.id)
    room = {vm.uuid: vm.memory_max + vm.memory_overhead for vm in snapshot.vms}
    for starting in _starts(run, but=turn):
        promised[starting.host.uuid] = promised.get(starting.host.uuid, 0) + room.get(starting.vm.uuid, 0)
    under_way = {other.host.uuid for other in pacing.under_way(run) if other.host and other.id != turn}
    return Beside(
        frozenset(under_way),
        promised,
        {host: tuple(departures) for host, departures in leaving.items()},
        {host: tuple(steps) for host, steps in arriving.items()},
        storage_moves.promised(act for step, act in _moves(run, but=turn) if not step.settled),
    )


def brought_up(run: Run, turn: str, snapshot: PoolSnapshot, *, since: float) -> PoolSnapshot:
    """The snapshot with every VM of another open turn where it went, when its move ended after `since` (pool time of
    the survey's order), for the survey may have read it before."""
    gone = {
        act.vm.uuid: act
        for step, act in _moves(run, but=turn)
        if step.state is StepState.SUCCEEDED and step.ended_at >= since
    }
    vms = tuple(
        storage_moves.moved(vm, gone[vm.uuid]) if vm.uuid in gone and vm.host == gone[vm.uuid].away_from.uuid else vm
        for vm in snapshot.vms
    )
    return replace(snapshot, vms=vms) if gone else snapshot


def outdated(run: Run, survey: Step) -> bool:
    """Whether a turn has been closed since a survey was ordered: what its last moves did may not be in it."""
    return any(closed.ended_at > survey.ordered_at for closed in run.closed)


def _starts(run: Run, *, but: str) -> Iterator[acts.Start]:
    """VMs that other open turns have yet to start on their homes."""
    for other in run.turns.values():
        if other.id != but:
            for step in other.steps.values():
                if isinstance(step.act, (acts.StartVM, acts.ResumeVM)) and not step.settled:
                    yield step.act


def _moves(run: Run, *, but: str) -> Iterator[Move]:
    for other in run.turns.values():
        if other.id != but:
            for step in other.steps.values():
                if isinstance(step.act, acts.MigrateVM):
                    yield step, step.act
