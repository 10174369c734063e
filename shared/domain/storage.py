"""Disks and where they may lie, as values: what a disk takes on an SR, which SR can take part in a move of disks.

Facts are XAPI's (xen-api xapi_vm_migrate.ml, read, not tried); what is chosen from them is the planner's.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from shared.domain.model import SR, Disk
from shared.domain.names import Named

THICK = frozenset({"lvm", "lvmoiscsi", "lvmohba", "lvmofcoe"})
"""Types of SR on which a disk takes its whole size, each of its snapshots too; on all others what is written."""

LARGEST = 2040 * 1024**3
"""Bytes of the largest disk in the format that most SRs have (VHD); a larger one fits an SR of its own type only."""


@dataclass(frozen=True, slots=True)
class DiskMove:
    """One disk of a VM that changes its SR. `device` is the number of its drive (VBD.userdevice), by which it is known
    again: the disk itself is another one afterwards. `size` are the bytes that it takes on `to`."""

    device: str
    name: str
    source: Named
    to: Named
    size: int = 0

    @property
    def back(self) -> DiskMove:
        """Its way home."""
        return DiskMove(self.device, self.name, self.to, self.source, self.size)


def taken(disk: Disk, sr: SR) -> int:
    """Bytes that a disk and its snapshots take on an SR: they go with it (xen-api xapi_vm_migrate.ml)."""
    whole = disk.size * (1 + disk.snapshots)
    return whole if sr.type in THICK else disk.used or whole


def unmovable(disk: Disk) -> str:
    """Why a disk cannot go to any other SR, as the end of a sentence; empty when it can."""
    if disk.on_boot == "reset":
        return f"its disk {disk.name!r} is reset at each boot (VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION)"
    if disk.cbt:
        return f"changed blocks of its disk {disk.name!r} are tracked (xe vdi-disable-cbt uuid={disk.uuid})"
    return ""


def unfit(disk: Disk, sr: SR, own: SR | None, excluded: Collection[str]) -> str:
    """Why an SR cannot take a disk, its room aside; empty when it can. `own` is the SR that it lies on."""
    if is_excluded(sr, excluded):
        return f"{sr.name!r} is not to be touched (exclude_sr)"
    if sr.holds == "iso" or sr.free is None:
        return f"{sr.name!r} holds no disks"
    if not sr.migrates:
        return f"{sr.name!r} ({sr.type}) cannot take part in storage migration"
    if disk.size > LARGEST and (own is None or own.type != sr.type):
        return f"{sr.name!r} holds no disk of more than {LARGEST // 1024**3} GiB"
    return ""


def is_excluded(sr: SR, excluded: Collection[str]) -> bool:
    """Whether policy forbids to touch an SR: by its name, its uuid or one of its tags."""
    return any(key in excluded for key in (sr.name, sr.uuid, *sr.tags))
