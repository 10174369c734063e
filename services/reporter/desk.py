"""A queue of facts and who works on it: each is taken from the bus, worked on once, and acked when that is done.

Every delivery is kept alive while it is worked on; a second delivery of a fact in hand replaces the first and starts
nothing. What cannot be read, or keeps failing, becomes a fact and leaves the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.reporter import spoken
from shared import service
from shared.bus import poison, port, wire
from shared.domain import facts
from shared.domain.errors import Unreadable

DRAIN = 8.0
"""Seconds of machine time in which what is in hand may come to its end when the service stops."""

TRIES = 5
"""Times that this program itself fails at a fact before it is put aside as poison. Counted here and not by deliveries:
a fact that is looked at again and again for reminders has many, and none is a failure."""

AFTER_FAULT = 5.0
"""Seconds of machine time between those."""


@dataclass(frozen=True, slots=True)
class Queue:
    """A shared durable over the journal: its name, the subjects it takes, and the work on one fact, which returns after
    how many seconds of machine time it is wanted again, None when it is done with."""

    durable: str
    filters: tuple[str, ...]
    work: Callable[[wire.Recorded], Awaitable[float | None]]


class Desk:
    """What is in hand. `_held` maps a fact's sequence to its newest delivery; `hide` takes secrets out of what is said
    of a message that is put aside."""

    def __init__(self, context: service.Context, queue: Queue, hide: Callable[[str], str]) -> None:
        self._context = context
        self._queue = queue
        self._hide = hide
        self._held: dict[int, port.Delivery] = {}
        self._work: set[asyncio.Task[None]] = set()
        self._faults: dict[int, int] = {}

    async def work(self) -> None:
        """Take and work until stopped; then let what is in hand come to its end, for a while."""
        intake = port.Intake(
            wire.FACTS_STREAM, self._queue.durable, self._queue.filters, self._context.settings.bus.ack_wait
        )
        async with self._context.bus.take(intake) as deliveries:
            taking = asyncio.ensure_future(self._take(deliveries))
            try:
                await service.until_stopped(self._context, taking)
            finally:
                await self._drain()

    async def _take(self, deliveries: AsyncIterator[port.Delivery]) -> None:
        async for delivery in deliveries:
            seq = delivery.token.seq
            held = self._held.get(seq)
            if held is None or delivery.token > held.token:
                self._held[seq] = delivery
            if held is None:
                task = asyncio.ensure_future(self._handle(seq))
                self._work.add(task)
                task.add_done_callback(self._work.discard)

    async def _drain(self) -> None:
        """After a stop what is being told may end; after anything else it is left to whoever takes it up again."""
        work = set(self._work)
        if work and self._context.stop.is_set():
            _, work = await asyncio.wait(work, timeout=DRAIN)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _handle(self, seq: int) -> None:
        """One fact, from its delivery to its ack; whatever fails here must not stop the service."""
        try:
            async with self._kept_alive(seq):
                after = await self._work_on(self._held[seq])
            delivery = self._held[seq]
            self._faults.pop(seq, None)
            await (delivery.ack() if after is None else delivery.nak(after))
        except _PutAside as put_aside:
            await self._put_aside(self._held[seq], put_aside.because)
        except port.BusUnreachable as error:
            self._context.log.warning("bus_away", sentence=f"The bus is away, so {seq} is told later: {error}.")
        except Exception as error:  # noqa: BLE001 - the shell: it is logged, tried again, and put aside in the end
            await self._failed(self._held[seq], error)
        finally:
            del self._held[seq]

    async def _work_on(self, delivery: port.Delivery) -> float | None:
        try:
            recorded = wire.read_fact(_stored(delivery))
        except Unreadable as error:
            raise _PutAside(error.because) from error
        return await self._queue.work(recorded)

    @asynccontextmanager
    async def _kept_alive(self, seq: int) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self._context.settings.bus.ack_wait / 3)
                with contextlib.suppress(port.BusUnreachable):
                    await self._held[seq].working()

        beating = asyncio.ensure_future(beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _failed(self, delivery: port.Delivery, error: Exception) -> None:
        because = f"{type(error).__name__}: {error}"
        self._context.log.error(
            "failed", sentence=f"The reporter failed at {delivery.token.seq}: {because}", exc_info=error
        )
        seq = delivery.token.seq
        self._faults[seq] = self._faults.get(seq, 0) + 1
        with contextlib.suppress(port.BusUnreachable):
            if self._faults[seq] < TRIES:
                await delivery.nak(AFTER_FAULT)
            else:
                del self._faults[seq]
                await self._put_aside(delivery, f"The reporter failed at it {TRIES} times: {because}.")

    async def _put_aside(self, delivery: port.Delivery, because: str) -> None:
        """A message that can never be told becomes a fact, then leaves the queue. One that is itself such a fact only
        leaves: it would beget the next for ever."""
        message, seq = delivery.message, delivery.token.seq
        self._context.log.error("rejected", sentence=because, subject=message.subject, seq=seq)
        with contextlib.suppress(port.BusUnreachable):
            if message.subject != facts.MessageRejected.subject:
                fact = facts.MessageRejected(
                    rejected_subject=spoken.clean(message.subject, 400),
                    seq=seq,
                    because=self._hide(spoken.clean(because)),
                    service="reporter",
                    excerpt=self._hide(spoken.clean(message.data[:1000].decode("utf-8", "replace"), 1000)),
                )
                await poison.tell(self._context.bus, fact, source="reporter", at=self._context.clock.now())
            await delivery.term(because[:200])


class _PutAside(Exception):
    """A message that can never be told."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


def _stored(delivery: port.Delivery) -> port.Stored:
    message = delivery.message
    return port.Stored(message.subject, message.data, message.headers, delivery.token.seq, delivery.stored_at)
