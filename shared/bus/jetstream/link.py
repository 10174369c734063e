"""The line to a NATS server: connecting, asking, and knowing when the line was broken or is back.

It knows what an answer is, and what no answer is. What is asked, and what an answer means, is for the other rooms.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import ssl
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from shared.bus.bell import Bell
from shared.bus.port import BusClosed, BusRefused, BusUnreachable

log = logging.getLogger(__name__)

LAST_ATTEMPTS = 1
"""How often a client that is closed may still try to come back before it must give up."""

PATIENCE = 5.0
"""Seconds that one request waits for its answer."""

OLDEST = (2, 12)
"""The first nats-server with atomic batches, which several facts of one decision need."""

_PAUSES = (0.05, 0.1, 0.2, 0.5, 1.0)
_NO_ANSWER = (
    nats.errors.TimeoutError,
    nats.errors.ConnectionClosedError,
    nats.errors.ConnectionDrainingError,
    nats.errors.ConnectionReconnectingError,
    nats.errors.OutboundBufferLimitError,
    nats.errors.StaleConnectionError,
)


class Unanswered(Exception):
    """Nobody answered: the line broke, nobody serves that subject, or it took too long. It may have been done."""


class Refusal(BusRefused):
    """The server answered with an error of its JetStream API."""

    def __init__(self, code: int, err_code: int, description: str) -> None:
        super().__init__(f"The bus refused: {description} (error {err_code}).")
        self.code, self.err_code, self.description = code, err_code, description

    @property
    def passes(self) -> bool:
        """Whether time may heal it."""
        return self.code == 503 or self.err_code in WAITS_FOR


@dataclass(frozen=True, slots=True)
class Access:
    """How to be let in. All may be left out; a user and password may also stand in the address."""

    nkey_seed: str | None = None
    credentials: Path | None = None
    tls: ssl.SSLContext | None = None
    inbox_prefix: str = "_INBOX"
    """A prefix of its own for each role, where the server's permissions keep roles from reading others' answers."""


class Link:
    """One connection that comes back by itself. Make it with `connect`."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.nc = Client()
        self.changed = Bell()
        self._asked: dict[str, asyncio.Future[Msg]] = {}
        self._number = itertools.count(1)
        self._inbox = ""
        self._wakes: set[Callable[[], None]] = set()
        self._ended: str | None = None
        self.closing = False
        self._warned: set[str] = set()

    # Being connected.

    async def connect(self, servers: Sequence[str], access: Access) -> None:
        """Connect, however long that takes. Raises BusRefused for a server that is too old."""
        await self.nc.connect(
            servers=list(servers),
            name=self.name,
            max_reconnect_attempts=-1,
            reconnect_time_wait=0.1,  # type: ignore[arg-type]  # nats-py takes fractions and says int
            ping_interval=2,  # a line that is cut without a word is noticed within 6 s
            max_outstanding_pings=2,
            error_cb=self._on_error,
            disconnected_cb=self._on_disconnected,
            reconnected_cb=self._on_reconnected,
            closed_cb=self._on_closed,
            inbox_prefix=access.inbox_prefix,
            nkeys_seed_str=access.nkey_seed,
            user_credentials=access.credentials,
            tls=access.tls,
        )
        version = self.nc.connected_server_version
        if (version.major, version.minor) < OLDEST:
            await self.nc.close()
            raise BusRefused(
                f"The NATS server is {version.major}.{version.minor}; Rota needs {OLDEST[0]}.{OLDEST[1]} or newer."
            )
        self._inbox = self.nc.new_inbox()
        await self.nc.subscribe(f"{self._inbox}.*", cb=self._on_answer)

    @property
    def up(self) -> bool:
        """Whether a message would get through now, as far as is known."""
        return self.nc.is_connected and self._ended is None

    async def ready(self) -> None:
        """Wait until connected. Raises BusClosed."""
        while not self.up:
            self.check_open()
            await self.changed.wait()

    def check_open(self) -> None:
        """Raises BusClosed when the link has ended."""
        if self._ended is not None:
            raise BusClosed(self._ended)

    def on_reconnect(self, wake: Callable[[], None]) -> Callable[[], None]:
        """Have `wake` called whenever the line is back or has ended; returns what takes that back."""
        self._wakes.add(wake)
        return lambda: self._wakes.discard(wake)

    async def close(self, within: float = 3.0) -> None:
        """Send what is waiting to be sent, and disconnect; never longer than `within` seconds."""
        self.closing = True
        self._end(f"The bus client '{self.name}' was closed.")
        # nats-py's reconnecting can swallow its cancellation (asyncio.wait_for does on 3.11) and would then go on for
        # ever; with a bound it runs out of servers and ends.
        self.nc.options["max_reconnect_attempts"] = LAST_ATTEMPTS
        with contextlib.suppress(TimeoutError, *_NO_ANSWER):
            async with asyncio.timeout(within):
                await self.nc.close()

    # Asking.

    async def ask(
        self, subject: str, data: bytes = b"", headers: Mapping[str, str] | None = None, patience: float = PATIENCE
    ) -> Msg:
        """One question, sent once. Raises Unanswered, at once when the line breaks while waiting, and BusClosed."""
        await self.ready()
        token = str(next(self._number))
        answer: asyncio.Future[Msg] = asyncio.get_running_loop().create_future()
        self._asked[token] = answer
        try:
            async with asyncio.timeout(patience):
                await self.nc.publish(subject, data, f"{self._inbox}.{token}", dict(headers) if headers else None)
                found = await answer
        except (TimeoutError, *_NO_ANSWER) as error:
            raise Unanswered(f"no answer on {subject}: {type(error).__name__}") from error
        finally:
            self._asked.pop(token, None)
            if not answer.cancel() and not answer.cancelled():
                answer.exception()  # looked at, so that nobody complains of it
        if status(found) == 503:
            raise Unanswered(f"nobody serves {subject}")
        return found

    async def api(self, verb: str, body: Mapping[str, Any] | None = None, patience: float = PATIENCE) -> dict[str, Any]:
        """One request to JetStream's API. Raises Unanswered, Refusal, BusClosed."""
        return decode(await self.ask(f"$JS.API.{verb}", json.dumps(body or {}).encode(), patience=patience))

    async def insist(self, question: Callable[[], Awaitable[Any]], within: float | None = None) -> Any:
        """Put a question that changes nothing, or may be put twice, until it is answered. A refusal that time may heal
        (no JetStream yet, no leader, no room, not yet made) counts as no answer.

        Raises Refusal for others, BusClosed, and BusUnreachable after `within` seconds.
        """
        reason = "nobody answers"
        try:
            async with asyncio.timeout(within):
                for pause in itertools.chain(_PAUSES, itertools.repeat(_PAUSES[-1])):
                    try:
                        return await question()
                    except Unanswered as error:
                        reason = str(error)
                        self.note(reason)
                    except Refusal as refusal:
                        reason = refusal.description
                        if not refusal.passes:
                            raise
                        self.warn(f"The bus is there but cannot serve yet: {reason}. Waiting for it.")
                    await self.changed.wait(asyncio.get_running_loop().time() + pause)
        except TimeoutError:
            pass
        raise BusUnreachable(f"The bus did not do it within {within:g} s: {reason}.")

    async def hint(self, subject: str, data: bytes, reply: str = "") -> None:
        """Send something that may be lost, and is when the line is down."""
        with contextlib.suppress(*_NO_ANSWER):
            if self.up:
                await self.nc.publish(subject, data, reply)

    async def send(self, subject: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Send something whose loss is noticed by others. Raises Unanswered when it cannot even be sent."""
        try:
            await self.nc.publish(subject, data, headers=dict(headers))
        except _NO_ANSWER as error:
            raise Unanswered(f"{subject} could not be sent: {type(error).__name__}") from error

    def note(self, sentence: str) -> None:
        """Tell whoever looks closely."""
        log.debug("%s: %s", self.name, sentence)

    def warn(self, sentence: str) -> None:
        """Tell people, once until the line changes."""
        if sentence not in self._warned:
            self._warned.add(sentence)
            log.warning("%s: %s", self.name, sentence)

    # What nats-py tells us.

    async def _on_answer(self, message: Msg) -> None:
        waiting = self._asked.get(message.subject.rpartition(".")[2])
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        text = str(error) or type(error).__name__
        if "permissions violation" in text.lower() or isinstance(error, nats.errors.AuthorizationError):
            self.warn(f"The bus refuses us: {text}.")
        elif not self.nc.is_connected:
            self.warn("The bus is away; waiting for it.")
            log.debug("%s: %s", self.name, text)
        else:
            log.debug("%s: %s", self.name, text)

    async def _on_disconnected(self) -> None:
        """An answer that was under way will not come any more."""
        for waiting in self._asked.values():
            if not waiting.done():
                waiting.set_exception(nats.errors.StaleConnectionError())
        self.changed.ring()

    async def _on_reconnected(self) -> None:
        if self._warned:
            log.warning("%s: The bus is back.", self.name)
        self._warned.clear()
        self._wake()

    async def _on_closed(self) -> None:
        self._end(f"The bus has ended the connection of '{self.name}' for good: {self.nc.last_error or 'no reason'}.")

    def _end(self, reason: str) -> None:
        if self._ended is None:
            self._ended = reason
        self._wake()

    def _wake(self) -> None:
        self.changed.ring()
        for wake in tuple(self._wakes):
            wake()


async def connect(url: str, *, name: str, access: Access, within: float | None) -> Link:
    """A link to the servers of `url` (several with commas between). `within` bounds the first connection in seconds.

    Raises BusUnreachable, BusRefused.
    """
    link = Link(name)
    try:
        async with asyncio.timeout(within):
            await link.connect([server.strip() for server in url.split(",")], access)
    except TimeoutError:
        reason = f": {link.nc.last_error}" if link.nc.last_error else "."
        await link.close()
        raise BusUnreachable(f"The bus at {hidden(url)} let nobody in within {within:g} s{reason}") from None
    except BaseException:
        await link.close()
        raise
    return link


def hidden(url: str) -> str:
    """Addresses for people, without the password in them."""
    return ", ".join(server.strip().rpartition("//")[2].rpartition("@")[2] for server in url.split(","))


def status(message: Msg) -> int:
    """The status of a message that the server itself sent, 0 for others (they tell their stream, or how to ack)."""
    if message.reply or message.data or not message.headers or "Nats-Stream" in message.headers:
        return 0
    told = message.headers.get("Status", "")
    return int(told) if told.isdigit() else 0


def decode(message: Msg) -> dict[str, Any]:
    """An answer of JetStream. Raises Refusal when it is one, Unanswered when it is none at all."""
    try:
        answer = json.loads(message.data)
    except ValueError as error:
        raise Unanswered("an answer that is no JSON") from error
    if not isinstance(answer, dict):
        raise Unanswered("an answer that is no object")
    if refused := answer.get("error"):
        raise Refusal(int(refused.get("code", 0)), int(refused.get("err_code", 0)), str(refused.get("description", "")))
    return answer


WAITS_FOR = frozenset(
    {
        10059,  # stream not found: whoever makes them has not come to it yet
        10008,  # JetStream system temporarily unavailable
        10009,  # cluster has no leader
        10039,  # JetStream not enabled for account: also while a server is still coming up
        10076,  # JetStream not enabled
    }
)
