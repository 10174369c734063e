"""What Rota keeps on the bus: two streams, two buckets, one store of large values. One table, foot of the file.

Both adapters are made from it. What a subject means is `wire`'s; how a stream is made on a server is `jetstream`'s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.bus import matching
from shared.bus.port import Message, TooLarge

COMMANDS = "ROTA_COMMANDS"
FACTS = "ROTA_FACTS"
RUNS = "ROTA_RUNS"
SCHEDULES = "ROTA_SCHEDULES"
SNAPSHOTS = "ROTA_SNAPSHOTS"

LARGEST = 1_000_000
"""Bytes of a message with its subject and headers; a server's own default limit is 1,048,576 (`max_payload`)."""

LONGEST_BATCH = 1000
"""Messages of one atomic batch; the server's own limit (nats-server, streamMaxBatchSize)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream as it shall be. `max_age` and `window` (of message ids) in seconds; `max_age` 0 keeps for ever."""

    name: str
    subjects: tuple[str, ...]
    queue: bool
    """True: a message is gone when it was acknowledged. False: it stays until `max_age`."""
    max_age: float = 0.0
    window: float = 120.0


def stream_of(subject: str) -> Stream:
    """The stream that stores a subject. Raises ValueError for a subject that none does, or that is no subject."""
    if not matching.is_subject(subject):
        raise ValueError(f"'{subject}' cannot be written to: a subject has no blanks, wildcards or empty tokens.")
    for stream in STREAMS:
        if matching.matches_any(stream.subjects, subject):
            return stream
    raise ValueError(f"No stream keeps '{subject}': a subject begins with rota.command or rota.fact.")


def check(messages: Sequence[Message], stream: str) -> None:
    """Refuse before the bus does. Raises ValueError for an empty or overlong batch and a subject that is not of the
    stream (its name), TooLarge for a message that no server takes."""
    if not 1 <= len(messages) <= LONGEST_BATCH:
        raise ValueError(f"A write holds 1 to {LONGEST_BATCH} messages, this one {len(messages)}.")
    for message in messages:
        if stream_of(message.subject).name != stream:
            raise ValueError(f"'{message.subject}' is not kept by {stream}.")
        if size(message) > LARGEST:
            raise TooLarge(message.subject, size(message), LARGEST)


def size(message: Message) -> int:
    """Bytes that count against a server's `max_payload` (data and headers), and the subject."""
    headers = sum(len(f"{key}: {value}\r\n".encode()) for key, value in message.headers.items())
    return len(message.subject.encode()) + headers + len(message.data)


STREAMS = (
    Stream(COMMANDS, ("rota.command.>",), queue=True),
    Stream(FACTS, ("rota.fact.>",), queue=False, max_age=90 * 86_400.0),
)
BUCKETS = (RUNS, SCHEDULES)
OBJECTS = (SNAPSHOTS,)
