"""A copy of some classes of a pool's database, kept true by batches of `event.from`.

`Mirror` is bookkeeping and asks nobody; `catch_up` is the one place that asks, through a reader.
Facts about events: xen-api ocaml/xapi/xapi_event.ml, ocaml/database/db_cache_types.ml.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Record = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One object's change. `class_` is in lower case; `operation` add, mod or del; `snapshot` is None for del."""

    class_: str
    operation: str
    ref: str
    snapshot: Record | None


@dataclass(frozen=True, slots=True)
class Batch:
    """What one `event.from` answered. Within it the order is not that of time; one object has at most one event.
    `valid_ref_counts` says how many objects each class has now. Empty when nothing happened before the time-out."""

    events: tuple[Event, ...]
    token: str
    valid_ref_counts: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Change:
    """What a batch changed in the mirror: `before` is None for what is new, `after` for what is gone."""

    class_: str
    ref: str
    before: Record | None
    after: Record | None


class Source(Protocol):
    """Whoever answers `event.from`."""

    async def events(self, classes: Sequence[str], token: str, timeout: float) -> Batch: ...


class Mirror:
    """`records` by class (lower case) and ref. Every new session needs `restart` first: a token of before the
    master's restart may say nothing for a long time, and tells no error."""

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(name.lower() for name in classes)
        self.records: dict[str, dict[str, Record]] = {name: {} for name in self.classes}
        self.token = ""
        self._odd: dict[str, int] = {}

    def restart(self) -> None:
        """Read everything anew with the next batch; what is not in that batch is gone. Records stay until then."""
        self.token = ""
        self._odd = {}

    def apply(self, batch: Batch) -> tuple[Change, ...]:
        """Take in a batch that was asked for with `token`. Returns what it changed."""
        if self.token == "":
            found = [change for name in self.classes for change in self._replace(name, batch.events)]
        else:
            found = [change for event in batch.events if (change := self._take(event)) is not None]
        self.token = batch.token
        return tuple(found)

    def incomplete(self, counts: Mapping[str, int]) -> tuple[str, ...]:
        """The classes whose number of records is not the pool's: deletes were lost in silence (a table remembers its
        last 512 at most). A difference that a fresh reading did not mend is not named again until it changes."""
        return tuple(
            name
            for name in self.classes
            if name in counts and (off := len(self.records[name]) - counts[name]) and off != self._odd.get(name, 0)
        )

    def replace(self, name: str, batch: Batch) -> tuple[Change, ...]:
        """Take a class (lower case) from a reading of that class alone with an empty token. `token` stays."""
        changes = self._replace(name, batch.events)
        self._odd[name] = len(self.records[name]) - batch.valid_ref_counts.get(name, len(self.records[name]))
        return tuple(changes)

    async def catch_up(self, source: Source, timeout: float) -> tuple[Change, ...]:
        """Wait up to `timeout` seconds of machine time for the next batch and take it in; a class that lost deletes
        is read anew. Raises what the source raises; the mirror is then as it was."""
        batch = await source.events(self.classes, self.token, timeout)
        changes = list(self.apply(batch))
        for name in self.incomplete(batch.valid_ref_counts):
            changes += self.replace(name, await source.events((name,), "", 1.0))
        return tuple(changes)

    def _take(self, event: Event) -> Change | None:
        table = self.records.get(event.class_)
        if table is None:
            return None
        before = table.get(event.ref)
        if event.snapshot is None:
            table.pop(event.ref, None)
        else:
            table[event.ref] = event.snapshot
        return _changed(event.class_, event.ref, before, event.snapshot)

    def _replace(self, name: str, events: Sequence[Event]) -> list[Change]:
        old = self.records[name]
        new = {event.ref: event.snapshot for event in events if event.class_ == name and event.snapshot is not None}
        self.records[name] = new
        refs = [*new, *(ref for ref in old if ref not in new)]
        found = (_changed(name, ref, old.get(ref), new.get(ref)) for ref in refs)
        return [change for change in found if change is not None]


def _changed(class_: str, ref: str, before: Record | None, after: Record | None) -> Change | None:
    return Change(class_, ref, before, after) if before != after else None
