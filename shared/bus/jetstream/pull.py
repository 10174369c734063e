"""One continuous pull on one consumer: ask for more before waiting, notice silence, ask again at once when the line is
back. It hands over messages as they come; what they mean, and whether one was lost, is for those who use it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from shared.bus.bell import Bell
from shared.bus.jetstream.link import Link, Refusal, Unanswered, status
from shared.bus.port import Stored

NANOS = 1_000_000_000
CONSUMER_NOT_FOUND = 10014

EXPIRES = 20.0
"""Seconds that a request lives at the server."""

DOUBT = 1.0
"""Seconds that a consumer has to say that it lives."""

_HIDDEN = ("Nats-Expected-", "Nats-Batch-", "Nats-Stream", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp")
_SOON = 0.1


class Gone(Exception):
    """The consumer is no more; it has to be made anew."""


class Silent(Exception):
    """Nobody speaks for the consumer although the line is up, as when the one node that has it is down."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a delivered message stands, from the subject that its ack goes to."""

    seq: int
    consumer_seq: int
    delivered: int
    stored_at: float
    pending: int


@dataclass(frozen=True, slots=True)
class Pulse:
    """The consumer lives and has nothing more; `consumer_seq` is the last that it has sent."""

    consumer_seq: int


class Pull:
    """Entered: listens. `batch` messages are asked for at a time; a pulse comes each `heartbeat` seconds of silence."""

    def __init__(self, link: Link, stream: str, consumer: str, *, batch: int, heartbeat: float) -> None:
        self._link = link
        self._target = f"{stream}.{consumer}"
        self._heartbeat = heartbeat
        self._request = json.dumps(
            {"batch": batch, "expires": int(EXPIRES * NANOS), "idle_heartbeat": int(heartbeat * NANOS)}
        ).encode()
        self._batch = batch
        self._left = 0
        self._asked = 0
        self._arrived: deque[Msg] = deque()
        self._news = Bell()
        self._inbox = link.nc.new_inbox()
        self._subscription: Subscription | None = None

    async def open(self) -> Self:
        """Begin to listen."""
        await self._link.ready()
        self._subscription = await self._link.nc.subscribe(f"{self._inbox}.*", cb=self._on_arrival)
        self._forget = self._link.on_reconnect(self._on_reconnect)
        return self

    async def close(self) -> None:
        """Stop listening. What was delivered and not handed over is dropped."""
        if self._subscription is not None:
            self._forget()
            subscription, self._subscription = self._subscription, None
            with contextlib.suppress(nats.errors.Error):
                await subscription.unsubscribe()

    async def next(self) -> Msg | Pulse:
        """The next message or sign of life. May be interrupted, and asked again after whatever it raises; nothing is
        lost by it. Raises Gone, Silent, BusClosed."""
        while True:
            while self._arrived:
                told = await self._judge(self._arrived.popleft())
                if told is not None:
                    return told
            if self._left <= 0:
                await self._ask()  # and look again: the line may have broken meanwhile
            elif not await self._wait(2.2 * self._heartbeat):
                await self._doubt()

    async def _judge(self, message: Msg) -> Msg | Pulse | None:
        """A message, a pulse, or the end of a request, after which there is something to ask."""
        code = status(message)
        if message.reply.startswith("$JS.ACK."):
            self._left -= 1
            return message
        if code == 100:
            return Pulse(int((message.headers or {}).get("Nats-Last-Consumer", "0")))
        if message.subject == f"{self._inbox}.{self._asked}":
            self._left = 0
            if code not in (404, 408):
                await self._doubt()
        return None

    async def _ask(self) -> None:
        await self._link.ready()
        self._left = self._batch
        self._asked += 1
        await self._link.hint(
            f"$JS.API.CONSUMER.MSG.NEXT.{self._target}", self._request, reply=f"{self._inbox}.{self._asked}"
        )

    async def _doubt(self) -> None:
        """Nothing was heard, or something odd: does the consumer live? Then ask again. Raises Gone, Silent."""
        self._left = 0
        await self._link.ready()
        try:
            await self._link.api(f"CONSUMER.INFO.{self._target}", patience=DOUBT)
        except Unanswered:
            await self._wait(_SOON)
            if self._link.up:
                raise Silent(self._target) from None
        except Refusal as refusal:
            if refusal.err_code == CONSUMER_NOT_FOUND:
                raise Gone(self._target) from None
            self._link.warn(f"The bus cannot serve {self._target} yet: {refusal.description}.")
            await self._wait(_SOON)

    async def _wait(self, seconds: float) -> bool:
        """Whether there was news within so many seconds."""
        until = asyncio.get_running_loop().time() + seconds
        self._link.check_open()
        await self._news.wait(until)
        self._link.check_open()
        return asyncio.get_running_loop().time() < until

    async def _on_arrival(self, message: Msg) -> None:
        self._arrived.append(message)
        self._news.ring()

    def _on_reconnect(self) -> None:
        """Requests of the time before may be lost: ask again."""
        self._left = 0
        self._news.ring()


def place_of(message: Msg) -> Place:
    """A delivered message's place. Two forms are in use, with and without domain and account
    (`$JS.ACK.[<domain>.<account>.]<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<nanoseconds>.<pending>`)."""
    tokens = message.reply.split(".")
    first = 4 if len(tokens) < 11 else 6
    delivered, seq, consumer_seq, nanos, pending = (int(token) for token in tokens[first : first + 5])
    return Place(seq, consumer_seq, delivered, nanos / NANOS, pending)


def stored(message: Msg) -> Stored:
    """A delivered message as a fact of the journal."""
    place = place_of(message)
    return Stored(message.subject, message.data, plain_headers(message.headers), place.seq, place.stored_at)


def plain_headers(headers: Mapping[str, str] | None) -> dict[str, str]:
    """Headers without those that only speak to the server."""
    return {str(key): value for key, value in (headers or {}).items() if not key.startswith(_HIDDEN)}
