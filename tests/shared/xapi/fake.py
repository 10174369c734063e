"""A XAPI of a few lines: answers JSON-RPC on loopback from a table of methods. For what the simulator cannot do on
order: odd shapes, silence, certificates that do not match. It keeps every call it was sent."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

Answer = Callable[..., Awaitable[Any]]


class Say(Exception):
    """Answer with this body as it is."""

    def __init__(self, body: object, status: int = 200) -> None:
        super().__init__(body)
        self.body = body
        self.status = status


def fails(code: str, *params: str) -> Say:
    """A JSON-RPC 2.0 error as XAPI writes one."""
    return Say({"jsonrpc": "2.0", "error": {"code": 1, "message": code, "data": list(params)}, "id": 0})


@dataclass
class Fake:
    """`answers` by method; what is not in it succeeds with an empty text."""

    url: str = ""
    answers: dict[str, object] = field(default_factory=dict)
    calls: list[tuple[str, list[Any]]] = field(default_factory=list)

    def methods(self) -> list[str]:
        """The methods that were called, in order."""
        return [method for method, _ in self.calls]

    async def handle(self, request: web.Request) -> web.Response:
        """One POST."""
        asked = await request.json()
        self.calls.append((asked["method"], asked["params"]))
        answer = self.answers.get(asked["method"], "")
        try:
            if isinstance(answer, Say):
                raise answer
            result = await answer(*asked["params"]) if callable(answer) else answer
        except Say as said:
            return web.json_response(said.body, status=said.status)
        return web.json_response({"jsonrpc": "2.0", "result": result, "id": asked["id"]})


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, **answers: object) -> AsyncIterator[Fake]:
    """A fake on a loopback port of its own. Methods are given with `__` for the dot."""
    fake = Fake(answers={"session.login_with_password": "OpaqueRef:session", "session.get_uuid": "session-uuid"})
    fake.answers.update({name.replace("__", "."): answer for name, answer in answers.items()})
    app = web.Application()
    app.router.add_post("/jsonrpc", fake.handle)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=tls)
    await site.start()
    port = runner.addresses[0][1]
    fake.url = f"{'https' if tls else 'http'}://127.0.0.1:{port}"
    try:
        yield fake
    finally:
        await runner.cleanup()
