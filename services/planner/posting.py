"""Messages on the pool itself, for whoever looks at it in XenCenter or Xen Orchestra (conduct 24). Pure.

At a run's begin, at each hold and at its end. They are steps like any other, but that nothing waits for them: one that
fails is left out.
"""

from __future__ import annotations

from services.planner.view import Said, View
from shared.domain import acts, facts
from shared.domain.names import step_id
from shared.domain.run import PREPARATION, RESTORATION, Run, RunState

WHERE = "for whoever looks at the pool in XenCenter or Xen Orchestra"


def began(number: int, first: facts.Need, forecast: facts.Forecast, by: str) -> facts.StepPlanned:
    """The message of the begin, once the pool is this run's."""
    names = ", ".join(turn.host.name for turn in forecast.turns)
    text = f"Rota began to update this pool for {by}: {names}. Each host in its turn is disabled, emptied and rebooted."
    return facts.StepPlanned(
        step=step_id(PREPARATION, number),
        act=acts.PostMessage("began", text[:4000]),
        needs=(first,),
        why=f"Say that the run began, {WHERE}.",
        if_it_fails="warn",
    )


def at_the_end(always: tuple[facts.StepPlanned, ...]) -> tuple[facts.StepPlanned, ...]:
    """The always-steps with the message of the end before the last of them, which lets the pool go. Its text is written
    when it is ordered."""
    *back, release = always
    told = facts.StepPlanned(
        step=release.step,
        act=acts.PostMessage("ended"),
        needs=tuple(facts.Need(step=step.step, because="it is told how that went") for step in back),
        why=f"Say that the run is over, {WHERE}.",
        if_it_fails="warn",
    )
    needs = (*release.needs, facts.Need(step=told.step, because="nothing is done on the pool after that"))
    last = release.model_copy(update={"step": step_id(RESTORATION, len(always) + 1), "needs": needs})
    return (*back, told, last)


def ending(run: Run) -> str:
    """What the last message says."""
    done = sum(1 for turn in run.closed if turn.outcome == "done")
    total = len(run.forecast.turns) if run.forecast else 0
    ended = "was cancelled" if run.cancel else "is over"
    owed = f" Owed: {', '.join(one.setting for one in run.owed)}." if run.owed else ""
    return f"Rota's run {ended}: {done} of {total} hosts are updated.{owed}"


def held(view: View) -> Said | None:
    """A run that waits for a person says so on the pool, once for each hold."""
    run = view.run
    preparation = run.turns.get(PREPARATION)
    if run.state is not RunState.HELD or run.hold is None or preparation is None:
        return None
    claimed = all(step.settled for step in preparation.of_kind("claim_pool"))
    told = (step.act for step in preparation.of_kind("post_message"))
    if not claimed or any(isinstance(act, acts.PostMessage) and act.since == run.hold.since for act in told):
        return None
    step = facts.StepPlanned(
        step=preparation.next_step,
        act=acts.PostMessage("held", f"Rota waits for a person: {run.hold.because}"[:4000], run.hold.since),
        why=f"Say that the run waits for a person, {WHERE}.",
        if_it_fails="warn",
    )
    added = facts.StepsAdded(**view.ids, turn=PREPARATION, steps=(step,), because=step.why)
    return Said((added,), sentence=f"Held: {run.hold.because}")
