"""Where the bus's contract is played out: the memory twin, an embedded server, a server in a container.

A ground makes clients, and knows how to hurt its server. What the bus promises is in test_bus.py.
"""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Protocol

import nats

from shared.bus import embedded, jetstream
from shared.bus.memory import MemoryBus, MemoryServer
from shared.bus.port import Bus


class Ground(Protocol):
    """A server, and clients of it."""

    async def client(self, name: str) -> Bus: ...

    async def abandon_batches(self, count: int) -> None:
        """Leave so many atomic batches open, as planners do that are killed in the middle of one."""
        ...

    async def close(self) -> None: ...


class RestartableGround(Ground, Protocol):
    """One whose server can be taken away."""

    async def crash(self) -> None:
        """The server is gone, at once; its files stay."""
        ...

    async def restart(self) -> None:
        """It comes back on its files, under its address."""
        ...


class MemoryGround:
    """The twin."""

    def __init__(self) -> None:
        self.server = MemoryServer()
        self._clients: list[MemoryBus] = []

    async def client(self, name: str) -> Bus:
        self._clients.append(MemoryBus(self.server, name))
        return self._clients[-1]

    async def abandon_batches(self, count: int) -> None:
        self.server.abandon_batches(count)

    async def crash(self) -> None:
        self.server.stop()

    async def restart(self) -> None:
        self.server.start()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


class ServerGround:
    """A NATS server at an address."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._clients: list[jetstream.JetStreamBus] = []

    async def client(self, name: str) -> Bus:
        bus = await jetstream.connect(self.url, name=name, within=10)
        self._clients.append(bus)
        await bus.ensure_streams()
        return bus

    async def abandon_batches(self, count: int) -> None:
        raw = await nats.connect(self.url)
        for _ in range(count):
            headers = {"Nats-Batch-Id": uuid.uuid4().hex, "Nats-Batch-Sequence": "1"}
            await raw.request("rota.fact.system.abandoned", b"", headers=headers)
        await raw.close()

    async def wipe(self) -> None:
        """Take away everything that another test has left."""
        raw = await nats.connect(self.url)
        names = json.loads((await raw.request("$JS.API.STREAM.NAMES", b"{}")).data)["streams"] or []
        for name in names:
            await raw.request(f"$JS.API.STREAM.DELETE.{name}", timeout=5)
        await raw.close()

    async def close(self) -> None:
        for client in self._clients:
            await client.close()


class EmbeddedGround(ServerGround):
    """A server of our own, which can be killed."""

    def __init__(self, server: embedded.EmbeddedServer) -> None:
        super().__init__(server.url)
        self.server = server

    @classmethod
    async def start(cls, folder: Path) -> EmbeddedGround:
        return cls(await embedded.start(folder))

    async def crash(self) -> None:
        await self.server.kill()

    async def restart(self) -> None:
        self.server = await embedded.start(self.server.folder, port=self.server.port)

    async def close(self) -> None:
        await super().close()
        await self.server.stop()


async def outage(ground: RestartableGround, down: float) -> None:
    """Take the server away for so many seconds."""
    await ground.crash()
    await asyncio.sleep(down)
    await ground.restart()
