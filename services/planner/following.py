"""The journal, folded: one book per pool and the asks that were asked for, kept current by following.

Start: lifecycle facts tell which pools have an open run; those runs are read in full, hosts by their last word; then
everything is followed from the sequence noted first. A planner remembers nothing that is not in the journal.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

from services.planner import asks
from shared.bus import poison, port, wire
from shared.domain import book as books
from shared.domain import facts
from shared.domain.errors import Unreadable
from shared.service import Context

KEPT = (
    "rota.fact.run.*.*.*.setting_owed",
    "rota.fact.run.*.*.*.setting_paid",
    "rota.fact.run.*.*.*.wait_over",
    "rota.fact.run.*.*.*.turn_ended",
    "rota.fact.run.*.*.run.run_ended",
)
"""What counts of runs that are over: what they owe, how long their hosts took to boot and their turns took, and
that they are over."""
FOLLOWED = ("rota.fact.run.>", "rota.fact.step.>", "rota.fact.plan.>", wire.HOSTS_SEEN, wire.POOLS_SEEN)


class Journal:
    """What the planner knows. `moved(pool)` is called after each fact that was folded; the empty name is asks. `runs`
    is the sequence of the last fact of any run."""

    def __init__(self, context: Context, moved: Callable[[str], None]) -> None:
        self._context = context
        self._moved = moved
        self._folded = asyncio.Condition()
        self.seq = 0
        self.runs = 0
        self.pools: dict[str, books.Book] = {}
        self.asks: asks.Asks = {}

    def book(self, pool: str) -> books.Book:
        """A pool's book; an empty one where the journal has nothing of it."""
        return self.pools.get(pool) or books.Book(pool)

    async def read(self) -> None:
        """Read what is needed to begin."""
        bus = self._context.bus
        begin = await bus.last_seq()
        open_runs: dict[str, str] = {}
        async for stored in bus.read((wire.LIFECYCLE,)):
            fact = _read(stored)
            if isinstance(fact, facts.RunRequested):
                open_runs[fact.pool] = fact.run
            elif isinstance(fact, facts.RunEnded) and open_runs.get(fact.pool) == fact.run:
                del open_runs[fact.pool]
        filters = [*KEPT, *(wire.run_filter(pool, run) for pool, run in open_runs.items()), "rota.fact.plan.>"]
        kept = [stored async for stored in _upto(bus.read(filters), begin)]
        seen = bus.read((wire.HOSTS_SEEN, wire.POOLS_SEEN), last_per_subject=True)
        kept += [stored async for stored in _upto(seen, begin)]
        for stored in sorted(kept, key=lambda one: one.seq):
            await self._fold(stored)
        for pool in [*self.pools]:
            await self._guard(pool, begin)
        for pool in self._context.settings.pool:
            await self._guard(pool, begin)
        last = await bus.last("rota.fact.run.>")
        self.runs = max(self.runs, last.seq if last is not None and last.seq <= begin else 0)
        self.seq = begin

    async def follow(self) -> None:
        """Fold every fact from now on, until cancelled."""
        async with self._context.bus.follow(FOLLOWED, after=self.seq) as stored_facts:
            async for stored in stored_facts:
                await self._fold(stored)
                self.seq = stored.seq
                async with self._folded:
                    self._folded.notify_all()

    async def passed(self, seq: int, *, within: float) -> None:
        """Wait until everything up to a sequence is folded, at most `within` seconds of machine time."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._folded:
                await self._folded.wait_for(lambda: self.seq >= seq)

    async def _guard(self, pool: str, begin: int) -> None:
        """The last run fact of a pool, of closed runs too, is what its next decision is guarded by."""
        last = await self._context.bus.last(wire.pool_filter(pool))
        book = self.book(pool)
        if last is not None and last.seq <= begin:
            self.pools[pool] = replace(book, after=max(book.after, last.seq), seq=max(book.seq, last.seq))

    async def _fold(self, stored: port.Stored) -> None:
        if stored.subject.startswith("rota.fact.run."):
            self.runs = stored.seq
        try:
            recorded = wire.read_fact(stored)
        except Unreadable as unreadable:
            self._step_over(stored)
            await self._reject(stored, unreadable)
            return
        fact = recorded.fact
        if isinstance(fact, facts.PlanFact) or getattr(fact, "run", "") in self.asks:
            self.asks = asks.fold(self.asks, fact, recorded.at)
            self._moved("")
        pool = getattr(fact, "pool", "")
        if pool and not isinstance(fact, facts.PlanFact):
            self.pools[pool] = books.fold(self.book(pool), fact, seq=stored.seq, at=recorded.at)
            self._moved(pool)

    def _step_over(self, stored: port.Stored) -> None:
        """A message that cannot be read changes nothing, but it counts for the guard all the same."""
        parts = stored.subject.split(".")
        if len(parts) > 3 and parts[2] == "run":
            book = self.book(parts[3])
            self.pools[parts[3]] = replace(book, after=max(book.after, stored.seq), seq=max(book.seq, stored.seq))

    async def _reject(self, stored: port.Stored, unreadable: Unreadable) -> None:
        fact = facts.MessageRejected(
            rejected_subject=stored.subject[:400],
            seq=stored.seq,
            because=unreadable.because[:4000],
            service="planner",
            excerpt=stored.data[:200].decode(errors="replace"),
        )
        await poison.tell(self._context.bus, fact, source=self._context.name, at=self._context.clock.now())


def _read(stored: port.Stored) -> facts.Fact | None:
    """A fact that begins or ends a run; None for others, and for what cannot be read: a forgery ends no run."""
    if not stored.subject.endswith((".run_requested", ".run_ended")):
        return None
    try:
        return wire.read_fact(stored).fact
    except Unreadable:
        return None


async def _upto(stored_facts: AsyncIterator[port.Stored], seq: int) -> AsyncIterator[port.Stored]:
    async for stored in stored_facts:
        if stored.seq <= seq:
            yield stored
