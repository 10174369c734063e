"""One turn's plan, made afresh from a new survey when the turn begins. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from services.planner import blockers, estimate, placement, selection
from services.planner.turn_graph import Graph
from shared.domain import facts
from shared.domain.model import Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """A turn as planned from a fresh survey: its steps, homes first seen or changed, and what stands in the way."""

    steps: tuple[facts.StepPlanned, ...]
    homes: tuple[facts.Home, ...]
    blockers: tuple[facts.Blocker, ...]
    seconds: float
    idle: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """What a turn must know beside its snapshot: homes as noted, VMs that could not go home, hosts done already."""

    homes: Mapping[str, facts.Home]
    stranded: frozenset[str]
    done: frozenset[str]


def steps_of_turn(snapshot: PoolSnapshot, turn: str, host: Named, standing: Standing, policy: Policy) -> TurnPlan:
    """A turn planned afresh: its steps as a graph with reasons. `idle` when there is nothing to do any more."""
    here = snapshot.host(host.uuid)
    if here is None:
        gone = facts.Blocker(sentence=f"Host {host.name} is no longer in the pool; cancel the run.", host=host)
        return TurnPlan((), (), (gone,), 0.0)
    if not selection.has_turn(here, policy):
        return TurnPlan((), (), (), 0.0, idle=True)
    fresh = new_homes(snapshot, here, standing)
    known = {**standing.homes, **{home.vm.uuid: home for home in fresh}}
    found = _placed_home_aware(snapshot, here, known, standing, policy)
    stops = (
        *_in_the_way(snapshot, here),
        *blockers.of_vms(snapshot, here),
        *(blockers.of_short(snapshot, here, one) for one in found.short),
    )
    if stops:
        return TurnPlan((), fresh, stops, 0.0)
    steps = Graph(turn, snapshot, here, known, policy).steps(found.moves)
    return TurnPlan(steps, fresh, (), estimate.of_turn(found.moves, installs=policy.updates and bool(here.updates)))


def _in_the_way(snapshot: PoolSnapshot, here: Host) -> list[facts.Blocker]:
    """Faults of this very host, and of the others only where they matter to it: a host that is not live is not asked
    to take anything, so it does not stop a turn by itself."""
    return [stop for stop in blockers.of_pool(snapshot) if stop.host == here.named]


def new_homes(snapshot: PoolSnapshot, here: Host, standing: Standing) -> tuple[facts.Home, ...]:
    """Homes of VMs on this host that are seen for the first time, or that their owners moved here.

    A VM that could not go home keeps the home it has.
    """
    return tuple(
        facts.Home(vm=vm.named, host=here.named)
        for vm in snapshot.resident(here.uuid)
        if vm.uuid not in standing.stranded
        and (vm.uuid not in standing.homes or standing.homes[vm.uuid].host.uuid != here.uuid)
    )


def _placed_home_aware(
    snapshot: PoolSnapshot, here: Host, known: Mapping[str, facts.Home], standing: Standing, policy: Policy
) -> placement.Placement:
    """VMs whose home is another host that is done go straight there; the others are placed."""
    newest = standing.done
    bound = {stop.vm.uuid for stop in blockers.of_vms(snapshot, here) if stop.vm}
    vms = [vm for vm in snapshot.resident(here.uuid) if vm.uuid not in bound]
    straight: list[placement.Move] = []
    promised: dict[str, int] = {}
    for vm in vms:
        home = snapshot.host(known[vm.uuid].host.uuid)
        if home is None or home.uuid == here.uuid or home.uuid not in standing.done:
            continue
        if placement.obstacle(snapshot, vm, here, home, newest) or _left(snapshot, home, promised) < vm.footprint:
            continue
        promised[home.uuid] = promised.get(home.uuid, 0) + placement.comfortable(vm)
        straight.append(placement.Move(vm, home, placement.comfortable(vm)))
    gone = {move.vm.uuid for move in straight}
    conditions = placement.Conditions(newest=newest, promised=promised, squeeze=policy.squeeze)
    rest = placement.place(snapshot, here, [vm for vm in vms if vm.uuid not in gone], conditions)
    return placement.Placement((*straight, *rest.moves), rest.short)


def _left(snapshot: PoolSnapshot, host: Host, promised: Mapping[str, int]) -> int:
    return snapshot.free(host) - promised.get(host.uuid, 0)
