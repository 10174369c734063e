"""Acts on discs in the drives of VMs: taken out so that a VM can move, put back when it is home. See `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class EjectMedia:
    """Take a disc, which only the VM's home reaches, out of a drive (the VBD's uuid), with a note in the pool."""

    vm: Named
    disc: Named
    drive: str
    host: Named
    kind: Literal["eject_media"] = "eject_media"


@dataclass(frozen=True, slots=True)
class InsertMedia:
    """Put a disc back into the drive that it was taken out of, where the VM is home again."""

    vm: Named
    disc: Named
    drive: str
    host: Named
    kind: Literal["insert_media"] = "insert_media"
