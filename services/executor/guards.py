"""The guards that the journal holds: is a step still wanted, and whose is it (protocol 3.4, guards 2 and 3).

Reading and one guarded write; what follows from them is `holding`'s.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.bus import wire
from shared.bus.port import Bus, Guard, GuardLost, OutcomeUnknown, Stored, Token
from shared.domain import facts
from shared.domain.acts import Act
from shared.domain.commands import DoStep


class ReadAgain(Exception):
    """A guarded write was lost, or nobody can tell: read the journal again before anything else."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How the journal stands to a wanted step. `seq` is its last fact's, for the guard; `act` what was recorded to be
    done (an order only carries the message); `former` who held the step last, in whichever attempt."""

    seq: int
    act: Act
    former: facts.StepStarted | None = None

    @property
    def token(self) -> Token:
        """The former holder's token, below every real one where nobody held the step."""
        return Token(*self.former.token) if self.former is not None else Token(0, 0)


async def read(bus: Bus, command: DoStep) -> Standing | None:
    """How the journal stands to an order; None when it is not wanted any more. Raises Unreadable for a journal that a
    newer Rota wrote."""
    pool, run, step = command.pool, command.run, command.step
    last = await bus.last(wire.step_filter(pool, run, step))
    if last is None or not _wanted(last, command.attempt):
        return None
    ordered = await bus.last(f"rota.fact.*.{pool}.{run}.{step}.step_ordered")
    order = wire.read_fact(ordered).fact if ordered is not None else None
    if not isinstance(order, facts.StepOrdered | facts.ForecastStepOrdered) or order.attempt != command.attempt:
        return None
    started = await bus.last(f"rota.fact.step.{pool}.{run}.{step}.step_started")
    former = wire.read_fact(started).fact if started is not None else None
    return Standing(last.seq, order.act, former if isinstance(former, facts.StepStarted) else None)


async def still_mine(bus: Bus, command: DoStep, token: Token) -> bool:
    """Whether nobody with a higher token has begun the step."""
    started = await bus.last(f"rota.fact.step.{command.pool}.{command.run}.{command.step}.step_started")
    if started is None:
        return True
    fact = wire.read_fact(started).fact
    return not isinstance(fact, facts.StepStarted) or Token(*fact.token) <= token


async def write(bus: Bus, fact: facts.StepStarted | facts.StepProgressed, after: int, *, by: str, at: float) -> int:
    """Write a fact if the step's last one is still `after`; its sequence. Raises ReadAgain; it is never sent twice."""
    id = f"{fact.run}.{fact.step}.{fact.attempt}.{type(fact).__name__}.{after}"
    message = wire.fact_message(fact, source=by, at=at, id=id)
    try:
        return await bus.append_guarded([message], Guard(wire.step_filter(fact.pool, fact.run, fact.step), after))
    except (GuardLost, OutcomeUnknown) as error:
        raise ReadAgain(str(error)) from error


def _wanted(last: Stored, attempt: int) -> bool:
    """Go on only from an order, a start or a progress of this very attempt; any other fact has ended or replaced it."""
    fact = wire.read_fact(last).fact
    return isinstance(fact, _GOES_ON) and fact.attempt == attempt


_GOES_ON = (facts.StepOrdered, facts.ForecastStepOrdered, facts.StepStarted, facts.StepProgressed)
