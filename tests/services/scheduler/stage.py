"""Schedulers on a bus in memory under a clock that jumps, and a planner's stand-in that answers what they order.

A month passes in a second or two. The stage begins on a day that a test names, in pool time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from services.scheduler import loop
from shared import settings as settings_
from shared.bus import memory, port, wire
from shared.clock import Clock
from shared.domain import commands, facts, names
from shared.domain.acts import Survey
from shared.domain.policy import Policy
from shared.service import Context
from simulator.virtual import run_virtual
from tests.shared.domain.test_cron import at

POOLS: Mapping[str, Any] = {
    "lab": {"url": "https://192.0.2.10"},
    "prod": {"url": "https://192.0.2.20", "tags": ["night"]},
    "web": {"url": "https://192.0.2.30", "tags": ["night"]},
}


@dataclass
class Stage:
    """A bus, and the schedulers on it. `orders` are those that the planner's stand-in took, by their ids."""

    server: memory.MemoryServer
    settings: settings_.Settings
    clock: Clock
    bus: memory.MemoryBus
    orders: list[tuple[str, commands.StartRun]] = field(default_factory=list)
    taken_at: list[float] = field(default_factory=list)
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    buses: dict[str, memory.MemoryBus] = field(default_factory=dict)

    def scheduler(self, name: str = "scheduler", told: settings_.Settings | None = None) -> memory.MemoryBus:
        """Start a scheduler, with other settings where they are given; returns its line to the bus."""
        bus = self.buses[name] = memory.MemoryBus(self.server, name)
        log = structlog.stdlib.get_logger()
        context = Context("scheduler", name, told or self.settings, self.clock, bus, log)
        self.tasks[name] = asyncio.create_task(loop.serve(context), name=name)
        return bus

    def planner(self) -> None:
        """Start the planner's stand-in: each order to start a run is answered by a request, once."""
        self.tasks["planner"] = asyncio.create_task(self._plan())

    async def kill(self, name: str) -> None:
        """A process is gone at once."""
        if name in self.buses:
            self.buses.pop(name).drop()
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def order(self, command: commands.Command, id: str = "order-1", by: str = "ann@desk") -> None:
        """Give the scheduler an order."""
        await self.bus.append(wire.command_message(command, by=by), id=id)

    async def until(self, moment: float | str) -> None:
        """Let time pass, to a moment or a local time in Rome."""
        until = at(moment, "Europe/Rome") if isinstance(moment, str) else moment
        while self.clock.now() < until:
            await asyncio.sleep(until - self.clock.now())
        for task in self.tasks.values():
            if task.done() and not task.cancelled():
                task.result()

    async def said(self, *kinds: type[facts.Fact], within: float = 60.0) -> list[facts.Fact]:
        """All facts of some kinds, once there is one; waited for with a deadline in pool seconds."""
        async with asyncio.timeout(within):
            while not (found := [fact for fact in self.journal() if isinstance(fact, kinds)]):
                await asyncio.sleep(0.01)
        return found

    def journal(self) -> list[facts.Fact]:
        """The journal."""
        return [wire.read_fact(stored).fact for stored in self.server.facts()]

    def missed(self) -> list[facts.TickMissed]:
        """The ticks that were told to have started nothing."""
        return [fact for fact in self.journal() if isinstance(fact, facts.TickMissed)]

    def waiting(self) -> list[str]:
        """The ids of the orders to planners that nobody has taken."""
        return [stored.headers[wire.MSG_ID] for stored in self.server.orders("rota.command.planner.>")]

    async def _plan(self) -> None:
        bus = memory.MemoryBus(self.server, "planner")
        intake = port.Intake(wire.COMMANDS_STREAM, "planner", (wire.PLANNER_ORDERS,))
        async with bus.take(intake) as deliveries:
            async for delivery in deliveries:
                command = wire.read_command(delivery.message)
                assert isinstance(command, commands.StartRun)
                order = wire.order_id(delivery.message, stream=wire.COMMANDS_STREAM, seq=delivery.token.seq)
                await self._answer(bus, command, order)
                await delivery.ack()

    async def _answer(self, bus: memory.MemoryBus, command: commands.StartRun, order: str) -> None:
        run = names.run_id(command.pool, order)
        if await bus.last(wire.run_filter(command.pool, run)) is not None:
            return
        self.orders.append((order, command))
        self.taken_at.append(self.clock.now())
        survey = facts.StepPlanned(step="t00-s000", act=Survey(), why="Look.")
        fact = facts.RunRequested(
            pool=command.pool, run=run, order=order, by="x", policy=Policy(), reason=command.reason, survey=survey
        )
        await bus.append(wire.fact_message(fact, source="planner", at=self.clock.now(), id=run), id=run)


def settings_with(schedules: Mapping[str, Any]) -> settings_.Settings:
    """Three pools and some schedules."""
    return settings_.Settings.model_validate({"pool": POOLS, "schedule": schedules})


def play(
    scene: Callable[[Stage], Awaitable[None]],
    *,
    begin: str,
    schedules: Mapping[str, Any] | None = None,
    staff: Sequence[str] = ("scheduler",),
) -> None:
    """Play a scene from a local time in Rome on. The staff are schedulers by name; a planner is always there."""

    async def played() -> None:
        started = asyncio.get_running_loop()
        origin = at(begin, "Europe/Rome")
        clock = Clock(machine=lambda: origin + started.time())
        server = memory.MemoryServer(now=clock.machine)
        stage = Stage(server, settings_with(schedules or {}), clock, memory.MemoryBus(server, "test"))
        stage.planner()
        for name in staff:
            stage.scheduler(name)
        try:
            await scene(stage)
        finally:
            for name in [*stage.tasks]:
                await stage.kill(name)
            await stage.bus.close()

    run_virtual(played())
