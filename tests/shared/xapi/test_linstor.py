"""What LINSTOR says of its replicas, as xcp-ng's linstor-manager puts it, in words."""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.domain.errors import Unreadable
from shared.xapi import linstor, replication

CLEAN: dict[str, Any] = {
    "controller-uri": "linstor://192.0.2.1",
    "nodes": {"a": "ONLINE", "b": "ONLINE", "c": "ONLINE"},
    "storage-pools": {},
    "resources": {
        "xcp-volume-1": {
            "a": {"volumes": [{"disk-state": "UpToDate"}], "diskful": True, "tie-breaker": False},
            "b": {"volumes": [{"disk-state": "UpToDate"}], "diskful": True, "tie-breaker": False},
            "c": {"volumes": [{"disk-state": "TieBreaker"}], "diskful": False, "tie-breaker": True},
        }
    },
    "errors": [],
}


def said(**changed: Any) -> str:
    """What is not whole in an answer that is clean but for this."""
    return linstor.trouble(json.dumps({**CLEAN, **changed}))


def replicas(**states: str) -> dict[str, Any]:
    """One volume with a replica in a state on each node."""
    return {"v": {node: {"volumes": [{"disk-state": state}], "diskful": True} for node, state in states.items()}}


def test_a_clean_answer_says_nothing() -> None:
    """Diskless is whole where no disk is wanted; a storage pool that fills up is no replica that is missing."""
    assert said() == ""
    diskless = {"v": {"c": {"volumes": [{"disk-state": "Diskless"}], "diskful": False}}}
    assert said(resources=diskless) == ""
    assert said(errors=[{"code": 0x1030002, "name": "thin", "threshold": 10.0}]) == ""


@pytest.mark.parametrize("state", ["SyncTarget(35.44%)", "Inconsistent", "Outdated", "DUnknown", "Failed", "Diskless"])
def test_a_replica_that_is_not_the_same_is_told_with_its_node(state: str) -> None:
    """Also where the plugin has no error for it."""
    assert said(resources=replicas(a="UpToDate", b=state)) == (
        f"1 of 1 volumes are not the same everywhere, for want of b (v: b has it {state})"
    )


def test_nodes_that_are_away_and_a_controller_that_is_not_reached_are_told() -> None:
    """The words of a mismatch of versions are LINSTOR's own; older plugins tell some of it as warnings."""
    nodes = {"a": "ONLINE", "b": "OFFLINE(VERSION MISMATCH)", "c": "OFFLINE"}
    assert said(nodes=nodes) == "of its nodes b is OFFLINE(VERSION MISMATCH), c is OFFLINE"
    unreachable = [{"code": 0x2010001, "message": "No controller."}]
    assert said(nodes={}, resources={}, errors=unreachable) == "LINSTOR cannot be asked (No controller.)"
    assert said(warnings=unreachable) == "LINSTOR cannot be asked (No controller.)"


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"nodes": {}, "resources": {"v": {"a": {}}}}', "[" * 99999])
def test_what_cannot_be_read_is_never_taken_for_whole(text: str) -> None:
    """Whatever it is."""
    with pytest.raises(Unreadable):
        linstor.trouble(text)


def test_the_groups_name_stands_in_a_pbd_of_the_sr() -> None:
    """Of that SR alone."""
    pbds = [
        {"SR": "other", "device_config": {"group-name": "wrong"}},
        {"SR": "sr", "device_config": {}},
        {"SR": "sr", "device_config": {"group-name": "linstor_group/thin_device"}},
    ]
    assert linstor.group(pbds, "sr") == "linstor_group/thin_device"
    assert linstor.group(pbds, "none") == ""


def test_a_clustered_sr_lacks_whoever_is_not_live_or_has_it_not_attached() -> None:
    """By name; another SR's PBD is nobody's business."""
    host = {"uuid": "u", "metrics": "m"}
    records: dict[str, Any] = {
        "host": {"h1": {**host, "name_label": "athos"}, "h2": {**host, "name_label": "porthos", "metrics": "m2"}},
        "host_metrics": {"m": {"live": True}, "m2": {"live": True}},
        "pbd": {
            "p1": {"SR": "sr", "host": "h1", "currently_attached": True},
            "p2": {"SR": "sr", "host": "h2", "currently_attached": True},
            "p3": {"SR": "other", "host": "h2", "currently_attached": False},
        },
    }
    assert replication.degraded(records, "sr") == ""
    assert replication.degraded(records, "other") == "it is not attached to porthos"
    dead = {**records, "host_metrics": {"m": {"live": True}, "m2": {"live": False}}}
    assert replication.degraded(dead, "sr") == "porthos is not live"
