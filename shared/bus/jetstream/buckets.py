"""KV buckets and large values, in the forms that every NATS client reads (`nats kv`, `nats object`).

A value is written under its revision, once; a large value in chunks under a fresh id, and is there when its last word,
the description, is.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from nats.aio.msg import Msg

from shared.bus import matching, streams
from shared.bus.jetstream import reading
from shared.bus.jetstream.link import Link
from shared.bus.jetstream.write import EXPECTED, MSG_ID, Writer
from shared.bus.port import BusRefused, GuardLost, Message, TooLarge

OPERATION = "KV-Operation"
CHUNK = 128 * 1024
"""Bytes of a chunk of a large value: the size that all clients use."""


class Buckets:
    """The KV buckets."""

    def __init__(self, link: Link, writer: Writer) -> None:
        self._link = link
        self._writer = writer

    async def get(self, bucket: str, key: str) -> tuple[bytes, int] | None:
        """See `port.Bus.get`."""
        found = await reading.direct(self._link, _kv(bucket), _subject(bucket, key))
        if found is None or _deleted(found.headers):
            return None
        return found.data, _seq(found)

    async def put(self, bucket: str, key: str, value: bytes, revision: int) -> int:
        """See `port.Bus.put`. A key that a person deleted counts as one that does not exist."""
        message = Message(_subject(bucket, key), value)
        if streams.size(message) > streams.LARGEST:
            raise TooLarge(message.subject, streams.size(message), streams.LARGEST)
        try:
            return await self._writer.guarded(message, {EXPECTED: str(revision)})
        except GuardLost:
            found = await reading.direct(self._link, _kv(bucket), message.subject) if revision == 0 else None
            if found is None or not _deleted(found.headers):
                raise
            return await self._writer.guarded(message, {EXPECTED: str(_seq(found))})

    async def keys(self, bucket: str) -> Sequence[str]:
        """See `port.Bus.keys`."""
        prefix = f"$KV.{bucket}."
        held = reading.read(self._link, _kv(bucket), [f"{prefix}>"], last_per_subject=True, headers_only=True)
        return sorted([one.subject.removeprefix(prefix) async for one in held if not _deleted(one.headers)])


class Objects:
    """The stores of large values."""

    def __init__(self, link: Link, writer: Writer) -> None:
        self._link = link
        self._writer = writer

    async def put(self, bucket: str, name: str, data: bytes) -> None:
        """See `port.Bus.put_object`."""
        _known(bucket, streams.OBJECTS)
        former = await self._describe(bucket, name)
        fresh = uuid.uuid4().hex
        chunks = [data[start : start + CHUNK] for start in range(0, len(data), CHUNK)]
        for number, chunk in enumerate(chunks):
            await self._writer.store(Message(_chunks(bucket, fresh), chunk, {MSG_ID: f"{fresh}-{number}"}))
        description = {
            "name": name,
            "bucket": bucket,
            "nuid": fresh,
            "size": len(data),
            "chunks": len(chunks),
            "digest": _digest(data),
            "mtime": datetime.now(UTC).isoformat(),
            "options": {"max_chunk_size": CHUNK},
        }
        headers = {"Nats-Rollup": "sub", MSG_ID: f"{fresh}-description"}
        await self._writer.store(Message(_meta(bucket, name), json.dumps(description).encode(), headers))
        if former is not None and former.get("nuid"):
            await self._purge(bucket, former["nuid"])

    async def get(self, bucket: str, name: str) -> bytes | None:
        """See `port.Bus.get_object`. Raises BusRefused when what is stored is not what was put in."""
        _known(bucket, streams.OBJECTS)
        for _ in range(3):
            described = await self._describe(bucket, name)
            if described is None or described.get("deleted"):
                return None
            data = await self._chunks_of(bucket, described)
            if _digest(data).rstrip("=") == str(described.get("digest", "")).rstrip("="):
                return data
        raise BusRefused(f"The object {name} in {bucket} is damaged: its digest is not that of its contents.")

    async def _describe(self, bucket: str, name: str) -> dict[str, Any] | None:
        found = await reading.direct(self._link, f"OBJ_{bucket}", _meta(bucket, name))
        return None if found is None else dict(json.loads(found.data))

    async def _chunks_of(self, bucket: str, described: dict[str, Any]) -> bytes:
        if not described["size"]:
            return b""
        held = reading.read(self._link, f"OBJ_{bucket}", [_chunks(bucket, described["nuid"])])
        return b"".join([one.data async for one in held])

    async def _purge(self, bucket: str, nuid: str) -> None:
        body = {"filter": _chunks(bucket, nuid)}
        await self._link.insist(lambda: self._link.api(f"STREAM.PURGE.OBJ_{bucket}", body))


def _kv(bucket: str) -> str:
    _known(bucket, streams.BUCKETS)
    return f"KV_{bucket}"


def _known(bucket: str, all_there_are: tuple[str, ...]) -> None:
    if bucket not in all_there_are:
        raise ValueError(f"There is no bucket '{bucket}'.")


def _subject(bucket: str, key: str) -> str:
    if not matching.is_key(key):
        raise ValueError(f"'{key}' is no key: letters, digits and -/_=. only, no dot at either end.")
    return f"$KV.{bucket}.{key}"


def _deleted(headers: Any) -> bool:
    return bool(headers) and headers.get(OPERATION) in ("DEL", "PURGE")


def _seq(found: Msg) -> int:
    return int((found.headers or {})["Nats-Sequence"])


def _chunks(bucket: str, nuid: str) -> str:
    return f"$O.{bucket}.C.{nuid}"


def _meta(bucket: str, name: str) -> str:
    return f"$O.{bucket}.M.{base64.urlsafe_b64encode(name.encode()).decode()}"


def _digest(data: bytes) -> str:
    return "SHA-256=" + base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode()
