"""A line between a client and a server that can be cut, or fall silent."""

from __future__ import annotations

import asyncio
from typing import Self


class Line:
    """Connections to `port` on loopback go through here; `url` is what the client is given."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._hears = asyncio.Event()
        self._hears.set()
        self._links: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._join, "127.0.0.1", 0)
        self.url = f"nats://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *raised: object) -> None:
        self._server.close()
        self.cut()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def deafen(self) -> None:
        """What the server sends does not arrive any more; what the client sends does."""
        self._hears.clear()

    def cut(self) -> None:
        """All connections break, with what was on its way. New ones work as they should."""
        for link in tuple(self._links):
            link.transport.abort()
        self._links.clear()
        self._hears = asyncio.Event()
        self._hears.set()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._links |= {writer, there_writer}
        always = asyncio.Event()
        always.set()
        for source, sink, open_ in ((reader, there_writer, always), (there_reader, writer, self._hears)):
            task = asyncio.create_task(self._carry(source, sink, open_))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    @staticmethod
    async def _carry(source: asyncio.StreamReader, sink: asyncio.StreamWriter, open_: asyncio.Event) -> None:
        try:
            while data := await source.read(65_536):
                await open_.wait()
                sink.write(data)
                await sink.drain()
        except OSError:
            """Cut."""
        finally:
            sink.close()
