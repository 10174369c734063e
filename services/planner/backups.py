"""Backups in progress: waited for before a turn begins and before each reboot, and never a blocker (conduct 11). Pure.

Xen Orchestra forbids the migration of a VM while it is backed up; that goes away by itself, and is left alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.planner.few import few
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.names import Named

WORDS = ("backup", "backed up", "snapshot", "export")
"""What the text of a block says that a backup has set ("VM migration is blocked during backup")."""

OPERATIONS: dict[str, str] = {
    "export": "is being exported",
    "metadata_export": "is being exported",
    "snapshot": "is being snapshotted",
    "snapshot_with_quiesce": "is being snapshotted",
    "checkpoint": "is being snapshotted",
    "copy": "is being copied",
}
"""XAPI's words for what is done with a VM under a backup, and ours (datamodel vm_operations)."""

LISTED = 3
"""So many reasons are named in a sentence."""


def waiting_for(snapshot: PoolSnapshot, named: Named) -> str | None:
    """What a turn of this host, or its reboot, must wait for, in one sentence; None when nothing is in the way."""
    host = snapshot.host(named.uuid)
    if host is None:
        return None
    reasons = list(dict.fromkeys((*_on(snapshot, host), *_through(snapshot, host))))
    if not reasons:
        return None
    return f"{host.name} waits: {few(reasons, LISTED)}."


def until(sentence: str, minutes: float) -> str:
    """The same, with how long it is waited for at most."""
    return f"{sentence} It is waited for, for {minutes:g} minutes at most."


def blocks(vm: VM) -> bool:
    """Whether a backup keeps a VM where it is."""
    text = vm.blocked_operations.get("pool_migrate", vm.blocked_operations.get("migrate_send"))
    return text is not None and any(word in text.lower() for word in WORDS)


def _on(snapshot: PoolSnapshot, host: Host) -> Iterator[str]:
    """What goes on on the host itself."""
    for vm in snapshot.resident(host.uuid):
        yield from _of_vm(vm)
    for disk in host.control_domain_disks:
        yield f"the disk {disk!r} is attached to its control domain"
    for task in host.tasks_of_others:
        yield f"somebody else's task {task!r} runs on it"


def _through(snapshot: PoolSnapshot, host: Host) -> Iterator[str]:
    """Every export of the pool goes through its master."""
    if host.uuid == snapshot.master:
        for vm in snapshot.vms:
            if "export" in vm.operations:
                yield f"VM {vm.name} is being exported"


def _of_vm(vm: VM) -> Iterator[str]:
    yield from (f"VM {vm.name} {OPERATIONS[operation]}" for operation in vm.operations if operation in OPERATIONS)
    if blocks(vm):
        yield f"VM {vm.name} is being backed up"
