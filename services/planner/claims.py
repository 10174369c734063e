"""Claims and notes that stand in the pool itself: who has it, and what has to be put back. Pure.

They are for whoever has nothing but the pool: another Rota on another bus, a Rota whose journal is lost, a person with
`xe pool-param-get param-name=other-config`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from services.planner import storage_moves
from shared.domain import acts, facts
from shared.domain.model import HA, PoolSnapshot
from shared.domain.names import Named

CLAIM = "rota:claim"
HOST = "rota:host:"
VM = "rota:vm:"
DISC = "rota:disc:"
PBD = "rota:pbd:"

_HA: TypeAdapter[HA] = TypeAdapter(HA)


def claim_of(pool: str, run: str, by: str) -> str:
    """The text of a claim: one line of JSON, at most a few hundred characters."""
    return json.dumps({"run": run, "pool": pool, "by": by}, sort_keys=True)


def foreign(snapshot: PoolSnapshot, ours: frozenset[str]) -> facts.Blocker | None:
    """The claim of another run than `ours` on the pool, as a blocker with its holder's name, or None."""
    text = snapshot.settings.notes.get(CLAIM)
    if text is None:
        return None
    claim = _read(text)
    if claim.get("run") in ours:
        return None
    holder = f"run {claim['run']}, ordered by {claim.get('by', 'somebody')}" if "run" in claim else repr(text[:100])
    return facts.Blocker(
        sentence=(
            f"Pool {snapshot.name} is claimed by {holder}; if that Rota is at work, wait for it; if it is gone,"
            " `rota undo` puts back what it changed and frees the pool."
        ),
        code="POOL_CLAIMED",
    )


def leftover(snapshot: PoolSnapshot, ours: frozenset[str]) -> str:
    """The text of a claim that a run of our own left behind, to be replaced; empty where there is none."""
    text = snapshot.settings.notes.get(CLAIM, "")
    return text if text and _read(text).get("run") in ours else ""


def undoing(snapshot: PoolSnapshot) -> tuple[list[acts.Restoring], list[str]]:
    """What the notes in a pool say has to be put back, and a warning for each note that cannot be read."""
    restore: list[acts.Restoring] = []
    warnings: list[str] = []
    for key, text in sorted(snapshot.settings.notes.items()):
        try:
            restore += _undo(snapshot, key, _read(text))
        except (ValidationError, KeyError, TypeError):
            warnings.append(
                f"The note {key} on pool {snapshot.name} cannot be read ({text[:200]}); look after it by hand."
            )
    return restore, warnings


def _undo(snapshot: PoolSnapshot, key: str, note: Mapping[str, Any]) -> Iterator[acts.Restoring]:
    if key == "rota:ha":
        yield acts.RestorePoolSetting("ha", _HA.validate_python(note["before"]))
    elif key == "rota:wlb":
        yield acts.RestorePoolSetting("wlb", str(note["before"]))
    elif key == "rota:auto_poweron":
        yield acts.RestorePoolSetting("auto_poweron", None if note["before"] is None else str(note["before"]))
    elif key.startswith(HOST):
        host = snapshot.host(key.removeprefix(HOST))
        if host is not None:
            yield acts.EnableHost(Named(host.uuid, host.name))
    elif key.startswith(VM):
        yield from _started(snapshot, key.removeprefix(VM), note)
    elif key.startswith(PBD):
        yield from _attached(snapshot, key.removeprefix(PBD), note)
    elif key.startswith(DISC):
        yield from _inserted(snapshot, key.removeprefix(DISC), note)
    elif key.startswith(storage_moves.NOTE):
        yield from _brought_home(snapshot, key.removeprefix(storage_moves.NOTE), note)


def _brought_home(snapshot: PoolSnapshot, uuid: str, note: Mapping[str, Any]) -> Iterator[acts.MigrateVM]:
    vm = next((one for one in snapshot.vms if one.uuid == uuid), None)
    home = snapshot.host(str(note["home"]))
    if vm is not None and home is not None:
        here = snapshot.named(vm.host) if vm.host else home.named
        disks = storage_moves.way_home(snapshot, vm)
        yield acts.MigrateVM(vm.named, home.named, here, "home", snapshot.settings.migration_network, disks=disks)


def _started(snapshot: PoolSnapshot, uuid: str, note: Mapping[str, Any]) -> Iterator[acts.Start]:
    vm = next((one for one in snapshot.vms if one.uuid == uuid), None)
    home = snapshot.host(str(note["home"]))
    if vm is None or home is None:
        return
    if note["way"] == "suspend":
        yield acts.ResumeVM(vm.named, home.named)
    else:
        serves = tuple(Named(sr, snapshot.sr_name(sr)) for sr in note.get("serves", ()))
        yield acts.StartVM(vm.named, home.named, serves=serves)


def _attached(snapshot: PoolSnapshot, key: str, note: Mapping[str, Any]) -> Iterator[acts.PlugPBD]:
    sr, _, on = key.partition(":")
    host = snapshot.host(on)
    if host is not None:
        yield acts.PlugPBD(Named(sr, snapshot.sr_name(sr)), host.named, Named(**note["vm"]))


def _inserted(snapshot: PoolSnapshot, drive: str, note: Mapping[str, Any]) -> Iterator[acts.InsertMedia]:
    vm = next((one for one in snapshot.vms if one.uuid == note["vm"]), None)
    home = snapshot.host(str(note["home"]))
    if vm is not None and home is not None:
        yield acts.InsertMedia(vm.named, Named(str(note["disc"]), str(note["name"])), drive, home.named)


def _read(text: str) -> dict[str, Any]:
    try:
        read = json.loads(text)
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
