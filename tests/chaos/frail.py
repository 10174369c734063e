"""A house whose services can be struck at any call on the bus and at the pool, in one process under a virtual clock.

The services are the real ones, unchanged: the bus in memory has hooks, and each replica reaches the simulated pool
through doors of its own, which are the simulator's with one more port. Nothing is judged here.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

import structlog
from aiohttp import web

from shared import settings
from shared.bus import memory
from shared.bus.port import BusClosed
from shared.service import Context
from simulator import loopback
from simulator.virtual import VirtualLoop
from simulator.wire.gets import not_found
from simulator.wire.server import Doorway, peer_of
from tests.chaos import blows
from tests.chaos.blows import HEARTBEATS, Blow, Call, When
from tests.stories.house import SERVICES, House

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

Touch = Callable[[When, str, str], Awaitable[None]]


class Struck(Exception):
    """The replica whose call this is has been killed."""


class Door(Doorway):
    """A host's address as one replica reaches it. What comes through is announced before and after."""

    touch: Touch

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        method = _method(await request.read())
        loop = cast("VirtualLoop", asyncio.get_running_loop())
        peer = peer_of(request)
        try:
            with loop.parked(peer):
                await self.touch("before", method, self.machine.name)
            if request.transport is None or request.transport.is_closing():
                raise Struck
            answer = await super()._handle(request)
            with loop.parked(peer):
                await self.touch("after", method, self.machine.name)
        except Struck:
            if request.transport is not None:
                request.transport.abort()
            return not_found()
        return answer

    def shut(self) -> None:
        """Cut every connection and take no new one, ever."""
        self.site.doors.remove(self.told)
        if self._socket is not None:
            self._close()

    def told(self, machine: object) -> None:
        """A machine's door was opened or closed."""
        if machine is self.machine:
            self.follow()


@dataclass
class Replica:
    """One replica of a service; `awake` is cleared while it is stalled, `looking` says that its last call changed
    nothing."""

    service: str
    bus: memory.MemoryBus
    doors: list[Door]
    awake: asyncio.Event = field(default_factory=asyncio.Event)
    alive: bool = True
    looking: bool = False
    task: asyncio.Task[None] | None = None


@dataclass
class Frail:
    """The services of a house, one or two of each, and the `strokes` that they will get, `struck` of them so far.
    `calls` is every call that was made, in order; `apart` those of them at which a blow makes a difference: each that
    changes something, and the first look after it. `crashed` ended by itself."""

    house: House
    strokes: Mapping[Call, Blow]
    chance: random.Random
    log: BoundLogger
    calls: list[Call] = field(default_factory=list)
    apart: list[Call] = field(default_factory=list)
    crashed: list[str] = field(default_factory=list)
    struck: int = 0
    _counts: Counter[tuple[str, str, str, str]] = field(default_factory=Counter)
    _replicas: list[Replica] = field(default_factory=list)
    _others: set[asyncio.Task[None]] = field(default_factory=set)

    def employ(self, service: str) -> None:
        """Start a replica of a service."""
        bus = memory.MemoryBus(self.house.server, f"{service}-{len(self._replicas)}")
        replica = Replica(service, bus, [])
        replica.awake.set()

        async def touch(when: When, doing: str, about: str) -> None:
            await self._touch(replica, when, doing, about)

        async def at_the_bus(when: When, doing: str, about: str) -> None:
            try:
                await touch(when, doing, about)
            except Struck:
                raise BusClosed("killed") from None

        bus.before = lambda doing, about: at_the_bus("before", doing, about)
        bus.after = lambda doing, about: at_the_bus("after", doing, about)
        told = self._settings(replica, touch)
        context = Context(service, bus.name, told, self.house.clock, bus, self.log.bind(replica=bus.name))
        replica.task = asyncio.create_task(SERVICES[service](context), name=bus.name)
        replica.task.add_done_callback(lambda task: self._ended(replica, task))
        self._replicas.append(replica)

    async def close(self) -> None:
        """End everything."""
        for replica in self._replicas:
            self._fell(replica)
        for task in self._others:
            task.cancel()
        await asyncio.gather(*self._others, return_exceptions=True)
        for replica in self._replicas:
            await self._bury(replica)

    def _settings(self, replica: Replica, touch: Touch) -> settings.Settings:
        """The house's settings, with the pool behind this replica's own doors."""
        site = self.house.sim.site
        machines = list(site.machines.values())
        port = loopback.free_port([machine.address for machine in machines])
        for machine in machines:
            door = Door(site, machine, port, None)
            door.touch = touch
            replica.doors.append(door)
            site.doors.append(door.told)
            door.follow()
        told = self.house.settings
        access = told.pool["lab"].model_copy(update={"url": f"http://{site.master.address}:{port}"})
        return told.model_copy(update={"pool": {"lab": access}})

    async def _touch(self, replica: Replica, when: When, doing: str, about: str) -> None:
        """A replica does something. Raises Struck when it is dead, or dies of it."""
        if not replica.alive:
            raise Struck
        await replica.awake.wait()
        if doing in HEARTBEATS or doing == "close":
            return
        place = (replica.service, doing, about, when)
        self._counts[place] += 1
        call = Call(replica.service, doing, about, self._counts[place], when)
        self.calls.append(call)
        if blows.changes(doing) or not replica.looking:
            self.apart.append(call)
        replica.looking = not blows.changes(doing)
        if (blow := self.strokes.get(call)) is not None:
            self.struck += 1
            self._strike(replica, blow)
            await replica.awake.wait()
        if not replica.alive:
            raise Struck

    def _strike(self, replica: Replica, blow: Blow) -> None:
        match blow.kind:
            case "kill":
                self._fell(replica)
                self._later(self._replace(replica))
            case "stall":
                replica.awake.clear()
                self._later(_after(blow.seconds, replica.awake.set))
            case "cut":
                replica.bus.cut()
                self._later(_after(blow.seconds, replica.bus.mend))
            case "server":
                server, forgotten = self.house.server, self.chance.choice([0, 0, 1])
                server.stop()
                self._later(_after(blow.seconds, lambda: server.start(forgotten=forgotten)))

    def _fell(self, replica: Replica) -> None:
        """Gone at once: nothing that it does from here on reaches anybody, its last words included."""
        if replica.alive:
            replica.alive = False
            replica.awake.set()
            replica.bus.drop()
            for door in replica.doors:
                door.shut()

    async def _replace(self, replica: Replica) -> None:
        await self._bury(replica)
        await asyncio.sleep(self.chance.uniform(1.0, 3.0))
        self.employ(replica.service)

    async def _bury(self, replica: Replica) -> None:
        task = replica.task
        while task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task], timeout=0.5)
        for door in replica.doors:
            await door.end()

    def _ended(self, replica: Replica, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if replica.alive:
            self.crashed.append(f"{task.get_name()} ended by itself: {error!r}")

    def _later(self, act: Any) -> None:
        task = asyncio.create_task(act)
        self._others.add(task)


async def _after(seconds: float, act: Callable[[], None]) -> None:
    await asyncio.sleep(seconds)
    act()


def silent() -> BoundLogger:
    """A logger that says nothing."""
    quiet = structlog.make_filtering_bound_logger(logging.CRITICAL)
    return cast("BoundLogger", structlog.wrap_logger(structlog.PrintLogger(), wrapper_class=quiet))


def _method(body: bytes) -> str:
    """The method of a call, in either encoding."""
    for begin, end in ((b'"method": "', b'"'), (b"<methodName>", b"<")):
        _, found, rest = body.partition(begin)
        if found:
            return rest.partition(end)[0].decode(errors="replace")
    return "?"
