"""The pool's database as values: one table of class, reference and record, with the generations event.from counts by.

Records are replaced, never altered, so whoever holds one holds a consistent picture.
No rule of XAPI's stands here, no clock and no I/O; which fields exist is told by `schema.py`.
"""

from __future__ import annotations

import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.failure import NULL, Failure
from simulator.schema import Schema
from simulator.values import Record

DELETED_KEPT = 512
DELETED_AFTER_TRIM = 256
LOG_KEPT = 20_000
NAMESPACE = uuid.UUID("6f0d2d52-8c6e-4a55-9b0e-7d9b6a1f3c10")


@dataclass(slots=True)
class Row:
    """One record, when it was made and last changed (in generations), and its text once somebody asked for it."""

    record: dict[str, Any]
    created: int
    modified: int
    text: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Deleted:
    ref: str
    created: int
    deleted: int


class World:
    """Every row of the pool's database.

    `change` keeps both ends of a relation (`RELATIONS`) in step and raises the generation once per row touched.
    """

    def __init__(self, schema: Schema, seed: str) -> None:
        self.schema = schema
        self.seed = seed
        self.generation = 0
        self.rows: dict[str, dict[str, Row]] = {name: {} for name in schema.fields}
        self.deleted: dict[str, list[Deleted]] = {name: [] for name in schema.fields}
        self.watchers: list[Callable[[str, str], None]] = []
        self._log: list[tuple[int, str, str]] = []
        self._log_starts = 0
        self._made: dict[str, int] = {}

    def name_uuid(self, kind: str, name: str) -> str:
        """The uuid that this seed gives to this name: the same on every run."""
        return str(uuid.uuid5(NAMESPACE, f"{self.seed}/{kind}/{name}"))

    def add(self, cls: str, name: str = "", /, **values: Any) -> str:
        """Makes a row with the class's defaults; `name` makes its uuid, or a count where it has none."""
        self._made[cls] = self._made.get(cls, 0) + 1
        name = name or f"#{self._made[cls]}"
        ref = f"OpaqueRef:{self.name_uuid(f'ref/{cls}', name)}"
        known = self.schema.fields[cls]
        record = dict(self.schema.defaults[cls])
        record["uuid"] = self.name_uuid(cls, name)
        record.update({key: value for key, value in values.items() if key in known})
        self.generation += 1
        self.rows[cls][ref] = Row(record, self.generation, self.generation)
        for one, value in values.items():
            self._relate(cls, ref, one, None, value)
        self._announce(cls, ref)
        return ref

    def change(self, cls: str, ref: str, /, **values: Any) -> bool:
        """Writes fields of a row; fields this xapi does not have are passed over. False when nothing changed."""
        row = self.rows[cls].get(ref)
        if row is None:
            raise Failure("HANDLE_INVALID", cls, ref)
        known = self.schema.fields[cls]
        new = {key: value for key, value in values.items() if key in known and row.record[key] != value}
        if not new:
            return False
        old = row.record
        row.record = {**old, **new}
        self._touch(cls, ref, row)
        for one, value in new.items():
            self._relate(cls, ref, one, old[one], value)
        self._announce(cls, ref)
        return True

    def touch(self, cls: str, ref: str) -> None:
        """Raises a row's generation without changing it (event.inject)."""
        row = self.rows[cls].get(ref)
        if row is None:
            raise Failure("HANDLE_INVALID", cls, ref)
        self._touch(cls, ref, row)
        self._announce(cls, ref)

    def remove(self, cls: str, ref: str) -> None:
        """Deletes a row and takes it out of the relations it stood in; unknown rows are passed over."""
        row = self.rows[cls].pop(ref, None)
        if row is None:
            return
        self.generation += 1
        graves = self.deleted[cls]
        graves.append(Deleted(ref, row.created, self.generation))
        if len(graves) > DELETED_KEPT:
            del graves[:-DELETED_AFTER_TRIM]
        for one, value in row.record.items():
            self._relate(cls, ref, one, value, None)
        self._announce(cls, ref)

    def record(self, cls: str, ref: str) -> Record:
        """A row's record as it stands; raises HANDLE_INVALID [class, ref] where there is none."""
        row = self.rows[cls].get(ref)
        if row is None:
            raise Failure("HANDLE_INVALID", cls, ref)
        return row.record

    def has(self, cls: str, ref: str) -> bool:
        return ref in self.rows[cls]

    def all(self, cls: str) -> Iterator[tuple[str, Record]]:
        """Every row of a class in the order they were made; rows may be added or removed meanwhile."""
        return iter([(ref, row.record) for ref, row in self.rows[cls].items()])

    def one(self, cls: str) -> tuple[str, Record]:
        """The only row of a class (the pool)."""
        ref, row = next(iter(self.rows[cls].items()))
        return ref, row.record

    def find(self, cls: str, name: str) -> str | None:
        """The reference of the first row of that name or uuid."""
        for ref, row in self.rows[cls].items():
            if row.record.get("name_label") == name or row.record["uuid"] == name:
                return ref
        return None

    def changed_since(self, generation: int) -> list[tuple[str, str]] | None:
        """(class, ref) of rows written after that generation, oldest first; None when the log no longer reaches."""
        if generation < self._log_starts:
            return None
        start = bisect_right(self._log, generation, key=lambda entry: entry[0])
        return [(cls, ref) for _, cls, ref in self._log[start:]]

    def forget_history(self, generation: int | None = None) -> None:
        """What a restart of the master loses: the deleted rows, and the generations above `generation`, if told."""
        for graves in self.deleted.values():
            graves.clear()
        self._log.clear()
        if generation is not None and generation < self.generation:
            self.generation = generation
            for rows in self.rows.values():
                for row in rows.values():
                    row.created, row.modified = min(row.created, generation), min(row.modified, generation)
        self._log_starts = self.generation

    def _touch(self, cls: str, ref: str, row: Row) -> None:
        self.generation += 1
        row.modified = self.generation
        row.text = {}

    def _announce(self, cls: str, ref: str) -> None:
        self._log.append((self.generation, cls, ref))
        if len(self._log) > LOG_KEPT:
            cut = LOG_KEPT // 2
            self._log_starts = self._log[cut - 1][0]
            del self._log[:cut]
        for watcher in self.watchers:
            watcher(cls, ref)

    def _relate(self, cls: str, ref: str, name: str, old: Any, new: Any) -> None:
        for other_cls, other_field in RELATIONS.get((cls, name), ()):
            before, after = refs_in(old), refs_in(new)
            for other in before:
                if other not in after:
                    self._adjust(other_cls, other, other_field, ref, present=False)
            for other in after:
                if other not in before:
                    self._adjust(other_cls, other, other_field, ref, present=True)

    def _adjust(self, cls: str, ref: str, name: str, member: str, *, present: bool) -> None:
        row = self.rows[cls].get(ref)
        if row is None or name not in self.schema.fields[cls]:
            return
        members = row.record[name]
        if present == (member in members):
            return
        kept = [*members, member] if present else [one for one in members if one != member]
        row.record = {**row.record, name: kept}
        self._touch(cls, ref, row)
        self._announce(cls, ref)


def refs_in(value: Any) -> list[str]:
    """The references a relation's field points at."""
    if value is None or value == NULL or value == "":
        return []
    return list(value) if isinstance(value, list) else [value]


# Fields whose other end XAPI keeps: (class, field) -> the class and field that list it.
RELATIONS: dict[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("VM", "resident_on"): (("host", "resident_VMs"),),
    ("VM", "snapshot_of"): (("VM", "snapshots"),),
    ("VM", "parent"): (("VM", "children"),),
    ("VM", "groups"): (("VM_group", "VMs"),),
    ("VM", "appliance"): (("VM_appliance", "VMs"),),
    ("VBD", "VM"): (("VM", "VBDs"),),
    ("VBD", "VDI"): (("VDI", "VBDs"),),
    ("VDI", "SR"): (("SR", "VDIs"),),
    ("VDI", "snapshot_of"): (("VDI", "snapshots"),),
    ("PBD", "SR"): (("SR", "PBDs"),),
    ("PBD", "host"): (("host", "PBDs"),),
    ("VIF", "VM"): (("VM", "VIFs"),),
    ("VIF", "network"): (("network", "VIFs"),),
    ("PIF", "host"): (("host", "PIFs"),),
    ("PIF", "network"): (("network", "PIFs"),),
    ("PCI", "host"): (("host", "PCIs"),),
    ("VGPU", "VM"): (("VM", "VGPUs"),),
    ("VUSB", "VM"): (("VM", "VUSBs"),),
    ("task", "subtask_of"): (("task", "subtasks"),),
}
