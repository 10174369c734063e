"""A host's own address opens and closes, at any moment, and what is opened afterwards is heard."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest

from simulator import running
from simulator.wire.server import Doorway
from tests.simulator.pools import TWO_HOSTS


@pytest.mark.parametrize("turns", [0, 1, 2, 3])
async def test_a_door_that_is_closed_while_it_opens_leaves_nothing_behind(turns: int) -> None:
    """The next one, which the system may give the same number, takes connections."""
    async with running(TWO_HOSTS) as sim:
        machine = sim.site.master
        doors = [Doorway(sim.site, machine, port, None) for port in _free_ports(machine.address, 2)]
        doors[0].follow()
        for _ in range(turns):
            await asyncio.sleep(0)
        await doors[0].end()
        doors[1].follow()
        async with asyncio.timeout(10):
            while not await _answers(machine.address, doors[1].port):
                await asyncio.sleep(0.01)
        await doors[1].end()


async def _answers(address: str, port: int) -> bool:
    """Whether somebody reads what is sent there, and says that it makes no sense."""
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(1):
            reader, writer = await asyncio.open_connection(address, port)
            writer.write(b"GET /nothing HTTP/1.0\r\n\r\n")
            said = await reader.read(4)
            writer.close()
            return said == b"HTTP"
    return False


def _free_ports(address: str, count: int) -> list[int]:
    held = [socket.create_server((address, 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in held]
    for one in held:
        one.close()
    return [int(port) for port in ports]
