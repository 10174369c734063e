"""A forecast that cannot be made says what stood in the way."""

from __future__ import annotations

from services.planner import asks
from shared.domain import facts
from shared.domain.policy import Policy

ASKED = facts.ForecastRequested(pool="lab", run="p1", order="o1", by="anna", policy=Policy())


def asked_and(*told: facts.Fact) -> asks.Ask:
    """The ask after facts, all at pool time 0."""
    open_asks: asks.Asks = asks.fold({}, ASKED, 0.0)
    for fact in told:
        open_asks = asks.fold(open_asks, fact, 0.0)
    return open_asks["p1"]


def because(ask: asks.Ask, now: float) -> str:
    """Why it has failed at a moment, or nothing."""
    ((fact, _),) = asks.advance(ask, now, {}).facts
    return fact.because if isinstance(fact, facts.ForecastFailed) else ""


def failed(attempt: int, again_after: float | None) -> facts.StepFailed:
    """The survey did not come to be."""
    return facts.StepFailed(
        pool="lab", run="p1", step=asks.SURVEY, attempt=attempt, because="No answer.", again_after=again_after
    )


def ordered(attempt: int) -> facts.Fact:
    """The survey's order."""
    act = asks._survey(asked_and())
    return facts.ForecastStepOrdered(pool="lab", run="p1", step=asks.SURVEY, attempt=attempt, act=act)


def test_a_pool_that_never_answered_is_named_as_the_cause_when_patience_ends() -> None:
    """Not the executor, which did answer."""
    ask = asked_and(ordered(1), failed(1, 10.0))
    assert because(ask, asks.PATIENCE + 1) == "No answer."


def test_an_executor_that_never_answered_is_asked_for() -> None:
    """Nobody knows a better cause."""
    assert "is the executor running?" in because(asked_and(ordered(1)), asks.PATIENCE + 1)


def test_a_failure_that_is_worth_another_try_is_tried_again_when_it_is_due() -> None:
    """Not before, and not forever."""
    ask = asked_and(ordered(1), failed(1, 10.0))
    assert asks.advance(ask, 9.0, {}) == asks.Next()
    assert because(ask, 11.0) == ""
    assert because(asked_and(ordered(3), failed(3, 10.0)), 0.0) == "No answer."
