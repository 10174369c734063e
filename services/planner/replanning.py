"""Moves planned again: a VM that could not leave for the host it was to go to gets another. Pure.

Made from a newer survey of the same turn. What is under way and what was promised to it is counted as taken; a host
that a VM failed to go to is avoided where another can take it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from services.planner import (
    blockers,
    modes,
    placement,
    stopping,
    storage_graph,
    storage_moves,
    strategies,
    turn_graph,
    turn_plan,
)
from shared.domain import acts, facts
from shared.domain.model import Host, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.run import Step, StepState, Turn

Moving = tuple[Step, acts.MigrateVM]


def moves_again(
    snapshot: PoolSnapshot, turn: Turn, host: Named, survey: str, standing: turn_plan.Standing, policy: Policy
) -> turn_plan.TurnPlan:
    """Moves of VMs that are still on a host in its turn and that no step moves any more.

    A VM that already has its way home keeps it, because a step home looks where the VM is.
    """
    here = snapshot.host(host.uuid)
    if here is None:
        return turn_plan.TurnPlan((), (), ())
    moves = [(step, step.act) for step in turn.steps.values() if isinstance(step.act, acts.MigrateVM)]
    leaving = [(step, act) for step, act in moves if act.purpose == "empty"]
    covered = {act.vm.uuid for step, act in leaving if step.state is not StepState.SKIPPED}
    covered |= {act.vm.uuid for _, act in stopping.planned(turn)}
    going = {one.vm for one in standing.beside.leaving.get(host.uuid, ())}
    left = [vm for vm in snapshot.resident(host.uuid) if vm.uuid not in covered | going]
    given = turn_plan.conditions(standing, policy, _promised(snapshot, leaving, standing))
    given = replace(given, avoid=_avoid(leaving))
    found = placement.place(snapshot, here, left, given)
    away = storage_graph.going(turn)
    chosen = _with_disks(snapshot, here, found, given, leaving, standing, policy, away)
    waiting = {vm.uuid for vm in left}
    homes = tuple(home for home in turn_plan.new_homes(snapshot, here, standing) if home.vm.uuid in waiting)
    if chosen.blockers:
        return turn_plan.TurnPlan((), homes, chosen.blockers)
    returning = {act.vm.uuid for _, act in moves if act.purpose == "home"}
    network = policy.migration_network or snapshot.settings.migration_network
    given_up = {act.vm.uuid: step.id for step, act in leaving if step.state is StepState.SKIPPED}
    anew = (*found.moves, *chosen.sends)
    homebound = modes.homebound(snapshot, policy)
    returning |= {move.vm.uuid for move in anew if not homebound(move)}
    steps = _steps(turn, host, survey, anew, returning, given_up, network)
    return turn_plan.TurnPlan(
        (*steps, *_stopped(snapshot, turn, here, survey, steps, chosen, standing, policy)), homes, ()
    )


def _with_disks(
    snapshot: PoolSnapshot,
    here: Host,
    found: placement.Placement,
    given: placement.Conditions,
    leaving: Sequence[Moving],
    standing: turn_plan.Standing,
    policy: Policy,
    away: frozenset[str],
) -> strategies.Chosen:
    """What becomes of the VMs without a place: they take their disks elsewhere, but not to what goes `away`, or are
    stopped as their strategy says where no approval was needed."""
    under_way = storage_moves.promised(act for step, act in leaving if not step.settled)
    promised = {**standing.beside.disks, **under_way}
    room = storage_moves.Room(snapshot, here, policy, given, found, promised, away)
    short = tuple(blockers.of_short(snapshot, here, one) for one in found.short)
    chosen = strategies.choose(snapshot, here, short, policy, standing.consents, room=room)
    if policy.approval == "none" or not chosen.stops:
        return chosen
    unasked = (
        facts.Blocker(
            sentence=f"{stop.vm.name} found no other place and would be stopped, which nobody approved: cancel the run"
            " and start it again.",
            host=here.named,
            vm=stop.vm.named,
        )
        for stop in chosen.stops
    )
    return replace(chosen, blockers=(*chosen.blockers, *unasked))


def _stopped(
    snapshot: PoolSnapshot,
    turn: Turn,
    here: Host,
    survey: str,
    steps: Sequence[facts.StepPlanned],
    chosen: strategies.Chosen,
    standing: turn_plan.Standing,
    policy: Policy,
) -> tuple[facts.StepPlanned, ...]:
    """VMs that are stopped after all, and their starts."""
    enable = turn.of_kind("enable_host")
    if not chosen.stops or not enable:
        return ()
    no_way_back = stopping.no_way_back(snapshot, here, standing.done, policy)
    first = len(turn.steps) + len(steps) + 1
    stops = [stopping.stop_act(stop, here.named, policy, no_way_back=no_way_back) for stop in chosen.stops]
    moving = [step for step in turn.of_kind("migrate_vm") if not step.settled and not _homeward(step)]
    needs = (
        facts.Need(step=survey, because="the pool was looked at again"),
        *(facts.Need(step=step.id, because="nothing is stopped before all that can move is away") for step in moving),
    )
    down = tuple(
        facts.StepPlanned(
            step=step_id(turn.id, number), act=act, needs=needs, why=f"{act.vm.name} is stopped after all."
        )
        for number, act in enumerate(stops, first)
    )
    back = facts.Need(step=enable[-1].id, because=f"{here.name} takes VMs again")
    up = tuple(
        facts.StepPlanned(
            step=step_id(turn.id, number),
            act=stopping.start_act(act),
            needs=(back,),
            why=f"{act.vm.name} is started again on {here.name}.",
        )
        for number, act in enumerate(stops, first + len(down))
    )
    return (*down, *up)


def _homeward(step: Step) -> bool:
    return isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home"


def _promised(snapshot: PoolSnapshot, leaving: Sequence[Moving], standing: turn_plan.Standing) -> dict[str, int]:
    """Bytes that moves not yet ended, of this turn and of others, will take on their destinations."""
    sizes = {vm.uuid: placement.comfortable(vm) for vm in snapshot.vms}
    promised = dict(standing.beside.promised)
    for step, act in leaving:
        if not step.settled:
            promised[act.to.uuid] = promised.get(act.to.uuid, 0) + sizes.get(act.vm.uuid, 0)
    return promised


def _avoid(leaving: Sequence[Moving]) -> dict[str, frozenset[str]]:
    """Where each VM failed to go."""
    avoid: dict[str, frozenset[str]] = {}
    for step, act in leaving:
        if step.state is StepState.SKIPPED:
            avoid[act.vm.uuid] = avoid.get(act.vm.uuid, frozenset()) | {act.to.uuid}
    return avoid


def _steps(
    turn: Turn,
    host: Named,
    survey: str,
    moves: Sequence[placement.Move],
    stays: set[str],
    given_up: Mapping[str, str],
    network: str,
) -> tuple[facts.StepPlanned, ...]:
    first = len(turn.steps) + 1
    need = facts.Need(step=survey, because="the pool was looked at again")
    away = tuple(
        facts.StepPlanned(
            step=step_id(turn.id, number),
            act=acts.MigrateVM(
                move.vm.named, move.to.named, host, "empty", network, given_up.get(move.vm.uuid, ""), move.disks
            ),
            needs=(need,),
            why=f"{move.vm.name} leaves {host.name} for {move.to.name}.",
        )
        for number, move in enumerate(moves, first)
    )
    enable = turn.of_kind("enable_host")
    if not enable:
        return away
    homeward = [
        (move.vm.named, move.to.named, tuple(disk.back for disk in move.disks))
        for move in moves
        if move.vm.uuid not in stays
    ]
    first += len(away)
    return (*away, *turn_graph.homeward_steps(turn.id, first, host, homeward, enable[-1].id, network))
