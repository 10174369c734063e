"""Whether the contract of the bus was also tried on a NATS server in a container, or why not."""

from __future__ import annotations

import pytest

from shared.bus import jetstream
from tests.contracts.bus.words import seen
from tests.contracts.nats_container import running_nats, why_no_container


async def test_the_bus_lives_on_a_server_in_a_container() -> None:
    """Any JetStream server will do. The other tests of this folder have run on one, too, unless this one skips."""
    reason = why_no_container()
    if reason is not None:
        pytest.skip(f"THE CONTAINER RING DID NOT RUN: {reason}")
    with running_nats() as url:
        bus = await jetstream.connect(url, name="container", within=10)
        await bus.ensure_streams()
        assert await bus.append(seen("host_answering"), id="one") == 1
        await bus.close()
