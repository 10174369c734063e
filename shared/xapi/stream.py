"""Reading a pool by JSON-RPC: a session, its calls, and `event.from`. Over TLS that is verified, or on loopback.

Nothing here changes a pool by itself and nothing is ever sent twice. What is read is kept by `Mirror`.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import ssl
from collections.abc import Sequence
from typing import Any, Self

import aiohttp

from shared.xapi import address as addresses
from shared.xapi.answers import Emergency, Failure, HostIsSlave, NoAnswer, SessionGone, Untrusted, read
from shared.xapi.mirror import Batch, Change, Event, Mirror, Record
from shared.xapi.port import Access

__all__ = [
    "Access",
    "Batch",
    "Change",
    "Emergency",
    "Event",
    "Failure",
    "HostIsSlave",
    "Mirror",
    "NoAnswer",
    "Reader",
    "Record",
    "SessionGone",
    "Untrusted",
]

API_VERSION = "1.0"
"""The third parameter of a login; XAPI ignores it (xapi_session.ml)."""

EVENT_GRACE = 6.0
"""Seconds of machine time that an answer to event.from may come later than the time-out given to the pool."""

LOGOUT = 2.0
"""Seconds of machine time that a logout may take."""

DOWNLOAD = 120.0
LARGEST = 256 * 1024 * 1024
"""Seconds of machine time, and bytes, that a download may take; a pool's database has some tens of MB."""


class Reader:
    """One session on one host. Made by `open`; `session_ref` is a credential, `session_uuid` may be told.

    Every method may raise NoAnswer (nothing usable came back), Failure (XAPI said no), and of these Untrusted,
    HostIsSlave, Emergency and SessionGone; a reader that raised SessionGone is of no more use. It may be used by
    several coroutines at once, one of them in `events`.
    """

    def __init__(self, url: str, tls: ssl.SSLContext | aiohttp.Fingerprint | bool, timeout: float) -> None:
        self.url = url
        self.session_ref = ""
        self.session_uuid = ""
        self._tls = tls
        self._http = aiohttp.ClientSession(
            cookie_jar=aiohttp.DummyCookieJar(), timeout=aiohttp.ClientTimeout(total=None), trust_env=False
        )
        self._timeout = timeout
        self._ids = itertools.count(1)

    @classmethod
    async def open(
        cls, access: Access, address: str | None = None, *, timeout: float = 10.0, originator: str = "rota"
    ) -> Self:
        """Log in, on the pool's configured host or on another address of it (bare, no port).

        `timeout` in seconds of machine time bounds each call. `originator` must be stable: XAPI bounds the sessions
        of each (xapi_globs.ml max_sessions_per_originator). A member answers HostIsSlave before it looks at the
        password (xapi_session.ml). Raises ValueError for http to another machine and for a fingerprint that is none,
        OSError for a ca_file that cannot be read.
        """
        host = addresses.host(access.url) if address is None else address
        reader = cls(addresses.at(access.url, host), _trust(access), timeout)
        try:
            await reader._log_in(access, originator)
        except BaseException:
            await reader.close()
            raise
        return reader

    async def call(self, method: str, *params: object, timeout: float | None = None) -> Any:
        """Call `method`, for example `host.get_servertime`; the session is put in front of the parameters."""
        return await self._ask(method, [self.session_ref, *params], self._timeout if timeout is None else timeout)

    async def events(self, classes: Sequence[str], token: str, timeout: float) -> Batch:
        """`event.from`: what changed since `token`, waiting up to `timeout` seconds of machine time for something.

        An empty token gives all objects of the classes, as one consistent reading.
        """
        parameters = [self.session_ref, list(classes), token, float(timeout)]
        reply = await self._ask("event.from", parameters, timeout + EVENT_GRACE)
        try:
            return _batch(reply)
        except (KeyError, TypeError, ValueError) as error:
            raise NoAnswer(f"{self.url} gave an answer to event.from that cannot be understood: {error!r}.") from error

    async def get(self, path: str, timeout: float = DOWNLOAD) -> bytes:
        """What a path answers to a GET with this session, at most LARGEST bytes. Raises NoAnswer."""
        url, query = f"{self.url}{path}", {"session_id": self.session_ref}
        try:
            async with (
                asyncio.timeout(timeout),
                self._http.get(url, params=query, ssl=self._tls, allow_redirects=False) as reply,
            ):
                if reply.status != 200:
                    raise NoAnswer(f"{url} answered with HTTP status {reply.status}.")
                answer = await reply.content.read(LARGEST + 1)
                while len(answer) <= LARGEST and (more := await reply.content.read(LARGEST + 1 - len(answer))):
                    answer += more
        except TimeoutError as error:
            raise NoAnswer(f"{url} did not answer within {timeout:g} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{url} did not answer: {_spoken(error)}.") from error
        if len(answer) > LARGEST:
            raise NoAnswer(f"{url} answered with more than {LARGEST} bytes.")
        return answer

    async def close(self) -> None:
        """Log out, within a short bound, and disconnect. Never raises because the pool is away."""
        try:
            if self.session_ref:
                await self._ask("session.logout", [self.session_ref], LOGOUT)
        except (NoAnswer, Failure):
            pass
        finally:
            self.session_ref = ""
            await self._http.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _log_in(self, access: Access, originator: str) -> None:
        credentials = [access.username, access.password.get_secret_value(), API_VERSION, originator]
        self.session_ref = str(await self._ask("session.login_with_password", credentials, self._timeout))
        self.session_uuid = str(await self.call("session.get_uuid", self.session_ref))

    async def _ask(self, method: str, params: Sequence[object], timeout: float) -> Any:
        id = next(self._ids)
        body = json.dumps({"jsonrpc": "2.0", "method": method, "params": params, "id": id}).encode()
        try:
            return read(await self._post(body, timeout), id=id)
        except (aiohttp.ServerFingerprintMismatch, aiohttp.ClientConnectorCertificateError) as error:
            raise Untrusted(
                f"The certificate of {self.url} is not one that this pool's ca_file or fingerprint vouches for;"
                " add the host's certificate there, or find out who answers."
            ) from error
        except TimeoutError as error:
            raise NoAnswer(f"{self.url} did not answer {method} within {timeout:g} s.") from error
        except (aiohttp.ClientError, OSError) as error:
            raise NoAnswer(f"{self.url} did not answer {method}: {_spoken(error)}.") from error

    async def _post(self, body: bytes, timeout: float) -> bytes:
        headers = {"Content-Type": "application/json"}
        async with (
            asyncio.timeout(timeout),
            self._http.post(
                f"{self.url}/jsonrpc", data=body, headers=headers, ssl=self._tls, allow_redirects=False
            ) as reply,
        ):
            answer = await reply.read()
            if reply.status != 200:
                raise NoAnswer(f"{self.url} answered with HTTP status {reply.status}, as a host does that starts.")
            return answer


class _AnyOf(aiohttp.Fingerprint):
    """Several pinned certificates: each host of a pool has its own."""

    def __init__(self, pinned: Sequence[aiohttp.Fingerprint]) -> None:
        super().__init__(pinned[0].fingerprint)
        self._pinned = tuple(pinned)

    def check(self, transport: asyncio.Transport) -> None:
        for pin in self._pinned[:-1]:
            try:
                return pin.check(transport)
            except aiohttp.ServerFingerprintMismatch:
                continue
        return self._pinned[-1].check(transport)


def _trust(access: Access) -> ssl.SSLContext | aiohttp.Fingerprint | bool:
    if access.fingerprint:
        words = access.fingerprint.replace(",", " ").split()
        return _AnyOf([aiohttp.Fingerprint(bytes.fromhex(word.replace(":", ""))) for word in words])
    if access.ca_file is not None:
        return ssl.create_default_context(cafile=str(access.ca_file))
    return True


def _spoken(error: Exception) -> str:
    """The system's own words where a connection was not made (aiohttp's name its objects), else the library's."""
    if isinstance(error, aiohttp.ClientConnectorError) and error.os_error.errno:
        return os.strerror(error.os_error.errno)
    return str(error) or type(error).__name__


def _batch(reply: Any) -> Batch:
    counts = {str(name).lower(): int(count) for name, count in reply["valid_ref_counts"].items()}
    return Batch(tuple(_event(event) for event in reply["events"]), str(reply["token"]), counts)


def _event(event: Any) -> Event:
    operation = str(event["operation"])
    snapshot = None if operation == "del" else event["snapshot"]
    return Event(str(event["class"]).lower(), operation, str(event["ref"]), snapshot)
