"""What the reporter's shell is tried on: a bus in memory, destinations that do as they are told, a deadline for all."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, TypeVar

import structlog

from services.reporter import desk, handlers, spoken
from services.reporter.channels.port import Parcel
from services.reporter.outcomes import Outcome
from services.reporter.telling import Recipient, Teller
from shared import service
from shared.bus import port, wire
from shared.bus.memory import Hook, MemoryBus, MemoryServer
from shared.clock import Clock
from shared.domain import facts
from shared.domain.errors import RotaError, TryAgain
from shared.settings import Destination, Settings

DEADLINE = 10.0
ACK_WAIT = 0.3
EVERYTHING = Destination(occasions=("announced", "started", "held", "approval", "host_done", "rejected", "ended"))

Backoff = Callable[[Outcome, RotaError, float], float | None]
F = TypeVar("F", bound=facts.Fact)


@dataclass
class Spy:
    """A destination that keeps what it is given. `answers` are raised one after the other, None for taken; with `gate`
    it waits there."""

    name: str = "spy"
    answers: list[Exception | None] = field(default_factory=list)
    gate: asyncio.Event | None = None
    got: list[Parcel] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def deliver(self, parcel: Parcel) -> str:
        self.got.append(parcel)
        self.began.set()
        if self.gate is not None:
            await self.gate.wait()
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer
        return parcel.letter.occasion.id

    @property
    def told(self) -> list[str]:
        """The occasions it was given, in order, failed tries included."""
        return [parcel.letter.occasion.name for parcel in self.got]


def quickly(outcome: Outcome, failure: RotaError, now: float) -> float | None:
    """Tries again at once."""
    return 0.05 if isinstance(failure, TryAgain) else None


def context(bus: port.Bus, settings: Settings | None = None, clock: Clock | None = None) -> service.Context:
    """What a service is given, with a short ack_wait."""
    told = settings or Settings()
    told = told.model_copy(update={"bus": told.bus.model_copy(update={"ack_wait": ACK_WAIT})})
    log = structlog.wrap_logger(None, processors=[_nothing])
    return service.Context("reporter", "reporter@test", told, clock or Clock(), bus, log)


def _nothing(logger: object, name: str, event: MutableMapping[str, Any]) -> str:
    raise structlog.DropEvent


@dataclass
class Bench:
    """A server, and reporters on it."""

    server: MemoryServer = field(default_factory=MemoryServer)

    def client(self, name: str = "reporter", *, before: Hook | None = None, after: Hook | None = None) -> MemoryBus:
        """A client of the server."""
        hooks = {name: hook for name, hook in (("before", before), ("after", after)) if hook is not None}
        return MemoryBus(self.server, name, **hooks)

    async def put(self, messages: Sequence[port.Message]) -> None:
        """Store facts, in order."""
        bus = self.client("writer")
        for n, message in enumerate(messages):
            await bus.append(message, id=f"{message.subject}-{n}")

    @contextlib.asynccontextmanager
    async def reporter(
        self,
        spies: Sequence[Spy] = (),
        *,
        bus: MemoryBus | None = None,
        settings: Settings | None = None,
        secrets: Sequence[str] = (),
        clock: Clock | None = None,
        backoff: Backoff = quickly,
        wishes: Destination = EVERYTHING,
    ) -> AsyncIterator[service.Context]:
        """A reporter at work with these destinations; with none, the ones that the settings name."""
        given = context(bus or self.client(), settings, clock)
        if spies:
            recipients = tuple(Recipient(spy, wishes) for spy in spies)
            hide = spoken.hiding(secrets)
            teller = Teller(given.bus, given.clock, recipients, UTC, hide, given.log, backoff)
            working: Awaitable[None] = desk.Desk(given, handlers.occasions_queue(given, teller), hide).work()
        else:
            working = handlers.serve(given)
        task = asyncio.ensure_future(working)
        try:
            yield given
        finally:
            given.stop.set()
            await asyncio.wait_for(task, DEADLINE)

    def facts(self, kind: type[F]) -> list[F]:
        """All facts of a kind that the journal holds."""
        found = [wire.read_fact(stored).fact for stored in self.server.facts() if _readable(stored)]
        return [fact for fact in found if isinstance(fact, kind)]

    def sent(self) -> list[tuple[str, str]]:
        """Who was told of what, as the journal says."""
        return [(fact.destination, fact.occasion) for fact in self.facts(facts.ReportSent)]

    async def until(self, true: Callable[[], bool]) -> None:
        """Wait until something is so, asked again at each thing that happens on the bus."""
        async with asyncio.timeout(DEADLINE):
            while not true():
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self.server.bell.wait(), 0.05)

    async def quiet(self, seconds: float = 1.5 * ACK_WAIT) -> None:
        """Long enough for anything not acked to be delivered again."""
        await asyncio.sleep(seconds)


def _readable(stored: port.Stored) -> bool:
    try:
        wire.read_fact(stored)
    except RotaError:
        return False
    return True
