"""The monkey: what it does to real processes, when, and how long. Everything is drawn from its seed.

It strikes at random moments and, as often, the very moment a fact is seen: at a step's boundary.
"""

from __future__ import annotations

import asyncio
import random
import signal
import time
from dataclasses import dataclass, field
from typing import Literal, get_args

from tests.chaos.stage import Stage

Injury = Literal[
    "kill planner",
    "kill executor",
    "kill watcher",
    "kill reporter",
    "kill scheduler",
    "pause planner",
    "pause executor",
    "pause watcher",
    "pause reporter",
    "pause scheduler",
    "cut planner",
    "cut executor",
    "cut watcher",
    "cut reporter",
    "cut scheduler",
    "kill bus",
]


@dataclass(frozen=True, slots=True)
class Struck:
    """A blow, and the machine time at which it fell; for the bus the time at which the new server answered."""

    kind: Injury
    at: float


@dataclass
class Monkey:
    """Strikes until it is told to stop. `rest` is the mean of seconds between two blows."""

    stage: Stage
    chance: random.Random
    rest: float = 1.5
    struck: list[Struck] = field(default_factory=list)
    boundary: asyncio.Event = field(default_factory=asyncio.Event)
    _busy: set[str] = field(default_factory=set)
    _later: set[asyncio.Task[None]] = field(default_factory=set)

    async def rage(self) -> None:
        """Strike for ever. Cancelled, it lets what it paused go on and starts again what it killed."""
        try:
            while True:
                await asyncio.sleep(self.chance.expovariate(1 / self.rest))
                if self.chance.random() < 0.5:
                    await self._at_a_boundary()
                self._strike(self.chance.choices(KINDS, WEIGHTS)[0])
        finally:
            await asyncio.gather(*self._later, return_exceptions=True)

    async def _at_a_boundary(self) -> None:
        """Wait for the next fact, for a while."""
        self.boundary.clear()
        await asyncio.wait([asyncio.ensure_future(self.boundary.wait())], timeout=self.rest * 2)

    def _strike(self, kind: Injury) -> None:
        does, _, service = kind.partition(" ")
        names = [name for name in self.stage.replicas if name.startswith(service)] or ["bus"]
        name = self.chance.choice(names)
        if name in self._busy:
            return
        act = {"kill": self._kill, "pause": self._pause, "cut": self._cut}[does] if name != "bus" else self._kill_bus
        self._busy.add(name)
        task = asyncio.create_task(act(name, kind))
        self._later.add(task)
        task.add_done_callback(lambda _: self._busy.discard(name))

    async def _kill(self, name: str, kind: Injury) -> None:
        self.struck.append(Struck(kind, time.time()))
        await self.stage.kill(name)
        await asyncio.sleep(self.chance.uniform(0.05, 0.5))
        await self.stage.employ(name)

    async def _pause(self, name: str, kind: Injury) -> None:
        self.struck.append(Struck(kind, time.time()))
        self.stage.send(name, signal.SIGSTOP)
        await asyncio.sleep(self.chance.choice([self.chance.uniform(0.1, 1.0), self.chance.uniform(2.5, 6.0)]))
        self.stage.send(name, signal.SIGCONT)

    async def _cut(self, name: str, kind: Injury) -> None:
        line = self.stage.lines[name]
        self.struck.append(Struck(kind, time.time()))
        self.chance.choice([line.hang_up, line.swallow])()
        await asyncio.sleep(self.chance.choice([self.chance.uniform(0.1, 1.0), self.chance.uniform(2.5, 6.0)]))
        line.mend()

    async def _kill_bus(self, name: str, kind: Injury) -> None:
        await self.stage.restart_bus(self.chance.uniform(0.05, 1.5))
        self.struck.append(Struck(kind, time.time()))


KINDS: tuple[Injury, ...] = get_args(Injury)
WEIGHTS = (4, 5, 2, 1, 1, 3, 5, 1, 1, 1, 3, 4, 1, 1, 1, 2)
"""How often each is drawn; where Rota decides and acts, most."""
