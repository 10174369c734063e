"""One stream of the twin: messages in order, guards, message ids. It knows no clients and no clock.

Age limits are left out: nothing in one process lives for 90 days.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from shared.bus import matching, streams
from shared.bus.port import Guard, GuardLost, Message, OutcomeUnknown, Stored

MSG_ID = "Nats-Msg-Id"


@dataclass(frozen=True, slots=True)
class Written:
    """Where the last message of a write stands, and whether it stood there before."""

    seq: int
    duplicate: bool = False


class Log:
    """A stream: what it holds by sequence, and the message ids it remembers."""

    def __init__(self, shape: streams.Stream) -> None:
        self.shape = shape
        self.last_seq = 0
        self._held: dict[int, Stored] = {}
        self._ids: dict[str, Written] = {}
        self._forget: dict[str, float] = {}

    def write(self, messages: Sequence[Message], guard: Guard | None, *, now: float, stored_at: float) -> Written:
        """Store all or none. `now` is loop time (for the window of ids), `stored_at` seconds since 1970.

        Raises GuardLost when the guard does not hold, which is asked before ids are looked at; OutcomeUnknown when a
        batch holds an id already seen (nats-server err 10201).
        """
        if guard is not None and (actual := self._last_seq(guard.filter)) != guard.after:
            raise GuardLost(actual)
        ids = [marked for message in messages if (marked := message.headers.get(MSG_ID))]
        seen = [known for marked in ids if (known := self._known(marked, now))]
        if seen and len(messages) == 1:
            return Written(seen[0].seq, duplicate=True)
        if seen or len(set(ids)) < len(ids):
            raise OutcomeUnknown("the batch holds a message id that was seen before")
        for message in messages:
            self._store(message, now, stored_at)
        return Written(self.last_seq)

    def last(self, filter: str) -> Stored | None:
        """The last message whose subject matches."""
        return next((held for held in reversed(self._held.values()) if matching.matches(filter, held.subject)), None)

    def next_after(self, seq: int, filters: Sequence[str]) -> Stored | None:
        """The first message above `seq` whose subject matches any of the filters."""
        for candidate in range(seq + 1, self.last_seq + 1):
            held = self._held.get(candidate)
            if held is not None and matching.matches_any(filters, held.subject):
                return held
        return None

    def at(self, seq: int) -> Stored | None:
        """The message at a sequence, if it is still there."""
        return self._held.get(seq)

    def remove(self, seq: int) -> None:
        """Take a message out; its sequence is never given again."""
        self._held.pop(seq, None)

    def matching(self, filters: Sequence[str]) -> list[Stored]:
        """All messages that match any of the filters, in order."""
        return [held for held in self._held.values() if matching.matches_any(filters, held.subject)]

    def _last_seq(self, filter: str) -> int:
        found = self.last(filter)
        return found.seq if found is not None else 0

    def _known(self, marked: str, now: float) -> Written | None:
        if self._forget.get(marked, now) <= now:
            self._ids.pop(marked, None)
            self._forget.pop(marked, None)
        return self._ids.get(marked)

    def _store(self, message: Message, now: float, stored_at: float) -> None:
        self.last_seq += 1
        headers = tidy(message.headers)
        self._held[self.last_seq] = Stored(message.subject, bytes(message.data), headers, self.last_seq, stored_at)
        if marked := headers.get(MSG_ID):
            self._ids[marked] = Written(self.last_seq, duplicate=True)
            self._forget[marked] = now + self.shape.window


def tidy(headers: Mapping[str, str]) -> dict[str, str]:
    """Headers as they come back from a server: values trimmed, line ends turned into blanks."""
    return {key.strip(): value.strip().replace("\r", " ").replace("\n", " ") for key, value in headers.items()}
