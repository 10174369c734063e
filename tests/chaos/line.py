"""The line between one replica and the bus: a relay on loopback that can be cut, in two ways, and mended.

`hang_up` is a cable pulled at the server's end that is noticed: connections are reset and none is taken. `swallow` is a
router that drops everything: connections stay open, and not a byte goes through.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

CHUNK = 65536


class Line:
    """A relay to the bus's port. Its own port stays the same while it is cut."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._open = asyncio.Event()
        self._refuses = False
        self._relays: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self._open.set()

    async def lay(self) -> int:
        """Begin to relay; returns the port on 127.0.0.1 where the bus seems to be."""
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        return int(self._server.sockets[0].getsockname()[1])

    def hang_up(self) -> None:
        """Reset what is open, and refuse what comes."""
        self._refuses = True
        for relay in self._relays:
            relay.cancel()

    def swallow(self) -> None:
        """Let nothing through, in silence."""
        self._open.clear()

    def mend(self) -> None:
        """As it was. What was swallowed halfway goes on."""
        self._refuses = False
        self._open.set()

    async def close(self) -> None:
        """Take it away."""
        self.hang_up()
        if self._server is not None:
            self._server.close()
        await asyncio.gather(*self._relays, return_exceptions=True)

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        relay = asyncio.current_task()
        assert relay is not None
        self._relays.add(relay)
        try:
            if not self._refuses:
                await self._relay(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass  # either end hung up, or the line was cut
        finally:
            self._relays.discard(relay)
            writer.transport.abort()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._target)
        ways = [
            asyncio.create_task(self._pump(reader, back.write)),
            asyncio.create_task(self._pump(there, writer.write)),
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.gather(*ways, return_exceptions=True)
            back.transport.abort()

    async def _pump(self, source: asyncio.StreamReader, write: Callable[[bytes], None]) -> None:
        while chunk := await source.read(CHUNK):
            await self._open.wait()
            write(chunk)
