"""What belongs to a VM and to a host: disks, discs, devices, wishes, and what a backup holds."""

from __future__ import annotations

from typing import Any

import pytest

from shared.domain.model import VM, Disc, Disk, Host, lacking
from shared.xapi import reading
from tests.shared.xapi import records
from tests.shared.xapi.records import NULL, ref


def vm(table: records.Table, **changed: Any) -> VM:
    """gitlab, changed."""
    table["vm"][ref("gitlab")].update(changed)
    return reading.snapshot(table, taken_at=0.0).vms[0]


def host(table: records.Table, **changed: Any) -> Host:
    """athos, changed."""
    table["host"][ref("athos")].update(changed)
    return reading.snapshot(table, taken_at=0.0).hosts[0]


def with_drive(table: records.Table) -> records.Table:
    """A disk with two snapshots, and an image of a local SR in the drive."""
    table["sr"][ref("isos")] = {"uuid": "uuid-isos", "name_label": "ISOs", "type": "iso", "shared": False}
    disk = {
        "uuid": "uuid-disk",
        "name_label": "root",
        "SR": ref("nfs"),
        "virtual_size": "5000",
        "physical_utilisation": "2000",
        "snapshots": ["a", "b"],
    }
    table["vdi"]["a"] = {**disk, "uuid": "uuid-a", "physical_utilisation": "300", "snapshots": []}
    table["vdi"][ref("disk")] = {**disk, "cbt_enabled": True, "on_boot": "reset"}
    table["vdi"][ref("image")] = {"uuid": "uuid-image", "name_label": "setup.iso", "SR": ref("isos")}
    table["vbd"][ref("vbd")] |= {"uuid": "uuid-vbd", "type": "Disk", "userdevice": "0"}
    table["vbd"][ref("cd")] = {
        "uuid": "uuid-cd", "type": "CD", "userdevice": "3", "empty": False, "VDI": ref("image")
    }  # fmt: skip
    return table


def test_disks_and_discs_are_told_apart() -> None:
    """By the kind of drive; sizes in bytes, those of the snapshots that are there with it, and whether others reach the
    SR."""
    found = vm(with_drive(records.pool()))
    assert found.disks == (Disk("uuid-disk", "root", "uuid-nfs", 5000, True, "reset", 2, True, "0", 2300),)
    assert found.discs == (Disc("uuid-image", "setup.iso", "uuid-isos", "uuid-cd", False),)
    assert found.srs == ("uuid-isos", "uuid-nfs")


@pytest.mark.parametrize(
    ("changed", "device"),
    [
        ({"attached_PCIs": ["OpaqueRef:pci"]}, "pci"),
        ({"other_config": {"pci": "0/0000:3b:00.0"}}, "pci"),
        ({"VGPUs": ["OpaqueRef:vgpu"]}, "vgpu"),
        ({"VUSBs": ["OpaqueRef:vusb"]}, "vusb"),
    ],
)
def test_devices_bind_a_vm(changed: dict[str, Any], device: str) -> None:
    """What is passed through is in the VM's own record."""
    assert vm(records.pool(), **changed).devices == (device,)
    assert vm(records.pool()).devices == ()


def test_a_network_on_a_virtual_function_is_sriov() -> None:
    """It is the network's PIF that says so."""
    table = records.pool()
    table["pif"][ref("bond")]["sriov_logical_PIF_of"] = ["OpaqueRef:sriov"]
    assert vm(table).devices == ("sriov",)


def test_tools_are_missed_only_where_they_are_needed() -> None:
    """A paravirtual guest lacks no feature without them."""
    assert vm(records.pool(), guest_metrics="OpaqueRef:metrics").tools
    assert not vm(records.pool(), guest_metrics=NULL).tools
    table = records.pool()
    table["vm_metrics"][ref("metrics-gitlab")]["current_domain_type"] = "pv"
    assert vm(table, guest_metrics=NULL).tools


def test_a_vm_says_how_it_starts_and_what_its_owner_wants() -> None:
    """With others of its appliance, in what order, and the keys that are for Rota."""
    table = records.pool()
    table["vm_appliance"] = {ref("app"): {"uuid": "uuid-app", "name_label": "shop"}}
    wishes = {"rota.strategy": "suspend", "auto_poweron": "true", "folder": "x"}
    found = vm(
        table, appliance=ref("app"), order="2", start_delay="30", suspend_SR=ref("nfs"), other_config=wishes,
        current_operations={"OpaqueRef:task": "export"}, last_boot_CPU_flags={"vendor": "x", "features": "ff-01"},
    )  # fmt: skip
    assert (found.appliance, found.start_order, found.start_delay, found.suspend_sr) == ("shop", 2, 30, "uuid-nfs")
    assert (found.strategy, found.wishes, found.auto_poweron) == ("suspend", {"rota.strategy": "suspend"}, True)
    assert (found.operations, found.cpu_features, found.memory_max) == (("export",), "ff-01", 2000)


def test_a_host_tells_its_addresses_its_features_and_what_a_backup_holds_there() -> None:
    """Networks with an address alone can carry migrations; a disk at the control domain is a backup's."""
    table = with_drive(records.pool())
    table["pif"][ref("bond")] |= {"IP": "10.0.0.1", "currently_attached": True}
    table["vbd"][ref("held")] = {
        "uuid": "u", "type": "Disk", "userdevice": "9", "empty": False, "VDI": ref("disk"), "currently_attached": True
    }  # fmt: skip
    table["vm"][ref("dom0")]["VBDs"] = [ref("held")]
    athos = host(table, tags=["rack-1"], cpu_info={"vendor": "GenuineIntel", "features_hvm": "ff-0f"})
    assert (athos.networks_with_ip, athos.tags, athos.cpu_features) == (("uuid-lan",), ("rack-1",), "ff-0f")
    assert athos.control_domain_disks == ("root",)


@pytest.mark.parametrize(
    ("needed", "has", "missing"),
    [("ff-01", "ff-01", False), ("0f-01", "ff-01", False), ("ff-03", "ff-01", True), ("ff-01", "ff", True),
     ("ff", "ff-01", False), ("", "ff", False), ("ff", "", False)],
)  # fmt: skip
def test_cpu_features_are_compared_bit_by_bit(needed: str, has: str, missing: bool) -> None:
    """A word that is not there has none; who says nothing is believed."""
    assert lacking(needed, has) is missing


def test_an_sr_says_whether_its_driver_lets_disks_move() -> None:
    """By what the pool tells of drivers; one that it does not tell of is not doubted."""
    for features, expected in ({"VDI_SNAPSHOT": 1, "VDI_MIRROR": 1}, True), ({"VDI_SNAPSHOT": 1}, False), (None, True):
        table = with_drive(records.pool())
        nfs = table["sr"][ref("nfs")]
        table["sm"] = {} if features is None else {"sm": {"type": nfs["type"], "features": features}}
        found = reading.snapshot(table, taken_at=0.0)
        assert next(sr.migrates for sr in found.srs if sr.uuid == "uuid-nfs") is expected
