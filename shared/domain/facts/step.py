"""The planner's facts about one step of a run, guarded over the pool."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.acts import Act
from shared.domain.facts.run import RunFact
from shared.domain.names import Name, Named, Sentence, Token


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
    """What was waited for has come, judged from values that were seen. `seconds` of pool time from the reboot's order
    until `host` was seen back; 0 where that says nothing of the next boot, because somebody had to help."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{step}.wait_over"
    step: Token
    because: Sentence
    host: Named | None = None
    seconds: float = 0.0


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
