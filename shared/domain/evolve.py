"""How facts change a run: `evolve(run, fact, at)` folds one fact, by the tables of `run`.

A fact that fits no cell changes nothing, so duplicates, late comers and forgeries fold to what was there before.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from shared.domain import acts, facts, messages
from shared.domain.names import Named, turn_of
from shared.domain.run import (
    PREPARATION,
    RESTORATION,
    RUN_TABLE,
    STEP_TABLE,
    Asked,
    Cancel,
    Closed,
    Hold,
    Owed,
    Run,
    RunState,
    Step,
    StepState,
    Turn,
)


def begin(fact: facts.RunRequested, at: float) -> Run:
    """The run that an order starts: its survey waits in the turn of preparation."""
    survey = _planned(fact.survey)
    preparation = Turn(PREPARATION, None, False, at, {survey.id: survey})
    return Run(
        id=fact.run,
        pool=fact.pool,
        order=fact.order,
        by=fact.by,
        reason=fact.reason,
        policy=fact.policy,
        requested_at=at,
        digest=fact.digest,
        consents=fact.consents,
        purpose=fact.purpose,
        window=None if fact.overrides_window else fact.window,
        turns={PREPARATION: preparation},
    )


def evolve(run: Run, fact: facts.Fact, at: float) -> Run:
    """The run after a fact that happened at pool time `at`. A fact that fits no cell changes nothing."""
    name = messages.fact_name(fact)
    step_id = getattr(fact, "step", None)
    if isinstance(fact, (facts.RunHeld, facts.OrderAnswered)):
        step_id = None
    if isinstance(step_id, str) and (name in _STEP_FACTS):
        run = _evolve_step(run, step_id, name, fact, at)
    state = RUN_TABLE.get((run.state, name))
    if state is not None:
        if state is RunState.HELD and run.state is not RunState.HELD:
            run = replace(run, before_hold=run.state)
        run = replace(run, state=_back_to(run, name) if state is RunState.RUNNING else state)
    apply = _APPLY.get(name)
    return apply(run, fact, at) if apply else run


def _back_to(run: Run, name: str) -> RunState:
    """Where a run goes that goes on: to where it was. A cancel makes it run to its end."""
    if name == "run_resumed" and run.before_hold in (RunState.FINISHING, RunState.WAITING_FOR_WINDOW):
        return run.before_hold
    if name in ("run_went_on", "run_approved") and not run.began_at:
        return RunState.PLANNED
    return RunState.RUNNING


def _planned(planned: facts.StepPlanned) -> Step:
    return Step(planned.step, planned.act, planned.needs, planned.why, planned.if_it_fails)


def _table(planned: Iterable[facts.StepPlanned]) -> dict[str, Step]:
    return {one.step: _planned(one) for one in planned}


def _with_turn(run: Run, turn: Turn) -> Run:
    return replace(run, turns={**run.turns, turn.id: turn})


# --- steps ------------------------------------------------------------------------------------------------------------


def _evolve_step(run: Run, id: str, name: str, fact: facts.Fact, at: float) -> Run:
    step = run.step(id)
    if step is None:
        return run
    state = STEP_TABLE.get((step.state, name))
    if state is None or not _of_this_attempt(step, name, fact):
        return run
    changed = _STEP_FACTS[name](replace(step, state=state), fact, at)
    turn = run.turns[turn_of(id)]
    return _with_turn(run, replace(turn, steps={**turn.steps, id: changed}))


def _of_this_attempt(step: Step, name: str, fact: facts.Fact) -> bool:
    """A success counts whichever attempt it is of; everything else only for the attempt under way."""
    attempt = getattr(fact, "attempt", None)
    if attempt is None or name in ("step_ordered", "step_succeeded"):
        return True
    return bool(attempt == step.attempt)


def _ordered(step: Step, fact: facts.Fact, at: float) -> Step:
    assert isinstance(fact, facts.StepOrdered)
    return replace(
        step, act=fact.act, attempt=fact.attempt, ordered_at=at, heard_at=at, started=False, because="", until=0.0
    )


def _started(step: Step, fact: facts.Fact, at: float) -> Step:
    return replace(step, started=True, heard_at=max(step.heard_at, at))


def _progressed(step: Step, fact: facts.Fact, at: float) -> Step:
    return replace(step, heard_at=max(step.heard_at, at))


def _succeeded(step: Step, fact: facts.Fact, at: float) -> Step:
    assert isinstance(fact, facts.StepSucceeded)
    return replace(step, result=fact.result, ended_at=at, because=fact.sentence, debt=None, go_back_to="")


def _failed(step: Step, fact: facts.Fact, at: float) -> Step:
    assert isinstance(fact, facts.StepFailed)
    hopeless = fact.again_after is None and not fact.go_back_to
    return replace(
        step,
        state=StepState.GAVE_UP if hopeless else StepState.WAITING,
        not_before=at + (fact.again_after or 0.0),
        ended_at=at,
        because=fact.because,
        code=fact.code,
        who_can_help=fact.who_can_help,
        debt=fact.debt,
        go_back_to=fact.go_back_to,
    )


def _ended_because(step: Step, fact: facts.Fact, at: float) -> Step:
    return replace(step, ended_at=at, because=getattr(fact, "because", ""))


def _retried(step: Step, fact: facts.Fact, at: float) -> Step:
    return replace(step, tries_from=step.attempt, not_before=0.0, go_back_to="")


def _wait_began(step: Step, fact: facts.Fact, at: float) -> Step:
    assert isinstance(fact, facts.WaitBegan)
    return replace(step, ordered_at=at, heard_at=at, until=fact.until, because=fact.because, attempt=step.attempt + 1)


# --- runs -------------------------------------------------------------------------------------------------------------


def _run_planned(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunPlanned)
    turn = run.turns[PREPARATION]
    turn = replace(turn, planned=True, steps={**turn.steps, **_table(fact.preparation)})
    return replace(
        _with_turn(run, turn),
        forecast=fact.forecast,
        snapshot=fact.snapshot,
        always=fact.always,
        master=fact.master,
        warnings=(*run.warnings, *fact.forecast.warnings),
    )


def _homes_noted(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.HomesNoted)
    return _with_homes(run, fact.homes)


def _with_homes(run: Run, homes: Iterable[facts.Home]) -> Run:
    return replace(run, homes={**run.homes, **{home.vm.uuid: home for home in homes}})


def _turn_begun(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnBegun)
    return _with_turn(run, Turn(fact.turn, fact.host, fact.master, at, _table((fact.survey,))))


def _turn_planned(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnPlanned)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    turn = replace(
        turn,
        planned=True,
        steps={**turn.steps, **_table(fact.steps)},
        differences=fact.differences,
        changes=fact.changes,
        estimate=fact.seconds,
    )
    return _with_homes(_with_turn(run, turn), fact.homes)


def _turned_back(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnTurnedBack)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    dropped = {
        id: step if step.settled or step.state is StepState.ORDERED
        else replace(step, state=StepState.SKIPPED, because=fact.because, ended_at=at)
        for id, step in turn.steps.items()
    }  # fmt: skip
    return _with_turn(run, replace(turn, planned=True, turned_back=True, steps={**dropped, **_table(fact.steps)}))


def _steps_added(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.StepsAdded)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    steps = {**turn.steps, **_table(fact.steps)}
    if fact.before is not None and fact.before in turn.steps:
        waits = tuple(facts.Need(step=one.step, because=fact.because) for one in fact.steps)
        steps[fact.before] = replace(turn.steps[fact.before], needs=(*turn.steps[fact.before].needs, *waits))
    return _with_homes(_with_turn(run, replace(turn, steps=steps)), fact.homes)


def _steps_reopened(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.StepsReopened)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    again = {id: _once_more(step) if id in fact.steps else step for id, step in turn.steps.items()}
    return _with_turn(run, replace(turn, steps=again))


def _once_more(step: Step) -> Step:
    """A step that had succeeded has failed at nothing: its tries are counted anew."""
    if step.state is StepState.SUCCEEDED:
        step = replace(step, because="", tries_from=step.attempt)
    return replace(step, state=StepState.WAITING, go_back_to="", not_before=0.0)


def _turn_ended(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.TurnEnded)
    turn = run.turns.get(fact.turn)
    if turn is None:
        return run
    closed = Closed(
        turn.id,
        turn.host,
        turn.master,
        fact.outcome,
        fact.sentence,
        steps=sum(1 for step in turn.steps.values() if step.state is StepState.SUCCEEDED),
        last_boot=_last_boot(turn),
        warnings=fact.warnings,
        ended_at=at,
    )
    stranded = {**run.stranded, **_stranded(turn)}
    turns = {id: other for id, other in run.turns.items() if id != turn.id}
    return replace(
        run,
        turns=turns,
        closed=(*run.closed, closed),
        stranded=stranded,
        put={**run.put, **turn.put()},
        warnings=(*run.warnings, *fact.warnings),
    )


def _last_boot(turn: Turn) -> float:
    """When the turn's host was seen back, pool time; 0 where it was never away."""
    waits = turn.of_kind("await_host")
    return max((step.ended_at for step in waits if step.state is StepState.SUCCEEDED), default=0.0)


def _stranded(turn: Turn) -> dict[str, Named]:
    """VMs whose way home was given up in this turn; not those that were at home, and only their disks were not."""
    return {
        step.act.vm.uuid: step.act.vm
        for step in turn.steps.values()
        if isinstance(step.act, acts.MigrateVM) and step.act.purpose == "home" and step.state is StepState.SKIPPED
        if step.act.to != step.act.away_from
    }


def _waiting(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunWaiting)
    return _also_prepared(replace(run, waiting=fact.because), fact.steps)


def _went_on(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunWentOn)
    return _also_prepared(replace(run, waiting=""), fact.steps)


def _also_prepared(run: Run, steps: Iterable[facts.StepPlanned]) -> Run:
    preparation = run.turns[PREPARATION]
    return _with_turn(run, replace(preparation, steps={**preparation.steps, **_table(steps)}))


def _asked(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.ApprovalAsked)
    return replace(run, asked=Asked(fact.about, fact.digest, fact.sentence, fact.needed, fact.until))


def _given(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.ApprovalGiven)
    asked = run.asked
    if asked is None or (asked.about, asked.digest) != (fact.about, fact.digest) or fact.by in asked.by:
        return run
    return replace(run, asked=replace(asked, by=(*asked.by, fact.by)))


def _approved(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunApproved)
    by = {**run.approved_by, fact.about: fact.by}
    return replace(run, asked=None, approved={**run.approved, fact.about: fact.digest}, approved_by=by)


def _not_approved(run: Run, fact: facts.Fact, at: float) -> Run:
    return replace(run, asked=None)


def _began(run: Run, fact: facts.Fact, at: float) -> Run:
    return replace(run, began_at=at)


def _held(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunHeld)
    return replace(run, hold=Hold(at, fact.because, fact.step, fact.who_can_help))


def _acknowledged(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.HoldAcknowledged)
    return replace(run, hold=replace(run.hold, seen_by=fact.by)) if run.hold else run


def _resumed(run: Run, fact: facts.Fact, at: float) -> Run:
    """A person says: go on. What failed is tried again, and what was held at a survey is surveyed anew."""
    held_at = run.hold.step if run.hold else None
    turns = {id: replace(turn, steps=_fresh(turn, held_at)) for id, turn in run.turns.items()}
    return replace(run, hold=None, lost=(), turns=turns, forgiven=run.forgiven + run.failures)


def _fresh(turn: Turn, held_at: str | None) -> dict[str, Step]:
    def again(step: Step) -> Step:
        surveyed = step.act.kind == "survey" and step.state is StepState.SUCCEEDED
        if step.failed or (surveyed and (not turn.planned or step.id == held_at)):
            return replace(step, state=StepState.WAITING, tries_from=step.attempt, not_before=0.0, go_back_to="")
        return step

    return {id: again(step) for id, step in turn.steps.items()}


def _cancelling(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunCancelling)
    now = fact.now or (run.cancel is not None and run.cancel.now)
    return replace(run, cancel=Cancel(at, fact.by, now, fact.sentences), hold=None)


def _host_skipped(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.HostSkipped)
    return replace(run, skipped={**run.skipped, fact.host.uuid: fact.by}, warnings=(*run.warnings, fact.because))


def _master_noted(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.MasterNoted)
    return replace(run, master=fact.host, warnings=(*run.warnings, fact.because))


def _host_lost(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.HostLost)
    return replace(run, lost=(*run.lost, fact.host.uuid), warnings=(*run.warnings, fact.because))


def _setting_owed(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.SettingOwed)
    owed = Owed(fact.setting, fact.because, fact.condition, fact.command, at, fact.act)
    return replace(run, owed=(*(one for one in run.owed if one.setting != fact.setting), owed))


def _setting_paid(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.SettingPaid)
    return replace(run, owed=tuple(one for one in run.owed if one.setting != fact.setting))


def _finishing(run: Run, fact: facts.Fact, at: float) -> Run:
    turn = Turn(RESTORATION, None, False, at, _table(run.always), planned=True)
    return _with_turn(run, turn)


def _ended(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunEnded)
    return replace(
        run,
        outcome=fact.outcome,
        sentence=fact.sentence,
        blockers=fact.blockers,
        warnings=fact.warnings,
        ended_at=at,
        hold=None,
    )


# --- which fact is folded by what -----------------------------------------------------------------------------------

StepFold = Callable[[Step, facts.Fact, float], Step]
RunFold = Callable[[Run, facts.Fact, float], Run]

_STEP_FACTS: Mapping[str, StepFold] = MappingProxyType(
    {
        "step_ordered": _ordered,
        "step_started": _started,
        "step_progressed": _progressed,
        "step_succeeded": _succeeded,
        "step_failed": _failed,
        "step_timed_out": _ended_because,
        "step_gave_up": _ended_because,
        "step_skipped": _ended_because,
        "step_retried": _retried,
        "wait_began": _wait_began,
        "wait_over": _ended_because,
    }
)

_APPLY: Mapping[str, RunFold] = MappingProxyType(
    {
        "run_planned": _run_planned,
        "homes_noted": _homes_noted,
        "run_waiting": _waiting,
        "run_went_on": _went_on,
        "approval_asked": _asked,
        "approval_given": _given,
        "run_approved": _approved,
        "approval_refused": _not_approved,
        "run_began": _began,
        "turn_begun": _turn_begun,
        "turn_planned": _turn_planned,
        "turn_turned_back": _turned_back,
        "steps_added": _steps_added,
        "steps_reopened": _steps_reopened,
        "turn_ended": _turn_ended,
        "run_held": _held,
        "hold_acknowledged": _acknowledged,
        "run_resumed": _resumed,
        "run_cancelling": _cancelling,
        "host_lost": _host_lost,
        "host_skipped": _host_skipped,
        "master_noted": _master_noted,
        "setting_owed": _setting_owed,
        "setting_paid": _setting_paid,
        "run_finishing": _finishing,
        "run_ended": _ended,
    }
)
