"""Commands: orders to one service, imperative.

Those of people and schedules go to the planner, or to the scheduler, as plain JSON; pool and run stand in the data. A
field that is not known is refused, because a misspelt order must not half apply. The executor's command carries an act.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from shared.domain.acts import Act
from shared.domain.names import Name, Sentence, Token


class Command(BaseModel):
    """The root of all commands."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    subject: ClassVar[str] = ""
    verb: ClassVar[str] = ""


class StartRun(Command):
    """Update a pool. `policy` holds only what differs from the pool's own; `now` overrides the window; `digest` is
    that of the forecast it was given for, and a plan that came out otherwise is refused; `consents` are VMs (by name,
    tag or uuid) that may be stopped, recorded with who gave the order. `not_after` is pool time, seconds since 1970:
    an order that is taken up later is refused (0: never too late)."""

    subject: ClassVar[str] = "rota.command.planner.start_run"
    verb: ClassVar[str] = "start_run"
    pool: Name
    policy: Mapping[str, Any] = Field(default_factory=dict)
    reason: Sentence = ""
    now: bool = False
    digest: Name = ""
    consents: tuple[Name, ...] = ()
    not_after: float = 0.0


class PlanPool(Command):
    """Make a forecast without starting anything. `compare` are other policies to plan from the same reading and set
    beside it, each with only what differs from the pool's own. With `tell` the reporter tells people what waits to be
    installed, where anything does."""

    subject: ClassVar[str] = "rota.command.planner.plan_pool"
    verb: ClassVar[str] = "plan_pool"
    pool: Name
    policy: Mapping[str, Any] = Field(default_factory=dict)
    tell: bool = False
    compare: tuple[Mapping[str, Any], ...] = Field(default=(), max_length=20)


class RunCommand(Command):
    """An order to an open run."""

    pool: Name
    run: Name


class CancelRun(RunCommand):
    """End a run: after this turn, or `now`, decided host by host."""

    subject: ClassVar[str] = "rota.command.planner.cancel_run"
    verb: ClassVar[str] = "cancel_run"
    now: bool = False


class PauseRun(RunCommand):
    """Begin nothing new until resumed."""

    subject: ClassVar[str] = "rota.command.planner.pause_run"
    verb: ClassVar[str] = "pause_run"


class HoldRun(RunCommand):
    """Begin nothing new and ask a person, for a reason that this client knows (a disk that is full, for example)."""

    subject: ClassVar[str] = "rota.command.planner.hold_run"
    verb: ClassVar[str] = "hold_run"
    because: Sentence


class ResumeRun(RunCommand):
    """Go on after a pause or a hold."""

    subject: ClassVar[str] = "rota.command.planner.resume_run"
    verb: ClassVar[str] = "resume_run"


class AcknowledgeHold(RunCommand):
    """Say that somebody has seen a hold and looks after it: nobody is told of it again, and it stays held."""

    subject: ClassVar[str] = "rota.command.planner.acknowledge_hold"
    verb: ClassVar[str] = "acknowledge_hold"


class ApproveRun(RunCommand):
    """Say yes to what an open run asks for: its plan, or a turn. With a `digest`, to that very plan and no other."""

    subject: ClassVar[str] = "rota.command.planner.approve_run"
    verb: ClassVar[str] = "approve_run"
    digest: Name = ""
    host: Name = ""


class RejectRun(RunCommand):
    """Say no to it: a run that has not begun is over, one under way ends after what cannot go back."""

    subject: ClassVar[str] = "rota.command.planner.reject_run"
    verb: ClassVar[str] = "reject_run"
    because: Sentence = ""


class RetryStep(RunCommand):
    """Try a step again that gave up or timed out."""

    subject: ClassVar[str] = "rota.command.planner.retry_step"
    verb: ClassVar[str] = "retry_step"
    step: Name


class SkipStep(RunCommand):
    """Go on without a step that gave up or timed out; who skips it answers for what it would have done."""

    subject: ClassVar[str] = "rota.command.planner.skip_step"
    verb: ClassVar[str] = "skip_step"
    step: Name


class SkipHost(RunCommand):
    """Leave a host out of the run: its turn is not begun, or goes back where it still can."""

    subject: ClassVar[str] = "rota.command.planner.skip_host"
    verb: ClassVar[str] = "skip_host"
    host: Name


class UndoPool(Command):
    """Put back whatever Rota noted in the pool itself as changed, with nothing but the pool to go by."""

    subject: ClassVar[str] = "rota.command.planner.undo_pool"
    verb: ClassVar[str] = "undo_pool"
    pool: Name


class SetSchedule(Command):
    """Update pools at the ticks of a cron expression in a zone, under a key (`does` is `tell`: only tell people what
    waits to be installed); a schedule of that key is replaced.
    `missed` is `skip` or `run_late`, within `late_hours`; `policy` holds what differs from each pool's own."""

    subject: ClassVar[str] = "rota.command.scheduler.set_schedule"
    verb: ClassVar[str] = "set_schedule"
    schedule: Name
    cron: Name
    zone: Name = "UTC"
    pools: tuple[Name, ...] = ()
    tags: tuple[Name, ...] = ()
    missed: Name = "skip"
    late_hours: float = 4.0
    policy: Mapping[str, Any] = Field(default_factory=dict)
    does: Name = "update"


class DeleteSchedule(Command):
    """Take away a schedule that an order has set."""

    subject: ClassVar[str] = "rota.command.scheduler.delete_schedule"
    verb: ClassVar[str] = "delete_schedule"
    schedule: Name


class DoStep(Command):
    """Do one act on a pool. Sent by the planner to the executor; the subject's verb is the act's kind."""

    model_config = ConfigDict(frozen=True, extra="ignore")
    subject: ClassVar[str] = "rota.command.executor.{kind}.{pool}.{run}.{step}-{attempt}"
    verb: ClassVar[str] = "do_step"
    pool: Token
    run: Token
    step: Token
    attempt: int
    act: Act
