"""A bus of three servers loses any one of them."""

from __future__ import annotations

import asyncio
import itertools
import json
from pathlib import Path
from typing import Any

import nats

from shared.bus import jetstream, streams
from shared.bus.port import Intake, Message, OutcomeUnknown
from tests.shared.bus.cluster import Cluster, three_nodes

ORDERS = Intake(streams.COMMANDS, "executor", ("rota.command.executor.>",), ack_wait=1)


async def api(cluster: Cluster, verb: str) -> dict[str, Any]:
    """A request to JetStream by another client."""
    raw = await nats.connect(cluster.url.split(","))
    answer = await raw.request(f"$JS.API.{verb}", b"{}", timeout=5)
    await raw.close()
    return dict(json.loads(answer.data))


async def test_a_node_is_killed_that_held_a_followers_place(tmp_path: Path) -> None:
    """What is written meanwhile is stored once and seen once and in order; orders go on; nobody starts anything anew.
    The node is the one that has the follower's consumer, which lives on one node alone."""
    async with asyncio.timeout(60), three_nodes(tmp_path) as cluster:
        writer = await jetstream.connect(cluster.url, name="writer")
        await writer.ensure_streams(replicas=3)
        reader = await jetstream.connect(cluster.url, name="reader")
        async with reader.follow(["rota.fact.>"], after=0) as facts, reader.take(ORDERS) as orders:
            await writer.append(fact(0), id="0")
            assert (await anext(facts)).seq == 1
            (consumer,) = (await api(cluster, f"CONSUMER.NAMES.{streams.FACTS}"))["consumers"]
            holder = (await api(cluster, f"CONSUMER.INFO.{streams.FACTS}.{consumer}"))["cluster"]["leader"]
            await cluster.nodes[holder].kill()
            written = [await writer.append(fact(number), id=str(number)) for number in range(1, 20)]
            assert written == list(range(2, 21))
            assert [(await anext(facts)).seq for _ in written] == written
            order = Message("rota.command.executor.reboot_host.lab.r1.s1-1", b"")
            for _ in itertools.count():
                try:
                    await writer.send_order(order)
                except OutcomeUnknown:
                    continue
                break
            taken = await anext(orders)
            assert taken.message.subject == order.subject
            await taken.ack()
        await reader.close()
        await writer.close()


def fact(number: int) -> Message:
    """A fact of the watcher's."""
    return Message("rota.fact.host.lab.h1.host_answering", str(number).encode())
