"""The other services' parts, played on a bus: an executor whose pool obeys at once, and a watcher that sees it boot."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import structlog
from pydantic import TypeAdapter

from services.planner import handlers
from shared import settings
from shared.bus import memory, port, wire
from shared.clock import Clock
from shared.domain import acts, commands, facts, names
from shared.domain.errors import Unreadable
from shared.domain.model import PoolSnapshot
from shared.service import Context
from tests.services.planner.play import Play

FACTOR = 400.0
_SNAPSHOT = TypeAdapter(PoolSnapshot)


class Cast:
    """One memory server, planners on it, and a play whose pool an executor's stand-in works on."""

    def __init__(self, play: Play, pools: tuple[str, ...] = ("lab",)) -> None:
        self.play = play
        self.server = memory.MemoryServer()
        self.bus = memory.MemoryBus(self.server, "test")
        self.clock = Clock(FACTOR, time.time())
        access = {name: {"url": "http://127.0.0.1:1", "password_env": "P"} for name in pools}
        self.settings = settings.Settings.model_validate(
            {"pool": access, "clock": {"factor": FACTOR, "origin": self.clock.origin}}
        )

    def context(self, name: str) -> Context:
        """What a service is given."""
        bus = memory.MemoryBus(self.server, name)
        log = structlog.stdlib.get_logger()
        return Context(name, name, self.settings, self.clock, bus, log)

    @asynccontextmanager
    async def going(self, planners: int = 1) -> AsyncIterator[list[asyncio.Task[None]]]:
        """Planners and the stand-in at work; all end with the block."""
        tasks = [asyncio.create_task(handlers.serve(self.context(f"planner-{n}"))) for n in range(planners)]
        other = asyncio.create_task(self._execute())
        try:
            yield tasks
        finally:
            for task in (*tasks, other):
                task.cancel()
            await asyncio.gather(*tasks, other, return_exceptions=True)
            await self.bus.close()

    async def order(self, command: commands.Command, id: str = "order-1", by: str = "ann") -> str:
        """Give an order; returns the id of the run it would start."""
        await self.bus.append(wire.command_message(command, by=by), id=id)
        return names.run_id("lab", id)

    async def until(self, name: str, *, within: float = 20.0) -> facts.Fact:
        """The first fact of this name, waited for with a deadline."""
        async with asyncio.timeout(within), self.bus.follow(["rota.fact.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                if stored.subject.endswith(f".{name}"):
                    with contextlib.suppress(Unreadable):
                        return wire.read_fact(stored).fact
        raise AssertionError(name)

    async def journal(self) -> list[facts.Fact]:
        """Everything recorded so far."""
        return [wire.read_fact(stored).fact async for stored in self.bus.read(["rota.fact.>"])]

    async def summary(self, run: str) -> dict[str, object]:
        """What clients read of a run."""
        held = await self.bus.get(wire.RUNS_BUCKET, f"lab.{run}")
        assert held is not None
        found = json.loads(held[0])
        assert isinstance(found, dict)
        return found

    async def _execute(self) -> None:
        intake = port.Intake(wire.COMMANDS_STREAM, "executor", (wire.EXECUTOR_ORDERS,))
        bus = memory.MemoryBus(self.server, "executor")
        async with bus.take(intake) as deliveries:
            async for delivery in deliveries:
                await self._do(bus, wire.read_step(delivery.message))
                await delivery.ack()

    async def _do(self, bus: memory.MemoryBus, command: commands.DoStep) -> None:
        self.play.now = self.clock.now()
        said = self.play.trouble(self.play, command) if self.play.trouble else None
        if said is None:
            self.play.done.append(command.act)
            result = self.play.carry_out(command)
            if isinstance(result, acts.SurveyTaken):
                data = _SNAPSHOT.dump_json(self.play.snapshots[result.snapshot])
                await bus.put_object(wire.SNAPSHOTS_BUCKET, result.snapshot, data)
            said = facts.StepSucceeded(
                pool=command.pool, run=command.run, step=command.step, attempt=command.attempt, result=result
            )
        await self._say(bus, said, f"{command.run}.{command.step}.{command.attempt}")
        if self.play.away:
            self.play.boot()
            await self._say(bus, self.play.journal[-1][0], f"{command.run}.{command.step}.back")

    async def _say(self, bus: memory.MemoryBus, fact: facts.Fact, id: str) -> None:
        await bus.append(wire.fact_message(fact, source="executor", at=self.clock.now(), id=id), id=id)
