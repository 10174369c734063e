"""A row's record on its way out, encoded once for each wire for as long as the row does not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator.world import Row


class Shown:
    """A record as it is at this moment, and the place where its text is remembered."""

    __slots__ = ("_text", "record")

    def __init__(self, row: Row) -> None:
        self.record = row.record
        self._text = row.text

    def text(self, wire: str, encode: Callable[[Any], str]) -> str:
        """The record's text on this wire; encoded now if nobody asked before."""
        if wire not in self._text:
            self._text[wire] = encode(self.record)
        return self._text[wire]
