"""The same services on a bus of three servers that loses the one which leads."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import nats

from shared.bus import streams
from tests.e2e.processes import update
from tests.shared.bus.cluster import Cluster, three_nodes


async def leader(cluster: Cluster) -> str:
    """The node that leads the journal."""
    raw = await nats.connect(cluster.url.split(","))
    answer = await raw.request(f"$JS.API.STREAM.INFO.{streams.FACTS}", b"{}", timeout=5)
    await raw.close()
    return str(json.loads(answer.data)["cluster"]["leader"])


async def test_a_run_goes_on_when_the_leading_server_of_three_is_killed(tmp_path: Path) -> None:
    """SIGKILL for the node that leads the journal, in the middle of the first host's turn: the run ends as it would
    have, by the simulator's own journal."""
    async with asyncio.timeout(150), three_nodes(tmp_path) as cluster:

        async def kill() -> None:
            await cluster.nodes[await leader(cluster)].kill()

        ended = await update(tmp_path, cluster.url, replicas=3, when_planned=kill)

        assert ended.outcome == "succeeded", ended
