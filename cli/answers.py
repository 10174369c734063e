"""Which facts answer which order, as values: no bus, no clock.

An order is answered by a fact that carries its id; a run it started, by what becomes of that run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from cli.exits import Exit, of_outcome
from shared.bus import wire
from shared.domain import commands, facts, names


@dataclass(frozen=True, slots=True)
class Sent:
    """An order as it was sent: its id, its sequence in the order stream, its subject, the pool and run it is about.
    For an order that starts a run, `run` is the id that run will have."""

    order: str
    seq: int
    subject: str
    pool: str
    run: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a fact means for an order. `final`: nothing more will come that answers it."""

    fact: facts.Fact
    sentence: str
    code: Exit = Exit.DONE
    final: bool = True


def run_named_by(command: commands.Command, order: str) -> str:
    """The run or forecast an order is about: the one it names, or the one it will start."""
    pool = getattr(command, "pool", "")
    if isinstance(command, commands.StartRun | commands.UndoPool):
        return names.run_id(pool, order)
    if isinstance(command, commands.PlanPool):
        return names.forecast_id(pool, order)
    return str(getattr(command, "run", ""))


def filters(pool: str) -> tuple[str, ...]:
    """The subjects under which an order about a pool, or one without a usable pool, may be answered."""
    common = ("rota.fact.system.*", "rota.fact.schedule.>")
    if not names.is_token(pool):
        return common
    return (wire.pool_filter(pool), f"rota.fact.plan.{pool}.>", f"rota.fact.step.{pool}.>", *common)


def answer(sent: Sent, fact: facts.Fact) -> Answer | None:
    """What a fact answers to an order, or None if it is about something else."""
    if isinstance(fact, facts.MessageRejected):
        mine = fact.rejected_subject == sent.subject and fact.seq == sent.seq
        return Answer(fact, fact.because, Exit.REFUSED) if mine else None
    if getattr(fact, "order", None) == sent.order:
        rule = _BY_ORDER.get(type(fact))
    elif sent.run and getattr(fact, "run", None) == sent.run and sent.subject in _STARTING:
        rule = _BY_RUN.get(type(fact))
    else:
        return None
    return rule(fact) if rule else None


def _refused(fact: facts.OrderRefused | facts.RunRefused) -> Answer:
    return Answer(fact, fact.because, Exit.REFUSED)


def _requested(fact: facts.RunRequested) -> Answer:
    return Answer(fact, f"Run {fact.run} has the pool {fact.pool}; it is being surveyed.", final=False)


def _asked(fact: facts.ForecastRequested) -> Answer:
    return Answer(fact, f"The pool {fact.pool} is being surveyed.", final=False)


def _began(fact: facts.RunBegan) -> Answer:
    return Answer(fact, fact.sentence or f"Run {fact.run} has begun.")


def _held(fact: facts.RunHeld) -> Answer:
    return Answer(fact, fact.because, Exit.WAITING)


def _ended(fact: facts.RunEnded) -> Answer:
    return Answer(fact, fact.sentence, of_outcome(fact.outcome))


def _held_as_asked(fact: facts.RunHeld) -> Answer:
    return Answer(fact, f"It is held: {fact.because}")


def _looked_after(fact: facts.HoldAcknowledged) -> Answer:
    return Answer(fact, f"Nobody is told of it again; it stays held until it is answered. {fact.by} looks after it.")


def _left_out(fact: facts.HostSkipped) -> Answer:
    return Answer(fact, fact.because)


def _step_failed(fact: facts.StepFailed) -> Answer:
    return Answer(fact, fact.because, final=False)


def _forecast(fact: facts.ForecastMade) -> Answer:
    code = Exit.REFUSED if fact.forecast.blockers else Exit.DONE
    return Answer(fact, fact.forecast.sentence, code)


def _no_forecast(fact: facts.ForecastFailed) -> Answer:
    return Answer(fact, fact.because, Exit.FAILED)


def _cancelling(fact: facts.RunCancelling) -> Answer:
    return Answer(fact, " ".join(fact.sentences) or f"Run {fact.run} is being cancelled.")


def _approved(fact: facts.ApprovalGiven) -> Answer:
    return Answer(fact, f"Approved by {fact.by}: {fact.digest}.")


def _not_approved(fact: facts.ApprovalRefused) -> Answer:
    return Answer(fact, fact.because)


def _paused(fact: facts.RunPaused) -> Answer:
    return Answer(fact, f"Run {fact.run} is paused: nothing new begins until `rota resume {fact.run}`.")


def _resumed(fact: facts.RunResumed) -> Answer:
    return Answer(fact, f"Run {fact.run} goes on.")


def _retried(fact: facts.StepRetried) -> Answer:
    return Answer(fact, f"Step {fact.step} of run {fact.run} is tried again.")


def _skipped(fact: facts.StepSkipped) -> Answer:
    return Answer(fact, f"Run {fact.run} goes on without step {fact.step}.")


def _schedule(fact: facts.ScheduleSet | facts.ScheduleDeleted) -> Answer:
    return Answer(fact, fact.sentence)


def _answered(fact: facts.OrderAnswered) -> Answer:
    return Answer(fact, fact.because, Exit.DONE if fact.taken else Exit.REFUSED)


# One rule takes the class that stands beside it; the two tables are the only place where they meet.
_BY_ORDER: Mapping[type[facts.Fact], Callable[..., Answer]] = MappingProxyType(
    {
        facts.OrderRefused: _refused,
        facts.RunRefused: _refused,
        facts.RunRequested: _requested,
        facts.ForecastRequested: _asked,
        facts.ForecastMade: _forecast,
        facts.ForecastFailed: _no_forecast,
        facts.RunCancelling: _cancelling,
        facts.ApprovalGiven: _approved,
        facts.ApprovalRefused: _not_approved,
        facts.RunPaused: _paused,
        facts.RunResumed: _resumed,
        facts.StepRetried: _retried,
        facts.StepSkipped: _skipped,
        facts.HostSkipped: _left_out,
        facts.ScheduleSet: _schedule,
        facts.ScheduleDeleted: _schedule,
        facts.RunHeld: _held_as_asked,
        facts.HoldAcknowledged: _looked_after,
        facts.OrderAnswered: _answered,
    }
)
_STARTING = frozenset({commands.StartRun.subject, commands.UndoPool.subject})
_BY_RUN: Mapping[type[facts.Fact], Callable[..., Answer]] = MappingProxyType(
    {
        facts.RunBegan: _began,
        facts.RunHeld: _held,
        facts.RunEnded: _ended,
        facts.StepFailed: _step_failed,
    }
)
