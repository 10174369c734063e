"""How facts change a run as a whole: planned, asked for, held, cancelled, owing, over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from shared.domain import facts
from shared.domain.evolve.steps import table, with_turn
from shared.domain.evolve.turns import RunFold, with_homes
from shared.domain.run import PREPARATION, RESTORATION, Asked, Cancel, Hold, Owed, Run, Step, StepState, Turn


def _run_planned(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunPlanned)
    turn = run.turns[PREPARATION]
    turn = replace(turn, planned=True, steps={**turn.steps, **table(fact.preparation)})
    return replace(
        with_turn(run, turn),
        forecast=fact.forecast,
        snapshot=fact.snapshot,
        always=fact.always,
        master=fact.master,
        warnings=(*run.warnings, *fact.forecast.warnings),
    )


def _homes_noted(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.HomesNoted)
    return with_homes(run, fact.homes)


def _waiting(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunWaiting)
    return _also_prepared(replace(run, waiting=fact.because), fact.steps)


def _went_on(run: Run, fact: facts.Fact, at: float) -> Run:
    assert isinstance(fact, facts.RunWentOn)
    return _also_prepared(replace(run, waiting=""), fact.steps)


def _also_prepared(run: Run, steps: Iterable[facts.StepPlanned]) -> Run:
    preparation = run.turns[PREPARATION]
    return with_turn(run, replace(preparation, steps={**preparation.steps, **table(steps)}))


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
    turn = Turn(RESTORATION, None, False, at, table(run.always), planned=True)
    return with_turn(run, turn)


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


RUN_FACTS: Mapping[str, RunFold] = MappingProxyType(
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
"""Which fact of a run is folded by what."""
