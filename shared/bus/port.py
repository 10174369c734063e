"""What Rota needs of a bus, in our words.

Two adapters keep this promise and are held to one suite: `jetstream` (a real NATS server) and `memory` (its twin).
Here live only shapes and errors. What a message means is `shared.domain`'s, how it becomes bytes is `wire`'s.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """Something to be written: a subject, its bytes, and headers. Of what was heard, `reply` is where an answer is
    waited for, if one is."""

    subject: str
    data: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    reply: str = ""


@dataclass(frozen=True, slots=True)
class Stored:
    """A message as the journal holds it. `stored_at` is machine time, seconds since 1970, by the bus's clock."""

    subject: str
    data: bytes
    headers: Mapping[str, str]
    seq: int
    stored_at: float


@dataclass(frozen=True, slots=True)
class Guard:
    """Compare-and-set over many subjects: write only if the last message that matches `filter` has sequence `after`.

    `after` is 0 where none may exist. It must be the number the decision was made from, never one read later
    (a guard read late passes although the decision is stale).
    """

    filter: str
    after: int


@dataclass(frozen=True, slots=True, order=True)
class Token:
    """A delivery's place: the order's stream sequence and how often it was delivered.

    It grows with each delivery, but for one case: a server that was killed may have forgotten its latest deliveries
    and give their numbers again (seen on nats-server 2.15.1, a kill right after a delivery). So who meets an equal or
    a higher token of somebody else's drops the message in silence; the next delivery has a higher one.
    """

    seq: int
    delivered: int


class GuardLost(Exception):
    """Nothing was stored: another writer was first. `actual` is the number the bus told, where it told one."""

    def __init__(self, actual: int | None = None) -> None:
        super().__init__(f"the guard did not hold; the last sequence is {actual if actual is not None else 'unknown'}")
        self.actual = actual


class OutcomeUnknown(Exception):
    """A guarded write was not answered. It may be stored or not: fold on, then decide again; never send it again."""


class BusUnreachable(Exception):
    """The bus did not answer within the time the caller gave."""


class BusClosed(BusUnreachable):
    """This client was closed, or its connection ended for good (refused credentials); it has to be made anew."""


class BusRefused(Exception):
    """The bus answered no, for a reason that neither a guard nor waiting explains. Nothing was stored."""


class TooLarge(ValueError):
    """A message that no server takes. Nothing was sent."""

    def __init__(self, subject: str, size: int, limit: int) -> None:
        super().__init__(f"The message on {subject} has {size} bytes and the bus takes {limit}: make it smaller.")
        self.subject, self.size, self.limit = subject, size, limit


class Delivery(Protocol):
    """One delivery of one order. Only the last deliveree may ack or nak; the adapter does not check that.

    An answer is sent once and may be lost with the line or the server; then the message is delivered again.
    """

    @property
    def message(self) -> Message: ...

    @property
    def token(self) -> Token: ...

    @property
    def stored_at(self) -> float:
        """Machine time, seconds since 1970, at which the bus stored the message."""
        ...

    async def ack(self) -> None:
        """The work is done: take the message off the queue."""
        ...

    async def nak(self, after: float) -> None:
        """Not now: deliver it again in `after` seconds of machine time."""
        ...

    async def working(self) -> None:
        """A heartbeat: do not give it to somebody else yet."""
        ...

    async def term(self, because: str) -> None:
        """It can never be handled: take it off the queue and never deliver it again."""
        ...


@dataclass(frozen=True, slots=True)
class Intake:
    """A shared durable consumer with explicit ack.

    `stream` is a stream's name, `durable` the consumer's, `filters` the subjects it takes; `ack_wait` in seconds of
    machine time; `max_pending` is how many deliveries may be unacknowledged over all replicas together.
    """

    stream: str
    durable: str
    filters: tuple[str, ...]
    ack_wait: float = 2.0
    max_pending: int = 1000


class Bus(Protocol):
    """The bus. Every method waits for a connection; none raises because the server is away for a moment,
    except where the docstring says so. On a client that was closed they raise BusClosed; iterators end calmly.

    Iterators are entered when the server knows of them. A wait for their next item may be interrupted (a time-out
    round `anext`) and taken up again; nothing is lost by it.
    """

    async def append(self, message: Message, *, id: str, within: float | None = None) -> int:
        """Write an unguarded fact or a person's order; retried under the fixed message id `id` until it is stored.

        Returns the sequence. `within` bounds the retries in seconds of machine time; then BusUnreachable. Raises
        ValueError for a subject that no stream keeps, TooLarge, and BusRefused when the bus will never take it.
        """
        ...

    async def append_guarded(self, messages: Sequence[Message], guard: Guard) -> int:
        """Write facts all or none under one guard; never retried. Returns the last one's sequence.

        Raises GuardLost when nothing was stored, OutcomeUnknown when nobody can tell, BusRefused for a batch that the
        bus will never take, TooLarge and ValueError before anything is sent. None of the messages carries an id.
        """
        ...

    async def send_order(self, message: Message) -> bool:
        """Send an executor's order. False means that a copy waits or is worked on already, which is as good.

        Raises OutcomeUnknown when not answered: send it again later, that is free and safe.
        """
        ...

    async def orders_outstanding(self, filter: str) -> frozenset[str]:
        """The subjects of all orders that match `filter` and wait or are worked on."""
        ...

    def read(self, filters: Sequence[str], *, after: int = 0, last_per_subject: bool = False) -> AsyncIterator[Stored]:
        """The facts that match any of `filters` with sequence above `after`, up to now, in order; then it ends.

        With `last_per_subject` only the last of each subject; one stored meanwhile may take its predecessor's place.
        """
        ...

    async def last(self, filter: str) -> Stored | None:
        """The last fact that matches `filter` (wildcards allowed), or None.

        Read directly, in a cluster from whichever replica answers: it may be a little old. A guarded write over the
        same filter finds out.
        """
        ...

    async def last_seq(self) -> int:
        """The sequence of the last fact of the journal, 0 when it is empty."""
        ...

    def follow(self, filters: Sequence[str], *, after: int) -> AbstractAsyncContextManager[AsyncIterator[Stored]]:
        """Every fact that matches any of `filters` with sequence above `after`, for ever, each once and in order."""
        ...

    def take(self, intake: Intake) -> AbstractAsyncContextManager[AsyncIterator[Delivery]]:
        """Deliveries of a shared durable consumer, one after the other, for ever; redeliveries included."""
        ...

    async def get(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        """A key's value and revision in a KV bucket, or None."""
        ...

    async def put(self, bucket: str, key: str, value: bytes, *, revision: int) -> int:
        """Write a key if its revision is still `revision` (0: if it does not exist). Returns the new revision.

        Raises GuardLost when another was first, OutcomeUnknown when not answered."""
        ...

    async def keys(self, bucket: str) -> Sequence[str]:
        """All keys of a bucket, sorted."""
        ...

    async def put_object(self, bucket: str, name: str, data: bytes) -> None:
        """Store a large value under a name; writing the same name again replaces it."""
        ...

    async def get_object(self, bucket: str, name: str) -> bytes | None:
        """A large value, or None."""
        ...

    async def say(self, subject: str, data: bytes) -> None:
        """Publish something that need not arrive (progress); never raises because the bus is away."""
        ...

    async def request(self, subject: str, data: bytes, within: float) -> bytes | None:
        """Ask whoever listens on a subject, once; the first answer, or None when none came in `within` seconds of
        machine time, or nobody listens. Answers are said on the question's `reply`. Raises ValueError as `say`."""
        ...

    def listen(self, filter: str) -> AbstractAsyncContextManager[AsyncIterator[Message]]:
        """What is said on matching subjects from now on."""
        ...

    async def close(self) -> None:
        """Stop followers and intakes, and disconnect."""
        ...
