"""The planner's shell: it follows the journal, carries each pool's run on, and answers people's orders.

It holds no XAPI credentials and remembers nothing that the journal does not say. Any number of planners may run.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

from services.planner import carrying, orders, projection
from services.planner.following import Journal
from shared.bus import port, wire
from shared.domain import book as books
from shared.domain import commands, facts, names
from shared.domain.errors import Unreadable
from shared.domain.policy import merged
from shared.domain.run import RunState
from shared.service import Context, until_stopped

ANSWER_WITHIN = 30.0
"""Seconds of machine time in which an order's guarded answer is decided again; then the order is given back."""


class Planner:
    """One planner: its journal, a worker for each pool, and the orders that come."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._journal = Journal(context, self._moved)
        self._carriers: dict[str, carrying.Carrier] = {}
        self._forecaster = carrying.Forecaster(context, self._journal)
        self._workers: asyncio.TaskGroup | None = None

    async def serve(self) -> None:
        """Work until cancelled."""
        await self._journal.read()
        await self._mend_summaries()
        async with asyncio.TaskGroup() as workers:
            self._workers = workers
            workers.create_task(self._forecaster.work())
            for pool in sorted({*self._journal.pools, *self._context.settings.pool}):
                self._carrier(pool)
            workers.create_task(self._journal.follow())
            workers.create_task(self._take_orders())

    def _moved(self, pool: str) -> None:
        if not pool:
            self._forecaster.ring()
        elif self._workers is not None:
            self._carrier(pool).ring()
            if self._context.settings.runs.at_once:
                self._ring_who_waits()

    def _ring_who_waits(self) -> None:
        """What another pool's run waits for may be over."""
        for pool, book in self._journal.pools.items():
            if book.open is not None and book.open.state in (RunState.PLANNED, RunState.WAITING_FOR_WINDOW):
                self._carrier(pool).ring()

    def _carrier(self, pool: str) -> carrying.Carrier:
        carrier = self._carriers.get(pool)
        if carrier is None:
            carrier = self._carriers[pool] = carrying.Carrier(self._context, self._journal, pool)
            if self._workers is not None:
                self._workers.create_task(carrier.work())
        return carrier

    async def _mend_summaries(self) -> None:
        """A summary left open by a planner that died after the run's end is written again from the journal."""
        for key in await self._context.bus.keys(wire.RUNS_BUCKET):
            pool, _, run = key.partition(".")
            held = await self._context.bus.get(wire.RUNS_BUCKET, key)
            open_run = self._journal.book(pool).open
            if held is None or b'"outcome":null' not in held[0] or (open_run is not None and open_run.id == run):
                continue
            book = books.Book(pool)
            async for stored in self._context.bus.read((wire.run_filter(pool, run),)):
                try:
                    recorded = wire.read_fact(stored)
                except Unreadable:
                    continue
                book = books.fold(book, recorded.fact, seq=stored.seq, at=recorded.at)
            if book.run is not None and not book.run.open:
                said = projection.summary(book, book.run, "")
                await carrying.tell(self._context, pool, run, said.model_dump_json(), said.seq)

    # --- orders -------------------------------------------------------------------------------------------------------

    async def _take_orders(self) -> None:
        ack_wait = self._context.settings.bus.ack_wait
        intake = port.Intake(wire.COMMANDS_STREAM, "planner", (wire.PLANNER_ORDERS,), ack_wait=max(ack_wait, 10.0))
        async with self._context.bus.take(intake) as deliveries:
            async for delivery in deliveries:
                await self._order(delivery)

    async def _order(self, delivery: port.Delivery) -> None:
        message = delivery.message
        order = wire.order_id(message, stream=wire.COMMANDS_STREAM, seq=delivery.token.seq)
        given = orders.Given(order, wire.ordered_by(message))
        try:
            command = wire.read_command(message)
        except Unreadable as unreadable:
            await self._reject(delivery, given, unreadable)
            return
        answered = await self._answer(command, given, delivery)
        if answered:
            await delivery.ack()
        else:
            await delivery.nak(2.0)

    async def _answer(self, command: commands.Command, given: orders.Given, delivery: port.Delivery) -> bool:
        pool = getattr(command, "pool", "")
        if because := self._no_such_pool(pool, command):
            await self._refuse(command.verb, given, pool, because)
            return True
        if isinstance(command, commands.PlanPool):
            await self._ask_forecast(command, given)
            return True
        return await self._write_answer(pool, command, given, delivery)

    def _no_such_pool(self, pool: str, command: commands.Command) -> str:
        known = self._context.settings.pool
        if not names.is_token(pool):
            return f"{pool!r} cannot be a pool's key: use up to 40 of a-z, 0-9 and '-', as in rota.toml."
        if pool not in known and not isinstance(command, commands.RunCommand):
            listed = ", ".join(sorted(known)) or "none"
            return f"There is no pool {pool!r} in rota.toml (pools: {listed}); add it, or mend the name."
        if isinstance(command, (commands.StartRun, commands.UndoPool)) and known[pool].read_only:
            return f"Pool {pool} is read_only in rota.toml, so Rota changes nothing on it; take that out to update it."
        if isinstance(command, commands.RunCommand) and not names.is_token(command.run):
            return f"{command.run!r} cannot be a run's id."
        return ""

    async def _write_answer(
        self, pool: str, command: commands.Command, given: orders.Given, delivery: port.Delivery
    ) -> bool:
        """Decide and write until a guarded answer is in, at most ANSWER_WITHIN. False: give the order back."""
        loop = asyncio.get_running_loop()
        until = loop.time() + ANSWER_WITHIN
        while loop.time() < until:
            await delivery.working()
            book = self._journal.book(pool)
            if isinstance(command, (commands.StartRun, commands.UndoPool)):
                if await self._started_before(book, given):
                    return True
                answer = self._started(book, command, given)
            elif isinstance(command, commands.RunCommand):
                answer = orders.answer(book, command, given)
            else:
                return True
            if answer.refused:
                await self._refuse(command.verb, given, pool, answer.refused)
            if not answer.facts or await self._written(book, answer.facts, given):
                return True
        return False

    def _started(
        self, book: books.Book, command: commands.StartRun | commands.UndoPool, given: orders.Given
    ) -> orders.Answer:
        if isinstance(command, commands.UndoPool):
            return orders.undo(book, given)
        if command.not_after and self._context.clock.now() > command.not_after:
            return orders.too_late(book, command, given)
        told = self._context.settings
        return orders.start(book, command, given, told.pool[book.pool].policy, told.window, told.gate)

    async def _started_before(self, book: books.Book, given: orders.Given) -> bool:
        """Whether this very order was answered already, by a run that may be over."""
        run = names.run_id(book.pool, given.order)
        answered = f"rota.fact.run.{book.pool}.{run}.run.*"
        return await self._context.bus.last(answered) is not None

    async def _written(self, book: books.Book, said: tuple[facts.RunFact, ...], given: orders.Given) -> bool:
        at = self._context.clock.now()
        messages = [
            wire.fact_message(fact, source="planner", at=at, id=f"{book.pool}.{book.after}.{number}")
            for number, fact in enumerate(said)
        ]
        try:
            seq = await self._context.bus.append_guarded(messages, wire.pool_guard(book.pool, book.after))
        except port.GuardLost as lost:
            await self._journal.passed(lost.actual or book.after + 1, within=carrying.LOST_PAUSE)
            return False
        except port.OutcomeUnknown:
            await self._journal.passed(book.after + 1, within=carrying.LOST_PAUSE)
            return await self._answered(book.pool, said, given)
        await self._journal.passed(seq, within=carrying.FOLDED_WITHIN)
        return True

    async def _answered(self, pool: str, said: tuple[facts.RunFact, ...], given: orders.Given) -> bool:
        """After an unknown outcome: whether the journal has this order's answer after all."""
        async for stored in self._context.bus.read((wire.run_filter(pool, said[0].run),)):
            with contextlib.suppress(Unreadable):
                if given.order.encode() in stored.data and wire.read_fact(stored).fact == said[0]:
                    return True
        return False

    async def _ask_forecast(self, command: commands.PlanPool, given: orders.Given) -> None:
        told = self._context.settings
        owner = told.pool[command.pool].policy
        others = [command.model_copy(update={"policy": policy}) for policy in command.compare]
        for one in (command, *others):
            if because := orders.policy_fault(owner, one, told.window, told.gate):
                await self._refuse(command.verb, given, command.pool, because)
                return
        request = names.forecast_id(command.pool, given.order)
        asked = facts.ForecastRequested(
            pool=command.pool,
            run=request,
            order=given.order,
            by=given.by,
            policy=merged(owner, command.policy),
            tell=command.tell,
            others=tuple(merged(owner, one.policy) for one in others),
        )
        await self._append(asked, f"{request}.requested")

    async def _refuse(self, verb: str, given: orders.Given, pool: Any, because: str) -> None:
        fact = facts.OrderRefused(order=given.order, by=given.by, verb=verb, pool=str(pool)[:200], because=because)
        await self._append(fact, f"refused.{given.order}")

    async def _reject(self, delivery: port.Delivery, given: orders.Given, unreadable: Unreadable) -> None:
        """An order that cannot be read: said to its sender, recorded as poison, and taken off the queue."""
        message = delivery.message
        rejected = facts.MessageRejected(
            rejected_subject=message.subject[:400],
            seq=delivery.token.seq,
            because=unreadable.because[:4000],
            service="planner",
            excerpt=message.data[:200].decode(errors="replace"),
        )
        await self._append(rejected, f"rejected.{wire.COMMANDS_STREAM}.{delivery.token.seq}")
        await self._refuse(message.subject.rpartition(".")[2][:40], given, "", unreadable.because[:4000])
        await delivery.term(unreadable.because[:200])

    async def _append(self, fact: facts.Fact, id: str) -> None:
        message = wire.fact_message(fact, source="planner", at=self._context.clock.now(), id=id)
        await self._context.bus.append(message, id=id)


async def serve(context: Context) -> None:
    """Run a planner until `context.stop` is set."""
    await until_stopped(context, Planner(context).serve())
