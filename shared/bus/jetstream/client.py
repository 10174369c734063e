"""The port on a NATS server: one class that says which room does what."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Self

import nats.errors
from nats.aio.msg import Msg

from shared.bus import matching, streams
from shared.bus.bell import Bell
from shared.bus.jetstream import buckets, link, reading, setup, taking, write
from shared.bus.jetstream.pull import plain_headers
from shared.bus.port import Delivery, Guard, Intake, Message, Stored

QUESTIONS = 5
"""How often the server is asked, for two seconds each, whether it has heard that somebody listens."""

UNHEARD = 10_000
"""Messages of hearsay kept for a slow listener; older ones are forgotten first."""


class JetStreamBus:
    """A `port.Bus` on a NATS server. Make it with `connect`."""

    def __init__(self, line: link.Link) -> None:
        self._link = line
        self._writer = write.Writer(line)
        self._buckets = buckets.Buckets(line, self._writer)
        self._objects = buckets.Objects(line, self._writer)

    @property
    def connected(self) -> bool:
        """Whether the bus is there now, as far as is known."""
        return self._link.up

    async def append(self, message: Message, *, id: str, within: float | None = None) -> int:
        return await self._writer.append(message, id, within)

    async def append_guarded(self, messages: Sequence[Message], guard: Guard) -> int:
        return await self._writer.append_guarded(messages, guard)

    async def send_order(self, message: Message) -> bool:
        return await self._writer.send_order(message)

    async def orders_outstanding(self, filter: str) -> frozenset[str]:
        return await reading.subjects(self._link, streams.COMMANDS, filter)

    def read(self, filters: Sequence[str], *, after: int = 0, last_per_subject: bool = False) -> AsyncIterator[Stored]:
        return reading.read(self._link, streams.FACTS, filters, after=after, last_per_subject=last_per_subject)

    async def last(self, filter: str) -> Stored | None:
        return await reading.last(self._link, streams.FACTS, filter)

    async def last_seq(self) -> int:
        return await reading.last_seq(self._link, streams.FACTS)

    def follow(self, filters: Sequence[str], *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        return reading.Follower(self._link, streams.FACTS, filters, after)

    def take(self, intake: Intake) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        return taking.Taker(self._link, intake)

    async def get(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        return await self._buckets.get(bucket, key)

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int) -> int:
        return await self._buckets.put(bucket, key, value, revision)

    async def keys(self, bucket: str) -> Sequence[str]:
        return await self._buckets.keys(bucket)

    async def put_object(self, bucket: str, name: str, data: bytes) -> None:
        await self._objects.put(bucket, name, data)

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        return await self._objects.get(bucket, name)

    async def request(self, subject: str, data: bytes, within: float) -> bytes | None:
        if not matching.is_subject(subject):
            raise ValueError(f"'{subject}' cannot be asked on: a subject has no blanks, wildcards or empty tokens.")
        try:
            async with asyncio.timeout(within):
                return (await self._link.ask(subject, data, patience=within)).data
        except (TimeoutError, link.Unanswered):
            return None

    async def say(self, subject: str, data: bytes) -> None:
        if not matching.is_subject(subject):
            raise ValueError(f"'{subject}' cannot be spoken on: a subject has no blanks, wildcards or empty tokens.")
        await self._link.hint(subject, data)

    def listen(self, filter: str) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        return Listening(self._link, filter)

    async def ensure_streams(self, replicas: int | None = None) -> None:
        """Make the streams, buckets and stores, or bring them up to date; see `setup.ensure`."""
        await setup.ensure(self._link, replicas)

    async def close(self) -> None:
        await self._link.close()


class Listening:
    """What is said while it is entered. Ends calmly when the bus is closed."""

    def __init__(self, line: link.Link, filter: str) -> None:
        self._link = line
        self._filter = filter
        self._heard: deque[Message] = deque(maxlen=UNHEARD)
        self._news = Bell()

    async def __aenter__(self) -> Self:
        await self._link.ready()
        self._subscription = await self._link.nc.subscribe(self._filter, cb=self._on_message)
        self._forget = self._link.on_reconnect(self._news.ring)
        await self._known()
        return self

    async def _known(self) -> None:
        """Until the server knows of it: what is said from then on is heard. (By a question, which goes out behind the
        subscription. nats-py's `flush` writes its PING past what is still to be sent, nats/aio/client.py `_send_ping`,
        and waits by `asyncio.wait_for`, which on Python 3.11 can swallow a cancellation.)"""
        for _ in range(QUESTIONS):
            with suppress(link.Unanswered):
                await self._link.ask("$JS.API.INFO", patience=2.0)
                return

    async def __aexit__(self, *raised: object) -> None:
        self._forget()
        with suppress(nats.errors.Error):
            await self._subscription.unsubscribe()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Message:
        while not self._heard:
            if self._link.closing:
                raise StopAsyncIteration
            self._link.check_open()
            await self._news.wait()
        return self._heard.popleft()

    async def _on_message(self, message: Msg) -> None:
        self._heard.append(Message(message.subject, message.data, plain_headers(message.headers), message.reply))
        self._news.ring()


async def connect(
    url: str, *, name: str, access: link.Access | None = None, within: float | None = None
) -> JetStreamBus:
    """A bus client named `name` (it shows at the server) on the servers of `url`, several with commas between.

    Waits for the bus for ever, or for `within` seconds of machine time. Raises BusUnreachable, and BusRefused for a
    server that is too old.
    """
    return JetStreamBus(await link.connect(url, name=name, access=access or link.Access(), within=within))


async def ensure_streams(bus: JetStreamBus, replicas: int | None = None) -> None:
    """Make the streams, buckets and stores on the bus's server; see `setup.ensure`."""
    await bus.ensure_streams(replicas)
