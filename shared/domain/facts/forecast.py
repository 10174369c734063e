"""The forecast as a value, and the planner's facts about one that was asked for without a run: outside the pool's
guard."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.domain.acts import Act
from shared.domain.facts.parts import Blocker
from shared.domain.facts.root import Fact, Value
from shared.domain.model import Package
from shared.domain.names import Name, Named, Seconds, Sentence, Token
from shared.domain.policy import Policy
from shared.domain.storage import DiskMove


class ForecastMove(Value):
    """A VM that leaves a host in its turn (`empty`), makes room on its own, `source`, for one that does (`room`), or
    goes from `source` to a host that is emptier when all turns are over (`level`). It comes back, unless it `stays`.
    `times` are seconds from the run's beginning: it leaves from, until; it goes home from, until. `disks` go with it,
    copied there and back; `cause` and `because` say why it cannot go without."""

    vm: Named
    to: Named
    memory: int
    times: tuple[int, ...] = ()
    purpose: Literal["empty", "room", "level"] = "empty"
    source: Named | None = None
    disks: tuple[DiskMove, ...] = ()
    cause: Name = ""
    because: Sentence = ""
    stays: bool = False


class ForecastPart(Value):
    """A part of a turn, in seconds from the run's beginning."""

    kind: Literal["look", "empty", "install", "reboot", "check", "home", "level"]
    begins: Seconds
    ends: Seconds


class ForecastStop(Value):
    """A VM that is stopped for its host's turn and started again after it: how, why, for about how many seconds of pool
    time, and who agreed to it (empty: that is asked for with the plan). `memory` is what it has now, in bytes. `host`
    is where it runs, if not on the turn's own host, and `starts_on` where it is started, if not there again. It
    `serves` SRs to the pool, or `uses` SRs that are away in this turn."""

    vm: Named
    strategy: Literal["suspend", "shutdown"]
    cause: Name
    because: Sentence
    memory: int = 0
    seconds: Seconds = 0.0
    consent: Name = ""
    host: Named | None = None
    starts_on: Named | None = None
    serves: tuple[Named, ...] = ()
    uses: tuple[Named, ...] = ()


class ForecastTurn(Value):
    """One host's part of the forecast. `seconds` is the estimate of pool time from its first step to its last, `upper`
    its upper end; `begins` and `ends` are seconds from the run's beginning. Without `reboots` its VMs stay.
    `advisories` are what the texts of the updates name."""

    turn: Token
    host: Named
    master: bool
    updates: tuple[Package, ...]
    moves: tuple[ForecastMove, ...]
    seconds: Seconds
    because: Sentence
    advisories: tuple[Name, ...] = ()
    upper: Seconds = 0.0
    begins: Seconds = 0.0
    ends: Seconds = 0.0
    parts: tuple[ForecastPart, ...] = ()
    reboots: bool = True
    stops: tuple[ForecastStop, ...] = ()


class HostLoad(Value):
    """The most memory, in bytes, that VMs take on a host in the course of the plan, and when, in seconds from the run's
    beginning; `usable` is what they may take, `end` what they take when the run is over (None: not known)."""

    host: Named
    most: int
    usable: int
    at: Seconds
    end: int | None = None


class Forecast(Value):
    """The plan as it is shown before the start. `digest` names this very plan, whatever its estimate. `warnings` are
    what should be mended, `notes` what is good to know.

    `seconds` is the estimate of the whole, `upper` its upper end, `basis` what it was made from. `loads` are the hosts
    with the memory they come to hold, `tightest` the one with the least left. HA is off for `ha_off` seconds, at most
    `ha_off_upper`; snapshots are refused from `refused_from` to `refused_until` (upper end), where they are, in seconds
    from the beginning."""

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
    upper: Seconds = 0.0
    basis: Sentence = ""
    loads: tuple[HostLoad, ...] = ()
    tightest: Named | None = None
    ha_off: Seconds = 0.0
    ha_off_upper: Seconds = 0.0
    refused_from: Seconds | None = None
    refused_until: Seconds | None = None


class Comparison(Value):
    """One way to update a pool in a few figures: what was asked for, and what comes of it. `moves` are migrations, away
    and home; `max_away` is as memory allows it; `blocked_by` says how many things stand in the way."""

    mode: Name
    max_away: int
    skip: tuple[Name, ...] = ()
    turns: int = 0
    moves: int = 0
    seconds: Seconds = 0.0
    upper: Seconds = 0.0
    ha_off: Seconds = 0.0
    tightest: HostLoad | None = None
    blockers: tuple[Blocker, ...] = ()
    blocked_by: int = 0
    digest: Token = ""


class PlanFact(Fact):
    """A fact of the planner about a forecast; the request's id stands where a run's does."""

    family: ClassVar[str] = "plan"
    pool: Token
    run: Token


class ForecastRequested(PlanFact):
    """A forecast was asked for, and how it compares with those under `others`; with `tell` not by somebody who waits
    for it, but so that people are told what waits to be installed."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_requested"
    order: Name
    by: Name
    policy: Policy
    tell: bool = False
    others: tuple[Policy, ...] = ()


class ForecastStepOrdered(PlanFact):
    """The forecast's survey is about to be ordered."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.{step}.step_ordered"
    step: Token
    attempt: int
    act: Act


class ForecastMade(PlanFact):
    """The forecast. Nothing on the pool was changed. `compared` are this one and those that were asked for beside it,
    in a few figures each, all from one reading of the pool. `snapshot` is what it was made from, in ROTA_SNAPSHOTS:
    there are the packages with their changelogs."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_made"
    order: Name
    forecast: Forecast
    snapshot: Name = ""
    by: Name = ""
    tell: bool = False
    compared: tuple[Comparison, ...] = ()


class ForecastFailed(PlanFact):
    """No forecast could be made."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_failed"
    order: Name
    because: Sentence
    by: Name = ""
    tell: bool = False
