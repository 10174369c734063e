"""The hosts' own addresses: one HTTP(S) server for each, that really closes when the host or its xapi is down.

JSON-RPC at /jsonrpc, XML-RPC at /, /RPC2 and every other path, and the GETs XAPI answers. Only bytes here; meaning is
`dispatch.py`'s.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import Any

from aiohttp import web

from simulator.failure import ConnectionCut, Failure
from simulator.machine import CLOSED, Machine
from simulator.site import Site
from simulator.wire import gets, jsonrpc, xml
from simulator.wire.dispatch import BeforeDispatch, answer
from simulator.wire.shown import encode_calmly

KEEP_ALIVE = 86400.0
LARGE = 1_000_000
GREETED_WITHIN = 0.2
"""Seconds that a door which closes for good gives to those who are at it."""

BROKEN = "<html><body><h1>HTTP 500 internal server error</h1>An unexpected error occurred.</body></html>"


class Doorway:
    """One host's address: listens while its door is open, and cuts every connection when it closes."""

    def __init__(self, site: Site, machine: Machine, port: int, tls: ssl.SSLContext | None) -> None:
        self.site = site
        self.machine = machine
        self.port = port
        self._tls = tls
        self._web = web.Server(self._handle, access_log=None, keepalive_timeout=KEEP_ALIVE)
        self._socket: socket.socket | None = None
        self._arriving: set[asyncio.Task[None]] = set()

    def follow(self) -> None:
        """Opens or closes as the machine's door says."""
        wanted = self.machine.door != CLOSED and not self.machine.cut
        if wanted and self._socket is None:
            self._open()
        elif not wanted and self._socket is not None:
            self._close()

    def _open(self) -> None:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.machine.address, self.port))
        listener.listen(128)
        listener.setblocking(False)
        self._socket = listener
        asyncio.get_running_loop().add_reader(listener, self._accept, listener)

    def _accept(self, listener: socket.socket) -> None:
        """Whoever knocks is let in. (Not `create_server`: on 3.11 it leaks what it accepted in the moment it closes,
        cpython's base_events.py Server._attach.)"""
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                task = asyncio.get_running_loop().create_task(self._let_in(listener, connection))
                self._arriving.add(task)
                task.add_done_callback(self._arriving.discard)

    async def _let_in(self, listener: socket.socket, connection: socket.socket) -> None:
        connection.setblocking(False)
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            transport, _ = await loop.connect_accepted_socket(self._web, connection, ssl=self._tls)
            if self._socket is not listener:
                transport.abort()

    def _close(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()
            self._socket = None
        self._cut_off()

    def _cut_off(self) -> None:
        for connection in list(self._web.connections):
            if connection.transport is not None:
                connection.transport.abort()

    async def end(self) -> None:
        """Closes for good."""
        self._close()
        if self._arriving:
            _, left = await asyncio.wait(self._arriving, timeout=GREETED_WITHIN)
            for task in left:
                task.cancel()
        await self._web.shutdown(GREETED_WITHIN)
        await asyncio.sleep(0)

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {name.lower(): value for name, value in request.headers.items()}
        try:
            if request.method == "GET":
                return await gets.answer(self.site, self.machine, request)
            if request.path.startswith("/jsonrpc"):
                return await reply(await self._json(body, headers, peer_of(request)), "application/json")
            # XAPI takes the handler with the longest prefix of the path, and / is XML-RPC's (http_svr.ml)
            return await reply(await self._xml(body, headers, peer_of(request)), "text/xml")
        except xml.Malformed:
            return web.Response(status=500, text=BROKEN, content_type="text/html")
        except ConnectionCut:
            if request.transport is not None:
                request.transport.abort()
        return gets.not_found()

    async def _xml(self, body: bytes, headers: dict[str, str], peer: Any) -> str:
        method, params = xml.read_call(body)
        try:
            result = await answer(self.site, self.machine, method, params, {**headers, "x-wire": "xml"}, peer)
        except Failure as refused:
            return xml.failure(refused.details)
        await encode_calmly(result, "xml", xml.struct)
        return xml.bare(result) if method == "system.listMethods" else xml.success(result)

    async def _json(self, body: bytes, headers: dict[str, str], peer: Any) -> str:
        question = jsonrpc.read_call(body)
        try:
            result = await answer(
                self.site, self.machine, question.method, question.params, {**headers, "x-wire": "json"}, peer
            )
        except BeforeDispatch as refused:
            return jsonrpc.before_dispatch(refused.details)
        except Failure as refused:
            return jsonrpc.failure(question, refused.details)
        await encode_calmly(result, "json", jsonrpc.compact)
        return jsonrpc.success(question, result)


def peer_of(request: web.BaseRequest) -> Any:
    """Both ends of the connection that a request came through, as the client names them: its own first."""
    transport = request.transport
    return (transport.get_extra_info("peername"), transport.get_extra_info("sockname")) if transport else None


async def reply(text: str, content_type: str) -> web.Response:
    """An answer; a large one lets others have their turn before it is written."""
    if len(text) > LARGE:
        await asyncio.sleep(0)
    headers = {"Content-Type": content_type, "Access-Control-Allow-Origin": "*"}
    return web.Response(body=text.encode(), headers=headers)
