"""The whole house in one process under a clock that jumps: the real services, a bus in memory, a simulated pool.

A story is told in simulated minutes and lasts a second or two. What happened on the pool is judged from the
simulator's own journal, and what was said from the bus.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import structlog

from services.executor import handlers as executor
from services.planner import handlers as planner
from services.reporter import handlers as reporter
from services.scheduler import loop as scheduler
from services.watcher import loop as watcher
from shared import settings
from shared.bus import memory, wire
from shared.clock import Clock
from shared.domain import commands, facts, names
from shared.service import Context, Serve
from shared.settings import ScheduleTable
from simulator import Simulation, running
from simulator.virtual import run_virtual

World = str | Path | Mapping[str, Any]

SERVICES: Mapping[str, Serve] = {
    "planner": planner.serve,
    "executor": executor.serve,
    "watcher": watcher.serve,
    "reporter": reporter.serve,
    "scheduler": scheduler.serve,
}
STAFF = ("planner", "executor", "watcher", "reporter")
"""Who is there in a story of an order that somebody gives."""


@dataclass
class House:
    """A bus, a pool and the services that work on it."""

    sim: Simulation
    server: memory.MemoryServer
    settings: settings.Settings
    clock: Clock
    bus: memory.MemoryBus
    tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    buses: dict[str, memory.MemoryBus] = field(default_factory=dict)

    def employ(self, service: str, name: str = "") -> None:
        """Start one replica of a service."""
        name = name or service
        bus = self.buses[name] = memory.MemoryBus(self.server, name)
        context = Context(service, name, self.settings, self.clock, bus, structlog.stdlib.get_logger())
        self.tasks[name] = asyncio.create_task(SERVICES[service](context), name=name)

    def remind(self, **schedules: ScheduleTable) -> None:
        """Start a scheduler that knows these schedules, as rota.toml would have them."""
        self.settings = self.settings.model_copy(update={"schedule": schedules})
        self.employ("scheduler")

    async def dismiss(self, name: str) -> None:
        """A replica is gone at once, as a killed process is."""
        self.buses.pop(name).drop()
        task = self.tasks.pop(name)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    async def forget(self) -> None:
        """The bus and everything on it is lost; a new one stands in its place, with nothing in its journal."""
        await self.bus.close()
        self.server = memory.MemoryServer()
        self.bus = memory.MemoryBus(self.server, "story")

    async def order(self, command: commands.Command, id: str = "order-1", by: str = "ann@desk") -> str:
        """Give an order; returns the id of the run that it would start."""
        await self.bus.append(wire.command_message(command, by=by), id=id)
        return names.run_id("lab", id)

    async def until(self, name: str, *, within: float = 6 * 3600.0) -> facts.Fact:
        """The first fact of this name, waited for with a deadline in simulated seconds. A service that dies is told."""
        async with asyncio.timeout(within), self.bus.follow(["rota.fact.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                for task in self.tasks.values():
                    if task.done() and not task.cancelled():
                        task.result()
                if stored.subject.endswith(f".{name}"):
                    return wire.read_fact(stored).fact
        raise AssertionError(name)

    async def nth_step(self, kind: str, number: int, *, within: float = 6 * 3600.0) -> str:
        """The id of the n-th step of a kind, once it is ordered; waited for as by `until`. A run that is held or over
        before is a failure."""
        seen: list[str] = []
        async with asyncio.timeout(within), self.bus.follow(["rota.fact.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                if not stored.subject.endswith((".step_ordered", ".run_held", ".run_ended")):
                    continue
                fact = wire.read_fact(stored).fact
                assert isinstance(fact, facts.StepOrdered), fact
                if fact.act.kind == kind and fact.step not in seen:
                    seen.append(fact.step)
                    if len(seen) == number:
                        return fact.step
        raise AssertionError(kind)

    async def journal(self) -> list[facts.Fact]:
        """Everything that was recorded so far."""
        return [wire.read_fact(stored).fact async for stored in self.bus.read(["rota.fact.>"])]


def _toml(value: Any) -> str:
    """A value as TOML has it: JSON's, but for tables in a list."""
    if isinstance(value, (list, tuple)) and value and isinstance(value[0], Mapping):
        tables = (", ".join(f"{key} = {json.dumps(one)}" for key, one in table.items()) for table in value)
        return f"[{', '.join(f'{{ {table} }}' for table in tables)}]"
    return json.dumps(value)


def _settings(
    folder: Path, pool: Mapping[str, Any], password: str, more: Mapping[str, Mapping[str, Any]]
) -> settings.Settings:
    """The settings as a person would write them, read as a service reads them."""
    folder.joinpath("reports").mkdir(exist_ok=True)
    lines = ['reports = "reports"', "[pool.lab]", *(f"{key} = {_toml(value)}" for key, value in pool.items())]
    file = folder / "rota.toml"
    lines.append('password_env = "LAB_PASSWORD"')
    for table, values in more.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in values.items())]
    file.write_text("\n".join([*lines, ""]))
    return settings.read(file, {"LAB_PASSWORD": password}, secrets=True)


@asynccontextmanager
async def _house(
    world: World,
    folder: Path,
    pool: Mapping[str, Any],
    password: str | None,
    staff: Sequence[str],
    tables: Mapping[str, Mapping[str, Any]],
    **more: Any,
) -> AsyncIterator[House]:
    async with running(world, drive="virtual", **more) as sim:
        access = {"url": sim.master_url, "username": sim.username, **pool}
        told = _settings(folder, access, password or sim.password, tables)
        server = memory.MemoryServer()
        clock = Clock(machine=sim.clock.now)
        house = House(sim, server, told, clock, memory.MemoryBus(server, "story"))
        for service in staff:
            house.employ(service)
        try:
            yield house
        finally:
            for name in [*house.tasks]:
                await house.dismiss(name)
            await house.bus.close()


def tell(
    story: Callable[[House], Awaitable[None]],
    folder: Path,
    *,
    world: World = "demo",
    pool: Mapping[str, Any] | None = None,
    password: str | None = None,
    staff: Sequence[str] = STAFF,
    tables: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    **more: Any,
) -> None:
    """Tell a story from its beginning to its end under the clock that jumps. `tables` are more of rota.toml."""

    async def told() -> None:
        async with _house(world, folder, pool or {}, password, staff, tables, **more) as house:
            await story(house)

    run_virtual(told())
