"""A pool that obeys and keeps a ledger, for the tests of the guards: what matters there is who may act, and when.

Sessions are counted s1, s2, …; one that was ended raises Superseded at its next call, as SESSION_INVALID does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog
from pydantic import SecretStr

from services.executor import handlers
from shared.bus import wire
from shared.bus.memory import MemoryBus, MemoryServer
from shared.bus.port import Message, Token
from shared.clock import Clock
from shared.domain import acts, facts
from shared.domain.commands import DoStep
from shared.domain.errors import Superseded
from shared.domain.model import HA, Package, PoolSettings, PoolSnapshot, Versions
from shared.domain.names import Named
from shared.service import Context
from shared.settings import BusSettings, PoolAccess, Settings
from shared.xapi.port import DiskLook, DriveLook, GuestLook, HostLook, PoolLook, SRLook, Told, VMLook

ATHOS = Named("uuid-athos", "athos")
PORTHOS = Named("uuid-porthos", "porthos")
GITLAB = Named("uuid-gitlab", "gitlab")
ACK_WAIT = 3.0


async def nothing(_: str) -> None:
    """No trouble."""


@dataclass
class Ledger:
    """The pool itself: what was asked of it, by which session, and which sessions are over."""

    asked: list[tuple[str, str]] = field(default_factory=list)
    ended: set[str] = field(default_factory=set)
    closed: list[str] = field(default_factory=list)
    opened: int = 0
    enabled: bool = True
    trouble: Callable[[str], Awaitable[None]] = nothing
    """Awaited before each act with the session's uuid: what it raises the caller gets."""
    opening: Callable[[], Awaitable[None]] | None = None

    async def login(self, *_: Any, **__: Any) -> FakePool:
        """As `client.login`."""
        if self.opening is not None:
            await self.opening()
        self.opened += 1
        return FakePool(self, f"s{self.opened}")

    def acts(self) -> list[str]:
        """What was asked, without who asked."""
        return [what for what, _ in self.asked]


@dataclass
class FakePool:
    """One session on the ledger's pool; it does what steps ask and keeps the promise of `port.Pool`."""

    ledger: Ledger
    session: str

    async def _ask(self, what: str) -> None:
        await self.ledger.trouble(self.session)
        if self.session in self.ledger.ended:
            raise Superseded("The session was ended.")
        self.ledger.asked.append((what, self.session))

    async def host(self, host: Named) -> HostLook:
        return HostLook(host, False, "10.0.0.1", self.ledger.enabled, True, 1000.0)

    async def disable(self, host: Named) -> None:
        await self._ask(f"disable {host}")
        self.ledger.enabled = False

    async def enable(self, host: Named) -> None:
        await self._ask(f"enable {host}")
        self.ledger.enabled = True

    async def end_session(self, uuid: str) -> bool:
        self.ledger.asked.append((f"end {uuid}", self.session))
        self.ledger.ended.add(uuid)
        return True

    async def settle(self, run: str, step: str, told: Told) -> None:
        self.ledger.asked.append((f"settle {run} {step}", self.session))

    async def give_up(self, run: str, step: str, told: Told) -> None:
        self.ledger.asked.append((f"give up {run} {step}", self.session))

    async def close(self) -> None:
        self.ledger.closed.append(self.session)

    async def move(self, vm: Named, to: Named, network: str, told: Told) -> None:
        await self._ask(f"move {vm}")
        for share in range(10):
            await asyncio.sleep(31)
            await told(share / 10)

    async def vm(self, vm: Named) -> VMLook | None:
        moved = f"move {vm}" in self.ledger.acts()
        return VMLook(vm, "running", PORTHOS if moved else ATHOS)

    async def come_to_rest(self, vm: Named, within: float) -> bool:
        raise NotImplementedError

    async def survey(self, *, updates: bool, at: float, of: Sequence[Named] = ()) -> PoolSnapshot:
        return PoolSnapshot("uuid-pool", "lab", ATHOS.uuid, (), (), (), (), PoolSettings(), at)

    async def look(self) -> PoolLook:
        raise NotImplementedError

    async def servertime(self, host: Named) -> float:
        raise NotImplementedError

    async def offered(self, host: Named) -> tuple[Package, ...]:
        raise NotImplementedError

    async def installed(self, host: Named, names: Sequence[str]) -> Mapping[str, str]:
        raise NotImplementedError

    async def disable_ha(self) -> None:
        raise NotImplementedError

    async def enable_ha(self, ha: HA) -> None:
        raise NotImplementedError

    async def tolerate_failures(self, hosts: int) -> None:
        raise NotImplementedError

    async def set_wlb(self, on: bool) -> None:
        raise NotImplementedError

    async def mark(self, key: str, text: str | None) -> None:
        """A note is no act."""

    async def mark_host(self, host: Named, key: str, text: str | None) -> None:
        """Nor is one on a host."""

    async def post(self, name: str, priority: int, body: str) -> None:
        raise NotImplementedError

    async def posted(self, name: str, body: str) -> bool:
        raise NotImplementedError

    async def note(self, key: str, text: str) -> bool:
        return True

    async def database(self) -> bytes:
        return b""

    async def disks(self, vm: Named) -> tuple[DiskLook, ...]:
        raise NotImplementedError

    async def free_on(self, sr: Named) -> int | None:
        raise NotImplementedError

    async def may_send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str) -> None:
        raise NotImplementedError

    async def send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str, told: Told) -> None:
        raise NotImplementedError

    async def blocks(self, vm: Named) -> Mapping[str, str]:
        raise NotImplementedError

    async def lift(self, vm: Named, operation: str) -> None:
        raise NotImplementedError

    async def block(self, vm: Named, operation: str, text: str) -> None:
        raise NotImplementedError

    async def shut_down(self, vm: Named, told: Told) -> None:
        raise NotImplementedError

    async def switch_off(self, vm: Named) -> None:
        raise NotImplementedError

    async def suspend(self, vm: Named, told: Told) -> None:
        raise NotImplementedError

    async def start(self, vm: Named, host: Named) -> None:
        raise NotImplementedError

    async def resume(self, vm: Named, host: Named, told: Told) -> None:
        raise NotImplementedError

    async def drive(self, uuid: str) -> DriveLook | None:
        raise NotImplementedError

    async def eject(self, uuid: str, vm: Named) -> None:
        raise NotImplementedError

    async def insert(self, uuid: str, vm: Named, disc: Named) -> None:
        raise NotImplementedError

    async def evacuate(self, host: Named, network: str, told: Told) -> None:
        raise NotImplementedError

    async def install(self, host: Named, told: Told) -> None:
        raise NotImplementedError

    async def install_package(self, host: Named, name: str, told: Told) -> None:
        raise NotImplementedError

    async def service(self, host: Named, service: str, action: Literal["stop", "restart"]) -> None:
        raise NotImplementedError

    async def replication(self, sr: Named) -> str:
        raise NotImplementedError

    async def install_over(self, host: Named) -> None:
        raise NotImplementedError

    async def reboot(self, host: Named) -> None:
        raise NotImplementedError

    async def gone_down(self, host: HostLook, within: float) -> bool:
        raise NotImplementedError

    async def plug(self, host: Named, sr: Named) -> bool:
        raise NotImplementedError

    async def unplug(self, host: Named, sr: Named) -> bool:
        raise NotImplementedError

    async def sr(self, sr: Named) -> SRLook | None:
        raise NotImplementedError

    async def guest(self, vm: Named) -> GuestLook | None:
        raise NotImplementedError

    async def restart_toolstack(self, host: Named) -> None:
        raise NotImplementedError

    async def control_domain_disks(self, host: Named) -> tuple[str, ...]:
        return ()


@dataclass
class Given:
    """A delivery by hand; keeps what became of it."""

    message: Message
    token: Token
    stored_at: float = 0.0
    answers: list[str] = field(default_factory=list)

    async def ack(self) -> None:
        self.answers.append("ack")

    async def nak(self, after: float) -> None:
        self.answers.append("nak")

    async def working(self) -> None:
        self.answers.append("working")

    async def term(self, because: str) -> None:
        self.answers.append("term")


class Bench:
    """A memory bus, a ledger, and as many executors as a test wants; the clock is the loop's."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.server = MemoryServer(now=loop.time)
        self.ledger = Ledger()
        self.planner = MemoryBus(self.server, "planner")
        self._clock = Clock(machine=loop.time)

    def context(self, name: str, *, read_only: bool = False) -> Context:
        """What an executor is given; its bus is its own line to the server."""
        access = PoolAccess(url="http://127.0.0.1:1", read_only=read_only)
        settings = Settings(bus=BusSettings(ack_wait=ACK_WAIT), pool={"lab": access})
        return Context("executor", name, settings, self._clock, MemoryBus(self.server, name), structlog.get_logger())

    def executor(self, context: Context) -> handlers.Executor:
        """An executor on the ledger's pool."""
        return handlers.Executor(context, self.ledger.login)

    async def ordered(self, act: acts.Act | None = None, *, step: str = "t01-s001", attempt: int = 1) -> DoStep:
        """The fact of an order, as a planner writes it, and the command it stands for."""
        act = acts.DisableHost(ATHOS) if act is None else act
        await self.fact(facts.StepOrdered(pool="lab", run="r1", step=step, attempt=attempt, act=act))
        return DoStep(pool="lab", run="r1", step=step, attempt=attempt, act=act)

    async def sent(self, act: acts.Act | None = None, *, step: str = "t01-s001", attempt: int = 1) -> DoStep:
        """The same, and the order is sent."""
        command = await self.ordered(act, step=step, attempt=attempt)
        assert await self.planner.send_order(wire.step_message(command))
        return command

    async def fact(self, fact: facts.Fact) -> int:
        """Any fact, unguarded."""
        id = f"test-{await self.planner.last_seq()}"
        message = wire.fact_message(fact, source="planner", at=self._clock.now(), id=id)
        return await self.planner.append(message, id=id)

    def told(self, class_: type[facts.Fact] = facts.StepFact) -> list[Any]:
        """The facts of a class in the journal, in order."""
        read = [wire.read_fact(stored).fact for stored in self.server.facts()]
        return [fact for fact in read if isinstance(fact, class_)]

    async def until(self, seen: Callable[[], object], within: float = 600.0) -> None:
        """Wait for something to be so; the test fails when it is not within so many seconds of the loop."""
        async with asyncio.timeout(within):
            while not seen():
                await self.server.bell.wait(asyncio.get_running_loop().time() + 0.1)


def noted() -> acts.HostNoted:
    """What was noted before a reboot."""
    return acts.HostNoted(1000.0, 2000.0, Versions())


def secret(text: str) -> SecretStr:
    """A password."""
    return SecretStr(text)
