"""Facts: what happened, past tense, each with the subject it is stored under.

A fact is a frozen pydantic model; its fields `pool`, `run`, `step`, `host` fill the subject's places. Readers ignore
unknown fields. Which service writes which fact, and who reads it, stands in `messages`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.acts import Act, Result
from shared.domain.model import Package, Versions
from shared.domain.names import Name, Named, Seconds, Sentence, Token
from shared.domain.policy import Policy
from shared.domain.schedule import Schedule

Outcome = Literal["succeeded", "succeeded_with_warnings", "failed", "cancelled", "refused"]


class Value(BaseModel):
    """A frozen value on the wire."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Fact(Value):
    """The root of all facts. `subject` is the template of where it is stored."""

    subject: ClassVar[str] = ""
    family: ClassVar[str] = ""


# --- parts of facts --------------------------------------------------------------------------------------------------


class Need(Value):
    """An edge of the graph: the step that must have ended first, and why."""

    step: Token
    because: Sentence


class StepPlanned(Value):
    """A step as planned. `if_it_fails`: `hold` the run, or go on and `warn`. `why` is the sentence that people see."""

    step: Token
    act: Act
    needs: tuple[Need, ...] = ()
    why: Sentence = ""
    if_it_fails: Literal["hold", "warn"] = "hold"


class Home(Value):
    """Where a VM lives."""

    vm: Named
    host: Named


class Blocker(Value):
    """Something that stands in the way: the sentence names the thing, the cause and the fix."""

    sentence: Sentence
    code: Name = ""
    host: Named | None = None
    vm: Named | None = None


class ForecastMove(Value):
    """A VM that leaves a host in its turn and comes back."""

    vm: Named
    to: Named
    memory: int


class ForecastTurn(Value):
    """One host's part of the forecast. `seconds` is the estimate of pool time from its first step to its last."""

    turn: Token
    host: Named
    master: bool
    updates: tuple[Package, ...]
    moves: tuple[ForecastMove, ...]
    seconds: Seconds
    because: Sentence


class Forecast(Value):
    """The plan as it is shown before the start. `digest` names this very plan."""

    pool_name: Name
    turns: tuple[ForecastTurn, ...]
    left_alone: tuple[Named, ...]
    blockers: tuple[Blocker, ...]
    warnings: tuple[Sentence, ...]
    settings: tuple[Sentence, ...]
    seconds: Seconds
    digest: Token
    sentence: Sentence


# --- the planner's facts about a run: guarded over the pool -----------------------------------------------------------


class RunFact(Fact):
    """A fact of the planner about a run."""

    family: ClassVar[str] = "run"
    pool: Token
    run: Token


class RunRequested(RunFact):
    """A run was ordered and the pool is its own from now on. `survey` is its first step. Its `purpose`: to `update` the
    pool, to `undo` what is noted in the pool itself, or to `pay` what an earlier run owes."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_requested"
    order: Name
    by: Name
    policy: Policy
    reason: Sentence = ""
    digest: Name = ""
    consents: tuple[Name, ...] = ()
    purpose: Literal["update", "undo", "pay"] = "update"
    survey: StepPlanned


class RunRefused(RunFact):
    """An order to start a run was not taken, because the pool has one already."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_refused"
    order: Name
    by: Name
    because: Sentence


class RunPlanned(RunFact):
    """The plan, with the steps that prepare the run and the always-steps that put back what those change.
    `snapshot` names the survey it was made from, `master` is the host that was master then."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_planned"
    forecast: Forecast
    snapshot: Name
    preparation: tuple[StepPlanned, ...]
    always: tuple[StepPlanned, ...]
    master: Named | None = None


class HomesNoted(RunFact):
    """Where each VM lives, noted before the first touch. Large pools take several of these in one batch."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.homes_noted"
    homes: tuple[Home, ...]


class RunBegan(RunFact):
    """The run starts to change the pool."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_began"
    sentence: Sentence


class TurnBegun(RunFact):
    """A host's turn has begun, with a new survey as its first step."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_begun"
    turn: Token
    host: Named
    master: bool
    survey: StepPlanned


class TurnPlanned(RunFact):
    """The turn's steps, planned afresh. `differences` says what is no longer as in the forecast;
    `homes` are of VMs first seen, or moved by their owners."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_planned"
    turn: Token
    steps: tuple[StepPlanned, ...]
    homes: tuple[Home, ...] = ()
    differences: tuple[Sentence, ...] = ()
    seconds: Seconds = 0.0


class TurnTurnedBack(RunFact):
    """A turn goes back instead of on (cancel now, before its install): what waits is dropped, `steps` bring the
    host and its VMs back."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_turned_back"
    turn: Token
    steps: tuple[StepPlanned, ...]
    because: Sentence


class TurnEnded(RunFact):
    """A host's turn is over."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_ended"
    turn: Token
    host: Named
    outcome: Literal["done", "turned_back", "left_alone", "failed"]
    sentence: Sentence
    warnings: tuple[Sentence, ...] = ()


class StepsAdded(RunFact):
    """Steps join an open turn, because of something that was found on the way. `before` is a step of the turn that
    must wait for them too."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.steps_added"
    turn: Token
    steps: tuple[StepPlanned, ...]
    homes: tuple[Home, ...] = ()
    before: Token | None = None
    because: Sentence


class StepsReopened(RunFact):
    """Steps of an open turn are to be done once more, because what they had made so is so no longer."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.steps_reopened"
    turn: Token
    steps: tuple[Token, ...]
    because: Sentence


class StepOrdered(RunFact):
    """A step's order is about to be sent. The act is complete: a lost order is made again from this fact."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.step_ordered"
    step: Token
    attempt: int
    act: Act
    sentence: Sentence = ""


class StepTimedOut(RunFact):
    """A step did not end by its deadline."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.step_timed_out"
    step: Token
    attempt: int
    because: Sentence


class StepGaveUp(RunFact):
    """A step failed as often as policy allows."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.step_gave_up"
    step: Token
    because: Sentence


class StepSkipped(RunFact):
    """A step is left out, by a person or because the run goes on without it."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.step_skipped"
    step: Token
    because: Sentence
    by: Name = ""
    order: Name = ""


class StepRetried(RunFact):
    """A person asked for a step to be tried again."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.step_retried"
    step: Token
    by: Name
    order: Name = ""


class WaitBegan(RunFact):
    """A wait has begun; nobody is ordered anything. `until` is pool time."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.wait_began"
    step: Token
    until: float
    because: Sentence


class WaitOver(RunFact):
    """What was waited for has come, judged from values that were seen."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.wait_over"
    step: Token
    because: Sentence


class HostSkipped(RunFact):
    """A host is left out of the run, by a person or by policy; it stays as it is."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.host_skipped"
    host: Named
    because: Sentence
    by: Name = ""
    order: Name = ""


class MasterNoted(RunFact):
    """Another host is master than the run was planned with; from now on this one is."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.master_noted"
    host: Named
    because: Sentence


class HostLost(RunFact):
    """A host is down, or unreachable past a deadline, without an order of ours."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.host_lost"
    host: Named
    because: Sentence


class RunHeld(RunFact):
    """The run waits for a person: retry, skip or cancel. `by` and `order` where somebody ordered it."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_held"
    because: Sentence
    step: Token | None = None
    who_can_help: Name = ""
    by: Name = ""
    order: Name = ""


class RunPaused(RunFact):
    """A person asked that nothing new begins."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_paused"
    by: Name
    order: Name = ""


class RunResumed(RunFact):
    """The run goes on after a hold or a pause."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_resumed"
    by: Name
    order: Name = ""


class RunCancelling(RunFact):
    """The run was told to end. `now` or after this turn; `sentences` say for each host what that means."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_cancelling"
    by: Name
    now: bool
    order: Name = ""
    sentences: tuple[Sentence, ...]


class SettingOwed(RunFact):
    """A setting that cannot be put back yet: cause, condition, and the exact command for a person."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.setting_owed"
    step: Token
    setting: Name
    because: Sentence
    condition: Sentence
    command: Sentence
    act: Act


class SettingPaid(RunFact):
    """A setting that was owed has been put back."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.setting_paid"
    step: Token
    setting: Name


class RunFinishing(RunFact):
    """No turn is left; what Rota changed is put back now."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_finishing"
    sentence: Sentence


class OrderAnswered(RunFact):
    """A person's order to a run was taken and changes nothing, or cannot be carried out; the sentence says why."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.order_answered"
    order: Name
    by: Name
    verb: Name
    taken: bool
    because: Sentence


class RunEnded(RunFact):
    """The run is over and the pool is free."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_ended"
    outcome: Outcome
    sentence: Sentence
    warnings: tuple[Sentence, ...] = ()
    blockers: tuple[Blocker, ...] = ()


# --- a forecast without a run: the planner's, outside the pool's guard ------------------------------------------------


class PlanFact(Fact):
    """A fact of the planner about a forecast; the request's id stands where a run's does."""

    family: ClassVar[str] = "plan"
    pool: Token
    run: Token


class ForecastRequested(PlanFact):
    """A forecast was asked for."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_requested"
    order: Name
    by: Name
    policy: Policy


class ForecastStepOrdered(PlanFact):
    """The forecast's survey is about to be ordered."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.{step}.step_ordered"
    step: Token
    attempt: int
    act: Act


class ForecastMade(PlanFact):
    """The forecast. Nothing on the pool was changed."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_made"
    order: Name
    forecast: Forecast


class ForecastFailed(PlanFact):
    """No forecast could be made."""

    subject: ClassVar[str] = "rota.fact.plan.{pool}.{run}.plan.forecast_failed"
    order: Name
    because: Sentence


# --- the executor's facts ---------------------------------------------------------------------------------------------


class StepFact(Fact):
    """A fact of the executor about one step of a run or a forecast."""

    family: ClassVar[str] = "step"
    pool: Token
    run: Token
    step: Token
    attempt: int


class StepStarted(StepFact):
    """An executor holds the step. `token` is its delivery's place, `session` the uuid (never the ref) of its XAPI
    session, `by` the executor."""

    subject: ClassVar[str] = "rota.fact.step.{pool}.{run}.{step}.step_started"
    token: tuple[int, int]
    session: Name
    by: Name


class StepProgressed(StepFact):
    """A long step goes on; stored at most once a minute. `share` is 0 to 1."""

    subject: ClassVar[str] = "rota.fact.step.{pool}.{run}.{step}.step_progressed"
    share: float
    sentence: Sentence = ""


class StepSucceeded(StepFact):
    """It is so, confirmed by looking. `seconds` of pool time it took."""

    subject: ClassVar[str] = "rota.fact.step.{pool}.{run}.{step}.step_succeeded"
    result: Result
    seconds: Seconds = 0.0
    sentence: Sentence = ""


class Debt(Value):
    """Why a setting cannot be put back now: what must come first, and the command a person could give."""

    setting: Name
    condition: Sentence
    command: Sentence


class StepFailed(StepFact):
    """It did not come to be. `again_after` in seconds of pool time where trying again may help, else None.
    `code` is XAPI's. `debt` where the step should have put back a setting. `go_back_to` names a kind of step that
    must be done again first (the reboot's fence found the host not empty)."""

    subject: ClassVar[str] = "rota.fact.step.{pool}.{run}.{step}.step_failed"
    because: Sentence
    code: Name = ""
    again_after: float | None = None
    who_can_help: Name = ""
    debt: Debt | None = None
    go_back_to: Name = ""


# --- the watcher's facts ----------------------------------------------------------------------------------------------


class HostFact(Fact):
    """What is seen of a host now: values, not edges. `seen_at` is pool time."""

    family: ClassVar[str] = "host"
    pool: Token
    host: Token
    name: Name
    seen_at: float


class HostAnswering(HostFact):
    """Its own address answers."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_answering"
    boot_time: float | None = None


class HostUnreachable(HostFact):
    """Its own address does not answer. That alone does not make it down."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_unreachable"
    because: Sentence = ""


class HostDown(HostFact):
    """It is down: not live for longer than a toolstack restart takes, or known to be off."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_down"
    because: Sentence = ""


class HostCameBack(HostFact):
    """It takes logins on its own address again and is live, with what it says of its own boot."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_came_back"
    boot_time: float | None
    agent_start_time: float | None
    servertime: float | None
    versions: Versions = Versions()


class PoolFact(Fact):
    """What is seen of a pool."""

    family: ClassVar[str] = "pool"
    pool: Token
    seen_at: float


class MasterUnreachable(PoolFact):
    """The pool's API does not answer."""

    subject: ClassVar[str] = "rota.fact.pool.{pool}.master_unreachable"
    address: Name
    because: Sentence = ""


class MasterChanged(PoolFact):
    """Another host is master, or the first one was found."""

    subject: ClassVar[str] = "rota.fact.pool.{pool}.master_changed"
    host: Named
    address: Name


# --- the reporter's facts ---------------------------------------------------------------------------------------------

Occasion = Literal["announced", "started", "held", "approval", "host_done", "rejected", "ended", "owed", "paid"]


class ReportFact(Fact):
    """What became of a report. `run` is `none` for an occasion without a run; `about` is the place in the journal of
    the fact that was told, because one run may be held twice; `again` after how many minutes of pool time this word on
    it came, 0 for the first."""

    family: ClassVar[str] = "report"
    pool: Token
    run: Token
    occasion: Occasion
    destination: Name
    about: int = 0
    again: int = 0


class ReportSent(ReportFact):
    """A report was accepted by its destination."""

    subject: ClassVar[str] = "rota.fact.report.{pool}.{run}.report_sent"
    reference: Name
    attempt: int = 1


class ReportFailed(ReportFact):
    """A report could not be delivered; tried again after `again_after` seconds of machine time, or never (None)."""

    subject: ClassVar[str] = "rota.fact.report.{pool}.{run}.report_failed"
    because: Sentence
    attempt: int = 1
    again_after: float | None = None


# --- the scheduler's facts --------------------------------------------------------------------------------------------


class ScheduleFact(Fact):
    """A fact of the scheduler about one schedule. A tick that it published is an order, and answered like any other."""

    family: ClassVar[str] = "schedule"
    schedule: Token


class ScheduleSet(ScheduleFact):
    """A schedule is in force from now on. `sentence` says what it does, and when next."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.schedule_set"
    order: Name
    by: Name
    value: Schedule
    sentence: Sentence


class ScheduleDeleted(ScheduleFact):
    """A schedule is in force no longer."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.schedule_deleted"
    order: Name
    by: Name
    sentence: Sentence


class TickMissed(ScheduleFact):
    """A tick (pool time) started nothing on some pools: nobody was there in time, or there is no such pool. `ticks`
    counts it and those missed just before it, since the last that was kept."""

    subject: ClassVar[str] = "rota.fact.schedule.{schedule}.tick_missed"
    tick: float
    ticks: int = 1
    pools: tuple[Token, ...] = ()
    because: Sentence


# --- facts about messages ---------------------------------------------------------------------------------------------


class OrderRefused(Fact):
    """An order without a usable pool was not taken."""

    subject: ClassVar[str] = "rota.fact.system.order_refused"
    family: ClassVar[str] = "system"
    order: Name
    by: Name
    verb: Name
    pool: Name = ""
    because: Sentence


class MessageRejected(Fact):
    """A message that cannot be read, or keeps failing, was taken off the bus."""

    subject: ClassVar[str] = "rota.fact.system.message_rejected"
    family: ClassVar[str] = "system"
    rejected_subject: Name
    seq: int
    because: Sentence
    service: Name
    excerpt: Sentence = ""


class Details(Value):
    """Free data that a reader may show and never decides on."""

    data: Mapping[str, Any] = Field(default_factory=dict)
