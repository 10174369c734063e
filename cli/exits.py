"""How a verb of `rota` ends: its exit status, its one JSON document, what a terminal shows, and its sentence.

Nothing is printed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import RenderableType


class Exit(IntEnum):
    """Exit status of `rota`, the same for every verb."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITING = 3
    REFUSED = 4
    UNREACHABLE = 5
    CANCELLED = 6
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Ending:
    """What a verb gives back. `document` is printed with `--json`, `shown` without; `sentence` goes to stderr with
    `--json` and wherever the status is not 0."""

    document: Mapping[str, object] = field(default_factory=dict)
    shown: tuple[RenderableType, ...] = ()
    code: Exit = Exit.DONE
    sentence: str = ""

    def json(self) -> dict[str, object]:
        """The document with the two keys that every one of them has."""
        return {**self.document, "sentence": self.sentence, "exit": int(self.code)}


class Stop(Exception):
    """A verb cannot go on: status and sentence."""

    def __init__(self, code: Exit, sentence: str, document: Mapping[str, object] | None = None) -> None:
        super().__init__(sentence)
        self.ending = Ending(document or {}, (), code, sentence)


def of_outcome(outcome: str | None) -> Exit:
    """The status for how a run ended (`facts.Outcome`)."""
    return _OF_OUTCOME.get(outcome or "", Exit.FAILED)


WAITING_FOR_A_PERSON = frozenset({"held", "paused", "awaiting_approval"})

_OF_OUTCOME: Mapping[str, Exit] = MappingProxyType(
    {
        "succeeded": Exit.DONE,
        "succeeded_with_warnings": Exit.DONE,
        "failed": Exit.FAILED,
        "cancelled": Exit.CANCELLED,
        "refused": Exit.REFUSED,
    }
)
