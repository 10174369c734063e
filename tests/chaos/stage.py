"""A whole house of real processes in one folder: a NATS server, a simulated pool, and one or two of each service.

Each process can be killed, paused, and started again. Nothing is decided and nothing is judged here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from cli import children
from cli.children import Child
from shared.bus import embedded, jetstream
from shared.bus.jetstream.client import JetStreamBus
from tests.chaos.line import Line

SERVICES = ("planner", "executor", "watcher", "reporter", "scheduler")
POOL = "lab"
SCHEDULE = "tonight"

STARTED_WITHIN = 350.0
"""Seconds of pool time in which one replica of each service has started, on a busy machine too: a tick that was over
before any scheduler knew of its schedule is nobody's."""

BRIEF: Mapping[str, Any] = {
    "name": "brief",
    "pool": {"name": "brief", "auto_poweron": False},
    "hosts": [
        {"name": "north", "master": True, "memory": "32 GiB", "boot": 20, "install": 10},
        {"name": "south", "memory": "32 GiB", "boot": 20, "install": 10},
    ],
    "srs": [{"name": "Shared NFS", "type": "nfs", "size": "1 TiB", "default": True}],
    "vms": [
        {"name": "web", "host": "north", "memory": "2 GiB"},
        {"name": "db", "host": "north", "memory": "4 GiB", "vcpus": 4},
        {"name": "mail", "host": "south", "memory": "2 GiB"},
    ],
}
"""The pool of `small`, with hosts that boot and install faster."""


@dataclass
class Stage:
    """What runs. `names` are the replicas, as `planner-1`."""

    folder: Path
    server: embedded.EmbeddedServer
    bus: JetStreamBus
    environment: Mapping[str, str]
    factor: float
    control: str
    replicas: dict[str, Child] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The simulator's own journal so far."""
        text = (self.folder / "journal.ndjson").read_text(encoding="utf-8")
        return [json.loads(line) for line in text.splitlines() if line.endswith("}")]

    async def employ(self, name: str) -> None:
        """Start a replica, at the end of a line of its own to the bus; its name begins with its service's."""
        module = f"services.{name.partition('-')[0]}"
        log = self.folder / f"{name}.log"
        if name not in self.lines:
            self.lines[name] = Line(self.server.port)
            self.ports[name] = await self.lines[name].lay()
        environment = {**self.environment, "ROTA_NATS_URL": f"nats://127.0.0.1:{self.ports[name]}"}
        self.replicas[name] = await children.begin(name, module, environment=environment, log=log)

    async def trouble(self, faults: Sequence[Mapping[str, Any]]) -> None:
        """Order faults of the pool itself."""
        async with aiohttp.ClientSession() as session:
            for fault in faults:
                async with session.post(f"{self.control}/fault", json=dict(fault)) as answer:
                    answer.raise_for_status()

    async def kill(self, name: str) -> None:
        """SIGKILL."""
        child = self.replicas[name]
        with contextlib.suppress(ProcessLookupError):
            child.process.kill()
        await child.process.wait()

    def send(self, name: str, signal_: signal.Signals) -> None:
        """Send a signal to a replica that still runs."""
        if self.replicas[name].running:
            self.replicas[name].process.send_signal(signal_)

    async def restart_bus(self, down: float) -> None:
        """`kill -9` the NATS server, and start it again with its files and on its port."""
        await self.server.kill()
        await asyncio.sleep(down)
        self.server = await embedded.start(self.folder / "nats", port=self.server.port)

    def last_words(self) -> list[str]:
        """Exceptions that services logged, a line each."""
        found = []
        for log in self.folder.glob("*-[0-9].log"):
            lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
            found += [f"{log.stem}: {line[:600]}" for line in lines if '"exception"' in line or "Traceback" in line]
        return found


@asynccontextmanager
async def stage(
    folder: Path,
    *,
    world: str | Mapping[str, Any],
    factor: float,
    replicas: int,
    scheduled: bool = False,
    recipe: str = "",
) -> AsyncIterator[Stage]:
    """Start everything; end it, services first, however this is left. `scheduled`: a schedule starts a run within some
    minutes of pool time, and once. `recipe`: what else rota.toml says of the pool."""
    server = await embedded.start(folder / "nats")
    running: Stage | None = None
    pool, told = await _pool(folder, world, factor)
    try:
        bus = await jetstream.connect(server.url, name="chaos", within=20)
        try:
            await bus.ensure_streams()
            due = STARTED_WITHIN * replicas if scheduled else None
            environment = await _environment(folder, told, server.url, due, recipe)
            running = Stage(folder, server, bus, environment, factor, told["control"])
            for service in SERVICES:
                for number in range(1, replicas + 1):
                    await running.employ(f"{service}-{number}")
            yield running
        finally:
            await bus.close()
    finally:
        if running is not None:
            await children.end([*running.replicas.values()], within=3.0)
            for line in running.lines.values():
                await line.close()
            server = running.server
        await children.end([pool])
        await server.stop()


async def _pool(folder: Path, world: str | Mapping[str, Any], factor: float) -> tuple[Child, Mapping[str, Any]]:
    """The simulated pool, and the line with which it says where it is."""
    if not isinstance(world, str):
        (folder / "world.yaml").write_text(yaml.safe_dump(dict(world)), encoding="utf-8")
        world = str(folder / "world.yaml")
    arguments = (world, "--factor", f"{factor:g}", "--journal", str(folder / "journal.ndjson"))
    log = folder / "simulator.log"
    child = await children.begin("simulator", "simulator", *arguments, environment=_clean(), log=log, answers=True)
    assert child.process.stdout is not None
    async with asyncio.timeout(60):
        line = await child.process.stdout.readline()
    if not line:
        raise RuntimeError(f"The simulated pool did not start: {child.last_words()}")
    return child, json.loads(line)


async def _environment(
    folder: Path, told: Mapping[str, Any], bus: str, due: float | None, recipe: str
) -> dict[str, str]:
    async with aiohttp.ClientSession() as session, session.get(f"{told['control']}/clock") as answer:
        clock = await answer.json()
    folder.joinpath("reports").mkdir(exist_ok=True)
    lines: Sequence[str] = (
        'reports = "reports"',
        "[clock]",
        f"factor = {float(clock['factor'])!r}",
        f"origin = {float(clock['origin'])!r}",
        f"[pool.{POOL}]",
        f"url = {json.dumps(told['master'])}",
        f"username = {json.dumps(told['username'])}",
        'password_env = "LAB_PASSWORD"',
        *recipe.splitlines(),
        *(_schedule(float(clock["now"]) + due) if due is not None else ()),
        "",
    )
    (folder / "rota.toml").write_text("\n".join(lines), encoding="utf-8")
    return {
        **_clean(),
        "ROTA_CONFIG": str(folder / "rota.toml"),
        "ROTA_NATS_URL": bus,
        "LAB_PASSWORD": str(told["password"]),
    }


def _schedule(at: float) -> tuple[str, ...]:
    """A schedule that falls due in the minute before this moment of pool time, and again in a year."""
    due = time.gmtime(at)
    cron = f"{due.tm_min} {due.tm_hour} {due.tm_mday} {due.tm_mon} *"
    return (f"[schedule.{SCHEDULE}]", f'cron = "{cron}"', 'zone = "UTC"', f'pools = ["{POOL}"]')


def _clean() -> dict[str, str]:
    """The environment without what would lead to somebody's real bus or settings."""
    return {key: value for key, value in os.environ.items() if not key.startswith("ROTA_")}
