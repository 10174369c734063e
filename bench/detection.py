"""How soon it is known that a host went, and that it is back: a real clock (factor 1), the watcher on a simulated pool.

`python -m bench.detection [ROUNDS]` reboots a member and the master ROUNDS times (3), in a pool with a run, and prints
for each how long after the simulator's own journal line the watcher's fact was stored. Boots last 15 s here.
"""

from __future__ import annotations

import asyncio
import os
import platform
import sys
import time
from collections.abc import Mapping
from typing import Any

import structlog
from pydantic import SecretStr

from services.planner import preparing
from services.watcher import loop
from shared import settings
from shared.bus import memory, wire
from shared.clock import Clock
from shared.domain import facts
from shared.domain.policy import Policy
from shared.service import Context, configure_logging
from shared.xapi.port import Access
from shared.xapi.stream import Reader
from simulator import Simulation, running

WORLD: Mapping[str, Any] = {
    "name": "two",
    "hosts": [{"name": name, "memory": "32 GiB", "boot": 15, "install": 5} for name in ("north", "south")],
    "srs": [{"name": "NFS", "type": "nfs", "default": True}],
    "vms": [],
}


class Rounds:
    """One measurement: a pool, a watcher, and what was seen when. Lives for one call of `measure`."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.server = memory.MemoryServer()
        self.bus = memory.MemoryBus(self.server, "bench")
        self.seen: list[tuple[float, facts.Fact]] = []

    def context(self) -> Context:
        """What the watcher is given."""
        access = settings.PoolAccess(
            url=self.sim.master_url, username=self.sim.username, password_env="X", password=SecretStr("")
        ).model_copy(update={"password": SecretStr(self.sim.password)})
        told = settings.Settings(pool={"lab": access})
        bus = memory.MemoryBus(self.server, "watcher")
        return Context("watcher", "watcher", told, Clock(), bus, structlog.stdlib.get_logger())

    async def follow(self) -> None:
        """Note when each fact of the watcher was stored."""
        async with self.bus.follow([wire.HOSTS_SEEN, wire.POOLS_SEEN], after=0) as stored_facts:
            async for stored in stored_facts:
                self.seen.append((time.time(), wire.read_fact(stored).fact))

    async def begin_a_run(self) -> None:
        """A pool with a run is looked at more often."""
        survey = preparing.survey_step("t00", "lab", updates=False, why="")
        fact = facts.RunRequested(pool="lab", run="r1", order="o", by="bench", policy=Policy(), survey=survey)
        await self.bus.append(wire.fact_message(fact, source="planner", at=time.time(), id="1"), id="1")

    async def reboot(self, name: str) -> tuple[float, float]:
        """Reboot a host; seconds from its going down, and from its being up, to the fact that says so."""
        lines, seen = len(self.sim.journal), len(self.seen)
        await self._order(name)
        down = await self._line(lines, name, "rebooting")
        gone = await self._fact(seen, (facts.HostUnreachable, facts.MasterUnreachable))
        up = await self._line(lines, name, "up")
        back = await self._fact(seen, (facts.HostCameBack,))
        return gone - down, back - up

    async def _order(self, name: str) -> None:
        access = Access(self.sim.master_url, self.sim.username, SecretStr(self.sim.password))
        async with await Reader.open(access) as reader:
            (ref,) = await reader.call("host.get_by_name_label", name)
            await reader.call("host.disable", ref)
            await reader.call("host.reboot", ref)

    async def _line(self, first: int, name: str, state: str) -> float:
        while True:
            for line in self.sim.journal[first:]:
                if line["kind"] == "host" and line["host"] == name and line["state"] == state:
                    return float(self.sim.clock_state()["origin"]) + float(line["t"])
            await asyncio.sleep(0.005)

    async def _fact(self, first: int, kinds: tuple[type[facts.Fact], ...]) -> float:
        while True:
            for at, fact in self.seen[first:]:
                if isinstance(fact, kinds):
                    return at
            await asyncio.sleep(0.005)


async def measure(rounds: int) -> None:
    """Reboot, look, print."""
    async with running(WORLD, drive="wall", factor=1.0) as sim:
        bench = Rounds(sim)
        watching = [asyncio.create_task(bench.follow()), asyncio.create_task(loop.serve(bench.context()))]
        await bench.begin_a_run()
        while not any(isinstance(fact, facts.MasterChanged) for _, fact in bench.seen):
            await asyncio.sleep(0.05)
        for number in range(rounds):
            for name in ("south", "north"):
                async with asyncio.timeout(120):
                    gone, back = await bench.reboot(name)
                kind = "master" if name == "north" else "member"
                print(
                    f"round {number + 1}, {kind}: known unreachable after {gone:.2f} s, known back after {back:.2f} s"
                )
                await asyncio.sleep(3)
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def main() -> None:
    """Measure and print."""
    configure_logging()
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, factor 1")
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else 3))


if __name__ == "__main__":
    main()
