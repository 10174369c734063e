"""A webhook: the letter as JSON, posted to an address, in Rota's own shape or in that of a chat.

Each post carries `Idempotency-Key` (the same for every try at one occasion: a receiver that has seen it may forget the
copy), `X-Rota-Timestamp` (seconds since 1970, new for each try) and, where a secret is set, `X-Rota-Signature`:
`sha256=` and the HMAC-SHA256, in hex, of the timestamp, a full stop, and the body's bytes.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from types import MappingProxyType
from urllib.parse import urlsplit

import aiohttp

from services.reporter import chat, envelope
from services.reporter.channels.port import Parcel
from services.reporter.letter import Letter
from services.reporter.spoken import clean
from shared.domain.errors import GiveUp, RotaError, TryAgain
from shared.settings import WebhookDestination
from shared.signing import signature

ALTOGETHER = 20.0
"""Seconds of machine time for one post."""

LONGEST_WISH = 3600.0
"""Seconds that a receiver may ask for with Retry-After."""

LATER = frozenset({408, 425, 429})
"""Refusals that are for now; all other 4xx are for ever."""


class WebhookChannel:
    """One address. `machine` is machine time; `hide` takes secrets out of what receivers answer."""

    def __init__(
        self,
        key: str,
        settings: WebhookDestination,
        session: aiohttp.ClientSession,
        machine: Callable[[], float],
        hide: Callable[[str], str],
    ) -> None:
        self._key = key
        self._settings = settings
        self._session = session
        self._machine = machine
        self._hide = hide

    @property
    def name(self) -> str:
        return f"webhook.{self._key}"

    async def deliver(self, parcel: Parcel) -> str:
        """Post it; the reference is its idempotency key."""
        occasion = parcel.letter.occasion
        data = await asyncio.to_thread(SHAPES[self._settings.shape], parcel.letter)
        headers = self._headers(occasion.id, data) | {"X-Rota-Occasion": occasion.name}
        try:
            await self._post(data, headers)
        except aiohttp.InvalidURL as error:
            raise GiveUp(
                f"The address of webhook.{self._key} is none.", who_can_help="whoever keeps rota.toml"
            ) from error
        except (aiohttp.ClientError, OSError) as error:
            raise TryAgain(f"{self._host} could not be reached: {_reason(error)}.", after=0.0) from error
        return occasion.id

    async def _post(self, data: bytes, headers: dict[str, str]) -> None:
        async with self._session.post(
            self._settings.url,
            data=data,
            headers=headers,
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=ALTOGETHER),
            ssl=await asyncio.to_thread(self._context) if self._settings.ca_file else True,
        ) as answer:
            if not 200 <= answer.status < 300:
                text = (await answer.content.read(400)).decode("utf-8", "replace")
                raise self._answered(answer.status, text, answer.headers.get("Retry-After", ""))

    def _headers(self, id: str, data: bytes) -> dict[str, str]:
        timestamp = str(int(self._machine()))
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": "Rota",
            "Idempotency-Key": id,
            "X-Rota-Timestamp": timestamp,
        }
        secret = self._settings.password.get_secret_value()
        return headers | ({"X-Rota-Signature": signature(secret, timestamp, data)} if secret else {})

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._settings.ca_file)

    def _answered(self, status: int, text: str, retry_after: str) -> RotaError:
        said = self._hide(clean(text, 300))
        because = f"{self._host} answered {status}{': ' + said if said else ''}."
        if 300 <= status < 400:
            because = (
                f"{self._host} answered {status}, a redirection, which is not followed: write the address it leads to."
            )
        if status in LATER or status >= 500:
            return TryAgain(because, after=wished(retry_after, self._machine()))
        return GiveUp(because, who_can_help="whoever keeps the receiver, or rota.toml")

    @property
    def _host(self) -> str:
        """All that may be told of an address: its path and query are often secrets."""
        return urlsplit(self._settings.url).hostname or "The receiver"


def wished(retry_after: str, now: float) -> float:
    """The seconds that a Retry-After asks for, as a number or a date, within bounds; 0 where it asks for none."""
    try:
        seconds = float(retry_after)
    except ValueError:
        try:
            when = parsedate_to_datetime(retry_after)
        except ValueError:
            return 0.0
        seconds = (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp() - now
    return min(LONGEST_WISH, max(0.0, seconds)) if seconds == seconds else 0.0


def _reason(error: Exception) -> str:
    """Why, without the address: aiohttp puts the whole of it into some of its errors."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    cause = getattr(error, "os_error", error)
    text = getattr(cause, "strerror", None) or type(error).__name__
    return clean(str(text), 200)


SHAPES: Mapping[str, Callable[[Letter], bytes]] = MappingProxyType(
    {"rota": envelope.body, "slack": chat.slack, "mattermost": chat.mattermost}
)
"""How a body is made, by the destination's `shape`."""
