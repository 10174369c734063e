"""The demo's stage: a bus, a simulated pool, receivers and the services, started in one folder and ended calmly.

It tells no story; `demo` does.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.resources
import json
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from cli import children, receivers
from cli.children import Child
from cli.exits import Exit, Stop
from cli.place import Place
from cli.receivers import Inbox
from shared.bus import embedded, jetstream
from shared.clock import Clock

POOL = "demo"
SERVICES = ("planner", "executor", "watcher", "reporter")
READY_WITHIN = 30.0
"""Seconds of machine time for the simulated pool to answer."""


@dataclass(frozen=True, slots=True)
class Folders:
    """Where things stand: `out` is what may be kept, `state` never is."""

    out: Path
    state: Path

    @property
    def logs(self) -> Path:
        return self.out / "logs"

    @property
    def reports(self) -> Path:
        return self.state / "reports"

    @property
    def journal(self) -> Path:
        return self.out / "journal.ndjson"


@dataclass(frozen=True, slots=True)
class Stage:
    """Everything that runs."""

    place: Place
    mails: Inbox
    webhooks: Inbox
    children: tuple[Child, ...]

    async def until_one_dies(self) -> Child:
        """Wait until a process ends that should not."""
        waiting = {asyncio.ensure_future(child.process.wait()): child for child in self.children}
        try:
            done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            return waiting[done.pop()]
        finally:
            for task in waiting:
                task.cancel()


@contextlib.asynccontextmanager
async def stage(folders: Folders, factor: float) -> AsyncIterator[Stage]:
    """Start everything, and end it however this is left: services first, then the pool, then the bus. Raises Stop."""
    for folder in (folders.out, folders.state, folders.logs, folders.reports):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    async with contextlib.AsyncExitStack() as stack:
        server = await stack.enter_async_context(_bus(folders))
        pool, told = await stack.enter_async_context(_pool(folders, factor))
        clock = await _clock(told)
        mails = Inbox(folders.out, "mail", "eml")
        webhooks = Inbox(folders.out, "webhook", "json")
        port = await stack.enter_async_context(receivers.mail_server(mails))
        address = await stack.enter_async_context(receivers.webhook_server(webhooks))
        config = _configure(folders, told, clock, port, address)
        environment = {**_clean_environment(), "ROTA_CONFIG": str(config), "ROTA_NATS_URL": server.url}
        services = await stack.enter_async_context(_services(folders, environment))
        yield Stage(Place(server.url, clock), mails, webhooks, (pool, *services))


@contextlib.asynccontextmanager
async def _bus(folders: Folders) -> AsyncIterator[embedded.EmbeddedServer]:
    try:
        server = await embedded.start(folders.state / "nats")
    except embedded.EmbeddedFailed as error:
        raise Stop(Exit.FAILED, str(error)) from error
    try:
        await _furnish(server.url)
        yield server
    finally:
        await server.stop()
        with contextlib.suppress(OSError):
            shutil.copy(folders.state / "nats" / "nats.log", folders.logs / "nats.log")


async def _furnish(url: str) -> None:
    """Make Rota's streams now, so that nobody has to wait for them."""
    bus = await jetstream.connect(url, name="rota-demo", within=READY_WITHIN)
    try:
        await bus.ensure_streams()
    finally:
        await bus.close()


@contextlib.asynccontextmanager
async def _pool(folders: Folders, factor: float) -> AsyncIterator[tuple[Child, Mapping[str, Any]]]:
    world = folders.out / "world.yaml"
    world.write_bytes(importlib.resources.files("simulator").joinpath("worlds", "demo.yaml").read_bytes())
    arguments = (str(world), "--factor", f"{factor:g}", "--journal", str(folders.journal))
    log = folders.logs / "simulator.log"
    child = await children.begin(
        "simulator", "simulator", *arguments, environment=_clean_environment(), log=log, answers=True
    )
    try:
        yield child, await _ready(child)
    finally:
        await children.end([child])


async def _ready(child: Child) -> Mapping[str, Any]:
    """The line with which the simulator says that it is ready, and where."""
    stdout = child.process.stdout
    if stdout is None:
        raise Stop(Exit.FAILED, "The simulated pool has no voice.")
    try:
        async with asyncio.timeout(READY_WITHIN):
            told = json.loads(await stdout.readline())
    except (TimeoutError, ValueError) as error:
        said = child.last_words() or "it said nothing"
        raise Stop(Exit.FAILED, f"The simulated pool did not start: {said}") from error
    if not isinstance(told, dict):
        raise Stop(Exit.FAILED, "The simulated pool started and said something that is not understood.")
    return told


async def _clock(told: Mapping[str, Any]) -> Clock:
    """The pool's clock, as its control address tells it."""
    async with aiohttp.ClientSession() as session, session.get(f"{told['control']}/clock") as answer:
        clock = await answer.json()
    return Clock(float(clock["factor"]), float(clock["origin"]))


@contextlib.asynccontextmanager
async def _services(folders: Folders, environment: Mapping[str, str]) -> AsyncIterator[tuple[Child, ...]]:
    started: list[Child] = []
    try:
        for name in SERVICES:
            log = folders.logs / f"{name}.log"
            started.append(await children.begin(name, f"services.{name}", environment=environment, log=log))
        yield tuple(started)
    finally:
        await children.end(started)


def _clean_environment() -> dict[str, str]:
    """The environment without what would lead a demo to somebody's real bus or settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ROTA_")}


def _configure(folders: Folders, told: Mapping[str, Any], clock: Clock, mail_port: int, webhook: str) -> Path:
    """Write rota.toml and the password beside it."""
    password = folders.state / "password"
    password.touch(mode=0o600)
    password.write_text(str(told["password"]), encoding="utf-8")
    path = folders.state / "rota.toml"
    q = json.dumps
    path.write_text(
        f"""# Written by the demo.
reports = {q(str(folders.reports))}

[clock]
factor = {clock.factor!r}
origin = {clock.origin!r}

[pool.{POOL}]
url = {q(told["master"])}
username = {q(told["username"])}
password_file = {q(str(password))}

[mail.local]
host = "{receivers.LOOPBACK}"
port = {mail_port}
tls = "none"
sender = "rota@demo.example"
to = ["admin@demo.example"]

[webhook.local]
url = {q(webhook)}
""",
        encoding="utf-8",
    )
    return path
