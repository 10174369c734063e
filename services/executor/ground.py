"""The ground Rota stands on: the VM it runs in, its bus's, and those it needs. None of them is ever stopped.

Who they are stands in rota.toml; the machine's own uuid is read where Xen tells it to its guests.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

from shared.domain.model import PoolSnapshot, StorageVM
from shared.domain.names import Named

TOLD_BY_XEN = "hypervisor/uuid"
TOLD_BY_FIRMWARE = "class/dmi/id/product_uuid"
"""Under /sys: the first is there in a guest of Xen, also in a container; the second only root may read."""


@dataclass(frozen=True, slots=True)
class Ground:
    """VMs by name or uuid: Rota's and its bus's, those that they need, and the uuids this machine may have; and those
    that export an SR to the pool. And SRs, by name or uuid, of which the owner says that they lie on the hosts
    themselves."""

    rota_vms: tuple[str, ...] = ()
    needed_vms: tuple[str, ...] = ()
    own: tuple[str, ...] = ()
    storage_vms: tuple[StorageVM, ...] = ()
    replicated: tuple[str, ...] = ()

    def holds(self, vm: Named) -> bool:
        """Whether a VM is one of them."""
        return not {vm.uuid, vm.name}.isdisjoint((*self.rota_vms, *self.needed_vms, *self.own))


def own_uuids(sys: Path = Path("/sys")) -> tuple[str, ...]:
    """What this machine's uuid as a VM may be; nothing where it is no VM, or does not say. Firmware may tell the first
    three fields in the other byte order (SMBIOS 2.6), so both readings are given."""
    for file in (TOLD_BY_XEN, TOLD_BY_FIRMWARE):
        try:
            told = UUID((sys / file).read_text(encoding="ascii").strip())
        except (OSError, ValueError):
            continue
        return tuple(dict.fromkeys((str(told), str(UUID(bytes=told.bytes_le)))))
    return ()


def stood_on(snapshot: PoolSnapshot, ground: Ground) -> PoolSnapshot:
    """The snapshot with those of its VMs that are never stopped, with what is said of storage VMs, and of replicated
    storage."""
    return replace(
        snapshot,
        rota_vms=_found(snapshot, {*ground.rota_vms, *ground.own}),
        needed_vms=_found(snapshot, ground.needed_vms),
        storage_vms=ground.storage_vms,
        replicated=tuple(sr.uuid for sr in snapshot.srs if not {sr.uuid, sr.name}.isdisjoint(ground.replicated)),
    )


def strangers(snapshot: PoolSnapshot, ground: Ground) -> tuple[str, ...]:
    """What the settings name and this pool does not have."""
    things = (*(vm.named for vm in snapshot.vms), *(Named(sr.uuid, sr.name) for sr in snapshot.srs))
    there = {known for one in things for known in (one.uuid, one.name)}
    named = (*ground.rota_vms, *ground.needed_vms, *ground.replicated)
    return tuple(name for name in named if name not in there)


def _found(snapshot: PoolSnapshot, names: Collection[str]) -> tuple[str, ...]:
    return tuple(vm.uuid for vm in snapshot.vms if vm.uuid in names or vm.name in names)
