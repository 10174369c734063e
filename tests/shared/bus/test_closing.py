"""A client that is closed while its server is gone leaves nothing that goes on for ever."""

from __future__ import annotations

import asyncio
from pathlib import Path

import nats
import pytest

from shared.bus import embedded, jetstream


async def test_who_is_closed_while_the_server_is_gone_runs_out_of_servers(tmp_path: Path) -> None:
    """nats-py's coming back can swallow its cancellation, when it falls into the moment of a refused connection; what
    it asks next then ends it, where without a bound it would try for ever and hang whoever waits for it."""
    server = await embedded.start(tmp_path)
    client = await jetstream.connect(server.url, name="closing")
    await server.kill()
    inner = client._link.nc
    async with asyncio.timeout(10):
        while all(one.reconnects < 3 for one in inner._server_pool):
            await asyncio.sleep(0.01)
    await client.close()

    with pytest.raises(nats.errors.NoServersError):
        async with asyncio.timeout(2):
            await inner._select_next_server()
