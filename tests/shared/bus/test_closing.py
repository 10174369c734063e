"""A client that is closed while its server is gone leaves nothing that goes on for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

from shared.bus import embedded, jetstream


def reconnecting() -> list[asyncio.Task[object]]:
    """Tasks of nats-py that still try to come back."""
    return [task for task in asyncio.all_tasks() if "_attempt_reconnect" in repr(task.get_coro())]


async def test_clients_closed_while_they_come_back_all_end(tmp_path: Path) -> None:
    """Sixty of them, each at another moment of its tries: cancelled in the wrong one, nats-py's would not end."""
    server = await embedded.start(tmp_path)
    clients = [await jetstream.connect(server.url, name=f"client-{number}") for number in range(60)]
    await server.kill()
    async with asyncio.timeout(10):
        while len(reconnecting()) < len(clients):
            await asyncio.sleep(0.01)
    for client in clients:
        await asyncio.sleep(0.003)
        await client.close()

    async with asyncio.timeout(5):
        while reconnecting():
            await asyncio.sleep(0.01)
