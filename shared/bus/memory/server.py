"""The twin's server: what outlives every client. Streams, consumers, buckets, and whether anybody can reach it.

Tests turn it: `stop` and `start` it, `cut` and `mend` a client's line, `drop` a client as a kill would.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from shared.bus import matching, streams
from shared.bus.bell import Bell
from shared.bus.memory.consumer import Consumer, check
from shared.bus.memory.log import Log, Written, tidy
from shared.bus.port import Guard, GuardLost, Intake, Message, OutcomeUnknown, Stored

BATCHES = 50
"""Atomic batches that may be open in one stream (nats-server, streamDefaultMaxBatchInflightPerStream)."""

BATCH_LIFE = 10.0
"""Seconds after which a batch that nobody finishes is thrown away."""


class Reader(Protocol):
    """A follower's place in the journal, which the server keeps and may lose a little of."""

    def step_back(self, count: int) -> None: ...


class Listener(Protocol):
    """Somebody who hears what is said."""

    def hear(self, message: Message) -> None: ...


class MemoryServer:
    """One server for all clients of a process. `now` gives the time that messages are stored at, since 1970."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        self.now = now
        self.up = True
        self.bell = Bell()
        self.readers: set[Reader] = set()
        self.listeners: list[Listener] = []
        self._logs = {shape.name: Log(shape) for shape in streams.STREAMS}
        self._consumers: dict[tuple[str, str], Consumer] = {}
        self._open_batches: list[float] = []
        self._inboxes = itertools.count(1)
        self._buckets: dict[str, dict[str, tuple[bytes, int]]] = {name: {} for name in streams.BUCKETS}
        self._revisions = dict.fromkeys(streams.BUCKETS, 0)
        self._objects: dict[str, dict[str, bytes]] = {name: {} for name in streams.OBJECTS}

    # What tests turn and look at.

    def stop(self) -> None:
        """The server goes away, with its files: nothing answers, nothing is lost."""
        self.up = False
        self.bell.ring()

    def start(self, *, again: int = 4, forgotten: int = 0) -> None:
        """It comes back: waits for acks begin anew, and each follower is sent its last `again` facts once more.

        After a kill a server may have forgotten its latest deliveries (nats-server writes a consumer's state a little
        later than a stream's): with `forgotten` above 0 it gives the numbers of that many deliveries again.
        """
        self.up = True
        for consumer in self._consumers.values():
            consumer.restart(_loop_time(), forgotten)
        for reader in self.readers:
            reader.step_back(again)
        self.bell.ring()

    def abandon_batches(self, count: int) -> None:
        """Leave batches open, as planners do that are killed in the middle of one; they close after 10 s."""
        self._open_batches += [_loop_time() + BATCH_LIFE] * count

    def facts(self, filter: str = ">") -> list[Stored]:
        """The journal, in order."""
        return self._logs[streams.FACTS].matching([filter])

    def orders(self, filter: str = ">") -> list[Stored]:
        """The orders that wait or are worked on."""
        return self._logs[streams.COMMANDS].matching([filter])

    # What clients ask for. Each of these is one indivisible act.

    def log(self, stream: str) -> Log:
        """A stream by its name."""
        return self._logs[stream]

    def write(self, stream: str, messages: Sequence[Message], guard: Guard | None = None) -> Written:
        """Store all or none; see `Log.write`. Raises OutcomeUnknown when too many batches are open (err 10210)."""
        self._open_batches = [until for until in self._open_batches if until > _loop_time()]
        if len(messages) > 1 and len(self._open_batches) >= BATCHES:
            raise OutcomeUnknown("too many batches are open")
        written = self._logs[stream].write(messages, guard, now=_loop_time(), stored_at=self.now())
        self.bell.ring()
        return written

    def consumer(self, intake: Intake) -> Consumer:
        """The durable of an intake, made or brought up to date. Raises BusRefused, ValueError for no such stream."""
        if intake.stream not in self._logs:
            raise ValueError(f"There is no stream '{intake.stream}'.")
        others = [consumer for (stream, _), consumer in self._consumers.items() if stream == intake.stream]
        check(intake, others)
        consumer = self._consumers.setdefault(
            (intake.stream, intake.durable), Consumer(self._logs[intake.stream], intake)
        )
        consumer.reshape(intake)
        return consumer

    def say(self, message: Message) -> None:
        """Tell everybody who listens now."""
        heard = Message(message.subject, bytes(message.data), tidy(message.headers), message.reply)
        for listener in list(self.listeners):
            listener.hear(heard)

    def inbox(self) -> str:
        """A subject for the answer to one question."""
        return f"_INBOX.{next(self._inboxes)}"

    def bucket(self, name: str) -> dict[str, tuple[bytes, int]]:
        """A bucket's keys, values and revisions. Raises ValueError for no such bucket."""
        if name not in self._buckets:
            raise ValueError(f"There is no bucket '{name}'.")
        return self._buckets[name]

    def put(self, bucket: str, key: str, value: bytes, revision: int) -> int:
        """Write a key if it still has that revision. Raises GuardLost, and ValueError for no such bucket or key."""
        keys = self.bucket(bucket)
        if not matching.is_key(key):
            raise ValueError(f"'{key}' is no key: letters, digits and -/_=. only, no dot at either end.")
        actual = keys[key][1] if key in keys else 0
        if actual != revision:
            raise GuardLost(actual)
        self._revisions[bucket] += 1
        keys[key] = (bytes(value), self._revisions[bucket])
        return self._revisions[bucket]

    def objects(self, bucket: str) -> dict[str, bytes]:
        """A store's large values. Raises ValueError for no such store."""
        if bucket not in self._objects:
            raise ValueError(f"There is no object store '{bucket}'.")
        return self._objects[bucket]


def _loop_time() -> float:
    return asyncio.get_running_loop().time()
