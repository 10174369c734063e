"""Taking orders: a shared durable consumer with explicit acks, one delivery for each time it is asked.

Nothing is taken before it is asked for: no delivery grows old in a buffer here while another could work on it.
"""

from __future__ import annotations

import json
from typing import Any, Self

from nats.aio.msg import Msg

from shared.bus import matching
from shared.bus.jetstream.link import Link, Refusal, Unanswered
from shared.bus.jetstream.pull import CONSUMER_NOT_FOUND, NANOS, Gone, Pull, Pulse, Silent, place_of, plain_headers
from shared.bus.port import BusClosed, BusRefused, Delivery, Intake, Message, Token

HEARTBEAT = 3.0
ACK_PATIENCE = 2.0
"""Seconds to wait for the server to confirm an ack. One that is lost is healed by the next delivery."""

MAX_WAITING = 2048
"""Requests that may wait at one durable over all replicas; above any number of workers."""


class Taken:
    """One delivery of a JetStream consumer."""

    def __init__(self, link: Link, raw: Msg) -> None:
        place = place_of(raw)
        self._link = link
        self._reply = raw.reply
        self._message = Message(raw.subject, raw.data, plain_headers(raw.headers))
        self._token = Token(place.seq, place.delivered)
        self._stored_at = place.stored_at

    @property
    def message(self) -> Message:
        return self._message

    @property
    def token(self) -> Token:
        return self._token

    @property
    def stored_at(self) -> float:
        return self._stored_at

    async def ack(self) -> None:
        await self._answer(b"+ACK")

    async def nak(self, after: float) -> None:
        await self._answer(b"-NAK " + json.dumps({"delay": int(after * NANOS)}).encode() if after > 0 else b"-NAK")

    async def working(self) -> None:
        await self._link.hint(self._reply, b"+WPI")

    async def term(self, because: str) -> None:
        await self._answer(b"+TERM " + " ".join(because.split()).encode())

    async def _answer(self, verdict: bytes) -> None:
        if self._link.up:
            try:
                await self._link.ask(self._reply, verdict, patience=ACK_PATIENCE)
            except Unanswered as error:
                self._link.note(f"{verdict[:4].decode()} of {self._message.subject} may be lost: {error}")


class Taker:
    """Deliveries of one durable. Entered when it is made or found as wanted; ends calmly when the bus is closed."""

    def __init__(self, link: Link, intake: Intake) -> None:
        if not intake.filters or not all(map(matching.is_filter, intake.filters)):
            raise BusRefused(f"The consumer {intake.durable} has no usable filters: {', '.join(intake.filters)}.")
        self._link = link
        self._intake = intake
        self._pull = Pull(link, intake.stream, intake.durable, batch=1, heartbeat=HEARTBEAT)

    async def __aenter__(self) -> Self:
        await self._link.insist(self._make)
        await self._pull.open()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._pull.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Delivery:
        try:
            return Taken(self._link, await self._next())
        except BusClosed:
            if self._link.closing:
                raise StopAsyncIteration from None
            raise

    async def _next(self) -> Msg:
        while True:
            try:
                told = await self._pull.next()
            except Silent:
                """It lives on several nodes, or comes back with its one: ask again."""
            except Gone:
                await self._link.insist(self._make)
            else:
                if not isinstance(told, Pulse):
                    return told

    async def _make(self) -> None:
        """Make the durable, or bring it up to date; one that is as wanted is only looked at."""
        where = f"{self._intake.stream}.{self._intake.durable}"
        wanted = _config(self._intake)
        try:
            found = (await self._link.api(f"CONSUMER.INFO.{where}"))["config"]
        except Refusal as refusal:
            if refusal.err_code != CONSUMER_NOT_FOUND:
                raise
        else:
            if all(found.get(key) == value for key, value in wanted.items()):
                return
        await self._link.api(f"CONSUMER.CREATE.{where}", {"stream_name": self._intake.stream, "config": wanted})


def _config(intake: Intake) -> dict[str, Any]:
    """Poison is judged by the handler, so there is no max_deliver; and no backoff, which would replace ack_wait."""
    return {
        "name": intake.durable,
        "durable_name": intake.durable,
        "ack_policy": "explicit",
        "ack_wait": int(intake.ack_wait * NANOS),
        "deliver_policy": "all",
        "max_ack_pending": intake.max_pending,
        "max_waiting": MAX_WAITING,
        "filter_subjects": list(matching.distinct(intake.filters)),
    }
