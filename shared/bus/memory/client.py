"""One service's client of the twin: the port, word for word, and a hook before and after everything it does.

Nothing is kept here that outlives the client; that is the server's. `reading` has what a client iterates over.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import TypeVar

from shared.bus import matching, streams
from shared.bus.memory.log import MSG_ID
from shared.bus.memory.reading import Follower, Listening, Taker
from shared.bus.memory.server import MemoryServer
from shared.bus.port import (
    BusClosed,
    BusUnreachable,
    Delivery,
    Guard,
    GuardLost,
    Intake,
    Message,
    OutcomeUnknown,
    Stored,
    TooLarge,
)

Hook = Callable[[str, str], Awaitable[None]]
"""Called with the operation's name and its subject, filter, durable or key. What it raises reaches the caller: before,
the operation was not done; after, it was done and the answer is lost."""

T = TypeVar("T")


async def _nothing(operation: str, subject: str) -> None:
    """The hook of a client that is not watched."""


class MemoryBus:
    """A `port.Bus` on a `MemoryServer`. `name` is for people who read a test's output."""

    def __init__(
        self, server: MemoryServer, name: str = "client", *, before: Hook = _nothing, after: Hook = _nothing
    ) -> None:
        self.server = server
        self.name = name
        self.before = before
        self.after = after
        self._closed = False
        self._cut = False

    # The line to the server.

    @property
    def reachable(self) -> bool:
        """Whether a message would get through now."""
        return self.server.up and not self._cut and not self._closed

    @property
    def closed(self) -> bool:
        """Whether it was closed or dropped."""
        return self._closed

    def cut(self) -> None:
        """Cut the line: everything waits, until `mend`. What was taken and not acked is given to others in time."""
        self._cut = True
        self.server.bell.ring()

    def mend(self) -> None:
        """Mend the line."""
        self._cut = False
        self.server.bell.ring()

    def drop(self) -> None:
        """Be gone at once, as a killed process is: calls raise BusClosed, iterators end, nothing is given back."""
        self._closed = True
        self.server.bell.ring()

    async def reach(self) -> None:
        """Wait until the server can be reached. Raises BusClosed."""
        while not self.reachable:
            if self._closed:
                raise BusClosed(f"The bus client '{self.name}' was closed.")
            await self.server.bell.wait()

    async def do(self, operation: str, subject: str, act: Callable[[], T]) -> T:
        """One operation: hook, wait for the line, the act itself (indivisible), hook."""
        await self.before(operation, subject)
        await asyncio.sleep(0)
        await self.reach()
        result = act()
        await self.after(operation, subject)
        return result

    async def hint(self, operation: str, subject: str, act: Callable[[], object]) -> None:
        """Something that is lost when the line is down."""
        await self.before(operation, subject)
        await asyncio.sleep(0)
        if self.reachable:
            act()
        await self.after(operation, subject)

    # Writing.

    async def append(self, message: Message, *, id: str, within: float | None = None) -> int:
        stream = streams.stream_of(message.subject).name
        marked = Message(message.subject, message.data, {**message.headers, MSG_ID: id})
        streams.check([marked], stream)
        try:
            async with asyncio.timeout(within):
                written = await self.do("append", message.subject, lambda: self.server.write(stream, [marked]))
        except TimeoutError:
            raise BusUnreachable(f"The bus did not do it within {within:g} s: nobody answers.") from None
        return written.seq

    async def append_guarded(self, messages: Sequence[Message], guard: Guard) -> int:
        streams.check(messages, streams.FACTS)
        written = await self.do(
            "append_guarded", messages[-1].subject, lambda: self.server.write(streams.FACTS, messages, guard)
        )
        if written.duplicate:
            raise OutcomeUnknown("the message id was seen before")
        return written.seq

    async def send_order(self, message: Message) -> bool:
        streams.check([message], streams.COMMANDS)
        guard = Guard(message.subject, 0)
        try:
            await self.do("send_order", message.subject, lambda: self.server.write(streams.COMMANDS, [message], guard))
        except GuardLost:
            return False
        return True

    # Reading.

    async def orders_outstanding(self, filter: str) -> frozenset[str]:
        orders = await self.do("orders_outstanding", filter, lambda: self.server.orders(filter))
        return frozenset(order.subject for order in orders)

    async def read(
        self, filters: Sequence[str], *, after: int = 0, last_per_subject: bool = False
    ) -> AsyncIterator[Stored]:
        log = self.server.log(streams.FACTS)
        found = await self.do("read", ",".join(filters), lambda: log.matching(filters))
        if last_per_subject:
            newest = {held.subject: held.seq for held in found}
            found = [held for held in found if newest[held.subject] == held.seq]
        for held in found:
            if held.seq > after:
                yield held

    async def last(self, filter: str) -> Stored | None:
        return await self.do("last", filter, lambda: self.server.log(streams.FACTS).last(filter))

    async def last_seq(self) -> int:
        return await self.do("last_seq", streams.FACTS, lambda: self.server.log(streams.FACTS).last_seq)

    def follow(self, filters: Sequence[str], *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        return Follower(self, tuple(filters), after)

    def take(self, intake: Intake) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        return Taker(self, intake)

    # Buckets, large values, hearsay.

    async def get(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        return await self.do("get", f"{bucket}/{key}", lambda: self.server.bucket(bucket).get(key))

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int) -> int:
        if len(value) > streams.LARGEST:
            raise TooLarge(key, len(value), streams.LARGEST)
        return await self.do("put", f"{bucket}/{key}", lambda: self.server.put(bucket, key, value, revision))

    async def keys(self, bucket: str) -> Sequence[str]:
        return await self.do("keys", bucket, lambda: sorted(self.server.bucket(bucket)))

    async def put_object(self, bucket: str, name: str, data: bytes) -> None:
        objects = self.server.objects(bucket)
        await self.do("put_object", f"{bucket}/{name}", lambda: objects.update({name: bytes(data)}))

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        return await self.do("get_object", f"{bucket}/{name}", lambda: self.server.objects(bucket).get(name))

    async def request(self, subject: str, data: bytes, within: float) -> bytes | None:
        if not matching.is_subject(subject):
            raise ValueError(f"'{subject}' cannot be asked on: a subject has no blanks, wildcards or empty tokens.")
        inbox = self.server.inbox()
        try:
            async with asyncio.timeout(within), self.listen(inbox) as answers:
                await self.hint("request", subject, lambda: self.server.say(Message(subject, data, reply=inbox)))
                return (await anext(answers)).data
        except (TimeoutError, StopAsyncIteration):
            return None

    async def say(self, subject: str, data: bytes) -> None:
        if not matching.is_subject(subject):
            raise ValueError(f"'{subject}' cannot be spoken on: a subject has no blanks, wildcards or empty tokens.")
        await self.hint("say", subject, lambda: self.server.say(Message(subject, data)))

    def listen(self, filter: str) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        return Listening(self, filter)

    async def close(self) -> None:
        await self.before("close", self.name)
        self.drop()
        await self.after("close", self.name)
