"""Planner, executor and watcher as processes, on a bus that somebody else runs, for a small simulated pool."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from cli import children, judge
from shared.bus import jetstream, wire
from shared.domain import commands, facts
from simulator import Simulation, running

WORLD = {
    "name": "brief",
    "pool": {"name": "brief"},
    "hosts": [
        {"name": "north", "master": True, "memory": "32 GiB", "boot": 20, "install": 10},
        {"name": "south", "memory": "32 GiB", "boot": 20, "install": 10},
    ],
    "srs": [{"name": "Shared NFS", "type": "nfs", "size": "1 TiB", "default": True}],
    "vms": [
        {"name": "web", "host": "north", "memory": "2 GiB"},
        {"name": "mail", "host": "south", "memory": "2 GiB"},
    ],
}
FACTOR = 20.0


@asynccontextmanager
async def _services(folder: Path, url: str, replicas: int, sim: Simulation) -> AsyncIterator[None]:
    clock = sim.clock_state()
    lines = (
        "[bus]",
        f"replicas = {replicas}",
        "[clock]",
        f"factor = {clock['factor']!r}",
        f"origin = {clock['origin']!r}",
        "[pool.lab]",
        f'url = "{sim.master_url}"',
        'password_env = "LAB_PASSWORD"',
        "",
    )
    (folder / "rota.toml").write_text("\n".join(lines))
    kept = {key: value for key, value in os.environ.items() if not key.startswith("ROTA_")}
    environment = {
        **kept,
        "ROTA_CONFIG": str(folder / "rota.toml"),
        "ROTA_NATS_URL": url,
        "LAB_PASSWORD": sim.password,
    }
    begun = [
        await children.begin(name, f"services.{name}", environment=environment, log=folder / f"{name}.log")
        for name in ("planner", "executor", "watcher")
    ]
    try:
        yield
    finally:
        await children.end(begun)


Planned = Callable[[], Awaitable[None]]


async def nothing() -> None:
    """What happens when the first turn is planned, unless a test says otherwise."""


async def update(folder: Path, url: str, *, replicas: int = 1, when_planned: Planned = nothing) -> facts.RunEnded:
    """Update the small pool by services on the bus at `url`; `when_planned` is done in the middle of the first turn.
    Returns the run's end after judging the run from the simulator's own journal."""
    async with running(WORLD, drive="wall", factor=FACTOR) as sim, _services(folder, url, replicas, sim):
        bus = await jetstream.connect(url, name="test")
        await bus.ensure_streams(replicas=replicas)
        await bus.append(wire.command_message(commands.StartRun(pool="lab"), by="test"), id="order-1")
        async with bus.follow(["rota.fact.run.lab.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                recorded = wire.read_fact(stored).fact
                if isinstance(recorded, facts.TurnPlanned) and recorded.turn == "t01":
                    await when_planned()
                if isinstance(recorded, facts.RunEnded):
                    await bus.close()
                    assert judge.violations(sim.journal) == []
                    return recorded
    raise AssertionError("the journal ended before the run")
