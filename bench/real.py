"""The small world once more with real processes: a NATS server, the simulated pool at factor 30, every service its own.

What the virtual clock leaves out (real latencies, 30 times as long in pool time) is the difference that is shown.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from bench import measured, rolling, worlds
from bench.measured import Measured
from bench.worlds import World
from shared.bus import wire
from shared.domain import commands, facts
from tests.chaos.stage import POOL, stage

FACTOR = 30.0
WITHIN = 600.0
"""Machine seconds in which the run must end."""


def compared(world: World) -> str:
    """Both runs of a world, figure by figure, as lines to be printed."""
    with tempfile.TemporaryDirectory() as folder:
        virtual = rolling.row(world, rolling.Way("rota"), Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        real = asyncio.run(_with_processes(world, Path(folder)))
    figures = ("minutes", "moves_per_vm", "gib_moved", "not_home", "longest_away_minutes", "ha_off_minutes")
    lines = [f"{world.name} on the virtual clock, and with real processes at factor {FACTOR:g}:"]
    for figure in figures:
        there, here = float(virtual[figure]), float(getattr(real, figure))
        lines.append(f"  {figure:22} {there:8.2f} {here:8.2f}  {here - there:+.2f}")
    return "\n".join(lines)


async def _with_processes(world: World, folder: Path) -> Measured:
    described = world.described()
    async with stage(folder, world=described, factor=FACTOR, replicas=1) as house:
        await house.bus.append(wire.command_message(commands.StartRun(pool=POOL), by="bench"), id="order-1")
        began = ended = 0.0
        async with asyncio.timeout(WITHIN), house.bus.follow(["rota.fact.run.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                told = wire.read_fact(stored)
                if isinstance(told.fact, facts.RunRequested):
                    began = told.at
                if isinstance(told.fact, facts.RunEnded):
                    ended = told.at
                    break
        return measured.read(house.journal, worlds.memory_of(described), 0.0, ended - began)
