"""A mail server for tests: a real one (aiosmtpd) on a free port of loopback, with certificates made for the occasion,
that can refuse, put off and vanish.
"""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import warnings
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import default
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from shared.settings import MailDestination

LOOPBACK = "127.0.0.1"
USER, PASSWORD = "rota", "correct horse battery"


@dataclass
class Postman:
    """What the server does with what it gets; aiosmtpd asks it (aiosmtpd docs, handlers). `answers` are given one after
    the other to RCPT, then to DATA; what is accepted lies in `mails`."""

    to_recipients: list[str] = field(default_factory=list)
    to_data: list[str] = field(default_factory=list)
    vanish_after_data: int = 0
    mails: list[bytes] = field(default_factory=list)
    envelopes: list[tuple[str | None, list[str]]] = field(default_factory=list)
    seen: list[bytes] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.to_recipients and not (answer := self.to_recipients.pop(0)).startswith("250"):
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        data = envelope.original_content or b""
        self.seen.append(data)
        if self.vanish_after_data:
            self.vanish_after_data -= 1
            assert server.transport is not None
            server.transport.close()
            return "451 nobody hears this"
        if self.to_data and not (answer := self.to_data.pop(0)).startswith("250"):
            return answer
        self.mails.append(data)
        self.envelopes.append((envelope.mail_from, list(envelope.rcpt_tos)))
        return "250 OK: queued"

    def read(self, n: int = -1) -> EmailMessage:
        """The n-th mail that was accepted, parsed."""
        message = BytesParser(policy=default).parsebytes(self.mails[n])
        assert isinstance(message, EmailMessage)
        return message


def certificates(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for loopback, and the file of the authority that signed it."""
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(LOOPBACK, "localhost").configure_cert(context)
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return context, file


@contextlib.asynccontextmanager
async def serving(postman: Postman, *, tls: str = "none", context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """The server on a port of its own: `none`, `starttls` with a password asked for, or `implicit`."""
    loop = asyncio.get_running_loop()
    options: dict[str, Any] = {}
    if tls == "starttls":
        options = {"tls_context": context, "require_starttls": True}
    if tls != "none":
        options |= {"authenticator": authenticate, "auth_required": True, "auth_require_tls": tls == "starttls"}
    server = await loop.create_server(
        lambda: _protocol(postman, options),
        LOOPBACK,
        0,
        ssl=context if tls == "implicit" else None,
    )
    async with server:
        yield int(server.sockets[0].getsockname()[1])


def _protocol(postman: Postman, options: dict[str, Any]) -> SMTP:
    with warnings.catch_warnings():  # it warns of passwords without TLS, not knowing of the TLS it runs in
        warnings.simplefilter("ignore", UserWarning)
        return SMTP(postman, hostname="mail.example.org", loop=asyncio.get_running_loop(), **options)


def authenticate(server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
    """Whether a password is the right one."""
    right = data.login == USER.encode() and data.password == PASSWORD.encode()
    return AuthResult(success=right, handled=right)


def destination(port: int, **more: object) -> MailDestination:
    """A mailbox on that server."""
    told = {
        "host": LOOPBACK,
        "port": port,
        "tls": "none",
        "sender": "Rota <rota@example.org>",
        "to": ["ops@example.org"],
    }
    return MailDestination.model_validate(told | more)
