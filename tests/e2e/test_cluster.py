"""The same services on a bus of three servers that loses the one which leads."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import nats

from cli import children, judge
from shared.bus import jetstream, streams, wire
from shared.domain import commands, facts
from simulator import Simulation, running
from tests.shared.bus.cluster import Cluster, three_nodes

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


async def leader(cluster: Cluster) -> str:
    """The node that leads the journal."""
    raw = await nats.connect(cluster.url.split(","))
    answer = await raw.request(f"$JS.API.STREAM.INFO.{streams.FACTS}", b"{}", timeout=5)
    await raw.close()
    return str(json.loads(answer.data)["cluster"]["leader"])


@asynccontextmanager
async def services(folder: Path, cluster: Cluster, sim: Simulation) -> AsyncIterator[None]:
    """Planner, executor and watcher as processes on the cluster, streams on all three servers."""
    clock = sim.clock_state()
    lines = (
        "[bus]",
        "replicas = 3",
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
        "ROTA_NATS_URL": cluster.url,
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


async def test_a_run_goes_on_when_the_leading_server_of_three_is_killed(tmp_path: Path) -> None:
    """SIGKILL for the node that leads the journal, in the middle of the first host's turn: the run ends as it would
    have, by the simulator's own journal."""
    async with (
        asyncio.timeout(150),
        three_nodes(tmp_path) as cluster,
        running(WORLD, drive="wall", factor=FACTOR) as sim,
        services(tmp_path, cluster, sim),
    ):
        bus = await jetstream.connect(cluster.url, name="test")
        await bus.ensure_streams(replicas=3)
        await bus.append(wire.command_message(commands.StartRun(pool="lab"), by="test"), id="order-1")
        recorded: facts.Fact | None = None
        async with bus.follow(["rota.fact.run.lab.>"], after=0) as stored_facts:
            async for stored in stored_facts:
                recorded = wire.read_fact(stored).fact
                if isinstance(recorded, facts.TurnPlanned) and recorded.turn == "t01":
                    await cluster.nodes[await leader(cluster)].kill()
                if isinstance(recorded, facts.RunEnded):
                    break
        await bus.close()

        assert isinstance(recorded, facts.RunEnded)
        assert recorded.outcome == "succeeded", recorded
        assert judge.violations(sim.journal) == []
