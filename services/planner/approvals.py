"""Rules of approval: of the plan before the first touch, of each turn before it begins, of what turned out otherwise.

What is asked for has a digest; who approved another digest approved something else. Pure.
"""

from __future__ import annotations

import hashlib

from services.planner.view import Said, View
from shared.domain import acts, facts
from shared.domain.run import Run, RunState, Turn

PLAN = "plan"


def of_plan(view: View) -> Said | None:
    """A planned run asks for its plan's approval before it touches anything."""
    run = view.run
    if run.state is not RunState.PLANNED or run.cancel or run.forecast is None or run.purpose != "update":
        return None
    if not awaits_its_plan(run):
        return None
    stops = [stop for turn in run.forecast.turns for stop in turn.stops]
    wanting = ", ".join(stop.vm.name for stop in stops if not stop.consent)
    others = ", ".join(stop.vm.name for stop in stops if stop.consent)
    stopped = f" It stops {wanting}, whose owners want to be asked." if wanting else ""
    stopped += f" It stops {others} too." if others and wanting else f" It stops {others}." if others else ""
    return _ask(view, PLAN, run.forecast.digest, f"Is this to be done? {run.forecast.sentence}{stopped}")


def awaits_its_plan(run: Run) -> bool:
    """Whether people must approve a run's plan before it begins, and have not: because policy says so, or the plan
    stops a VM and policy, or its owner, wants to be asked for that."""
    if run.forecast is None or PLAN in run.approved:
        return False
    stops = [stop for turn in run.forecast.turns for stop in turn.stops]
    wanted = bool(stops) if run.policy.approval == "stops" else any(not stop.consent for stop in stops)
    return run.policy.approval == "plan" or wanted


def of_turn(view: View, planned: facts.ForecastTurn) -> Said | None:
    """A hurdle: a turn that people are to approve is not begun without."""
    run = view.run
    if run.policy.approval != "turn" or planned.turn in run.approved:
        return None
    if any(turn.host for turn in run.turns.values()):
        return Said(sentence=f"The turn of {planned.host.name} is asked for when those under way have ended.")
    digest = hashlib.sha256(planned.model_dump_json().encode()).hexdigest()[:16]
    moves = f"{len(planned.moves)} VMs move away and home" if planned.moves else "it has no VMs"
    return _ask(view, planned.turn, digest, f"May the turn of {planned.host.name} begin? {moves}.", host=planned.host)


def of_change(view: View) -> Said | None:
    """A turn that came out otherwise than the plan that was approved is asked for again, with what is different."""
    for turn in view.run.turns.values():
        if not withheld(view.run, turn) or turn.host is None or view.run.state is not RunState.RUNNING:
            continue
        if any(other.host for other in view.run.turns.values() if other.id != turn.id):
            return Said(sentence=f"The turn of {turn.host.name} is asked for when those under way have ended.")
        changes = _asked_changes(view.run, turn)
        digest = hashlib.sha256("\n".join(changes).encode()).hexdigest()[:16]
        sentence = f"The turn of {turn.host.name} is not as it was approved. May it go on?"
        return _ask(view, turn.id, digest, sentence, host=turn.host, changes=changes)
    return None


def withheld(run: Run, turn: Turn) -> bool:
    """Whether a planned turn may not be carried out before people have approved what is different in it."""
    if turn.id in run.approved or turn.turned_back or run.cancel is not None:
        return False
    return bool(_asked_changes(run, turn))


def _asked_changes(run: Run, turn: Turn) -> tuple[str, ...]:
    """What is different in a turn, in sentences, of that which policy wants approved."""
    if run.policy.approval == "plan":
        return turn.changes
    if run.policy.approval != "stops" or run.forecast is None:
        return ()
    told = {stop.vm.uuid for planned in run.forecast.turns for stop in planned.stops}
    return tuple(
        f"{step.act.vm.name} is stopped, which the plan did not say."
        for step in turn.steps.values()
        if isinstance(step.act, acts.Stop) and step.act.vm.uuid not in told
    )


def answered(view: View) -> Said | None:
    """What people said, or did not say in time."""
    run, asked = view.run, view.run.asked
    if run.state is not RunState.AWAITING_APPROVAL or asked is None or run.cancel:
        return None
    if len(asked.by) >= asked.needed:
        approved = facts.RunApproved(**view.ids, about=asked.about, digest=asked.digest, by=asked.by)
        return Said((approved,), sentence=f"Approved by {' and '.join(asked.by)}.")
    if view.now < asked.until:
        missing = asked.needed - len(asked.by)
        persons = "a person" if missing == 1 else f"{missing} persons"
        return Said(sentence=f"Waiting for {persons} to approve: {asked.sentence}", wake_at=asked.until)
    because = "Nobody approved in time." if not asked.by else "Not enough people approved in time."
    return _refused(view, asked.about, because)


def _refused(view: View, about: str, because: str) -> Said:
    refused = facts.ApprovalRefused(**view.ids, about=about, because=because)
    return Said((refused, *consequences(view.run, because, by="policy")), sentence=because)


def consequences(run: Run, because: str, *, by: str) -> tuple[facts.RunFact, ...]:
    """What follows when something is not approved: before the first touch the run is over, else nothing more begins."""
    if not run.began_at:
        over = facts.RunEnded(pool=run.pool, run=run.id, outcome="refused", sentence=because)
        return (over,)
    return (facts.RunCancelling(pool=run.pool, run=run.id, by=by, now=True, sentences=(because,)),)


def _ask(view: View, about: str, digest: str, sentence: str, **more: object) -> Said:
    policy = view.run.policy
    asked = facts.ApprovalAsked.model_validate(
        {
            **view.ids,
            "about": about,
            "digest": digest,
            "sentence": sentence,
            "needed": policy.approvers,
            "until": view.now + policy.approval_minutes * 60,
            **more,
        }
    )
    return Said((asked,), sentence=sentence)
