"""What uses an SR, from XAPI's records: as PBD.unplug will judge it."""

from __future__ import annotations

from typing import Any

from shared.xapi import looks
from shared.xapi.port import DiskUse, SRLook
from shared.xapi.reading import NULL

VM: dict[str, Any] = {"uuid": "vm-uuid", "name_label": "db", "is_control_domain": False, "resident_on": "host-1"}
VBD: dict[str, Any] = {"VM": "vm-1", "VDI": "vdi-1", "currently_attached": True}
VDI: dict[str, Any] = {"uuid": "vdi-uuid", "name_label": "data", "SR": "sr-1", "current_operations": {}}


def records(vm: dict[str, Any], vbd: dict[str, Any], vdi: dict[str, Any]) -> dict[str, dict[str, dict[str, Any]]]:
    """One SR attached to one of two hosts, one disk of it and who has it."""
    return {
        "sr": {"sr-1": {"uuid": "sr-uuid", "name_label": "Depot"}},
        "host": {
            "host-1": {"uuid": "h1", "name_label": "athos"},
            "host-2": {"uuid": "h2", "name_label": "porthos"},
        },
        "pbd": {
            "pbd-1": {"SR": "sr-1", "host": "host-1", "currently_attached": True},
            "pbd-2": {"SR": "sr-1", "host": "host-2", "currently_attached": False},
        },
        "vdi": {"vdi-1": {**VDI, **vdi}, "vdi-2": {**VDI, "SR": "sr-2"}},
        "vm": {"vm-1": {**VM, **vm}},
        "vbd": {"vbd-1": {**VBD, **vbd}},
    }


def look(vm: dict[str, Any] | None = None, vbd: dict[str, Any] | None = None, **vdi: Any) -> SRLook:
    """What is seen of the SR."""
    found = looks.sr_look(records(vm or {}, vbd or {}, vdi), "sr-uuid")
    assert found is not None
    return found


def test_who_has_a_disk_attached_uses_it() -> None:
    """A control domain's disk is told apart, because it is a backup's."""
    assert [host.name for host in look().attached] == ["athos"]
    assert look().uses == (DiskUse("data", "db"),)
    assert look({"is_control_domain": True}).uses == (DiskUse("data", "db", True),)


def test_who_is_down_or_suspended_or_has_another_srs_disk_does_not() -> None:
    """PBD.unplug asks only those who are resident."""
    assert look({"resident_on": NULL}).uses == ()
    assert look(vbd={"currently_attached": False}).uses == ()
    assert look(vbd={"VDI": "vdi-2"}).uses == ()


def test_what_is_done_with_its_disks_is_told() -> None:
    """A copy, a snapshot: somebody is at work there."""
    assert look(current_operations={"task-1": "copy"}).operations == ("copy of data",)


def test_an_sr_that_is_gone_is_none() -> None:
    """Its owner took it out of the pool."""
    assert looks.sr_look(records({}, {}, {}), "another") is None
