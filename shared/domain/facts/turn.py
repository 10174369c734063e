"""The planner's facts about one turn of a run, guarded over the pool."""

from __future__ import annotations

from typing import ClassVar, Literal

from shared.domain.facts.parts import Home, Measured, StepPlanned
from shared.domain.facts.run import RunFact
from shared.domain.names import Named, Seconds, Sentence, Token


class TurnBegun(RunFact):
    """A host's turn has begun, with a new survey as its first step."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_begun"
    turn: Token
    host: Named
    master: bool
    survey: StepPlanned


class TurnPlanned(RunFact):
    """The turn's steps, planned afresh. `differences` says what is no longer as in the forecast, `changes` those of
    them that nobody has agreed to who approved the plan (VMs that are moved and were not to be);
    `homes` are of VMs first seen, or moved by their owners. `seconds` is the estimate of the turn; `left` and
    `left_upper` that of the whole run from now on, revised by how it went so far (0: it was not made)."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_planned"
    turn: Token
    steps: tuple[StepPlanned, ...]
    homes: tuple[Home, ...] = ()
    differences: tuple[Sentence, ...] = ()
    changes: tuple[Sentence, ...] = ()
    seconds: Seconds = 0.0
    left: Seconds = 0.0
    left_upper: Seconds = 0.0


class TurnTurnedBack(RunFact):
    """A turn goes back instead of on (cancel now, before its install): what waits is dropped, `steps` bring the
    host and its VMs back."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_turned_back"
    turn: Token
    steps: tuple[StepPlanned, ...]
    because: Sentence


class TurnEnded(RunFact):
    """A host's turn is over. `measured` is what it took, where it was done."""

    subject: ClassVar[str] = "rota.fact.run.{pool}.{run}.{turn}.turn_ended"
    turn: Token
    host: Named
    outcome: Literal["done", "turned_back", "left_alone", "failed"]
    sentence: Sentence
    warnings: tuple[Sentence, ...] = ()
    measured: Measured | None = None


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
