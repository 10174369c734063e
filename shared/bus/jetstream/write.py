"""Writing: unguarded with a fixed id until it is stored, guarded exactly once, orders as often as one likes.

Which error means what stands in the table at the foot.
"""

from __future__ import annotations

import asyncio
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from shared.bus import streams
from shared.bus.jetstream.link import Link, Refusal, Unanswered, decode
from shared.bus.port import Guard, GuardLost, Message, OutcomeUnknown

MSG_ID = "Nats-Msg-Id"
EXPECTED = "Nats-Expected-Last-Subject-Sequence"
EXPECTED_FILTER = "Nats-Expected-Last-Subject-Sequence-Subject"

BATCHES = 20
"""Atomic batches that one client has open at once. The server allows 50 in a stream, for all planners together."""


class Writer:
    """What one client writes to streams."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._batches = asyncio.Semaphore(BATCHES)

    async def append(self, message: Message, id: str, within: float | None) -> int:
        """See `port.Bus.append`."""
        marked = Message(message.subject, message.data, {**message.headers, MSG_ID: id})
        streams.check([marked], streams.stream_of(message.subject).name)
        return await self.store(marked, within)

    async def store(self, message: Message, within: float | None = None) -> int:
        """Publish until it is stored; safe because `message` carries an id. Raises BusUnreachable, BusRefused."""
        answer = await self._link.insist(lambda: self._publish(message, message.headers), within)
        return int(answer["seq"])

    async def append_guarded(self, messages: Sequence[Message], guard: Guard) -> int:
        """See `port.Bus.append_guarded`."""
        streams.check(messages, streams.FACTS)
        expect = {EXPECTED: str(guard.after), EXPECTED_FILTER: guard.filter}
        if len(messages) == 1:
            return await self.guarded(messages[0], expect)
        async with self._batches:
            return await self._once(self._batch(messages, expect))

    async def guarded(self, message: Message, expect: Mapping[str, str]) -> int:
        """Publish once under a guard. Raises GuardLost, OutcomeUnknown, BusRefused."""
        return await self._once(self._publish(message, {**message.headers, **expect}))

    async def send_order(self, message: Message) -> bool:
        """See `port.Bus.send_order`."""
        streams.check([message], streams.COMMANDS)
        try:
            await self.guarded(message, {EXPECTED: "0"})
        except GuardLost:
            return False
        return True

    async def _once(self, sending: Any) -> int:
        try:
            answer = await sending
        except Unanswered as error:
            raise OutcomeUnknown(str(error)) from error
        except Refusal as refusal:
            if refusal.passes:
                self._link.warn(f"The bus takes nothing just now: {refusal.description}.")
            raise meaning(refusal) from refusal
        if answer.get("duplicate"):
            raise OutcomeUnknown("the message id was seen before")
        return int(answer["seq"])

    async def _publish(self, message: Message, headers: Mapping[str, str]) -> dict[str, Any]:
        return decode(await self._link.ask(message.subject, message.data, headers))

    async def _batch(self, messages: Sequence[Message], expect: Mapping[str, str]) -> dict[str, Any]:
        """All or none. The first one's answer is empty even when the guard is stale; only the last one's decides."""
        batch = uuid.uuid4().hex
        for number, message in enumerate(messages, 1):
            headers = {**message.headers, "Nats-Batch-Id": batch, "Nats-Batch-Sequence": str(number)}
            if number == len(messages):
                return await self._publish(message, {**headers, "Nats-Batch-Commit": "1"})
            if number == 1:
                first = await self._link.ask(message.subject, message.data, {**headers, **expect})
                if first.data:
                    decode(first)
            else:
                await self._link.send(message.subject, message.data, headers)
        raise AssertionError("a batch has a last message")


def meaning(refusal: Refusal) -> Exception:
    """What a refused guarded write means to whoever decided on it."""
    if refusal.err_code in LOST:
        told = re.search(r"wrong last sequence: (\d+)", refusal.description)
        return GuardLost(int(told[1]) if told else None)
    if refusal.err_code in UNKNOWN or refusal.passes:
        return OutcomeUnknown(refusal.description)
    return refusal


LOST = frozenset(
    {
        10071,  # wrong last sequence: N
        10164,  # wrong last sequence
    }
)
UNKNOWN = frozenset(
    {
        10176,  # atomic publish batch is incomplete: the line broke in the middle of it
        10201,  # atomic publish contains a duplicate message id
        10210,  # too many batches in flight: later
    }
)
