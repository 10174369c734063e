"""What is to be published, in the order it was seen, while the bus may be away for minutes.

Facts here are values: of two that wait about the same thing only the newer is kept. A message's id is made once, when
it was seen, and kept over all retries.
"""

from __future__ import annotations

import asyncio

from structlog.stdlib import BoundLogger

from shared.bus import wire
from shared.bus.port import Bus, BusRefused, Message
from shared.clock import Clock
from shared.domain import facts, messages

AGAIN = 1.0
"""Seconds of machine time after which a message that the bus refused is tried again."""

TICK = 0.000_001
"""Seconds of pool time between two things that were seen at one moment."""


class Outbox:
    """Put facts in at any time; `run` takes them out."""

    def __init__(self, bus: Bus, source: str, clock: Clock, log: BoundLogger) -> None:
        self._bus = bus
        self._source = source
        self._clock = clock
        self._log = log
        self._last = 0.0
        self._waiting: dict[str, tuple[str, Message]] = {}
        self._some = asyncio.Event()

    def seen_at(self) -> float:
        """Pool time for the next fact: now, and later than the last one's, even when the clock jumps or stands still.
        Otherwise the newer would be taken for the older one sent again, or for an older one."""
        self._last = max(self._clock.now(), self._last + TICK)
        return self._last

    def put(self, fact: facts.HostFact | facts.PoolFact) -> None:
        """Publish a fact as soon as the bus takes it."""
        id = message_id(fact)
        message = wire.fact_message(fact, source=self._source, at=fact.seen_at, id=id)
        self._waiting.pop(message.subject, None)
        self._waiting[message.subject] = (id, message)
        self._some.set()

    async def run(self) -> None:
        """Publish for ever. Raises BusClosed when the bus's client was closed."""
        while True:
            await self._some.wait()
            subject = next(iter(self._waiting))
            id, message = self._waiting[subject]
            try:
                await self._bus.append(message, id=id)
            except BusRefused as refused:
                self._log.error("bus_refused", subject=subject, sentence=f"The bus does not take a fact: {refused}.")
                await asyncio.sleep(AGAIN)
                continue
            if self._waiting.get(subject, ("",))[0] == id:
                del self._waiting[subject]
            if not self._waiting:
                self._some.clear()


def message_id(fact: facts.HostFact | facts.PoolFact) -> str:
    """`<pool>.<host>.<fact>.<seen_at>`: the same sight is stored once, and a state that comes back is stored again."""
    who = fact.host if isinstance(fact, facts.HostFact) else "pool"
    return f"{fact.pool}.{who}.{messages.fact_name(fact)}.{fact.seen_at:.6f}"
