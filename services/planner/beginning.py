"""Rules of a run's beginning: its survey, its plan, its first touch. Pure."""

from __future__ import annotations

from services.planner import claims, fitting, forecasting, gates, passing, posting, preparing, replication, strategies
from services.planner.view import Said, View, ended
from shared.domain import acts, facts
from shared.domain.model import PoolSnapshot
from shared.domain.names import step_id
from shared.domain.run import PREPARATION, RunState, StepState

HOMES_PER_FACT = 2000
"""So that a fact stays far under the bus's largest message."""


def survey_failed(view: View) -> Said | None:
    """A run whose first survey fails is over before it began: nothing on the pool has been changed."""
    turn = view.run.turns.get(PREPARATION)
    survey = turn.steps.get(step_id(PREPARATION, 1)) if turn else None
    if survey is None or not survey.failed or view.run.began_at:
        return None
    because = survey.because or "The pool could not be surveyed."
    return Said((ended(view, "refused", because),), sentence=because)


def plan(view: View) -> Said | None:
    """The plan, once the survey is there: or the run's end, where something stands in the way."""
    if view.run.state is not RunState.SURVEYING or view.run.cancel:
        return None
    survey = view.run.step(step_id(PREPARATION, 1))
    if survey is None or survey.state is not StepState.SUCCEEDED or not isinstance(survey.result, acts.SurveyTaken):
        return None
    snapshot = view.snapshots.get(survey.result.snapshot)
    if snapshot is None:
        return Said(wants=(survey.result.snapshot,))
    if view.run.purpose != "update":
        return _put_back(view, survey.result.snapshot, snapshot)
    ours = frozenset({view.run.id, *view.book.ended})
    claimed = claims.foreign(snapshot, ours)
    if claimed is not None:
        return Said((ended(view, "refused", claimed.sentence, blockers=(claimed,)),), sentence=claimed.sentence)
    opening = fitting.Opening(view.run.policy.window, view.run.window, view.now) if view.run.window else None
    shown = forecasting.forecast(
        snapshot, view.run.policy, view.book.history, opening, strategies.consents_of(view.run)
    )
    if passing.may_pass(shown.blockers) and view.now < view.run.requested_at + passing.WITHIN_THE_FIRST:
        return passing.looked_at_again(view, view.run.turns[PREPARATION], survey, shown.sentence)
    if shown.blockers:
        return Said((ended(view, "refused", shown.sentence, blockers=shown.blockers),), sentence=shown.sentence)
    if view.run.digest not in ("", shown.digest):
        because = f"The plan is not the one that was agreed to ({view.run.digest}) any more: {shown.sentence}"
        return Said((ended(view, "refused", because),), sentence=because)
    if not shown.turns:
        return Said((ended(view, "succeeded", shown.sentence),), sentence=shown.sentence)
    owed = {name: one.act for name, one in view.book.owed.items()}
    claim = acts.ClaimPool(claims.claim_of(view.run.pool, view.run.id, view.run.by), claims.leftover(snapshot, ours))
    preparation, always = preparing.preparation(snapshot, owed, survey.id, claim)
    first = facts.Need(step=preparation[0].step, because="the pool is this run's")
    preparation = (*preparation, posting.began(len(preparation) + 2, first, shown, view.run.by))
    preparation = replication.first(preparation, snapshot, view.run.policy)
    preparation, always = gates.around_run(preparation, posting.at_the_end(always), view.run.policy, snapshot.name)
    planned = facts.RunPlanned(
        **view.ids,
        forecast=shown,
        snapshot=survey.result.snapshot,
        preparation=preparation,
        always=always,
        master=snapshot.named(snapshot.master),
    )
    homes = preparing.homes(snapshot)
    noted = tuple(
        facts.HomesNoted(**view.ids, homes=homes[first : first + HOMES_PER_FACT])
        for first in range(0, len(homes), HOMES_PER_FACT)
    )
    return Said((planned, *noted), sentence=shown.sentence)


def _put_back(view: View, name: str, snapshot: PoolSnapshot) -> Said:
    """A run that only puts back: what is noted in the pool itself, whoever noted it, or what is owed."""
    if view.run.purpose == "pay":
        owed = [one.act for one in view.book.owed.values()]
        restore: list[acts.Restoring] = [act for act in owed if isinstance(act, preparing.RESTORING)]
        warnings, claim = list[str](), ""
    else:
        restore, warnings = claims.undoing(snapshot)
        claim = snapshot.settings.notes.get(claims.CLAIM, "")
    if not restore and not claim:
        sentence = f"Nothing of Rota's is noted on pool {snapshot.name}; there is nothing to undo."
        return Said((ended(view, "succeeded", sentence, warnings=tuple(warnings)),), sentence=sentence)
    sentence = f"{len(restore)} things that were changed on pool {snapshot.name} are put back."
    shown = facts.Forecast(
        pool_name=snapshot.name,
        turns=(),
        left_alone=tuple(host.named for host in snapshot.hosts),
        blockers=(),
        warnings=tuple(warnings),
        settings=tuple(step.why for step in preparing.always_steps(restore, claim)),
        seconds=60.0,
        digest=view.run.purpose,
        sentence=sentence,
    )
    planned = facts.RunPlanned(
        **view.ids,
        forecast=shown,
        snapshot=name,
        preparation=(),
        always=preparing.always_steps(restore, claim),
        master=snapshot.named(snapshot.master),
    )
    return Said((planned,), sentence=sentence)


def begin(view: View) -> Said | None:
    """A planned run begins."""
    if view.run.state is not RunState.PLANNED or view.run.forecast is None or view.run.cancel:
        return None
    if view.run.purpose != "update":
        finishing = facts.RunFinishing(**view.ids, sentence=view.run.forecast.sentence)
        return Said((finishing,), sentence=finishing.sentence)
    if view.no_room:
        return Said(sentence=view.no_room)
    sentence = view.run.forecast.sentence
    return Said((facts.RunBegan(**view.ids, sentence=sentence),), sentence=sentence)
