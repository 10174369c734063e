"""The scheduler's second shell: it takes orders that set and delete schedules, and answers each with a fact.

The schedule is stored first, with the order's id in it; a second delivery finds it there and only says so again.
"""

from __future__ import annotations

from pydantic import ValidationError

from services.scheduler import agenda, orders
from shared import service
from shared.bus import port, wire
from shared.domain import commands, facts, names
from shared.domain.errors import Unreadable
from shared.domain.schedule import InForce, Standing, pools_of

TRIES = 10
"""How often an order is judged again because another was quicker; then it is given back."""


class Desk:
    """Where the scheduler's orders come in."""

    def __init__(self, context: service.Context) -> None:
        self._context = context
        self._bus = context.bus
        settings = context.settings
        policies = {key: access.policy for key, access in settings.pool.items()}
        self._ground = orders.Ground(
            frozenset(settings.schedule), settings.tags, policies, tuple(settings.window), tuple(settings.gate)
        )

    async def work(self) -> None:
        """Take orders for ever."""
        ack_wait = max(self._context.settings.bus.ack_wait, 10.0)
        intake = port.Intake(wire.COMMANDS_STREAM, "scheduler", (wire.SCHEDULER_ORDERS,), ack_wait=ack_wait)
        async with self._bus.take(intake) as deliveries:
            async for delivery in deliveries:
                await self._order(delivery)

    async def _order(self, delivery: port.Delivery) -> None:
        message = delivery.message
        order = wire.order_id(message, stream=wire.COMMANDS_STREAM, seq=delivery.token.seq)[:200]
        given = orders.Given(order, wire.ordered_by(message), delivery.stored_at, self._context.clock.now())
        try:
            command = wire.read_command(message)
        except Unreadable as unreadable:
            await self._reject(delivery, given, unreadable)
            return
        if await self._answer(command, given):
            await delivery.ack()
        else:
            await delivery.nak(2.0)

    async def _answer(self, command: commands.Command, given: orders.Given) -> bool:
        """Judge and store until nobody was quicker. False: give the order back."""
        key = str(getattr(command, "schedule", ""))
        for _ in range(TRIES):
            held, revision = await self._held(key)
            if held is not None and held.order == given.order:
                await self._tell(key, held)
                return True
            judged = orders.judged(command, given, self._ground, held)
            if isinstance(judged, orders.Refused):
                await self._refuse(command.verb, given, judged.because)
                return True
            try:
                data = judged.model_dump_json().encode()
                await self._bus.put(wire.SCHEDULES_BUCKET, wire.schedule_key(key), data, revision=revision)
            except (port.GuardLost, port.OutcomeUnknown):
                continue
        return False

    async def _held(self, key: str) -> tuple[Standing | None, int]:
        """How a schedule stands, and its revision. What cannot be read is replaced as if it were not there."""
        if not names.is_token(key):
            return None, 0
        held = await self._bus.get(wire.SCHEDULES_BUCKET, wire.schedule_key(key))
        if held is None:
            return None, 0
        try:
            return Standing.model_validate_json(held[0]), held[1]
        except ValidationError:
            return None, held[1]

    async def _tell(self, key: str, standing: Standing) -> None:
        schedule, order, by = standing.schedule, standing.order, standing.by
        if schedule is None:
            sentence = f"Schedule {key} is deleted; runs that it has started go on."
            deleted = facts.ScheduleDeleted(schedule=key, order=order, by=by, sentence=sentence)
            await self._append(deleted, f"deleted.{order}")
            return
        pools = pools_of(schedule, self._context.settings.tags)
        sentence = agenda.set_sentence(InForce(key, schedule, by), pools, standing.since)
        told = facts.ScheduleSet(schedule=key, order=order, by=by, value=schedule, sentence=sentence)
        await self._append(told, f"set.{order}")

    async def _refuse(self, verb: str, given: orders.Given, because: str) -> None:
        fact = facts.OrderRefused(order=given.order, by=given.by, verb=verb, because=because[:4000])
        await self._append(fact, f"refused.{given.order}")

    async def _reject(self, delivery: port.Delivery, given: orders.Given, unreadable: Unreadable) -> None:
        """An order that cannot be read: said to its sender, recorded as poison, and taken off the queue."""
        message = delivery.message
        rejected = facts.MessageRejected(
            rejected_subject=message.subject[:400],
            seq=delivery.token.seq,
            because=unreadable.because[:4000],
            service="scheduler",
            excerpt=message.data[:200].decode(errors="replace"),
        )
        await self._append(rejected, f"rejected.{wire.COMMANDS_STREAM}.{delivery.token.seq}")
        await self._refuse(message.subject.rpartition(".")[2][:40], given, unreadable.because)
        await delivery.term(unreadable.because[:200])

    async def _append(self, fact: facts.Fact, id: str) -> None:
        message = wire.fact_message(fact, source="scheduler", at=self._context.clock.now(), id=id)
        await self._bus.append(message, id=id)
