"""A shared durable consumer of the twin: who was given what, how often, and when it is given again.

Pure bookkeeping; the time comes in as an argument (loop time, seconds). It never waits.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.bus import matching
from shared.bus.memory.log import Log
from shared.bus.port import BusRefused, Intake, Stored


@dataclass(slots=True)
class Pending:
    """A message that was given out and not acknowledged: how often, and when it falls due again."""

    delivered: int
    due: float


class Consumer:
    """One durable's place in its stream.

    As on a server, what comes back is judged by the message alone and not by the delivery: an ack of delivery 1
    takes away the message that delivery 2 is working on, and a nak of it gives delivery 3 at once.
    """

    def __init__(self, log: Log, intake: Intake) -> None:
        self._log = log
        self._intake = intake
        self._position = 0
        self._pending: dict[int, Pending] = {}

    def reshape(self, intake: Intake) -> None:
        """Take a new configuration; what is pending stays."""
        self._intake = intake

    def clashes(self, intake: Intake) -> bool:
        """Whether another durable of a work queue would take some of the same subjects."""
        return any(
            matching.overlap(mine, theirs)
            for mine in self._intake.filters
            for theirs in intake.filters
            if self._log.shape.queue and self._intake.durable != intake.durable
        )

    def pull(self, now: float) -> tuple[Stored, int] | None:
        """The next message to give out and the how-manieth delivery it is; what fell due again comes first."""
        self._tidy()
        for seq in sorted(self._pending, key=lambda seq: (self._pending[seq].due, seq)):
            held, again = self._log.at(seq), self._pending[seq]
            if held is not None and again.due <= now:
                return self._give(held, again.delivered + 1, now)
        if len(self._pending) >= self._intake.max_pending:
            return None
        fresh = self._log.next_after(self._position, self._intake.filters)
        self._position = fresh.seq if fresh is not None else self._log.last_seq
        return self._give(fresh, 1, now) if fresh is not None else None

    def next_due(self) -> float | None:
        """When something falls due again, or None."""
        self._tidy()
        return min((pending.due for pending in self._pending.values()), default=None)

    def ack(self, seq: int) -> None:
        """Done with, by whichever delivery."""
        self._pending.pop(seq, None)
        if self._log.shape.queue:
            self._log.remove(seq)

    def nak(self, seq: int, due: float) -> None:
        """Give it again at `due`."""
        if seq in self._pending:
            self._pending[seq].due = due

    def working(self, seq: int, now: float) -> None:
        """A heartbeat, by whichever delivery."""
        self.nak(seq, now + self._intake.ack_wait)

    def restart(self, now: float, forgotten: int) -> None:
        """The server came up again: every wait for an ack begins anew, and so many deliveries of each message were
        not written down, so that their numbers are given a second time."""
        for pending in self._pending.values():
            pending.due = now + self._intake.ack_wait
            pending.delivered = max(0, pending.delivered - forgotten)

    def _give(self, held: Stored, delivered: int, now: float) -> tuple[Stored, int]:
        self._pending[held.seq] = Pending(delivered, now + self._intake.ack_wait)
        return held, delivered

    def _tidy(self) -> None:
        for seq in [seq for seq in self._pending if self._log.at(seq) is None]:
            del self._pending[seq]


def check(intake: Intake, others: list[Consumer]) -> None:
    """Raises BusRefused for an intake that no server takes (nats-server err 10100: filters of a work queue overlap)."""
    if not intake.filters or not all(map(matching.is_filter, intake.filters)):
        raise BusRefused(f"The consumer {intake.durable} has no usable filters: {', '.join(intake.filters) or 'none'}.")
    if any(other.clashes(intake) for other in others):
        raise BusRefused(f"Another consumer of {intake.stream} takes some of what {intake.durable} asks for.")
