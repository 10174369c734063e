"""The disk under the bus of a `rota up`: people are warned while there is time, open runs are held before it is full,
and what had to stop goes on when there is room again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from cli import client as client_
from cli import disk
from cli.answers import Answer
from cli.exits import Stop
from cli.place import Place
from shared.bus import port
from shared.clock import Clock
from shared.domain import commands

LOOK_EACH = 5.0
"""Seconds of machine time between two looks at the disk."""


@dataclass(slots=True)
class Guard:
    """Looks after the disk of a data folder. `restart` starts the bus anew; `hurt` is that it had to stop writing,
    `held` the runs that were held because of the disk."""

    data: Path
    url: str
    say: Callable[[str], None]
    restart: Callable[[], Awaitable[None]]
    hurt: bool = False
    level: int = 0
    read: int = 0
    held: set[tuple[str, str]] = field(default_factory=set)

    async def watch(self) -> None:
        """Look again and again until cancelled."""
        while True:
            await self.look(disk.free(self.data))
            await asyncio.sleep(LOOK_EACH)

    async def look(self, free: int) -> None:
        """One look, with so many bytes free."""
        told, self.read = disk.stopped_writing(self.data / "nats" / "nats.log", self.read)
        self.hurt = self.hurt or told
        level = disk.FULL_LEVEL if self.hurt else disk.level(free)
        if level > self.level:
            self.say(disk.sentence(level, free, self.data))
        if level >= disk.HOLD_LEVEL and not self.hurt:
            await self._hold(free)
        if free > disk.ROOM_AGAIN:
            level = await self._go_on(disk.level(free))
        self.level = level

    async def _go_on(self, level: int) -> int:
        if self.hurt:
            self.say(f"There is room again on the disk of {self.data}; the bus is started anew to go on.")
            await self.restart()
            self.hurt = False
        if self.held:
            await self._resume()
        return level

    async def _hold(self, free: int) -> None:
        """Hold what is open and not held by us yet."""
        because = disk.sentence(disk.HOLD_LEVEL, free, self.data)

        async def hold(client: client_.Client) -> None:
            for one in await client_.summaries(client):
                if one.state in ("running", "paused") and (one.pool, one.run) not in self.held:
                    await self._order(client, commands.HoldRun(pool=one.pool, run=one.run, because=because))
                    self.held.add((one.pool, one.run))

        await self._try(hold)

    async def _resume(self) -> None:
        async def resume(client: client_.Client) -> None:
            for pool, run in sorted(self.held):
                await self._order(client, commands.ResumeRun(pool=pool, run=run))
                self.held.discard((pool, run))

        await self._try(resume)

    async def _order(self, client: client_.Client, command: commands.RunCommand) -> None:
        _, answer = await client_.ask(client, command, say=_unsaid)
        self.say(f"Run {command.run}: {answer.sentence}")

    async def _try(self, work: Callable[[client_.Client], Awaitable[None]]) -> None:
        """Do something on the bus; where it cannot be done now, it is tried at the next look."""
        try:
            async with client_.connected(Place(self.url, Clock())) as client:
                await work(client)
        except (Stop, port.BusUnreachable) as error:
            self.say(f"The runs could not be told of the disk: {error}")


def _unsaid(answer: Answer) -> None:
    """What comes before the answer is not for the people who watch a disk."""
