"""The same services on a NATS server that somebody else runs: one in a container."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contracts.nats_container import running_nats, why_no_container
from tests.e2e.processes import update


async def test_the_services_run_on_a_server_in_a_container(tmp_path: Path) -> None:
    """ROTA_NATS_URL is all that they are told of it; the run ends well by the simulator's own journal."""
    reason = why_no_container()
    if reason is not None:
        pytest.skip(f"THE CONTAINER RING DID NOT RUN: {reason}")
    with running_nats() as url:
        async with asyncio.timeout(120):
            ended = await update(tmp_path, url)

    assert ended.outcome == "succeeded", ended
