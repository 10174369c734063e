"""Carry a pool's run on: decide, write the facts, send the orders, tell the clients. One worker per pool.

Fact first, then order. A guarded write is never sent again: whatever came of it, the fold tells, and the decision is
made anew. Orders that are recorded and not answered are sent again; the queue refuses the copy while the first lives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

from pydantic import TypeAdapter, ValidationError

from services.planner import advance, asks, fitting, projection, queueing
from services.planner.following import Journal
from shared.bus import port, wire
from shared.domain import commands, facts, messages
from shared.domain.book import Book
from shared.domain.model import PoolSnapshot
from shared.domain.names import Token
from shared.domain.run import Run
from shared.domain.summary import RunSummary
from shared.service import Context

FOLDED_WITHIN = 5.0
LOST_PAUSE = 0.3
RESEND_FIRST = 1.0
RESEND_LATER = 5.0
IDLE = 30.0
"""Machine time, seconds: how long a write may take to be folded, the pause after a lost guard, when an unanswered
order is sent again, and the longest nap of a worker."""

_SNAPSHOT: TypeAdapter[PoolSnapshot] = TypeAdapter(PoolSnapshot)


class Snapshots(dict[str, PoolSnapshot]):
    """The snapshots that decisions asked for; the last few are kept."""

    KEPT = 8

    def keep(self, name: str, snapshot: PoolSnapshot) -> None:
        """Add one, and let the oldest go."""
        self[name] = snapshot
        while len(self) > self.KEPT:
            del self[next(iter(self))]


class Carrier:
    """The worker of one pool."""

    def __init__(self, context: Context, journal: Journal, pool: str) -> None:
        self._context = context
        self._journal = journal
        self._pool = pool
        self._bell = asyncio.Event()
        self._snapshots = Snapshots()
        self._sent: dict[str, tuple[float, int]] = {}
        self._told: tuple[str, str] | None = None
        self._ends: projection.Ends | None = None

    def ring(self) -> None:
        """Something was folded: decide anew."""
        self._bell.set()

    async def work(self) -> None:
        """Carry on until cancelled."""
        while True:
            self._bell.clear()
            nap = await self._advance()
            await rung(self._bell, nap)

    async def _advance(self) -> float:
        """One decision carried out. Returns how long to nap at the most, machine seconds; 0 to go on at once."""
        book = self._journal.book(self._pool)
        now = self._context.clock.now()
        decision = advance.decide(book, now, self._snapshots, self._crowd())
        if decision.wants:
            return await self._fetch(decision.wants)
        if decision.facts:
            return await self._write(decision)
        nap = await self._send(decision.orders)
        if book.run is not None:
            await self._tell(book, book.run, decision.sentence)
        if decision.wake_at is not None:
            nap = min(nap, max(0.01, self._context.clock.machine_seconds(decision.wake_at - now)))
        return nap

    def _crowd(self) -> queueing.Crowd:
        told = self._context.settings
        if not told.runs.at_once:
            return queueing.ALONE
        return queueing.Crowd(told.runs.at_once, told.queue, tuple(self._journal.pools.values()), self._journal.runs)

    async def _fetch(self, names: Sequence[str]) -> float:
        for name in names:
            snapshot = await load_snapshot(self._context, name)
            if snapshot is None:
                self._context.log.warning("snapshot", name=name, sentence=f"The snapshot {name} is not there yet.")
                return RESEND_FIRST
            self._snapshots.keep(name, snapshot)
        return 0.0

    async def _write(self, decision: advance.Decision) -> float:
        at = self._context.clock.now()
        written = [
            wire.fact_message(fact, source="planner", at=at, id=f"{self._pool}.{decision.after}.{number}")
            for number, fact in enumerate(decision.facts)
        ]
        guard = wire.pool_guard(self._pool, decision.after)
        if decision.among is not None:
            guard = wire.runs_guard(decision.among)
        try:
            seq = await self._context.bus.append_guarded(written, guard)
        except port.GuardLost as lost:
            await self._journal.passed(lost.actual or guard.after + 1, within=LOST_PAUSE)
            return 0.0
        except port.OutcomeUnknown:
            await self._journal.passed(guard.after + 1, within=LOST_PAUSE)
            return 0.0
        for fact in decision.facts:
            self._context.log.info("fact", fact=messages.fact_name(fact), run=fact.run, sentence=decision.sentence)
        await self._journal.passed(seq, within=FOLDED_WITHIN)
        return 0.0

    async def _send(self, orders: Sequence[commands.DoStep]) -> float:
        """Send what is new at once and what is unanswered again; returns when to look again."""
        loop = asyncio.get_running_loop()
        live = {messages.step_subject(order): order for order in orders}
        self._sent = {subject: sent for subject, sent in self._sent.items() if subject in live}
        for subject, order in live.items():
            due, times = self._sent.get(subject, (0.0, 0))
            if loop.time() < due:
                continue
            try:
                await self._context.bus.send_order(wire.step_message(order))
            except port.OutcomeUnknown:
                times = 0
            self._sent[subject] = (loop.time() + (RESEND_FIRST if times < 2 else RESEND_LATER), times + 1)
        next_due = min((due for due, _ in self._sent.values()), default=loop.time() + IDLE)
        return max(0.01, next_due - loop.time())

    async def _tell(self, book: Book, run: Run, sentence: str) -> None:
        """Write the run's summary for clients, if it says something new; an older one never replaces a newer."""
        self._ends = projection.ends(book, run, self._context.clock.now(), self._ends)
        said = projection.summary(book, run, sentence, self._ends)
        text = said.model_copy(update={"seq": 0}).model_dump_json()
        if self._told == (run.id, text):
            return
        if await tell(self._context, said.pool, said.run, said.model_dump_json(), said.seq):
            self._told = (run.id, text)


async def rung(bell: asyncio.Event, at_most: float) -> None:
    """Wait for a bell, at most so many seconds. (Not `wait_for`: on 3.11 it can swallow a cancellation.)"""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(at_most):
            await bell.wait()


async def tell(context: Context, pool: Token, run: Token, text: str, seq: int) -> bool:
    """Put a summary into KV ROTA_RUNS. False when it must be tried again."""
    key = f"{pool}.{run}"
    held = await context.bus.get(wire.RUNS_BUCKET, key)
    revision = 0
    if held is not None:
        value, revision = held
        if _seq_of(value) > seq:
            return True
    try:
        await context.bus.put(wire.RUNS_BUCKET, key, text.encode(), revision=revision)
    except (port.GuardLost, port.OutcomeUnknown):
        return False
    return True


def _seq_of(value: bytes) -> int:
    try:
        return RunSummary.model_validate_json(value).seq
    except ValidationError:
        return 0


async def load_snapshot(context: Context, name: str) -> PoolSnapshot | None:
    """A surveyed pool from the object store, or None while it is not there."""
    data = await context.bus.get_object(wire.SNAPSHOTS_BUCKET, name)
    return None if data is None else _SNAPSHOT.validate_json(data)


class Forecaster:
    """The worker for asks of all pools."""

    def __init__(self, context: Context, journal: Journal) -> None:
        self._context = context
        self._journal = journal
        self._bell = asyncio.Event()
        self._snapshots = Snapshots()
        self._done: set[str] = set()

    def ring(self) -> None:
        """Something was folded: decide anew."""
        self._bell.set()

    async def work(self) -> None:
        """Answer what is asked until cancelled."""
        while True:
            self._bell.clear()
            for ask in list(self._journal.asks.values()):
                await self._advance(ask)
            await rung(self._bell, self._pause())

    def _pause(self) -> float:
        """Seconds of machine time until something is due although nothing was folded."""
        clock, asks = self._context.clock, self._journal.asks.values()
        due = [clock.machine_seconds(ask.not_before - clock.now()) for ask in asks if ask.not_before > clock.now()]
        return min([*due, RESEND_LATER if asks else IDLE])

    async def _advance(self, ask: asks.Ask) -> None:
        now = self._context.clock.now()
        history = self._journal.book(ask.pool).history
        following = asks.advance(ask, now, self._snapshots, history, self._opening(ask, now))
        if following.wants:
            snapshot = await load_snapshot(self._context, following.wants)
            if snapshot is not None:
                self._snapshots.keep(following.wants, snapshot)
                self._bell.set()
            return
        for fact, id in following.facts:
            if id not in self._done:
                await self._append(fact, id)
                self._done.add(id)
        if following.order is not None:
            try:
                await self._context.bus.send_order(wire.step_message(following.order))
            except port.OutcomeUnknown:
                self._bell.set()

    def _opening(self, ask: asks.Ask, now: float) -> fitting.Opening | None:
        """The window of the policy that was asked with, or None."""
        name = ask.policy.window
        known = self._context.settings.window.get(name) if name else None
        return fitting.Opening(name, known, now) if known else None

    async def _append(self, fact: facts.Fact, id: str) -> None:
        message = wire.fact_message(fact, source="planner", at=self._context.clock.now(), id=id)
        await self._context.bus.append(message, id=id)
