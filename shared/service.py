"""Run a service: settings, clock, bus, logging, signals, and a calm stop.

A service is one coroutine function `serve(context)` that works until `context.stop` is set. The same function runs in
a process of its own (`main`) and, on a memory bus under a turned clock, in a story.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import structlog

from shared import settings as settings_
from shared.bus import jetstream, port
from shared.clock import Clock

GRACE = 10.0
"""Seconds of machine time a service has to stop before it is cancelled."""


@dataclass(frozen=True, slots=True)
class Context:
    """What every service is given. `name` is the service's, `instance` this very replica's."""

    name: str
    instance: str
    settings: settings_.Settings
    clock: Clock
    bus: port.Bus
    log: structlog.stdlib.BoundLogger
    stop: asyncio.Event = field(default_factory=asyncio.Event)


Serve = Callable[[Context], Coroutine[Any, Any, None]]


def main(name: str, serve: Serve, *, secrets: bool = False) -> None:
    """Run a service as this process until SIGTERM or SIGINT. Exits 2 with a sentence when the settings are bad."""
    configure_logging()
    try:
        settings = settings_.from_environment(secrets=secrets)
    except settings_.SettingsError as error:
        sys.exit(f"rota {name}: {error}")
    if not settings.bus.url:
        sys.exit(f"rota {name}: no bus is named; set ROTA_NATS_URL or bus.url in rota.toml.")
    asyncio.run(_run(name, serve, settings))


def configure_logging() -> None:
    """One JSON line per record on stderr; libraries' own records from WARNING up."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
    )
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)


def instance_name(name: str) -> str:
    """A name for this replica that a person can find: service, machine, process."""
    return f"{name}@{socket.gethostname()}:{os.getpid()}"


async def until_stopped(context: Context, *work: Awaitable[None]) -> None:
    """Run coroutines side by side until one ends or fails, or `context.stop` is set; then cancel the others and wait.

    Raises what the first of them raised.
    """
    tasks = [asyncio.ensure_future(one) for one in work]
    stop = asyncio.ensure_future(context.stop.wait())
    try:
        done, _ = await asyncio.wait([stop, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done - {stop}:
            task.result()
    finally:
        for task in (stop, *tasks):
            task.cancel()
        await asyncio.gather(stop, *tasks, return_exceptions=True)


async def _reach(settings: settings_.Settings, instance: str) -> port.Bus:
    """The bus, waited for as long as it takes, with its streams as they should be."""
    bus = await jetstream.connect(settings.bus.url, name=instance)
    try:
        await bus.ensure_streams(settings.bus.replicas)
    except BaseException:
        await bus.close()
        raise
    return bus


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, port.Bus]) -> port.Bus | None:
    """What work gives, or None when a stop is told before it is done."""
    working, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


async def _run(name: str, serve: Serve, settings: settings_.Settings) -> None:
    instance = instance_name(name)
    log = structlog.get_logger().bind(service=name, instance=instance)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signal_ in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signal_, stop.set)
    bus = await _unless(stop, _reach(settings, instance))
    if bus is None:
        log.info("stopped", sentence=f"The {name} was told to stop while it waited for its bus.")
        return
    clock = Clock(settings.clock.factor, settings.clock.origin)
    context = Context(name, instance, settings, clock, bus, log, stop)
    log.info("started", sentence=f"The {name} is ready.")
    serving = asyncio.ensure_future(serve(context))
    stopping = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait([serving, stopping], return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait([serving], timeout=GRACE)
        if serving.done():
            serving.result()
    finally:
        stopping.cancel()
        serving.cancel()
        await asyncio.gather(serving, stopping, return_exceptions=True)
        await bus.close()
        log.info("stopped", sentence=f"The {name} has stopped.")
