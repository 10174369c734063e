"""The planner's facts about a run that waits: for its window, or for people to approve. Guarded over the pool."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.facts.parts import StepPlanned
from shared.domain.facts.run import RunFact
from shared.domain.names import Name, Named, Sentence, Token


class RunWaiting(RunFact):
    """Nothing begins until the window opens, at `until` (pool time). `steps` put back in between what must not stay
    changed for so long."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_waiting"
    until: float
    because: Sentence
    steps: tuple[StepPlanned, ...] = ()


class RunWentOn(RunFact):
    """The window is open, and the run goes on. `steps` change again what was put back in between."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_went_on"
    because: Sentence
    steps: tuple[StepPlanned, ...] = ()


class ApprovalAsked(RunFact):
    """The run waits for people to approve the plan (`about` is `plan`) or a turn (its id, and its `host`), by its
    digest. `changes` say what is no longer as it was approved; so many different persons are `needed`, until then."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.approval_asked"
    about: Token
    host: Named | None = None
    digest: Name
    sentence: Sentence
    changes: tuple[Sentence, ...] = ()
    needed: int = 1
    until: float


class ApprovalGiven(RunFact):
    """A person approved what was asked for by this digest."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.approval_given"
    about: Token
    digest: Name
    by: Name
    order: Name = ""


class RunApproved(RunFact):
    """As many persons as are needed have approved; the run goes on."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.run_approved"
    about: Token
    digest: Name
    by: tuple[Name, ...]


class ApprovalRefused(RunFact):
    """A person said no, or nobody said yes in time (`by` is empty then)."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.run.approval_refused"
    about: Token
    because: Sentence
    by: Name = ""
    order: Name = ""
