"""How a call travels: once, within a time-out, to a certificate that is trusted, and tagged with its step."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import xmlrpc.client
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import trustme
import XenAPI
from pydantic import SecretStr

from shared.xapi import transport
from shared.xapi.address import Unencrypted
from shared.xapi.answers import NoAnswer, Untrusted
from shared.xapi.port import Access

ANSWER = xmlrpc.client.dumps(({"Status": "Success", "Value": "yes"},), methodresponse=True).encode()
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER


@dataclass
class Server:
    """Answers every request with the same bytes, or hangs up; keeps heads and counts connections."""

    port: int = 0
    reply: bytes | None = OK
    hang: bool = False
    connections: int = 0
    heads: list[str] = field(default_factory=list)
    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, kept alive as long as the client wants."""
        self.connections += 1
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                text = head.decode()
                self.heads.append(text)
                self.asked.set()
                length = next(int(line[15:]) for line in text.splitlines() if line.lower().startswith("content-length"))
                await reader.readexactly(length)
                if self.hang:
                    await asyncio.sleep(60)
                if self.reply is None:
                    return
                writer.write(self.reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def serving(tls: ssl.SSLContext | None = None, **changed: Any) -> AsyncIterator[Server]:
    """A server on a loopback port of its own."""
    server = Server(**changed)
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0, ssl=tls)
    server.port = listening.sockets[0].getsockname()[1]
    try:
        yield server
    finally:
        listening.close()


def access(server: Server, scheme: str = "http", **trust: Any) -> Access:
    """How it is reached."""
    return Access(f"{scheme}://127.0.0.1:{server.port}", "root", SecretStr("s3cret"), **trust)


async def called(how: Access, *, times: int = 1, timeout: float = 5.0) -> list[Any]:
    """Call a method through the XenAPI package with our transport, off the loop. A list of what came back."""
    way = transport.Transport(how, timeout=timeout, tags={"rota-run": "r1", "rota-step": "t01-s002"})
    proxy = XenAPI.Session(how.url, transport=way)
    call: Callable[..., Any] = getattr(proxy, "Async.host.reboot")
    return [await asyncio.to_thread(call, "OpaqueRef:session", "OpaqueRef:athos") for _ in range(times)]


async def test_a_call_is_tagged_with_run_and_step() -> None:
    """The headers leave `http:rota-run` and `http:rota-step` in the task's other_config."""
    async with serving() as server:
        assert await called(access(server)) == [{"Status": "Success", "Value": "yes"}]
    (head,) = server.heads
    assert head.startswith("POST /RPC2 ")
    assert "x-http-other-config-rota-run: r1\r\n" in head
    assert "x-http-other-config-rota-step: t01-s002\r\n" in head


async def test_a_call_that_is_cut_is_not_sent_again() -> None:
    """The server read the whole request and hung up: the standard transport would send it a second time."""
    async with serving(reply=None) as server:
        with pytest.raises(NoAnswer):
            await called(access(server))
    assert len(server.heads) == 1


async def test_each_call_has_a_connection_of_its_own() -> None:
    """A kept-alive connection that drops could not be told from a lost call."""
    async with serving() as server:
        await called(access(server), times=3)
    assert (server.connections, len(server.heads)) == (3, 3)


async def test_a_server_that_says_nothing_is_given_up_in_time() -> None:
    """Within the time-out, and once."""
    async with serving(hang=True) as server:
        with pytest.raises(NoAnswer, match=r"did not answer within 0\.2 s"):
            await called(access(server), timeout=0.2)
    assert len(server.heads) == 1


@pytest.mark.parametrize(
    "reply",
    [
        b"HTTP/1.1 500 Internal Error\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 6\r\n\r\n<html>",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: 900\r\n\r\n<methodResponse>",
        b"no HTTP at all\r\n\r\n",
    ],
    ids=["status 500", "no XML", "cut short", "no HTTP"],
)
async def test_an_answer_that_is_none_is_no_answer(reply: bytes) -> None:
    """Whatever comes back, what was done is unknown."""
    async with serving(reply=reply) as server:
        with pytest.raises(NoAnswer):
            await called(access(server), timeout=0.5)


async def test_nobody_there_is_no_answer() -> None:
    """A port that is closed."""
    async with serving() as server:
        pass
    with pytest.raises(NoAnswer):
        await called(access(server))


async def test_a_password_is_never_sent_in_the_clear_to_another_machine() -> None:
    """http is for this very machine."""
    how = Access("http://10.1.2.3:1", "root", SecretStr("s3cret"))
    with pytest.raises(Unencrypted):
        await called(how)


async def test_a_certificate_of_the_pools_own_authority_is_trusted(tmp_path: Path) -> None:
    """And one of another is not; nothing is sent then."""
    ours, theirs = trustme.CA(), trustme.CA()
    ours.cert_pem.write_to_path(str(tmp_path / "ours.pem"))
    theirs.cert_pem.write_to_path(str(tmp_path / "theirs.pem"))
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ours.issue_cert("127.0.0.1").configure_cert(tls)
    async with serving(tls) as server:
        await called(access(server, "https", ca_file=tmp_path / "ours.pem"))
        with pytest.raises(Untrusted):
            await called(access(server, "https", ca_file=tmp_path / "theirs.pem"))
        with pytest.raises(Untrusted):
            await called(access(server, "https"))
    assert len(server.heads) == 1


async def test_a_pinned_certificate_is_trusted_and_no_other() -> None:
    """By its SHA-256, one of several; compared before anything is sent."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = trustme.CA().issue_cert("somebody.else")
    issued.configure_cert(tls)
    der = ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode())
    pin, other = hashlib.sha256(der).hexdigest(), "ab" * 32
    async with serving(tls) as server:
        await called(access(server, "https", fingerprint=f"{other}, {pin.upper()}"))
        with pytest.raises(Untrusted):
            await called(access(server, "https", fingerprint=other))
    assert len(server.heads) == 1


@pytest.mark.parametrize("text", ["", "abcd", "zz" * 32, "ab" * 20])
def test_a_fingerprint_is_a_sha256(text: str) -> None:
    """SHA-1 and nonsense are refused."""
    with pytest.raises(ValueError, match=r"fingerprint|hexadecimal"):
        transport.pins(text)


async def test_a_call_that_waits_is_cut_on_demand() -> None:
    """A step that is stopped does not wait for its time-out."""
    async with serving(hang=True) as server:
        way = transport.Transport(access(server), timeout=60, tags={})
        proxy = XenAPI.Session(access(server).url, transport=way)
        call = asyncio.create_task(asyncio.to_thread(getattr(proxy, "host.reboot"), "s"))
        async with asyncio.timeout(5):
            await server.asked.wait()
        way.abort()
        async with asyncio.timeout(5):
            with pytest.raises(NoAnswer):
                await call
