"""The forecast as a value, and the planner's facts about one that was asked for without a run: outside the pool's
guard."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.acts import Act
from shared.domain.facts.parts import Blocker
from shared.domain.facts.root import Fact, Value
from shared.domain.model import Package
from shared.domain.names import Name, Named, Seconds, Sentence, Token
from shared.domain.policy import Policy


class ForecastMove(Value):
    """A VM that leaves a host in its turn and comes back."""

    vm: Named
    to: Named
    memory: int


class ForecastTurn(Value):
    """One host's part of the forecast. `seconds` is the estimate of pool time from its first step to its last;
    `advisories` are what the texts of the updates name."""

    turn: Token
    host: Named
    master: bool
    updates: tuple[Package, ...]
    moves: tuple[ForecastMove, ...]
    seconds: Seconds
    because: Sentence
    advisories: tuple[Name, ...] = ()


class Forecast(Value):
    """The plan as it is shown before the start. `digest` names this very plan. `warnings` are what should be mended,
    `notes` what is good to know."""

    pool_name: Name
    turns: tuple[ForecastTurn, ...]
    left_alone: tuple[Named, ...]
    blockers: tuple[Blocker, ...]
    warnings: tuple[Sentence, ...]
    settings: tuple[Sentence, ...]
    seconds: Seconds
    digest: Token
    sentence: Sentence
    max_away: int = 1
    empty_ahead: int = 0
    notes: tuple[Sentence, ...] = ()


class PlanFact(Fact):
    """A fact of the planner about a forecast; the request's id stands where a run's does."""

    family: ClassVar[str] = "plan"
    pool: Token
    run: Token


class ForecastRequested(PlanFact):
    """A forecast was asked for; with `tell` not by somebody who waits for it, but so that people are told what waits to
    be installed."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_requested"
    order: Name
    by: Name
    policy: Policy
    tell: bool = False


class ForecastStepOrdered(PlanFact):
    """The forecast's survey is about to be ordered."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.{step}.step_ordered"
    step: Token
    attempt: int
    act: Act


class ForecastMade(PlanFact):
    """The forecast. Nothing on the pool was changed. `snapshot` is what it was made from, in ROTA_SNAPSHOTS: there are
    the packages with their changelogs."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_made"
    order: Name
    forecast: Forecast
    snapshot: Name = ""
    by: Name = ""
    tell: bool = False


class ForecastFailed(PlanFact):
    """No forecast could be made."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_failed"
    order: Name
    because: Sentence
    by: Name = ""
    tell: bool = False
