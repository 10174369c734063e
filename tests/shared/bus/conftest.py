"""A NATS server for the tests of what only the adapter to one has."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from shared.bus import embedded, jetstream
from shared.bus.embedded import EmbeddedServer
from shared.bus.jetstream import JetStreamBus


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[EmbeddedServer]:
    """One with nothing on it."""
    started = await embedded.start(tmp_path)
    yield started
    await started.stop()


@pytest.fixture
async def bus(server: EmbeddedServer) -> AsyncIterator[JetStreamBus]:
    """A client, with all streams made."""
    connected = await jetstream.connect(server.url, name="bus", within=10)
    await connected.ensure_streams()
    yield connected
    await connected.close()
