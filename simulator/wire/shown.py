"""A row's record on its way out, encoded once for each wire for as long as the row does not change."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from simulator.world import Row

SLICE = 0.005


class Shown:
    """A record as it is at this moment, and the place where its text is remembered."""

    __slots__ = ("_text", "record")

    def __init__(self, row: Row) -> None:
        self.record: dict[str, Any] = row.record
        self._text = row.text

    def text(self, wire: str, encode: Callable[[Any], str]) -> str:
        """The record's text on this wire; encoded now if nobody asked before."""
        if wire not in self._text:
            self._text[wire] = encode(self.record)
        return self._text[wire]


class Event(Shown):
    """One event: generation, class, operation, reference, and the record it carries unless it is gone."""

    __slots__ = ("_encoded", "_snapshot", "_words")

    def __init__(self, words: tuple[int, str, str, str], snapshot: Shown | None) -> None:
        self._words = words
        self._encoded: dict[str, str] | None = None
        self._snapshot = snapshot

    def text(self, wire: str, encode: Callable[[Any], str]) -> str:
        if self._encoded is None:
            self._encoded = {}
        if wire not in self._encoded:
            number, cls, operation, ref = self._words
            words = encode({"id": str(number), "timestamp": "0.0", "class": cls, "operation": operation, "ref": ref})
            if self._snapshot is not None:
                opening, closing = AROUND_SNAPSHOT[wire]
                inner = self._snapshot.text(wire, encode)
                words = words.removesuffix(closing[-CLOSES[wire] :]) + opening + inner + closing
            self._encoded[wire] = words
        return self._encoded[wire]


def shown_in(value: Any) -> Iterator[Shown]:
    """The records in a result, however deep."""
    if isinstance(value, Shown):
        yield value
    elif isinstance(value, dict):
        for one in value.values():
            yield from shown_in(one)
    elif isinstance(value, list):
        for one in value:
            yield from shown_in(one)


async def encode_calmly(value: Any, wire: str, encode: Callable[[Any], str]) -> None:
    """Encodes the records in a result a few at a time, so that thousands of them delay nobody else."""
    until = time.perf_counter() + SLICE
    for one in shown_in(value):
        one.text(wire, encode)
        if time.perf_counter() > until:
            await asyncio.sleep(0)
            until = time.perf_counter() + SLICE
    if not isinstance(value, (str, int, float, bool)) and value:
        await asyncio.sleep(0)


# how a record's text is put in as the last member of an event's, and how many characters close the event itself
AROUND_SNAPSHOT = {
    "json": (',"snapshot":', "}"),
    "xml": ("<member><name>snapshot</name>", "</member></struct></value>"),
}
CLOSES = {"json": len("}"), "xml": len("</struct></value>")}
