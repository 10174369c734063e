"""Rules of turns: planned, ordered step by step, turned back, ended, and followed by the next. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from services.planner import (
    approvals,
    backups,
    beside,
    cancelling,
    gates,
    measuring,
    pacing,
    passing,
    patience,
    preparing,
    remaining,
    replanning,
    replication,
    stepping,
    strategies,
    turn_plan,
    windows,
)
from services.planner.view import Said, View
from shared.domain import acts, evolve, facts
from shared.domain.model import PoolSnapshot
from shared.domain.names import Named
from shared.domain.run import PREPARATION, Run, RunState, Step, StepState, Turn

LOOK_AT_BACKUP_AGAIN = 120.0
"""Seconds of pool time between two looks at a backup that a turn waits for."""


def turn_back(view: View) -> Said | None:
    """Cancelled now: a turn whose install has not begun goes back."""
    if view.run.state is not RunState.RUNNING or not (view.run.cancel and view.run.cancel.now):
        return None
    back = cancelling.turned_back(view.run, None)
    return Said(back, sentence=back[0].because) if back else None


def late_comers(view: View) -> Said | None:
    """VMs that the sweep moved come home too."""
    for turn in view.run.turns.values():
        for sweep in turn.of_kind("evacuate_rest"):
            if not isinstance(sweep.result, acts.Swept):
                continue
            if added := stepping.homeward(view.run, turn, sweep.result.vms):
                added = added.model_copy(update={"before": gates.first_after(turn)})
                return Said((added,), sentence=added.because)
    return None


def plan_turns(view: View) -> Said | None:
    """A turn whose survey is there gets its steps."""
    for turn in view.run.turns.values():
        if turn.planned or turn.host is None or view.run.state is not RunState.RUNNING:
            continue
        survey = turn.of_kind("survey")[0]
        if not isinstance(survey.result, acts.SurveyTaken) or survey.state is not StepState.SUCCEEDED:
            continue
        snapshot = view.snapshots.get(survey.result.snapshot)
        if snapshot is None:
            return Said(wants=(survey.result.snapshot,))
        return _planned_turn(view, turn, turn.host, survey, snapshot)
    return None


def _planned_turn(view: View, turn: Turn, host: Named, survey: Step, snapshot: PoolSnapshot) -> Said:
    if beside.outdated(view.run, survey):
        again = facts.StepsReopened(
            **view.ids, turn=turn.id, steps=(survey.id,), because="Another turn has ended since."
        )
        return Said((again,), sentence=f"The pool is looked at again for {host.name}: another turn has ended since.")
    snapshot = beside.brought_up(view.run, turn.id, snapshot, since=survey.ordered_at)
    plan = turn_plan.steps_of_turn(snapshot, turn.id, host, _standing(view, turn, snapshot), view.run.policy)
    if plan.idle:
        sentence = f"{host.name} is left alone: nothing is waiting for it any more."
        ended = facts.TurnEnded(**view.ids, turn=turn.id, host=host, outcome="left_alone", sentence=sentence)
        return Said((ended,), sentence=sentence)
    if plan.blockers:
        because = " ".join(stop.sentence for stop in plan.blockers[:5])
        if others := _others(view, turn):
            return Said(sentence=f"{because} It is tried again when {others} is done.")
        if passing.may_pass(plan.blockers) and view.now < turn.begun_at + passing.WITHIN:
            return passing.looked_at_again(view, turn, survey, because)
        held = facts.RunHeld(**view.ids, because=because, step=survey.id, who_can_help="the owners of these VMs")
        return Said((held,), sentence=because)
    if plan.waits and (others := _others(view, turn)):
        return Said(sentence=f"{plan.waits} It is planned when {others} is done.")
    if waiting := backups.waiting_for(snapshot, host):
        return _waiting_for_backups(view, turn, survey, waiting)
    differences, changes = stepping.differences(view.run, turn.id, plan.steps)
    planned = facts.TurnPlanned(
        **view.ids,
        turn=turn.id,
        steps=plan.steps,
        homes=plan.homes,
        differences=differences,
        changes=changes,
    )
    planned = _with_estimate(view, turn, planned)
    return Said((planned,), sentence=f"The turn of {host.name} is planned: {len(plan.steps)} steps.")


def _with_estimate(view: View, turn: Turn, planned: facts.TurnPlanned) -> facts.TurnPlanned:
    """The same with what it and the rest of the run will take, as it looks now."""
    left = remaining.of(evolve.evolve(view.run, planned, view.now), view.book.history, view.now)
    if left is None:
        return planned
    seconds = round(left.turns.get(turn.id, 0.0) + view.now - turn.begun_at, 1)
    return planned.model_copy(update={"seconds": seconds, "left": left.seconds, "left_upper": left.upper})


def _others(view: View, turn: Turn) -> str:
    """The names of hosts in another open turn."""
    return ", ".join(one.host.name for one in view.run.turns.values() if one.host and one.id != turn.id)


def _waiting_for_backups(view: View, turn: Turn, survey: Step, because: str) -> Said:
    """A turn waits for backups on its host, as long as policy says; then a person is asked (conduct 11)."""
    minutes = view.run.policy.backup_minutes
    if view.now < turn.begun_at + minutes * 60:
        return passing.looked_at_again(view, turn, survey, backups.until(because, minutes), LOOK_AT_BACKUP_AGAIN)
    because = f"{because} That has lasted {minutes:g} minutes; see that it ends, then resume, or skip the host."
    held = facts.RunHeld(
        **view.ids, because=because, step=survey.id, who_can_help="whoever makes the backups of this pool"
    )
    return Said((held,), sentence=because)


def replan(view: View) -> Said | None:
    """Moves that were to be planned again, once the pool was looked at for them."""
    for turn in view.run.turns.values():
        surveys, sweeps = turn.of_kind("survey"), turn.of_kind("evacuate_rest")
        if turn.host is None or len(surveys) < 2 or turn.turned_back or view.run.state is not RunState.RUNNING:
            continue
        survey, result = surveys[-1], surveys[-1].result
        if survey.state is not StepState.SUCCEEDED or not sweeps or sweeps[0].attempt > 0:
            continue
        if not isinstance(result, acts.SurveyTaken):
            continue
        snapshot = view.snapshots.get(result.snapshot)
        if snapshot is None:
            return Said(wants=(result.snapshot,))
        if said := _replanned(view, turn, turn.host, survey, snapshot):
            return said
    return None


def _replanned(view: View, turn: Turn, host: Named, survey: Step, snapshot: PoolSnapshot) -> Said | None:
    snapshot = beside.brought_up(view.run, turn.id, snapshot, since=survey.ordered_at)
    plan = replanning.moves_again(snapshot, turn, host, survey.id, _standing(view, turn, snapshot), view.run.policy)
    if plan.blockers:
        because = " ".join(stop.sentence for stop in plan.blockers[:5])
        if passing.may_pass(plan.blockers) and view.now < turn.begun_at + passing.WITHIN:
            return passing.looked_at_again(view, turn, survey, because)
        held = facts.RunHeld(**view.ids, because=because, step=survey.id, who_can_help="the owners of these VMs")
        return Said((held,), sentence=because)
    if not plan.steps:
        return None
    because = f"{len(plan.steps)} moves from {host.name} are planned again."
    sweep = turn.of_kind("evacuate_rest")[0]
    away = tuple(
        step for step in plan.steps if isinstance(step.act, (acts.ShutdownVM, acts.SuspendVM)) or _leaves(step)
    )
    home = tuple(step for step in plan.steps if step not in away)
    said: list[facts.RunFact] = [
        facts.StepsAdded(**view.ids, turn=turn.id, steps=away, homes=plan.homes, before=sweep.id, because=because)
    ]
    if home:
        before = gates.first_after(turn)
        said.append(facts.StepsAdded(**view.ids, turn=turn.id, steps=home, before=before, because=because))
    return Said(tuple(said), sentence=because)


def _leaves(step: facts.StepPlanned) -> bool:
    return isinstance(step.act, acts.MigrateVM) and step.act.purpose == "empty"


def _standing(view: View, turn: Turn, snapshot: PoolSnapshot) -> turn_plan.Standing:
    run = view.run
    return turn_plan.Standing(
        run.homes,
        frozenset(run.stranded),
        view.hosts_done | pacing.hosts_back(run),
        pacing.coming(run),
        beside.of_turn(run, turn.id, snapshot),
        strategies.consents_of(run),
        _put(run),
        run.forecast.max_away + run.forecast.empty_ahead if run.forecast else 1,
    )


def _put(run: Run) -> Mapping[str, str]:
    """Where this run's moves have put VMs (uuids of VM and host)."""
    put = dict(run.put)
    for turn in run.turns.values():
        put.update(turn.put())
    return put


def end_turns(view: View) -> Said | None:
    """A turn with nothing left to do is over."""
    for turn in view.run.turns.values():
        if turn.host is None or not turn.planned or not turn.settled:
            continue
        warnings = (*stepping.turn_warnings(turn), *gates.warnings(turn))
        took = patience.duration(view.now - turn.begun_at)
        homes = " and its VMs are home" if view.run.policy.mode == "home" else ""
        done = f"{turn.host.name} is updated{homes}, in {took}."
        back = f"{turn.host.name} was not updated and works as before."
        ended = facts.TurnEnded(
            **view.ids,
            turn=turn.id,
            host=turn.host,
            outcome=_outcome(view, turn, turn.host),
            sentence=back if turn.turned_back else done,
            warnings=warnings,
            measured=measuring.of_turn(view.run, turn),
        )
        return Said((ended,), sentence=ended.sentence)
    return None


def _outcome(view: View, turn: Turn, host: Named) -> Literal["done", "turned_back", "failed"]:
    if not turn.turned_back:
        return "done"
    return "failed" if view.run.skipped.get(host.uuid) == "" else "turned_back"


def order(view: View) -> Said | None:
    """Every step that is ready is ordered, as far as the limits of the policy let it."""
    ready = stepping.ready(view.run, view.book, view.now)
    if ready.facts:
        return Said(ready.facts, sentence=ready.sentence)
    return Said(sentence=ready.sentence, wake_at=ready.wake_at) if ready.sentence or ready.wake_at else None


def next_turn(view: View) -> Said | None:
    """The next turn begins as soon as nothing stands in its way; after the last, or a cancel, the run finishes."""
    run = view.run
    if run.state in (RunState.FINISHING, RunState.HELD, RunState.PAUSED):
        return None
    preparation = run.turns.get(PREPARATION)
    if run.cancel and not any(turn.host for turn in run.turns.values()):
        going = preparation is not None and (stepping.under_way(preparation) or replication.unfinished(run))
        return None if going else _finish(view)
    if run.cancel or run.state is not RunState.RUNNING or run.forecast is None:
        return None
    if preparation is None or not preparation.settled:
        return None
    planned = pacing.next_of(run)
    if planned is None:
        return _finish(view) if not any(turn.host for turn in run.turns.values()) else None
    for hurdle in HURDLES:
        if said := hurdle(view, planned):
            return said
    survey = preparing.survey_step(
        planned.turn,
        run.forecast.pool_name,
        updates=True,
        why=f"Look at the pool before {planned.host.name}'s turn.",
        hosts=(planned.host,),
    )
    turn = facts.TurnBegun(**view.ids, turn=planned.turn, host=planned.host, master=planned.master, survey=survey)
    return Said((turn,), sentence=f"The turn of {planned.host.name} begins.")


def _finish(view: View) -> Said:
    sentence = "No turn is left; what was changed for the run is put back."
    return Said((facts.RunFinishing(**view.ids, sentence=sentence),), sentence=sentence)


Hurdle = Callable[[View, facts.ForecastTurn], Said | None]

HURDLES: tuple[Hurdle, ...] = (
    pacing.too_many_failed,
    pacing.too_many_under_way,
    pacing.pool_not_whole,
    pacing.same_group,
    pacing.storage_away,
    pacing.guests_watched,
    gates.after_first,
    windows.shut,
    approvals.of_turn,
)
"""What may stand in the way of a turn's beginning, asked in this order; the first that says something is obeyed. One
that writes no fact only makes the turn wait."""
