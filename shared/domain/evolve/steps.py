"""How facts change a step, and what steps a turn has."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

from shared.domain import facts
from shared.domain.names import turn_of
from shared.domain.run import STEP_TABLE, Run, Step, StepState, Turn

StepFold = Callable[[Step, facts.Fact, float], Step]


def planned(fact: facts.StepPlanned) -> Step:
    """A step that waits, as it was planned."""
    return Step(fact.step, fact.act, fact.needs, fact.why, fact.if_it_fails)


def table(steps: Iterable[facts.StepPlanned]) -> dict[str, Step]:
    """Steps as they were planned, by id."""
    return {one.step: planned(one) for one in steps}


def with_turn(run: Run, turn: Turn) -> Run:
    """The run with a turn as it is now."""
    return replace(run, turns={**run.turns, turn.id: turn})


def evolve_step(run: Run, id: str, name: str, fact: facts.Fact, at: float) -> Run:
    """The run after a fact of its step `id`, where the table of steps has a cell for it."""
    step = run.step(id)
    if step is None:
        return run
    state = STEP_TABLE.get((step.state, name))
    if state is None or not _of_this_attempt(step, name, fact):
        return run
    changed = STEP_FACTS[name](replace(step, state=state), fact, at)
    turn = run.turns[turn_of(id)]
    return with_turn(run, replace(turn, steps={**turn.steps, id: changed}))


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


STEP_FACTS: Mapping[str, StepFold] = MappingProxyType(
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
"""Which fact of a step is folded by what."""
