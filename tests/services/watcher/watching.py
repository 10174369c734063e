"""A watcher in this process on a bus in memory, and what it has published so far. Waits have deadlines."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import structlog
from pydantic import SecretStr

from services.watcher import loop
from shared import service
from shared.bus import wire
from shared.bus.memory import MemoryBus, MemoryServer
from shared.clock import Clock
from shared.domain import acts, facts
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.settings import PoolAccess, Settings

EPOCH = 1_767_225_600.0

F = TypeVar("F", bound=facts.Fact)


def loop_clock() -> Clock:
    """Pool time is the loop's time, which may jump."""
    running = asyncio.get_running_loop()
    return Clock(machine=lambda: EPOCH + running.time())


class Seen:
    """What was published, in order, and a way to wait for more."""

    def __init__(self, server: MemoryServer, bus: MemoryBus, clock: Clock) -> None:
        self.server = server
        self.bus = bus
        self.clock = clock

    @property
    def all(self) -> list[facts.Fact]:
        """All facts of hosts and pools so far."""
        return [wire.read_fact(stored).fact for name in ("host", "pool") for stored in self._stored(name)]

    def of(self, kind: type[F], **fields: Any) -> list[F]:
        """The facts of a kind with these fields, in order."""
        return [
            fact
            for fact in self.all
            if isinstance(fact, kind) and all(getattr(fact, key) == value for key, value in fields.items())
        ]

    async def wait(self, kind: type[F], *, within: float, after: float = 0.0, **fields: Any) -> F:
        """The first fact of a kind with these fields that was seen after a moment; an error after `within` seconds."""
        return await self.until(
            lambda: [f for f in self.of(kind, **fields) if _seen_at(f) > after], within, kind.__name__
        )

    async def until(self, look: Callable[[], list[F]], within: float, what: str) -> F:
        """The first thing that `look` finds, looking after each change of the bus."""
        try:
            async with asyncio.timeout(within):
                while not (found := look()):
                    await self.server.bell.wait()
        except TimeoutError:
            raise AssertionError(f"no {what} within {within} s; there were {self.all[-8:]}") from None
        return found[0]

    async def say(self, fact: facts.Fact) -> None:
        """Put a fact of another service into the journal."""
        now = self.clock.now()
        message = wire.fact_message(fact, source="test", at=now, id=f"t-{now}-{fact!r}"[:100])
        await self.bus.append(message, id=f"{message.subject}-{now}")

    async def begin_run(self) -> None:
        """The pool has a run from now on."""
        survey = facts.StepPlanned(step="t00-s001", act=acts.Survey())
        await self.say(facts.RunRequested(pool="lab", run="r1", order="o", by="me", policy=Policy(), survey=survey))
        await asyncio.sleep(0.1)

    async def order_reboot(self, uuid: str) -> None:
        """A host of the run is told to reboot, as the journal says."""
        act = acts.RebootHost(Named(uuid, uuid))
        await self.say(facts.StepOrdered(pool="lab", run="r1", step="t01-s005", attempt=1, act=act))
        await asyncio.sleep(0.1)

    def _stored(self, family: str) -> Any:
        return self.server.facts(f"rota.fact.{family}.>")


def _seen_at(fact: facts.Fact) -> float:
    assert isinstance(fact, facts.HostFact | facts.PoolFact)
    return fact.seen_at


@asynccontextmanager
async def watching(
    url: str,
    *,
    password: str = "s3cret",
    ca_file: str | None = None,
    down_after: float = 180.0,
    server: MemoryServer | None = None,
    clock: Clock | None = None,
) -> AsyncIterator[Seen]:
    """A watcher of one pool, `lab`, stopped calmly at the end."""
    clock = clock or loop_clock()
    server = server or MemoryServer(now=clock.machine)
    access = PoolAccess(url=url, ca_file=Path(ca_file) if ca_file else None, down_after=down_after).model_copy(
        update={"password": SecretStr(password)}
    )
    settings = Settings(pool={"lab": access})
    mine, bus = MemoryBus(server, "watcher"), MemoryBus(server, "test")
    context = service.Context("watcher", "watcher@test", settings, clock, mine, structlog.get_logger())
    serving = asyncio.ensure_future(loop.serve(context))
    try:
        yield Seen(server, bus, clock)
        if serving.done():
            serving.result()
    finally:
        context.stop.set()
        await asyncio.wait_for(serving, 10)
        await mine.close()
        await bus.close()
