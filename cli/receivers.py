"""The demo's own mail server and webhook receiver: on loopback, each keeps what it receives as it received it.

Files are `mail-<n>-<occasion>.eml` and `webhook-<n>-<occasion>.json`, counted from 1 as they come.
"""

from __future__ import annotations

import asyncio
import contextlib
import email
import email.policy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, get_args

from aiohttp import web
from aiosmtpd.smtp import SMTP, Envelope, Session

from shared.domain.facts import Occasion

LOOPBACK = "127.0.0.1"
OCCASION_HEADER = "X-Rota-Occasion"
OCCASIONS: frozenset[str] = frozenset(get_args(Occasion))


class Inbox:
    """A folder in which what arrives is counted and kept."""

    def __init__(self, folder: Path, kind: str, ending: str) -> None:
        self._folder = folder
        self._kind = kind
        self._ending = ending
        self.files: list[tuple[str, Path]] = []
        self.news = asyncio.Event()

    def keep(self, occasion: str, data: bytes) -> None:
        """Write what arrived to its file."""
        occasion = occasion if occasion in OCCASIONS else "unknown"
        path = self._folder / f"{self._kind}-{len(self.files) + 1}-{occasion}.{self._ending}"
        path.write_bytes(data)
        self.files.append((occasion, path))
        self.news.set()

    def file(self, occasion: str) -> Path | None:
        """The first file of an occasion, or None."""
        return next((path for told, path in self.files if told == occasion), None)

    async def until(self, occasion: str) -> None:
        """Wait until something of an occasion has arrived."""
        while self.file(occasion) is None:
            self.news.clear()
            await self.news.wait()


class _Mailman:
    """What aiosmtpd asks when a mail has come in (aiosmtpd, handlers: handle_DATA)."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        data = envelope.original_content or b""
        message = email.message_from_bytes(data, policy=email.policy.default)
        self._inbox.keep(str(message.get(OCCASION_HEADER, "")).strip(), data)
        return "250 OK"


@contextlib.asynccontextmanager
async def mail_server(inbox: Inbox) -> AsyncIterator[int]:
    """A mail server on a free port of loopback, which this gives."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(_Mailman(inbox), hostname="localhost", loop=loop), LOOPBACK, 0)
    async with server:
        yield int(server.sockets[0].getsockname()[1])


@contextlib.asynccontextmanager
async def webhook_server(inbox: Inbox) -> AsyncIterator[str]:
    """A receiver of webhooks on a free port of loopback; gives its address."""

    async def receive(request: web.Request) -> web.Response:
        data = await request.read()
        inbox.keep(request.headers.get(OCCASION_HEADER) or _occasion_in(data), data)
        return web.Response(status=204)

    application = web.Application(client_max_size=8 * 2**20)
    application.router.add_post("/rota", receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, LOOPBACK, 0)
        await site.start()
        port = runner.addresses[0][1]
        yield f"http://{LOOPBACK}:{port}/rota"
    finally:
        await runner.cleanup()


def _occasion_in(data: bytes) -> str:
    with contextlib.suppress(ValueError):
        body: Any = json.loads(data)
        if isinstance(body, dict):
            return str(body.get("occasion", ""))
    return ""
