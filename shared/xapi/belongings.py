"""What belongs to a VM, from XAPI's records: disks, discs in its drives, devices that bind it. Pure.

`reading` makes the VM itself and the rest of the pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from shared.domain.model import Disc, Disk

Record = Mapping[str, Any]
Records = Mapping[str, Mapping[str, Record]]
"""Records by class (lower case, as events name them) and ref."""

LONGEST_NAME = 100
"""Characters that are kept of a disk's name: there are thousands."""

WISHES = "rota."
"""What keys of a VM's other_config begin with by which its owner says what Rota shall do with it."""

_VDI = tuple[str, Record, Record, Record]


def disks(records: Records, vm: Record) -> tuple[Disk, ...]:
    """The disks of a VM, by the number of their device."""
    return tuple(
        Disk(
            uuid=vdi["uuid"],
            name=_name(vdi),
            sr=sr["uuid"],
            size=int(vdi.get("virtual_size", 0)),
            cbt=bool(vdi.get("cbt_enabled", False)),
            on_boot=str(vdi.get("on_boot", "persist")),
            snapshots=len(vdi.get("snapshots", ())),
            shared=bool(sr["shared"]),
            device=str(vbd.get("userdevice", "")),
            used=_used(records, vdi),
        )
        for kind, vbd, vdi, sr in _attached(records, vm)
        if kind != "CD"
    )


def _used(records: Records, vdi: Record) -> int:
    """Bytes that a disk and its snapshots take on their SR."""
    snapshots = (records.get("vdi", {}).get(ref) for ref in vdi.get("snapshots", ()))
    return sum(int(one.get("physical_utilisation", 0)) for one in (vdi, *filter(None, snapshots)))


def discs(records: Records, vm: Record) -> tuple[Disc, ...]:
    """The images in a VM's drives."""
    return tuple(
        Disc(vdi["uuid"], _name(vdi), sr["uuid"], str(vbd.get("uuid", "")), bool(sr["shared"]))
        for kind, vbd, vdi, sr in _attached(records, vm)
        if kind == "CD"
    )


def devices(records: Records, vm: Record) -> tuple[str, ...]:
    """What of a host is bound to a VM: `pci`, `sriov` (a network interface on a virtual function of a card: its
    network's PIF has `sriov_logical_PIF_of`, xen-api xapi_network_sriov_helpers.ml), `vgpu`, `vusb`."""
    found = {
        "pci": bool(vm.get("attached_PCIs")) or bool(vm["other_config"].get("pci")),
        "sriov": _has_sriov(records, vm),
        "vgpu": bool(vm.get("VGPUs")),
        "vusb": bool(vm.get("VUSBs")),
    }
    return tuple(name for name, there in found.items() if there)


def wishes(vm: Record) -> dict[str, str]:
    """What its owner wrote on it for Rota."""
    return {key: text for key, text in sorted(vm["other_config"].items()) if key.startswith(WISHES)}


def held_by(records: Records, vm: Record) -> tuple[str, ...]:
    """The names of disks, not of discs, that are attached to a VM now: to a control domain, as a backup does."""
    return tuple(
        _name(vdi) for kind, vbd, vdi, _ in _attached(records, vm) if kind != "CD" and vbd.get("currently_attached")
    )


def _attached(records: Records, vm: Record) -> Iterator[_VDI]:
    """Kind of drive, VBD, VDI and SR of each drive that is not empty, by the number of its device."""
    vbds = [vbd for ref in vm["VBDs"] if (vbd := records.get("vbd", {}).get(ref)) is not None and not vbd["empty"]]
    for vbd in sorted(vbds, key=lambda vbd: str(vbd.get("userdevice", "")).zfill(3)):
        vdi = records.get("vdi", {}).get(vbd["VDI"])
        sr = records.get("sr", {}).get(vdi["SR"]) if vdi is not None else None
        if vdi is not None and sr is not None and "uuid" in vdi:
            yield str(vbd.get("type", "Disk")), vbd, vdi, sr


def _has_sriov(records: Records, vm: Record) -> bool:
    vifs = (records.get("vif", {}).get(ref) for ref in vm["VIFs"])
    networks = {vif["network"] for vif in vifs if vif is not None}
    pifs = records.get("pif", {}).values()
    return any(pif.get("sriov_logical_PIF_of") for pif in pifs if pif["network"] in networks)


def _name(vdi: Record) -> str:
    return str(vdi.get("name_label") or vdi["uuid"])[:LONGEST_NAME]
