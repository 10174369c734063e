"""A service that waits for its bus is still a process that can be told to stop."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

import pytest

from simulator import loopback
from tests.e2e.conftest import LONG, environment


@pytest.mark.parametrize("service", ["planner", "executor", "watcher", "reporter", "scheduler"])
async def test_it_stops_when_it_is_told_to_while_its_bus_is_away(tmp_path: Path, service: str) -> None:
    """Nobody listens at the bus's port. SIGTERM ends it with 0 and a sentence, in well under the patience for work."""
    (tmp_path / "rota.toml").write_text(
        '[pool.lab]\nurl = "http://127.0.0.1:1"\nusername = "root"\npassword_env = "P"\n'
    )
    told = environment(
        ROTA_CONFIG=str(tmp_path / "rota.toml"),
        ROTA_NATS_URL=f"nats://127.0.0.1:{loopback.free_port(['127.0.0.1'])}",
        P="x",
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", f"services.{service}", env=told, stderr=asyncio.subprocess.PIPE
    )
    assert process.stderr is not None
    async with asyncio.timeout(LONG):
        said = await process.stderr.readline()
        process.send_signal(signal.SIGTERM)
        said += await process.stderr.read()
        assert await process.wait() == 0, said
    assert b"told to stop while it waited" in said
