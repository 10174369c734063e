"""Mail by SMTP: one mailbox of one destination. STARTTLS, TLS from the first byte, or none on a trusted line.

SMTP cannot promise once and only once: a server that took a mail may be cut off before it says so. Rota then sends it
again, the same to the byte, with the same Message-ID, by which mail programs and many servers know it for a copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email import policy
from email.headerregistry import HeaderRegistry, MessageIDHeader
from email.message import EmailMessage
from email.utils import format_datetime, parseaddr
from typing import Any, cast

import aiosmtplib

from services.reporter.channels.port import Parcel
from services.reporter.occasions import Occasion
from services.reporter.rendering import Renderer
from services.reporter.spoken import clean
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import MailDestination

PER_COMMAND = 30.0
"""Seconds of machine time that one answer of the server may take."""

ALTOGETHER = 120.0
"""Seconds of machine time for one mail, greeting to farewell."""


class MailChannel:
    """One mailbox. A destination with several has one of these for each, so that a refusal of one repeats nothing for
    the others; all of them are named in the mail. `hide` takes secrets out of what servers answer."""

    def __init__(
        self, key: str, settings: MailDestination, mailbox: str, renderer: Renderer, hide: Callable[[str], str]
    ) -> None:
        self._key = key
        self._settings = settings
        self._mailbox = mailbox
        self._renderer = renderer
        self._hide = hide

    @property
    def name(self) -> str:
        return f"mail.{self._key}" if len(self._settings.to) == 1 else f"mail.{self._key} {self._mailbox}"

    async def deliver(self, parcel: Parcel) -> str:
        """Send the mail; the reference is its Message-ID."""
        sender, mailbox = self._addresses()
        message = compose(parcel, self._key, self._settings, self._renderer)
        try:
            async with asyncio.timeout(ALTOGETHER):
                await self._send(message, sender, mailbox)
        except aiosmtplib.SMTPRecipientsRefused as error:
            raise self._answered(error.recipients[0].code, error.recipients[0].message) from error
        except aiosmtplib.SMTPResponseException as error:
            raise self._answered(error.code, error.message) from error
        except (aiosmtplib.SMTPException, OSError) as error:
            because = f"The mail server {self._settings.host} could not be used: {self._shown(_reason(error))}."
            raise TryAgain(because, after=0.0) from error
        return str(message["Message-ID"])

    def _addresses(self) -> tuple[str, str]:
        try:
            return address(self._settings.sender), address(self._mailbox)
        except ValueError as error:
            raise GiveUp(
                f"No mail can be sent: {clean(str(error))}.", who_can_help="whoever keeps rota.toml"
            ) from error

    async def _send(self, message: EmailMessage, sender: str, mailbox: str) -> None:
        settings = self._settings
        client = aiosmtplib.SMTP(
            hostname=settings.host,
            port=settings.port,
            use_tls=settings.tls == "implicit",
            start_tls=settings.tls == "starttls",
            tls_context=None if settings.tls == "none" else await asyncio.to_thread(self._context),
            local_hostname=socket.gethostname(),
            timeout=PER_COMMAND,
        )
        try:
            await client.connect()
            if settings.username:
                await client.login(settings.username, settings.password.get_secret_value())
            await client.sendmail(sender, [mailbox], message.as_bytes())
            with contextlib.suppress(aiosmtplib.SMTPException, OSError):  # it has the mail; how it parts is all one
                await client.quit(timeout=5.0)
        finally:
            client.close()

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file)

    def _answered(self, code: int, text: str) -> TryAgain | GiveUp:
        """5xx is for ever (RFC 5321, 4.2.1), everything else for now: greylisting, a full disk, too many mails."""
        because = (
            f"The mail server {self._settings.host} refused the mail for {self._mailbox}: {code} {self._shown(text)}"
        )
        if 500 <= code < 600:
            return GiveUp(because, who_can_help="whoever keeps the mail server, or rota.toml")
        return TryAgain(because, after=0.0)

    def _shown(self, text: str) -> str:
        return self._hide(clean(text, 500)).rstrip(".")


def channels(
    key: str, settings: MailDestination, renderer: Renderer, hide: Callable[[str], str]
) -> Iterator[MailChannel]:
    """One channel for each mailbox of a destination."""
    for mailbox in dict.fromkeys(settings.to):
        yield MailChannel(key, settings, mailbox, renderer, hide)


def compose(parcel: Parcel, key: str, settings: MailDestination, renderer: Renderer) -> EmailMessage:
    """The mail, the same to the byte whenever and by whomever it is made. Raises ValueError for bad addresses."""
    letter = parcel.letter
    occasion = letter.occasion
    domain = address(settings.sender).rpartition("@")[2]
    message = EmailMessage(policy=POLICY)
    message["Message-ID"] = message_id(occasion, key, domain)
    message["Date"] = format_datetime(datetime.fromtimestamp(int(occasion.stored_at) + 60 * occasion.again, UTC))
    message["From"] = settings.sender
    message["To"] = ", ".join(settings.to)
    message["Subject"] = letter.subject
    if parcel.answers is not None and parcel.answers != occasion:
        announced = message_id(parcel.answers, key, domain)
        message["In-Reply-To"] = announced
        message["References"] = announced
    message["Auto-Submitted"] = "auto-generated"
    message["X-Auto-Response-Suppress"] = "All"
    message["X-Rota-Occasion"] = occasion.name
    message["X-Rota-Pool"] = occasion.pool
    message["X-Rota-Run"] = occasion.run
    written = renderer.mail(letter)
    message.set_content(written.text, cte="quoted-printable")
    message.add_alternative(written.html, subtype="html", cte="quoted-printable")
    message.set_boundary(f"=_rota.{occasion.id}"[:70])
    return message


def message_id(occasion: Occasion, key: str, domain: str) -> str:
    """The name of the mail that tells a destination of an occasion; made from nothing that changes between tries."""
    return f"<{occasion.id}.{key}@{domain}>"


def address(text: str) -> str:
    """The bare address of `Rota <rota@example.org>`. Raises ValueError for what is none, or not of plain letters."""
    bare = parseaddr(text)[1]
    name, at, domain = bare.rpartition("@")
    if not (name and at and domain) or not bare.isascii() or any(one.isspace() or one in "<>," for one in bare):
        raise ValueError(f"{text!r} has no address of the form name@domain in plain letters")
    return bare


def _reason(error: BaseException) -> str:
    """Why in the end: the library wraps the system's own words, and drops them from its own."""
    while error.__cause__ is not None and not isinstance(error, TimeoutError):
        error = error.__cause__
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error) or type(error).__name__


def _registry() -> HeaderRegistry:
    """Headers as the library writes them, but ids that are never broken up: In-Reply-To and References are free text to
    it, and it encodes an id longer than a line so that no mail program knows it again (email/_header_value_parser.py).
    """
    registry = HeaderRegistry()
    for name in ("in-reply-to", "references"):
        registry.map_to_type(name, cast("Any", MessageIDHeader))
    return registry


POLICY = policy.SMTP.clone(header_factory=_registry())
"""How mails become bytes."""
