"""The planner's facts about a run as a whole, guarded over the pool."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.domain.facts.forecast import Forecast
from shared.domain.facts.parts import Blocker, Home, StepPlanned
from shared.domain.facts.root import Fact
from shared.domain.names import Name, Named, Sentence, Token
from shared.domain.policy import Policy
from shared.domain.window import Window

Outcome = Literal["succeeded", "succeeded_with_warnings", "failed", "cancelled", "refused"]


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
    window: Window | None = None
    overrides_window: bool = False


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


class HoldAcknowledged(RunFact):
    """A person has seen the hold and looks after it: nobody is told of it again, and the window's end does not cancel
    the run."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.hold_acknowledged"
    by: Name
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
