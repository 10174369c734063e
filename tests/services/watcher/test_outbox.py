"""What waits for the bus: in order, each thing's newest value, under ids that are made once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import structlog

from services.watcher import outbox
from services.watcher.outbox import Outbox
from shared.bus import wire
from shared.bus.memory import MemoryBus, MemoryServer
from shared.bus.port import BusClosed, BusRefused
from shared.clock import Clock
from shared.domain import facts

STOPPED = Clock(machine=lambda: 1000.0)


def unreachable(host: str, at: float) -> facts.HostUnreachable:
    """A fact about a host."""
    return facts.HostUnreachable(pool="lab", host=host, name=host, seen_at=at)


def answering(host: str, at: float) -> facts.HostAnswering:
    """Another fact about a host."""
    return facts.HostAnswering(pool="lab", host=host, name=host, seen_at=at)


@asynccontextmanager
async def running(bus: MemoryBus) -> AsyncIterator[Outbox]:
    """An outbox at work."""
    box = Outbox(bus, "watcher@test", STOPPED, structlog.get_logger())
    task = asyncio.ensure_future(box.run())
    try:
        yield box
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def stored(server: MemoryServer, count: int) -> list[facts.Fact]:
    """The journal, once it holds so many facts."""
    async with asyncio.timeout(5):
        while len(server.facts()) < count:
            await server.bell.wait()
    return [wire.read_fact(one).fact for one in server.facts()]


async def test_facts_are_stored_in_the_order_they_were_seen() -> None:
    """Each under `<pool>.<host>.<fact>.<seen_at>`, at the pool time it was seen."""
    server = MemoryServer()
    async with running(MemoryBus(server)) as box:
        many = [unreachable("h1", 1.5), answering("h1", 2.5), unreachable("h2", 3.5)]
        for fact in many:
            box.put(fact)
        assert await stored(server, 3) == many
    first = server.facts()[0]
    assert first.headers["Nats-Msg-Id"] == "lab.h1.host_unreachable.1.500000"
    assert wire.read_fact(first).at == 1.5


async def test_of_two_values_that_wait_only_the_newer_is_told() -> None:
    """A bus that was away for hours is not flooded; what a host was meanwhile is told in the right order."""
    server = MemoryServer()
    server.stop()
    async with running(MemoryBus(server)) as box:
        for at in (1.0, 2.0, 3.0):
            box.put(unreachable("h1", at))
            box.put(answering("h1", at + 0.5))
        await asyncio.sleep(0.05)
        server.start()
        assert await stored(server, 2) == [unreachable("h1", 3.0), answering("h1", 3.5)]


async def test_the_same_sight_is_stored_once() -> None:
    """An answer that was lost, or a second watcher, adds nothing."""
    server = MemoryServer()
    async with running(MemoryBus(server)) as box, running(MemoryBus(server)) as other:
        box.put(unreachable("h1", 1.0))
        other.put(unreachable("h1", 1.0))
        box.put(unreachable("h2", 2.0))
        other.put(unreachable("h2", 2.0))
        box.put(unreachable("h3", 3.0))
        await stored(server, 3)
        await asyncio.sleep(0.05)
    assert len(server.facts()) == 3


async def test_a_bus_that_refuses_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, say: the fact stays and is told when it can be."""
    monkeypatch.setattr(outbox, "AGAIN", 0.01)
    refusals = [BusRefused("no space"), BusRefused("no space")]

    async def refuse(operation: str, subject: str) -> None:
        if refusals:
            raise refusals.pop()

    server = MemoryServer()
    async with running(MemoryBus(server, before=refuse)) as box:
        box.put(unreachable("h1", 1.0))
        assert await stored(server, 1) == [unreachable("h1", 1.0)]


async def test_a_bus_that_was_closed_ends_it() -> None:
    """Nothing is kept for a client that will never speak again."""
    bus = MemoryBus(MemoryServer())
    bus.drop()
    box = Outbox(bus, "watcher@test", STOPPED, structlog.get_logger())
    box.put(unreachable("h1", 1.0))
    with pytest.raises(BusClosed):
        await asyncio.wait_for(box.run(), 5)


def test_every_sight_has_a_moment_of_its_own() -> None:
    """A clock that stands still or is set back does not make a newer fact look like an older one."""
    times = iter([10.0, 10.0, 5.0, 11.0])
    box = Outbox(MemoryBus(MemoryServer()), "w", Clock(machine=lambda: next(times)), structlog.get_logger())
    seen = [box.seen_at() for _ in range(4)]
    assert seen == sorted(set(seen))
    assert seen[-1] == 11.0
