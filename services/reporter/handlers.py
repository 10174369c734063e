"""The reporter's shell: what it takes from the bus, and who works on it: the teller on occasions, and a pulse for each
heartbeat address on the beginnings and ends of runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Mapping
from datetime import UTC, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import aiohttp

from services.reporter import occasions, spoken
from services.reporter.desk import Desk, Queue
from services.reporter.heartbeat import Pulse
from services.reporter.recipients import recipients, secrets
from services.reporter.rendering import Renderer
from services.reporter.shelf import ObjectShelf
from services.reporter.telling import Teller
from shared import service
from shared.bus import wire

DURABLE = "reporter"


async def serve(context: service.Context) -> None:
    """Tell people what happens, until stopped."""
    zone = local_zone(os.environ, Path("/etc/localtime"))
    async with aiohttp.ClientSession() as session:
        hide = spoken.hiding(secrets(context.settings))
        renderer = Renderer(zone, context.settings.templates)
        told = tuple(recipients(context, session, renderer, hide))
        keep = ObjectShelf(context.bus, renderer)
        teller = Teller(context.bus, context.clock, told, zone, hide, context.log, keep=keep)
        pulses = [Pulse(key, one, context, session) for key, one in context.settings.heartbeat.items()]
        queues = [occasions_queue(context, teller), *(pulse.queue() for pulse in pulses)]
        async with asyncio.TaskGroup() as desks:
            for queue in queues:
                desks.create_task(Desk(context, queue, hide).work())


def occasions_queue(context: service.Context, teller: Teller) -> Queue:
    """The queue of facts that somebody is told of."""

    async def tell(recorded: wire.Recorded) -> float | None:
        occasion = occasions.occasion(recorded, context.settings.pool)
        return None if occasion is None else await teller.tell(occasion)

    return Queue(DURABLE, occasions.FILTERS, tell)


def local_zone(environment: Mapping[str, str], machine: Path) -> tzinfo:
    """The zone that times are shown in: TZ where it names one, else that of the machine (its localtime file), else
    UTC."""
    with contextlib.suppress(ZoneInfoNotFoundError, ValueError, OSError):
        if name := environment.get("TZ", "").removeprefix(":"):
            return ZoneInfo(name)
        with machine.open("rb") as file:
            return ZoneInfo.from_file(file)
    return UTC
