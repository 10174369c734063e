"""The demo's mail server and webhook receiver keep what they receive as they received it."""

from __future__ import annotations

import asyncio
from email.message import EmailMessage
from pathlib import Path

import aiohttp

from cli import receivers
from cli.receivers import Inbox


async def send(port: int, data: bytes) -> str:
    """Deliver a mail by hand; gives the server's last answer."""
    reader, writer = await asyncio.open_connection(receivers.LOOPBACK, port)
    await reader.readline()
    for line in (b"HELO test", b"MAIL FROM:<a@b.example>", b"RCPT TO:<c@d.example>", b"DATA"):
        writer.write(line + b"\r\n")
        await reader.readline()
    writer.write(data.replace(b"\n", b"\r\n") + b"\r\n.\r\n")
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer.decode()


def mail(occasion: str, text: str) -> bytes:
    """A mail as the reporter sends it."""
    message = EmailMessage()
    message["Subject"] = text
    message["X-Rota-Occasion"] = occasion
    message.set_content(text)
    return message.as_bytes()


async def test_mails_are_counted_as_they_come_and_named_by_their_occasion(tmp_path: Path) -> None:
    """An occasion that nobody knows cannot choose a file name."""
    inbox = Inbox(tmp_path, "mail", "eml")
    async with asyncio.timeout(10), receivers.mail_server(inbox) as port:
        assert (await send(port, mail("started", "One"))).startswith("250")
        await send(port, mail("../../etc/passwd", "Two"))
        await send(port, mail("ended", "Three"))
        await inbox.until("ended")
    names = [path.name for _, path in inbox.files]
    assert names == ["mail-1-started.eml", "mail-2-unknown.eml", "mail-3-ended.eml"]
    assert b"Subject: One" in (tmp_path / "mail-1-started.eml").read_bytes()


async def test_webhooks_are_kept_byte_by_byte(tmp_path: Path) -> None:
    """Also with the spaces that the sender chose."""
    inbox = Inbox(tmp_path, "webhook", "json")
    body = b'{"occasion":  "ended", "run":"r1"}\n'
    async with asyncio.timeout(10), receivers.webhook_server(inbox) as url, aiohttp.ClientSession() as session:
        async with session.post(url, data=body) as answer:
            assert answer.status == 204
        async with session.post(url, data=b"no json") as answer:
            assert answer.status == 204
        await inbox.until("ended")
    assert (tmp_path / "webhook-1-ended.json").read_bytes() == body
    assert (tmp_path / "webhook-2-unknown.json").read_bytes() == b"no json"
