"""How facts change a run: `evolve(run, fact, at)` folds one fact, by the tables of `run`.

A fact that fits no cell changes nothing, so duplicates, late comers and forgeries fold to what was there before.
"""

from __future__ import annotations

from dataclasses import replace

from shared.domain import facts, messages
from shared.domain.evolve import runs, steps, turns
from shared.domain.run import PREPARATION, RUN_TABLE, Run, RunState, Turn

_APPLY = {**turns.TURN_FACTS, **runs.RUN_FACTS}


def begin(fact: facts.RunRequested, at: float) -> Run:
    """The run that an order starts: its survey waits in the turn of preparation."""
    survey = steps.planned(fact.survey)
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
    if isinstance(step_id, str) and (name in steps.STEP_FACTS):
        run = steps.evolve_step(run, step_id, name, fact, at)
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
