"""One unbroken sequence of messages from a stream, whatever happens to the consumers it comes through.

A consumer here is ephemeral and without acks. The server keeps its place, and may lose it; what was seen is kept
here, so a place is never trusted: what comes again is dropped, and what is missing is asked for anew.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from nats.aio.msg import Msg

from shared.bus import matching
from shared.bus.jetstream.link import Link, Refusal
from shared.bus.jetstream.pull import CONSUMER_NOT_FOUND, NANOS, Gone, Pull, Pulse, Silent, place_of

BATCH = 1000
HEARTBEAT = 1.0
"""Seconds of silence after which a follower hears that its consumer lives."""

INACTIVE = 60.0
"""Seconds after which the server forgets a consumer that nobody asks."""


class Reader:
    """One ephemeral consumer after the other on one stream, as one unbroken sequence of messages."""

    def __init__(self, link: Link, stream: str, filters: Sequence[str], after: int, **config: Any) -> None:
        if not filters or not all(map(matching.is_filter, filters)):
            raise ValueError(f"These are no filters to follow: {', '.join(filters) or 'none given'}.")
        self._link = link
        self._stream = stream
        self._config = {"filter_subjects": list(matching.distinct(filters)), **config}
        self._seen = after
        self._consumer = ""
        self._consumer_seq = 0
        self._pull: Pull | None = None
        self.pending = 0
        """How many messages waited when the present consumer was made."""

    async def open(self) -> None:
        """Make the consumer and begin to listen; done again whenever it is gone."""
        await self.close()
        made = await self._link.insist(self._make)
        name = str(made["name"])
        self.pending = int(made["num_pending"])
        pull = Pull(self._link, self._stream, name, batch=BATCH, heartbeat=HEARTBEAT)
        try:
            await pull.open()
        except BaseException:
            await pull.close()
            raise
        self._consumer, self._consumer_seq, self._pull = name, 0, pull

    async def close(self) -> None:
        """Stop, and let the server forget the consumer at once."""
        if self._pull is not None:
            pull, self._pull = self._pull, None
            await pull.close()
            await self._link.hint(f"$JS.API.CONSUMER.DELETE.{self._stream}.{self._consumer}", b"")

    async def next(self) -> Msg | None:
        """The next message not seen before, or None when the server has said that there is nothing more for now.

        May be interrupted; nothing is lost by it. Raises BusClosed.
        """
        while True:
            if self._pull is None:
                await self.open()
                if self.pending == 0:
                    return None
                continue
            try:
                told = await self._pull.next()
            except (Gone, Silent):
                await self.close()
                continue
            consumer_seq = told.consumer_seq if isinstance(told, Pulse) else place_of(told).consumer_seq
            if consumer_seq > self._consumer_seq + (not isinstance(told, Pulse)):
                await self.close()  # something was sent that never came: begin anew behind what was seen
            elif isinstance(told, Pulse):
                return None
            else:
                self._consumer_seq = consumer_seq
                if place_of(told).seq > self._seen:
                    self._seen = place_of(told).seq
                    return told

    async def exhausted(self) -> bool:
        """Whether nothing is left for the present consumer to send. Raises BusClosed."""
        if self._pull is None:
            return False
        try:
            info = await self._link.insist(lambda: self._link.api(f"CONSUMER.INFO.{self._stream}.{self._consumer}"))
        except Refusal as refusal:
            if refusal.err_code != CONSUMER_NOT_FOUND:
                raise
            await self.close()
            return False
        return bool(info["num_pending"] == 0 and info["delivered"]["consumer_seq"] <= self._consumer_seq)

    async def _make(self) -> dict[str, Any]:
        """Each try has a name of its own: a cluster may give a consumer to a server that has just died, and then
        never answers for that name again. What was made and not heard of is forgotten after INACTIVE."""
        name = f"{matching.token(self._link.name)}-{uuid.uuid4().hex}"
        config = {
            "name": name,
            "ack_policy": "none",
            "deliver_policy": "by_start_sequence",
            "inactive_threshold": int(INACTIVE * NANOS),
            **self._config,
        }
        if config["deliver_policy"] == "by_start_sequence":
            config["opt_start_seq"] = self._seen + 1
        body = {"stream_name": self._stream, "config": config}
        return await self._link.api(f"CONSUMER.CREATE.{self._stream}.{name}", body)
