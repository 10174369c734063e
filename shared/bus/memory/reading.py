"""What a client of the twin iterates over: facts as they come, deliveries, hearsay.

Iterators may be interrupted (a time-out round `anext`) and asked again: nothing is lost by it.
They end when the client is closed or dropped.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Self

from shared.bus import matching, streams
from shared.bus.memory.consumer import Consumer
from shared.bus.port import BusClosed, Delivery, Intake, Message, Stored, Token

if TYPE_CHECKING:
    from shared.bus.memory.client import MemoryBus


class Follower:
    """Every fact once and in order; what the server sends again is dropped by its sequence."""

    def __init__(self, bus: MemoryBus, filters: tuple[str, ...], after: int) -> None:
        if not filters or not all(map(matching.is_filter, filters)):
            raise ValueError(f"These are no filters to follow: {', '.join(filters) or 'none given'}.")
        self._bus = bus
        self._filters = filters
        self._log = bus.server.log(streams.FACTS)
        self._seen = after
        self._position = after

    def step_back(self, count: int) -> None:
        """The server forgot how far it had sent."""
        self._position = max(0, self._position - count)

    async def __aenter__(self) -> Self:
        await self._bus.do("follow", ",".join(self._filters), lambda: self._bus.server.readers.add(self))
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._bus.server.readers.discard(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Stored:
        while True:
            await _reach(self._bus)
            sent = self._log.next_after(self._position, self._filters)
            if sent is None:
                self._position = self._log.last_seq
                await self._bus.server.bell.wait()
            elif sent.seq <= self._seen:
                self._position = sent.seq
            else:
                await self._bus.before("see", sent.subject)
                await _reach(self._bus)
                await self._bus.after("see", sent.subject)
                self._position = self._seen = sent.seq
                return sent


class Taken:
    """One delivery. Acks and naks are lost while the line is down; then the message is delivered again."""

    def __init__(self, bus: MemoryBus, consumer: Consumer, stored: Stored, delivered: int) -> None:
        self._bus = bus
        self._consumer = consumer
        self._stored = stored
        self._delivered = delivered

    @property
    def message(self) -> Message:
        return Message(self._stored.subject, self._stored.data, self._stored.headers)

    @property
    def token(self) -> Token:
        return Token(self._stored.seq, self._delivered)

    @property
    def stored_at(self) -> float:
        return self._stored.stored_at

    async def ack(self) -> None:
        await self._answer("ack", lambda: self._consumer.ack(self._stored.seq))

    async def nak(self, after: float) -> None:
        due = asyncio.get_running_loop().time() + after
        await self._answer("nak", lambda: self._consumer.nak(self._stored.seq, due))

    async def working(self) -> None:
        now = asyncio.get_running_loop().time()
        await self._answer("working", lambda: self._consumer.working(self._stored.seq, now))

    async def term(self, because: str) -> None:
        await self._answer("term", lambda: self._consumer.ack(self._stored.seq))

    async def _answer(self, operation: str, act: Callable[[], None]) -> None:
        def answer() -> None:
            act()
            self._bus.server.bell.ring()

        await self._bus.hint(operation, self._stored.subject, answer)


class Taker:
    """Deliveries of one durable, one for each time it is asked."""

    def __init__(self, bus: MemoryBus, intake: Intake) -> None:
        self._bus = bus
        self._intake = intake

    async def __aenter__(self) -> Self:
        server, intake = self._bus.server, self._intake
        self._consumer = await self._bus.do("take", intake.durable, lambda: server.consumer(intake))
        return self

    async def __aexit__(self, *raised: object) -> None:
        """What was taken and not acked stays pending, as on a server."""

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        loop = asyncio.get_running_loop()
        while True:
            await _reach(self._bus)
            given = self._consumer.pull(loop.time())
            if given is not None:
                await self._bus.before("deliver", given[0].subject)
                await self._bus.after("deliver", given[0].subject)
                return Taken(self._bus, self._consumer, *given)
            await self._bus.server.bell.wait(self._consumer.next_due())


class Listening:
    """What is said while it is entered."""

    def __init__(self, bus: MemoryBus, filter: str) -> None:
        self._bus = bus
        self._filter = filter
        self._heard: deque[Message] = deque()

    def hear(self, message: Message) -> None:
        """Called by the server."""
        if self._bus.reachable and matching.matches(self._filter, message.subject):
            self._heard.append(message)
            self._bus.server.bell.ring()

    async def __aenter__(self) -> Self:
        await self._bus.do("listen", self._filter, lambda: self._bus.server.listeners.append(self))
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._bus.server.listeners.remove(self)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._heard:
            if self._bus.closed:
                raise StopAsyncIteration
            await self._bus.server.bell.wait()
        return self._heard.popleft()


async def _reach(bus: MemoryBus) -> None:
    try:
        await bus.reach()
    except BusClosed:
        raise StopAsyncIteration from None
