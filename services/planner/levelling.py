"""Rules of the mode `level`: when no turn is left the pool is looked at once more, and a few VMs are moved until the
hosts are about equally full. Pure.

The steps join the run's preparation, which is open from its first to its last, so that hosts which were skipped, failed
or left alone at the last do not keep the pool from being levelled. A cancel drops them.
"""

from __future__ import annotations

from services.planner import modes, pacing, placement, preparing
from services.planner.view import Said, View
from shared.domain import acts, facts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.names import step_id
from shared.domain.run import PREPARATION, Run, RunState, Step, StepState, Turn


def look(view: View) -> Said | None:
    """After the last turn, look at the pool."""
    turn = _levels(view.run)
    if turn is None or _survey(turn) is not None:
        return None
    because = "All turns are over; the hosts are levelled."
    survey = preparing.survey_step(
        PREPARATION, view.run.pool, updates=False, why="Look at the pool, to even out its hosts."
    ).model_copy(update={"step": turn.next_step, "if_it_fails": "warn"})
    added = facts.StepsAdded(**view.ids, turn=PREPARATION, steps=(survey,), because=because)
    return Said((added,), sentence=because)


def plan(view: View) -> Said | None:
    """What moves, once the pool was looked at; nothing, where the hosts are even."""
    turn = _levels(view.run)
    survey = _survey(turn) if turn else None
    if turn is None or survey is None or survey.state is not StepState.SUCCEEDED or moves(turn):
        return None
    if not isinstance(survey.result, acts.SurveyTaken):
        return None
    snapshot = view.snapshots.get(survey.result.snapshot)
    if snapshot is None:
        return Said(wants=(survey.result.snapshot,))
    steps = _steps(view.run, turn, survey, snapshot)
    if not steps:
        return None
    because = f"All turns are over; {len(steps)} VMs are moved so that the hosts are about equally full."
    added = facts.StepsAdded(**view.ids, turn=PREPARATION, steps=steps, because=because)
    return Said((added,), sentence=because)


def warnings(run: Run) -> tuple[str, ...]:
    """What could not be done to even out the hosts, in sentences."""
    turn = run.turns.get(PREPARATION)
    if turn is None or run.cancel:
        return ()
    survey = _survey(turn)
    tried = (*moves(turn), *((survey,) if survey else ()))
    return tuple(step.because for step in tried if step.state is StepState.SKIPPED and step.because)


def moves(turn: Turn) -> tuple[Step, ...]:
    """The steps that move a VM to a host that is emptier."""
    found = turn.of_kind("migrate_vm")
    return tuple(step for step in found if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "level")


def _levels(run: Run) -> Turn | None:
    """The turn to which the steps belong, when their time has come."""
    preparation = run.turns.get(PREPARATION)
    if run.policy.mode != "level" or run.state is not RunState.RUNNING or run.cancel or preparation is None:
        return None
    over = not any(turn.host for turn in run.turns.values()) and pacing.next_of(run) is None
    return preparation if over and any(closed.outcome == "done" for closed in run.closed) else None


def _survey(turn: Turn) -> Step | None:
    """The look at the pool after the last turn; the run's first is another."""
    surveys = turn.of_kind("survey")
    return surveys[-1] if len(surveys) > 1 else None


def _steps(run: Run, turn: Turn, survey: Step, snapshot: PoolSnapshot) -> tuple[facts.StepPlanned, ...]:
    def may(vm: VM, source: Host, target: Host) -> bool:
        return modes.may_level(vm, source)

    network = run.policy.migration_network or snapshot.settings.migration_network
    needs: tuple[facts.Need, ...] = (facts.Need(step=survey.id, because="the pool was looked at"),)
    steps: list[facts.StepPlanned] = []
    for moves in placement.level(snapshot, frozenset(), may):
        first = len(turn.steps) + len(steps) + 1
        steps += (_step(move, number, needs, network) for number, move in enumerate(moves, first))
        needs = tuple(facts.Need(step=step.step, because="it makes room") for step in steps)
    return tuple(steps)


def _step(move: placement.Move, number: int, needs: tuple[facts.Need, ...], network: str) -> facts.StepPlanned:
    assert move.source is not None
    return facts.StepPlanned(
        step=step_id(PREPARATION, number),
        act=acts.MigrateVM(move.vm.named, move.to.named, move.source.named, "level", network),
        needs=needs,
        why=f"{move.vm.name} goes from {move.source.name} to {move.to.name}, which is emptier.",
        if_it_fails="warn",
    )
