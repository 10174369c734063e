"""Three servers on loopback that are one bus, for tests that take one away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from shared.bus import embedded
from shared.bus.embedded import EmbeddedServer


class Cluster:
    """Nodes by their names."""

    def __init__(self, folder: Path, routes: dict[str, int]) -> None:
        self._folder = folder
        self._routes = routes
        self.nodes: dict[str, EmbeddedServer] = {}

    @property
    def url(self) -> str:
        """The addresses of all nodes."""
        return ",".join(node.url for node in self.nodes.values())

    async def start(self, name: str) -> None:
        """Start a node, on its files and port where it ran before."""
        others = ", ".join(f'"nats://{embedded.LOOPBACK}:{port}"' for port in self._routes.values())
        listen = f"{embedded.LOOPBACK}:{self._routes[name]}"
        extra = f'cluster {{ name: lab, listen: "{listen}", routes: [{others}] }}'
        port = self.nodes[name].port if name in self.nodes else None
        self.nodes[name] = await embedded.start(self._folder / name, name=name, port=port, extra=extra)


@asynccontextmanager
async def three_nodes(folder: Path) -> AsyncIterator[Cluster]:
    """A cluster that forms while it is used; making streams on it waits for that."""
    cluster = Cluster(folder, dict(zip("abc", random.sample(embedded.PORTS, 3), strict=True)))
    try:
        for name in "abc":
            await cluster.start(name)
        yield cluster
    finally:
        await asyncio.gather(*(node.stop() for node in cluster.nodes.values()))
