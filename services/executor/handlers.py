"""The executor: takes orders from the bus, holds each step in hand once, and acknowledges its last delivery.

What a step in hand goes through is `holding`'s. Poison is judged here: what cannot be read becomes a fact and is taken
off the queue; a fault of Rota's own ends the step, never the service.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from typing import Protocol

from services.executor.holding import Hand, Holder
from services.executor.steps import table
from shared import service
from shared.bus import port, wire
from shared.clock import Clock
from shared.domain import facts
from shared.domain.commands import DoStep
from shared.domain.errors import GiveUp, Unreadable
from shared.service import Context
from shared.xapi import client
from shared.xapi.faults import CONFIGURATION
from shared.xapi.port import Access, Pool

AT_ONCE = 32
"""Steps that one executor works on at once; more wait in its hand."""

UNREADABLE_AGAIN = 5.0
"""Machine seconds after which an order is given again whose journal this version cannot read."""

Key = tuple[str, str, str, int]


class Login(Protocol):
    """Opens a session; `client.login` in life, a double in the tests of the guards."""

    async def __call__(
        self,
        access: Access,
        *,
        members: Iterable[str],
        run: str,
        step: str,
        clock: Clock,
        saw: Callable[[frozenset[str]], None],
    ) -> Pool: ...


async def serve(context: Context) -> None:
    """Take orders until the context is stopped; what is in hand then is given back."""
    await service.until_stopped(context, Executor(context).run())


class Executor:
    """One executor: what it has in hand, and which addresses it has seen in which pool."""

    def __init__(self, context: Context, login: Login = client.login) -> None:
        self._context = context
        self._login = login
        self._hands: dict[Key, Hand] = {}
        self._working: set[asyncio.Task[None]] = set()
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._members: dict[str, frozenset[str]] = {}

    async def run(self) -> None:
        """Take deliveries for ever."""
        intake = port.Intake(
            wire.COMMANDS_STREAM, "executor", (wire.EXECUTOR_ORDERS,), ack_wait=self._context.settings.bus.ack_wait
        )
        try:
            async with self._context.bus.take(intake) as deliveries:
                async for delivery in deliveries:
                    await self.take(delivery)
        finally:
            for task in self._working:
                task.cancel()
            await asyncio.gather(*self._working, return_exceptions=True)

    async def take(self, delivery: port.Delivery) -> None:
        """One delivery: rejected if it cannot be read; of a step in hand the newest delivery; else taken in hand."""
        try:
            command = wire.read_step(delivery.message)
        except Unreadable as error:
            await self._reject(delivery, error.because)
            return
        key = (command.pool, command.run, command.step, command.attempt)
        if (hand := self._hands.get(key)) is not None:
            hand.renew(delivery)
            return
        self._hands[key] = hand = Hand(command, delivery)
        task = asyncio.create_task(self._hold(key, hand))
        self._working.add(task)
        task.add_done_callback(self._working.discard)

    async def _hold(self, key: Key, hand: Hand) -> None:
        """A step in hand, with its heart beating on the last delivery."""
        beat = asyncio.create_task(self._beat(hand))
        try:
            async with self._slots:
                if await self._carried_out(hand):
                    await hand.delivery.ack()
        except asyncio.CancelledError:
            with contextlib.suppress(port.BusUnreachable):
                await hand.delivery.nak(0)
            raise
        except port.BusUnreachable:
            self._context.log.warning("given_up", sentence=f"The bus is gone; {key} is left to whoever comes.")
        finally:
            beat.cancel()
            self._hands.pop(key, None)
            await asyncio.gather(beat, return_exceptions=True)

    async def _carried_out(self, hand: Hand) -> bool:
        """Whether to acknowledge. A fault of ours ends the step with a fact, so that it is seen and tried again."""
        holder = Holder(self._context, hand, self._open)
        try:
            return await holder.carry_out()
        except Unreadable as error:
            self._context.log.error("unreadable", sentence=error.because)
            await hand.delivery.nak(UNREADABLE_AGAIN)
            return False
        except (asyncio.CancelledError, port.BusUnreachable):
            raise
        except Exception as error:
            self._context.log.exception("fault", sentence=f"Rota has a fault: {error!r}.")
            return await holder.tell_fault(error)

    async def _beat(self, hand: Hand) -> None:
        """Tell the bus that the step is worked on, always through the last delivery."""
        while True:
            await asyncio.sleep(self._context.settings.bus.ack_wait / 3)
            with contextlib.suppress(port.BusUnreachable):
                await hand.delivery.working()

    async def _open(self, command: DoStep) -> Pool:
        """A session for a step. Raises GiveUp for a pool that is not in the settings, and for a change to one that is
        only to be read."""
        access = self._context.settings.pool.get(command.pool)
        if access is None:
            raise GiveUp(
                f"The executor's rota.toml has no pool {command.pool}; add [pool.{command.pool}] there.",
                who_can_help=CONFIGURATION,
                code="UNKNOWN_POOL",
            )
        if access.read_only and command.act.kind not in table.READING:
            raise GiveUp(
                f"The pool {command.pool} is read_only in rota.toml, so nothing is changed on it"
                f" ({command.act.kind.replace('_', ' ')} was refused); set read_only = false to let Rota update it.",
                who_can_help=CONFIGURATION,
                code="READ_ONLY",
            )
        how = Access(access.url, access.username, access.password, access.ca_file, access.fingerprint)
        known = await self._known(command.pool)
        return await self._login(
            how,
            members=known,
            saw=lambda addresses: self._saw(command.pool, addresses),
            run=command.run,
            step=command.step,
            clock=self._context.clock,
        )

    async def _known(self, pool: str) -> frozenset[str]:
        """The addresses that may be followed: seen in this pool by us, or told by the watcher as its master's."""
        seen = self._members.get(pool, frozenset())
        if seen:
            return seen
        told = await self._context.bus.last(f"rota.fact.pool.{pool}.master_changed")
        fact = wire.read_fact(told).fact if told is not None else None
        return frozenset({fact.address}) if isinstance(fact, facts.MasterChanged) else seen

    def _saw(self, pool: str, addresses: frozenset[str]) -> None:
        self._members[pool] = addresses

    async def _reject(self, delivery: port.Delivery, because: str) -> None:
        seq, message = delivery.token.seq, delivery.message
        fact = facts.MessageRejected(
            rejected_subject=message.subject[:400],
            seq=seq,
            because=because[:4000],
            service=self._context.name,
            excerpt=message.data[:400].decode(errors="replace"),
        )
        id = f"rejected.{wire.COMMANDS_STREAM}.{seq}"
        at = self._context.clock.now()
        await self._context.bus.append(wire.fact_message(fact, source=self._context.instance, at=at, id=id), id=id)
        await delivery.term(because)
