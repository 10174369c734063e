"""Moves planned again: a VM that could not leave for the host it was to go to gets another. Pure.

Made from a newer survey of the same turn. What is under way and what was promised to it is counted as taken; a host
that a VM failed to go to is avoided where another can take it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.planner import blockers, placement, stopping, turn_graph, turn_plan
from shared.domain import acts, facts
from shared.domain.model import PoolSnapshot
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
    conditions = placement.Conditions(
        closed=standing.beside.closed,
        newest=standing.done,
        promised=_promised(snapshot, leaving, standing),
        avoid=_avoid(leaving),
        squeeze=policy.squeeze,
    )
    found = placement.place(snapshot, here, left, conditions)
    waiting = {vm.uuid for vm in left}
    homes = tuple(home for home in turn_plan.new_homes(snapshot, here, standing) if home.vm.uuid in waiting)
    stops = tuple(blockers.of_short(snapshot, here, one) for one in found.short)
    if stops:
        return turn_plan.TurnPlan((), homes, stops)
    returning = {act.vm.uuid for _, act in moves if act.purpose == "home"}
    network = policy.migration_network or snapshot.settings.migration_network
    given_up = {act.vm.uuid: step.id for step, act in leaving if step.state is StepState.SKIPPED}
    return turn_plan.TurnPlan(_steps(turn, host, survey, found.moves, returning, given_up, network), homes, ())


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
    returning: set[str],
    given_up: Mapping[str, str],
    network: str,
) -> tuple[facts.StepPlanned, ...]:
    first = len(turn.steps) + 1
    need = facts.Need(step=survey, because="the pool was looked at again")
    away = tuple(
        facts.StepPlanned(
            step=step_id(turn.id, number),
            act=acts.MigrateVM(move.vm.named, move.to.named, host, "empty", network, given_up.get(move.vm.uuid, "")),
            needs=(need,),
            why=f"{move.vm.name} leaves {host.name} for {move.to.name}.",
        )
        for number, move in enumerate(moves, first)
    )
    enable = turn.of_kind("enable_host")
    if not enable:
        return away
    homeward = [(move.vm.named, move.to.named) for move in moves if move.vm.uuid not in returning]
    first += len(away)
    return (*away, *turn_graph.homeward_steps(turn.id, first, host, homeward, enable[-1].id, network))
