"""The executor's facts about one step of a run or a forecast."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.acts import Result
from shared.domain.facts.parts import Debt
from shared.domain.facts.root import Fact
from shared.domain.names import Name, Seconds, Sentence, Token


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
