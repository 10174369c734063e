"""What facts say about a run and its turns, noted in a draft, in the order of the journal.

A fact that names a step or a turn nobody planned changes nothing: the journal's beginning may be older than what the
bus keeps. What steps say stands in `stepping`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from services.reporter import doing, stepping
from services.reporter.draft import Draft, TurnDraft
from services.reporter.report import Hold, Obstacle, Said, Tone, Untold, Wait
from shared.domain import facts
from shared.domain.names import turn_of


def note(draft: Draft, fact: facts.Fact, at: float) -> None:
    """Take in one fact that happened at pool time `at`. A fact that people are told nothing of is passed over."""
    draft.through = max(draft.through, at)
    noting = _NOTES.get(type(fact)) or stepping.NOTES.get(type(fact))
    if noting is not None:
        noting(draft, fact, at)


# --- the run ----------------------------------------------------------------------------------------------------------


def _requested(draft: Draft, fact: facts.RunRequested, at: float) -> None:
    draft.requested = fact
    draft.reach("requested", "The pool is being read.", at)
    draft.plan((fact.survey,))
    what = "an update of" if fact.policy.updates else "a rolling reboot of"
    if fact.purpose != "update":
        what = "that everything is put back on"
    draft.tell(at, f"{fact.by} ordered {what} {fact.pool}{': ' + fact.reason if fact.reason else ''}.")


def _refused(draft: Draft, fact: facts.RunRefused, at: float) -> None:
    draft.refused = fact
    draft.reach("ended", fact.because, at)
    draft.tell(at, fact.because, "bad")


def _planned(draft: Draft, fact: facts.RunPlanned, at: float) -> None:
    draft.planned = fact
    draft.reach("planned", fact.forecast.sentence, at)
    draft.plan((*fact.preparation, *fact.always))
    draft.warnings += fact.forecast.warnings
    for turn in fact.forecast.turns:
        draft.turns[turn.turn] = TurnDraft(turn.turn, turn.host, turn.master, turn.seconds, turn)
    draft.tell(at, fact.forecast.sentence)


def _homes(draft: Draft, fact: facts.HomesNoted, at: float) -> None:
    draft.house(fact.homes)


def _began(draft: Draft, fact: facts.RunBegan, at: float) -> None:
    draft.reach("running", fact.sentence, at)
    draft.times.setdefault("began", at)
    draft.tell(at, fact.sentence)


def _held(draft: Draft, fact: facts.RunHeld, at: float) -> None:
    if draft.state != "held":
        draft.before_hold = draft.state
    draft.wait_over(at)
    draft.reach("held", fact.because, at)
    step = draft.steps.get(fact.step or "")
    if fact.by:
        draft.said.append(Said(at, fact.by, "held the run"))
    draft.holds.append(Hold(at, None, fact.because, doing.phrase(step.act) if step else "", fact.who_can_help))
    draft.tell(at, fact.because, "bad")


def _acknowledged(draft: Draft, fact: facts.HoldAcknowledged, at: float) -> None:
    draft.said.append(Said(at, fact.by, "looked after the hold"))
    draft.tell(at, f"{fact.by} has seen it and looks after it.")


def _waiting(draft: Draft, fact: facts.RunWaiting, at: float) -> None:
    draft.reach("waiting_for_window", fact.because, at)
    draft.waits.append(Wait(at, None, fact.because))
    draft.tell(at, fact.because)


def _went_on(draft: Draft, fact: facts.RunWentOn, at: float) -> None:
    draft.wait_over(at)
    draft.reach("running" if "began" in draft.times else "planned", fact.because, at)
    draft.tell(at, fact.because)


def _approval_asked(draft: Draft, fact: facts.ApprovalAsked, at: float) -> None:
    draft.reach("awaiting_approval", fact.sentence, at)
    draft.waits.append(Wait(at, None, fact.sentence))
    draft.tell(at, f"{fact.sentence} (digest {fact.digest})", "warn")
    for change in fact.changes:
        draft.tell(at, change)


def _approval_given(draft: Draft, fact: facts.ApprovalGiven, at: float) -> None:
    draft.said.append(Said(at, fact.by, f"approved {_asked_about(draft, fact)} ({fact.digest})"))
    draft.tell(at, f"{fact.by} approved it.")


def _asked_about(draft: Draft, fact: facts.ApprovalGiven | facts.ApprovalRefused) -> str:
    turn = draft.turns.get(fact.about)
    return f"the turn of {turn.host}" if turn else "the plan"


def _run_approved(draft: Draft, fact: facts.RunApproved, at: float) -> None:
    draft.wait_over(at)
    draft.reach("running" if "began" in draft.times else "planned", f"Approved by {' and '.join(fact.by)}.", at)


def _not_approved(draft: Draft, fact: facts.ApprovalRefused, at: float) -> None:
    if fact.by:
        draft.said.append(Said(at, fact.by, f"did not approve {_asked_about(draft, fact)}"))
    draft.reach("running", fact.because, at)
    draft.tell(at, fact.because, "bad")


def _paused(draft: Draft, fact: facts.RunPaused, at: float) -> None:
    draft.reach("paused", f"{fact.by} paused the run.", at)
    draft.said.append(Said(at, fact.by, "paused the run"))
    draft.tell(at, f"{fact.by} paused the run.", "warn")


def _resumed(draft: Draft, fact: facts.RunResumed, at: float) -> None:
    draft.hold_over(fact.by, at)
    draft.reach(draft.before_hold if draft.state == "held" else "running", "The run goes on.", at)
    draft.said.append(Said(at, fact.by, "let the run go on"))
    draft.tell(at, f"{fact.by} let the run go on.")


def _cancelling(draft: Draft, fact: facts.RunCancelling, at: float) -> None:
    draft.wait_over(at)
    draft.hold_over(fact.by, at)
    how = "now" if fact.now else "after the turn under way"
    draft.reach("running", " ".join(fact.sentences) or f"The run ends {how}.", at)
    draft.said.append(Said(at, fact.by, f"cancelled the run ({how})"))
    draft.tell(at, f"{fact.by} cancelled the run ({how}).", "warn")
    for sentence in fact.sentences:
        draft.tell(at, sentence)


def _lost(draft: Draft, fact: facts.HostLost, at: float) -> None:
    draft.warnings.append(fact.because)
    draft.tell(at, fact.because, "bad")


def _warned(draft: Draft, fact: facts.HostSkipped | facts.MasterNoted, at: float) -> None:
    draft.warnings.append(fact.because)
    draft.tell(at, fact.because, "warn")


def _finishing(draft: Draft, fact: facts.RunFinishing, at: float) -> None:
    draft.wait_over(at)
    draft.hold_over("", at)
    draft.reach("finishing", fact.sentence, at)
    draft.tell(at, fact.sentence)


def _ended(draft: Draft, fact: facts.RunEnded, at: float) -> None:
    draft.wait_over(at)
    draft.hold_over("", at)
    draft.ended = fact
    draft.reach("ended", fact.sentence, at)
    draft.warnings += fact.warnings
    draft.obstacles = tuple(
        Obstacle(one.sentence, one.host.name if one.host else "", one.vm.name if one.vm else "")
        for one in fact.blockers
    )
    draft.tell(at, fact.sentence, _TONES[fact.outcome])


def _answered(draft: Draft, fact: facts.OrderAnswered, at: float) -> None:
    draft.said.append(Said(at, fact.by, f"ordered {fact.verb}: {fact.because}"))


# --- turns ------------------------------------------------------------------------------------------------------------


def _turn_begun(draft: Draft, fact: facts.TurnBegun, at: float) -> None:
    turn = draft.turns.setdefault(fact.turn, TurnDraft(fact.turn, fact.host, fact.master, 0.0))
    turn.state, turn.begun_at = "under_way", at
    draft.plan((fact.survey,))
    draft.tell(at, f"The turn of {fact.host}{', the master,' if fact.master else ''} began.")


def _turn_planned(draft: Draft, fact: facts.TurnPlanned, at: float) -> None:
    draft.plan(fact.steps)
    draft.house(fact.homes)
    turn = draft.turns.get(fact.turn)
    if turn is not None:
        turn.differences = fact.differences
        turn.estimate = turn.estimate or fact.seconds
    for difference in fact.differences:
        draft.tell(at, difference)


def _turned_back(draft: Draft, fact: facts.TurnTurnedBack, at: float) -> None:
    for step in draft.steps.values():
        if turn_of(step.id) == fact.turn and step.state == "waiting":
            step.end(at, "dropped", fact.because)
    draft.plan(fact.steps)
    draft.tell(at, fact.because, "warn")


def _steps_added(draft: Draft, fact: facts.StepsAdded, at: float) -> None:
    draft.plan(fact.steps)
    draft.house(fact.homes)
    draft.tell(at, fact.because)


def _steps_reopened(draft: Draft, fact: facts.StepsReopened, at: float) -> None:
    for id in fact.steps:
        if (step := draft.steps.get(id)) is not None:
            step.end(at, "waiting")
    draft.tell(at, fact.because, "warn")


def _turn_ended(draft: Draft, fact: facts.TurnEnded, at: float) -> None:
    turn = draft.turns.setdefault(fact.turn, TurnDraft(fact.turn, fact.host, False, 0.0))
    turn.state, turn.because, turn.ended_at, turn.warnings = fact.outcome, fact.sentence, at, fact.warnings
    draft.tell(at, fact.sentence, "good" if fact.outcome == "done" else "warn")


# --- our own ----------------------------------------------------------------------------------------------------------


def _not_told(draft: Draft, fact: facts.ReportFailed, at: float) -> None:
    if fact.again_after is None:
        draft.untold[fact.destination, fact.about] = Untold(fact.destination, fact.occasion, fact.because)


def _told(draft: Draft, fact: facts.ReportSent, at: float) -> None:
    draft.untold.pop((fact.destination, fact.about), None)


_TONES: Mapping[str, Tone] = MappingProxyType(
    {"succeeded": "good", "succeeded_with_warnings": "warn", "failed": "bad", "cancelled": "warn", "refused": "bad"}
)

_NOTES: Mapping[type[facts.Fact], Callable[[Draft, Any, float], None]] = MappingProxyType(
    {
        facts.RunRequested: _requested,
        facts.RunRefused: _refused,
        facts.RunPlanned: _planned,
        facts.HomesNoted: _homes,
        facts.RunBegan: _began,
        facts.RunHeld: _held,
        facts.HoldAcknowledged: _acknowledged,
        facts.RunWaiting: _waiting,
        facts.RunWentOn: _went_on,
        facts.ApprovalAsked: _approval_asked,
        facts.ApprovalGiven: _approval_given,
        facts.RunApproved: _run_approved,
        facts.ApprovalRefused: _not_approved,
        facts.RunPaused: _paused,
        facts.RunResumed: _resumed,
        facts.RunCancelling: _cancelling,
        facts.HostSkipped: _warned,
        facts.MasterNoted: _warned,
        facts.HostLost: _lost,
        facts.RunFinishing: _finishing,
        facts.RunEnded: _ended,
        facts.OrderAnswered: _answered,
        facts.TurnBegun: _turn_begun,
        facts.TurnPlanned: _turn_planned,
        facts.TurnTurnedBack: _turned_back,
        facts.StepsAdded: _steps_added,
        facts.StepsReopened: _steps_reopened,
        facts.TurnEnded: _turn_ended,
        facts.ReportFailed: _not_told,
        facts.ReportSent: _told,
    }
)
