"""What is read of streams: all up to now, all for ever, the last on a subject, which subjects there are."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from functools import partial
from typing import Any, Self

from nats.aio.msg import Msg

from shared.bus.jetstream.link import Link, status
from shared.bus.jetstream.pull import NANOS, place_of, plain_headers, stored
from shared.bus.jetstream.reader import Reader
from shared.bus.port import BusClosed, BusRefused, Stored


class Follower:
    """A stream for ever. Entered when its consumer is made; ends calmly when the bus is closed."""

    def __init__(self, link: Link, stream: str, filters: Sequence[str], after: int) -> None:
        self._link = link
        self._reader = Reader(link, stream, filters, after)

    async def __aenter__(self) -> Self:
        await self._reader.open()
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._reader.close()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Stored:
        try:
            while (message := await self._reader.next()) is None:
                pass
        except BusClosed:
            if self._link.closing:
                raise StopAsyncIteration from None
            raise
        return stored(message)


async def read(
    link: Link, stream: str, filters: Sequence[str], *, after: int = 0, last_per_subject: bool = False, **config: Any
) -> AsyncIterator[Stored]:
    """What a stream holds above `after`, up to now; with `last_per_subject` only the last of each subject."""
    end = await last_seq(link, stream)
    policy = {"deliver_policy": "last_per_subject"} if last_per_subject else {}
    reader = Reader(link, stream, filters, 0 if last_per_subject else after, mem_storage=True, **policy, **config)
    try:
        await reader.open()
        left = reader.pending > 0
        while left:
            message = await reader.next()
            if message is None:
                left = not await reader.exhausted()
                continue
            place = place_of(message)
            left = place.pending > 0 and (last_per_subject or place.seq < end)
            if place.seq > after and (last_per_subject or place.seq <= end):
                yield stored(message)
    finally:
        await reader.close()


async def last_seq(link: Link, stream: str) -> int:
    """A stream's last sequence, 0 when it is empty."""
    info = await link.insist(lambda: link.api(f"STREAM.INFO.{stream}"))
    return int(info["state"]["last_seq"])


async def subjects(link: Link, stream: str, filter: str) -> frozenset[str]:
    """The subjects of a stream that match and hold a message. The server answers 100,000 at a time."""
    found: set[str] = set()
    offset, total = 0, 1
    while offset < total:
        body = {"subjects_filter": filter, "offset": offset}
        info = await link.insist(partial(link.api, f"STREAM.INFO.{stream}", body))
        page = info["state"].get("subjects") or {}
        found |= page.keys()
        offset += len(page)
        total = int(info.get("total", 0)) if page else 0
    return frozenset(found)


async def direct(link: Link, stream: str, filter: str) -> Msg | None:
    """The last message of a stream on a subject that matches, from whichever replica answers, or None."""
    body = json.dumps({"last_by_subj": filter}).encode()
    found: Msg = await link.insist(lambda: link.ask(f"$JS.API.DIRECT.GET.{stream}", body))
    if status(found) == 404:
        return None
    if code := status(found):
        raise BusRefused(f"The bus refused to read {filter} from {stream} (status {code}).")
    return found


async def last(link: Link, stream: str, filter: str) -> Stored | None:
    """The last message of a stream on a subject that matches; see `direct`."""
    found = await direct(link, stream, filter)
    if found is None:
        return None
    told = found.headers or {}
    stored_at = seconds(told["Nats-Time-Stamp"])
    return Stored(told["Nats-Subject"], found.data, plain_headers(told), int(told["Nats-Sequence"]), stored_at)


def seconds(timestamp: str) -> float:
    """A server's time-stamp (RFC 3339, up to nine digits behind the point, UTC) as seconds since 1970, to the same
    bit as the nanoseconds of a delivery give them."""
    whole, _, fraction = timestamp.removesuffix("Z").partition(".")
    nanos = int(datetime.fromisoformat(f"{whole}+00:00").timestamp()) * NANOS + int(fraction.ljust(9, "0") or 0)
    return nanos / NANOS
