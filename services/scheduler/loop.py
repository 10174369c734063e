"""The scheduler: it waits for the next tick of any schedule and gives the orders that are due, and nothing else.

What it has dealt with stands in KV ROTA_SCHEDULES, a mark for each schedule, moved on by compare-and-set after the
orders are out. Killed before that, it or another gives them again under the same ids, and the planner starts one run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from pydantic import ValidationError

from services.scheduler import agenda
from services.scheduler.handlers import Desk
from shared import service
from shared.bus import port, wire
from shared.domain import cron, facts, names
from shared.domain.schedule import InForce, Standing, in_force, pools_of

LOOK_EACH = 240.0
"""Seconds of machine time after which the clock is looked at again, however far the next tick: clocks jump."""

AGAIN = 0.2
"""Seconds of machine time before something is tried again that another scheduler was quicker at."""

AFTER_A_STUMBLE = 30.0
"""Seconds of pool time before a schedule is looked at again that could not be dealt with."""

ASKED_ABOUT = 20
"""Of so many missed ticks it is asked whether they were started after all; older ones were missed."""

FORGOTTEN = b"{}"
"""The mark of a schedule that is in force no longer, so that its ticks since then are not missed when it comes back."""


class Scheduler:
    """One scheduler. It remembers nothing; `bell` is rung when a schedule was set or deleted."""

    def __init__(self, context: service.Context, bell: asyncio.Event) -> None:
        self._context = context
        self._bus = context.bus
        self._bell = bell

    async def listen(self, after: int) -> None:
        """Ring whenever any scheduler has set or deleted a schedule, for ever."""
        kinds = (facts.ScheduleSet, facts.ScheduleDeleted)
        async with self._bus.follow([kind.subject.format(schedule="*") for kind in kinds], after=after) as found:
            async for _ in found:
                self._bell.set()

    async def work(self) -> None:
        """Give what is due and wait for what is next, for ever."""
        while True:
            self._bell.clear()
            await self._rest(await self._look())

    async def _look(self) -> float | None:
        """Deal with every schedule. Returns the next moment (pool time) at which something may be due."""
        counting = in_force(self._context.settings.schedule, await self._standing())
        await self._forget(counting)
        found = [await self._attend(one) for one in counting.values()]
        return min((moment for moment in found if moment is not None), default=None)

    async def _rest(self, until: float | None) -> None:
        clock = self._context.clock
        if until is not None and until <= clock.now():
            await asyncio.sleep(AGAIN)
        while not self._bell.is_set():
            left = clock.machine_seconds(until - clock.now()) if until is not None else LOOK_EACH
            if left <= 0:
                return
            try:
                async with asyncio.timeout(min(left, LOOK_EACH)):
                    await self._bell.wait()
            except TimeoutError:
                continue

    # --- one schedule -------------------------------------------------------------------------------------------------

    async def _attend(self, one: InForce) -> float | None:
        """Deal with one schedule, whatever happens to it; returns when to look at it again."""
        try:
            return await self._deal_with(one)
        except port.BusClosed:
            raise
        except (port.GuardLost, port.OutcomeUnknown):
            return self._context.clock.now()
        except port.BusUnreachable as away:
            self._context.log.warning("bus_away", sentence=f"Schedule {one.key} could not be published: {away}")
            return self._context.clock.now()
        except Exception:
            self._context.log.exception("stumbled", sentence=f"Schedule {one.key} failed; it is tried again.")
            return self._context.clock.now() + AFTER_A_STUMBLE

    async def _deal_with(self, one: InForce) -> float | None:
        """Orders first, then the mark: what dies in between is done again, under the same ids."""
        held = await self._bus.get(wire.SCHEDULES_BUCKET, wire.mark_key(one.key))
        now = self._context.clock.now()
        noted = self._mark(one.key, held)
        mark, revision = agenda.beginning(noted, one, now), held[1] if held else 0
        if mark != noted:
            revision = await self._note(one.key, mark, revision)
        due = agenda.due(one.schedule, mark.through, now)
        if due is not None:
            await self._tell_missed(one, due)
            if due.start is not None:
                await self._start(one, due.start)
            mark = mark.model_copy(update={"through": due.through})
            await self._note(one.key, mark, revision)
        return cron.next_tick(mark.cron, mark.zone, mark.through)

    async def _start(self, one: InForce, tick: float) -> None:
        """Give the order for each pool. One given before is known to the bus by its id, or to the planner."""
        pools = pools_of(one.schedule, self._context.settings.tags)
        if not pools:
            await self._tell(one.key, tick, 1, (), agenda.nobody_sentence(one))
        for pool in pools:
            id = agenda.order_id(one.key, pool, tick)
            command = agenda.order(one, pool, tick)
            until = agenda.not_after(one.schedule, tick)
            within = self._context.clock.machine_seconds(until - self._context.clock.now())
            if within <= 0:
                raise port.BusUnreachable("its time is over")
            message = wire.command_message(command, by=agenda.ordered_by(one))
            await self._bus.append(message, id=id, within=within)
            self._context.log.info("ordered", order=id, pool=pool, sentence=f"{command.verb} {pool}")

    async def _tell_missed(self, one: InForce, due: agenda.Due) -> None:
        """Say which ticks started nothing, and on which pools the last of them. A scheduler that was killed before its
        mark may have started some."""
        old, asked = due.missed[:-ASKED_ABOUT], due.missed[-ASKED_ABOUT:]
        lost = [(tick, pools) for tick in asked if (pools := await self._without(one, tick)) is not None]
        if not lost:
            return
        (last, pools), ticks = lost[-1], len(old) + len(lost)
        await self._tell(one.key, last, ticks, pools, agenda.missed_sentence(one.schedule, last, ticks, due.start))

    async def _without(self, one: InForce, tick: float) -> tuple[str, ...] | None:
        """The pools of a schedule on which a tick started nothing; None where it started something on each."""
        pools = pools_of(one.schedule, self._context.settings.tags)
        ids = {pool: agenda.order_id(one.key, pool, tick) for pool in pools}
        without = tuple([pool for pool in pools if not await self._answered(pool, ids[pool])])
        return without if without or not pools else None

    async def _tell(self, key: str, tick: float, ticks: int, pools: tuple[str, ...], because: str) -> None:
        fact = facts.TickMissed(schedule=key, tick=tick, ticks=ticks, pools=pools, because=because)
        id = agenda.order_id(key, "missed", tick)
        message = wire.fact_message(fact, source="scheduler", at=self._context.clock.now(), id=id)
        await self._bus.append(message, id=id)
        self._context.log.warning("missed", sentence=because)

    async def _answered(self, pool: str, order: str) -> bool:
        """Whether the planner has answered an order: by a run, by a refusal of one, or by a forecast."""
        forecast = f"rota.fact.plan.{pool}.{names.forecast_id(pool, order)}.>"
        run = wire.run_filter(pool, names.run_id(pool, order))
        return await self._bus.last(run) is not None or await self._bus.last(forecast) is not None

    # --- what stands in the bucket ------------------------------------------------------------------------------------

    async def _standing(self) -> Mapping[str, Standing]:
        found: dict[str, Standing] = {}
        for key in await self._bus.keys(wire.SCHEDULES_BUCKET):
            kind, _, schedule = key.partition(".")
            held = await self._bus.get(wire.SCHEDULES_BUCKET, key) if kind == "schedule" else None
            if held is None:
                continue
            try:
                found[schedule] = Standing.model_validate_json(held[0])
            except ValidationError as error:
                self._context.log.error(
                    "unreadable", sentence=f"Schedule {schedule} in ROTA_SCHEDULES cannot be read: {error}."
                )
        return found

    def _mark(self, key: str, held: tuple[bytes, int] | None) -> agenda.Mark | None:
        if held is None or held[0] == FORGOTTEN:
            return None
        try:
            return agenda.Mark.model_validate_json(held[0])
        except ValidationError as error:
            self._context.log.error("unreadable", sentence=f"The mark of schedule {key} cannot be read: {error}.")
            return None

    async def _note(self, key: str, mark: agenda.Mark, revision: int) -> int:
        data = mark.model_dump_json().encode()
        return await self._bus.put(wire.SCHEDULES_BUCKET, wire.mark_key(key), data, revision=revision)

    async def _forget(self, counting: Mapping[str, InForce]) -> None:
        for key in await self._bus.keys(wire.SCHEDULES_BUCKET):
            kind, _, schedule = key.partition(".")
            if kind != "mark" or schedule in counting:
                continue
            held = await self._bus.get(wire.SCHEDULES_BUCKET, key)
            if held is not None and held[0] != FORGOTTEN:
                try:
                    await self._bus.put(wire.SCHEDULES_BUCKET, key, FORGOTTEN, revision=held[1])
                except (port.GuardLost, port.OutcomeUnknown):
                    self._bell.set()


async def serve(context: service.Context) -> None:
    """Run a scheduler until `context.stop` is set. Raises BusClosed when the bus's client was closed."""
    bell = asyncio.Event()
    scheduler = Scheduler(context, bell)
    after = await context.bus.last_seq()
    await service.until_stopped(context, scheduler.listen(after), scheduler.work(), Desk(context).work())
