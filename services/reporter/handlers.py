"""The reporter's shell: it takes facts that are occasions from the bus, tells them, and acks what is told.

Every delivery is kept alive while it is worked on; a second delivery of a fact in hand replaces the first and starts
nothing. What cannot be read, or keeps failing, becomes a fact and leaves the queue.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp
from pydantic import SecretStr

from services.reporter import occasions, spoken
from services.reporter.channels.file import FileChannel
from services.reporter.channels.mail import channels as mail_channels
from services.reporter.channels.webhook import WebhookChannel
from services.reporter.rendering import Renderer
from services.reporter.telling import Recipient, Teller
from shared import service
from shared.bus import port, wire
from shared.domain import facts
from shared.domain.errors import Unreadable
from shared.settings import Destination, Settings

DURABLE = "reporter"

DRAIN = 8.0
"""Seconds of machine time in which what is being told may come to its end when the service stops."""

TRIES = 5
"""Deliveries of a fact that this program itself fails at before it is put aside as poison."""

AFTER_FAULT = 5.0
"""Seconds of machine time between those."""

FILE_OCCASIONS: tuple[facts.Occasion, ...] = ("held", "ended")
"""When the page of a run is written."""


async def serve(context: service.Context) -> None:
    """Tell people what happens, until stopped."""
    zone = local_zone(os.environ, Path("/etc/localtime"))
    async with aiohttp.ClientSession() as session:
        hide = spoken.hiding(_secrets(context.settings))
        recipients = tuple(_recipients(context, session, zone, hide))
        teller = Teller(context.bus, context.clock, recipients, zone, hide, context.log)
        await Desk(context, teller).work()


class Desk:
    """What is in hand. `_held` maps a fact's sequence to its newest delivery."""

    def __init__(self, context: service.Context, teller: Teller) -> None:
        self._context = context
        self._teller = teller
        self._held: dict[int, port.Delivery] = {}
        self._work: set[asyncio.Task[None]] = set()

    async def work(self) -> None:
        """Take and tell until stopped; then let what is being told come to its end, for a while."""
        intake = port.Intake(wire.FACTS_STREAM, DURABLE, occasions.FILTERS, self._context.settings.bus.ack_wait)
        async with self._context.bus.take(intake) as deliveries:
            taking = asyncio.ensure_future(self._take(deliveries))
            try:
                await service.until_stopped(self._context, taking)
            finally:
                await self._drain()

    async def _take(self, deliveries: AsyncIterator[port.Delivery]) -> None:
        async for delivery in deliveries:
            seq = delivery.token.seq
            held = self._held.get(seq)
            if held is None or delivery.token > held.token:
                self._held[seq] = delivery
            if held is None:
                task = asyncio.ensure_future(self._handle(seq))
                self._work.add(task)
                task.add_done_callback(self._work.discard)

    async def _drain(self) -> None:
        """After a stop what is being told may end; after anything else it is left to whoever takes it up again."""
        work = set(self._work)
        if work and self._context.stop.is_set():
            _, work = await asyncio.wait(work, timeout=DRAIN)
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)

    async def _handle(self, seq: int) -> None:
        """One fact, from its delivery to its ack; whatever fails here must not stop the service."""
        try:
            async with self._kept_alive(seq):
                after = await self._tell(self._held[seq])
            delivery = self._held[seq]
            await (delivery.ack() if after is None else delivery.nak(after))
        except _PutAside as put_aside:
            await self._put_aside(self._held[seq], put_aside.because)
        except port.BusUnreachable as error:
            self._context.log.warning("bus_away", sentence=f"The bus is away, so {seq} is told later: {error}.")
        except Exception as error:  # noqa: BLE001 - the shell: it is logged, tried again, and put aside in the end
            await self._failed(self._held[seq], error)
        finally:
            del self._held[seq]

    async def _tell(self, delivery: port.Delivery) -> float | None:
        stored = _stored(delivery)
        try:
            recorded = wire.read_fact(stored)
        except Unreadable as error:
            raise _PutAside(error.because) from error
        occasion = occasions.occasion(recorded, self._context.settings.pool)
        return None if occasion is None else await self._teller.tell(occasion)

    @asynccontextmanager
    async def _kept_alive(self, seq: int) -> AsyncIterator[None]:
        async def beat() -> None:
            while True:
                await asyncio.sleep(self._context.settings.bus.ack_wait / 3)
                with contextlib.suppress(port.BusUnreachable):
                    await self._held[seq].working()

        beating = asyncio.ensure_future(beat())
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def _failed(self, delivery: port.Delivery, error: Exception) -> None:
        because = f"{type(error).__name__}: {error}"
        self._context.log.error(
            "failed", sentence=f"The reporter failed at {delivery.token.seq}: {because}", exc_info=error
        )
        with contextlib.suppress(port.BusUnreachable):
            if delivery.token.delivered < TRIES:
                await delivery.nak(AFTER_FAULT)
            else:
                await self._put_aside(delivery, f"The reporter failed at it {TRIES} times: {because}.")

    async def _put_aside(self, delivery: port.Delivery, because: str) -> None:
        """A message that can never be told becomes a fact, then leaves the queue. One that is itself such a fact only
        leaves: it would beget the next for ever."""
        message, seq = delivery.message, delivery.token.seq
        self._context.log.error("rejected", sentence=because, subject=message.subject, seq=seq)
        with contextlib.suppress(port.BusUnreachable):
            if message.subject != facts.MessageRejected.subject:
                fact = facts.MessageRejected(
                    rejected_subject=spoken.clean(message.subject, 400),
                    seq=seq,
                    because=self._teller.hide(spoken.clean(because)),
                    service="reporter",
                    excerpt=self._teller.hide(spoken.clean(message.data[:1000].decode("utf-8", "replace"), 1000)),
                )
                id = f"rejected-reporter-{seq}"
                told = wire.fact_message(fact, source="reporter", at=self._context.clock.now(), id=id)
                await self._context.bus.append(told, id=id)
            await delivery.term(because[:200])


class _PutAside(Exception):
    """A message that can never be told."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


def local_zone(environment: Mapping[str, str], machine: Path) -> tzinfo:
    """The zone that times are shown in: TZ where it names one, else that of the machine (its localtime file), else
    UTC."""
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name := environment.get("TZ", "").removeprefix(":"):
            return ZoneInfo(name)
        with machine.open("rb") as file:
            return ZoneInfo.from_file(file)
    return UTC


def _stored(delivery: port.Delivery) -> port.Stored:
    message = delivery.message
    return port.Stored(message.subject, message.data, message.headers, delivery.token.seq, delivery.stored_at)


def _recipients(
    context: service.Context, session: aiohttp.ClientSession, zone: tzinfo, hide: Callable[[str], str]
) -> Iterator[Recipient]:
    """Everybody who is told: each mailbox, each webhook, and the folder of pages."""
    settings, renderer = context.settings, Renderer(zone)
    for key, mail in settings.mail.items():
        for mailbox in mail_channels(key, mail, renderer, hide):
            yield Recipient(mailbox, mail)
    for key, webhook in settings.webhook.items():
        yield Recipient(WebhookChannel(key, webhook, session, context.clock.machine, hide), webhook)
    if settings.reports is not None:
        yield Recipient(FileChannel(settings.reports, renderer), Destination(occasions=FILE_OCCASIONS))


def _secrets(settings: Settings) -> Iterator[str]:
    """Every secret this process was given, so that none is ever told."""
    holders: tuple[SecretStr, ...] = (
        *(one.password for one in settings.pool.values()),
        *(one.password for one in settings.mail.values()),
        *(one.password for one in settings.webhook.values()),
    )
    yield from (holder.get_secret_value() for holder in holders)
