"""Forecasts without a run: a survey, a plan, an answer; nothing on the pool is changed. Pure.

They stand outside the pool's guard: any planner may carry one on, and what two of them write has the same message id.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from services.planner import comparing, fitting, forecasting
from shared.domain import acts, commands, facts
from shared.domain.history import History
from shared.domain.model import PoolSnapshot
from shared.domain.names import step_id
from shared.domain.policy import Policy
from shared.domain.run import PREPARATION

ATTEMPTS = 3
PATIENCE = 600.0
"""Seconds of pool time after which a forecast's survey has failed."""

SURVEY = step_id(PREPARATION, 1)


@dataclass(frozen=True, slots=True)
class Ask:
    """A forecast that was asked for and is not answered yet. Times are pool time."""

    pool: str
    request: str
    order: str
    policy: Policy
    asked_at: float
    attempt: int = 0
    ordered: bool = False
    not_before: float = 0.0
    failed: str = ""
    said: str = ""
    snapshot: str = ""
    by: str = ""
    tell: bool = False
    others: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Next:
    """What follows for one ask: facts with the ids they are written under, the order outstanding, a snapshot wanted."""

    facts: tuple[tuple[facts.Fact, str], ...] = ()
    order: commands.DoStep | None = None
    wants: str = ""


Asks = Mapping[str, Ask]


def fold(asks: Asks, fact: facts.Fact, at: float) -> Asks:
    """The open asks after a fact."""
    if isinstance(fact, facts.ForecastRequested):
        ask = Ask(fact.pool, fact.run, fact.order, fact.policy, at, by=fact.by, tell=fact.tell, others=fact.others)
        return asks if fact.run in asks else {**asks, fact.run: ask}
    known = asks.get(getattr(fact, "run", ""))
    if known is None:
        return asks
    if isinstance(fact, (facts.ForecastMade, facts.ForecastFailed)):
        return {request: ask for request, ask in asks.items() if request != fact.run}
    changed = _evolve(known, fact, at)
    return {**asks, known.request: changed}


def _evolve(ask: Ask, fact: facts.Fact, at: float) -> Ask:
    if isinstance(fact, facts.ForecastStepOrdered):
        return replace(ask, attempt=max(ask.attempt, fact.attempt), ordered=True)
    if isinstance(fact, facts.StepSucceeded) and isinstance(fact.result, acts.SurveyTaken):
        return replace(ask, snapshot=fact.result.snapshot, ordered=False)
    if isinstance(fact, facts.StepFailed) and fact.attempt == ask.attempt:
        hopeless = fact.again_after is None or ask.attempt >= ATTEMPTS
        after = at + (fact.again_after or 0.0)
        failed = fact.because if hopeless else ""
        return replace(ask, ordered=False, not_before=after, failed=failed, said=fact.because)
    return ask


def advance(
    ask: Ask,
    now: float,
    snapshots: Mapping[str, PoolSnapshot],
    history: History = History(),  # noqa: B008 - a frozen value
    opening: fitting.Opening | None = None,
) -> Next:
    """What should be outstanding for an ask at pool time `now`, on a pool with this history and window."""
    if ask.failed:
        return _failed(ask, ask.failed)
    if ask.snapshot:
        snapshot = snapshots.get(ask.snapshot)
        if snapshot is None:
            return Next(wants=ask.snapshot)
        forecast = forecasting.forecast(snapshot, ask.policy, history, opening)
        made = facts.ForecastMade(
            pool=ask.pool,
            run=ask.request,
            order=ask.order,
            forecast=forecast,
            snapshot=ask.snapshot,
            by=ask.by,
            tell=ask.tell,
            compared=comparing.compared(snapshot, forecast, ask.policy, ask.others, history, opening),
        )
        return Next(((made, f"{ask.request}.made"),))
    if now > ask.asked_at + PATIENCE:
        unheard = f"The survey of pool {ask.pool} was not answered in time; is the executor running?"
        return _failed(ask, ask.said or unheard)
    if ask.ordered:
        return Next(order=_order(ask, ask.attempt))
    if now < ask.not_before:
        return Next()
    ordered = facts.ForecastStepOrdered(
        pool=ask.pool, run=ask.request, step=SURVEY, attempt=ask.attempt + 1, act=_survey(ask)
    )
    return Next(((ordered, f"{ask.request}.ordered.{ask.attempt + 1}"),))


def _failed(ask: Ask, because: str) -> Next:
    failed = facts.ForecastFailed(
        pool=ask.pool, run=ask.request, order=ask.order, because=because, by=ask.by, tell=ask.tell
    )
    return Next(((failed, f"{ask.request}.failed"),))


def _survey(ask: Ask) -> acts.Survey:
    return acts.Survey(ask.pool, ask.policy.updates)


def _order(ask: Ask, attempt: int) -> commands.DoStep:
    return commands.DoStep(pool=ask.pool, run=ask.request, step=SURVEY, attempt=attempt, act=_survey(ask))
