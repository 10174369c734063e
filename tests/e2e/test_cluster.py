"""The same services on a bus of three servers that loses each of them in turn."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

import nats
import nats.errors

from shared.bus import streams
from tests.e2e.processes import update
from tests.shared.bus.cluster import Cluster, three_nodes


async def leader(cluster: Cluster) -> str:
    """The node that leads the journal."""
    raw = await nats.connect(cluster.url.split(","))
    answer = await raw.request(f"$JS.API.STREAM.INFO.{streams.FACTS}", b"{}", timeout=5)
    await raw.close()
    return str(json.loads(answer.data)["cluster"]["leader"])


async def led(cluster: Cluster, *, without: str = "") -> None:
    """Wait until the journal has a leader, and two nodes that are as far as it is (one, while a node is away)."""
    while True:
        with contextlib.suppress(nats.errors.Error, OSError, KeyError):
            raw = await nats.connect(
                [node.url for name, node in cluster.nodes.items() if name != without], connect_timeout=1
            )
            try:
                answer = await raw.request(f"$JS.API.STREAM.INFO.{streams.FACTS}", b"{}", timeout=1)
            finally:
                await raw.close()
            state = json.loads(answer.data)["cluster"]
            current = [one for one in state["replicas"] if one["current"] and not one.get("offline")]
            if state["leader"] and state["leader"] != without and len(current) >= (1 if without else 2):
                return
        await asyncio.sleep(0.1)


async def test_a_run_goes_on_whichever_of_three_servers_is_killed(tmp_path: Path) -> None:
    """SIGKILL for the node that leads the journal, in the middle of the first host's turn; it comes back with its
    files, and the next is killed, and the third: the run ends as it would have, by the simulator's own journal."""
    async with asyncio.timeout(150), three_nodes(tmp_path) as cluster:
        killed: list[str] = []

        async def kill_each() -> None:
            first = await leader(cluster)
            for name in (first, *sorted(cluster.nodes.keys() - {first})):
                await cluster.nodes[name].kill()
                killed.append(name)
                await led(cluster, without=name)
                await cluster.start(name)
                await led(cluster)

        ended = await update(tmp_path, cluster.url, replicas=3, when_planned=kill_each)

        assert sorted(killed) == ["a", "b", "c"]
        assert ended.outcome == "succeeded", ended
