"""Records to values: what is counted, what is left out, and what a name is."""

from __future__ import annotations

import pytest
from pydantic import TypeAdapter

from shared.domain.errors import Unreadable
from shared.domain.model import HA, PoolSnapshot
from shared.xapi import looks, reading
from tests.shared.xapi import records
from tests.shared.xapi.records import NULL, ref


def test_a_snapshot_says_the_pool_in_our_words() -> None:
    """Hosts, VMs, SRs and settings by uuid, control domains left out, and it survives being stored."""
    pool = reading.snapshot(records.pool(), taken_at=5.0)
    assert (pool.name, pool.master, [host.name for host in pool.hosts]) == ("lab", "uuid-athos", ["athos", "porthos"])
    assert [(vm.name, vm.host, vm.srs, vm.networks) for vm in pool.vms] == [
        ("gitlab", "uuid-athos", ("uuid-nfs",), ("uuid-lan",))
    ]
    stored = TypeAdapter(PoolSnapshot).dump_json(pool)
    assert TypeAdapter(PoolSnapshot).validate_json(stored) == pool


def test_a_host_tells_storage_liveness_and_its_own_times() -> None:
    """Attached and detached SRs, whether it is live, OCaml's float text, and networks without the parts of a bond."""
    athos, porthos = reading.snapshot(records.pool(), taken_at=0.0).hosts
    assert (athos.attached, athos.detached, porthos.detached) == (("uuid-nfs",), (), ("uuid-nfs",))
    assert (athos.live, porthos.live, athos.boot_time, athos.memory_total) == (True, False, 1767225600.0, 64000)
    assert (athos.networks, athos.cpu_vendor, athos.versions.xen) == (("uuid-lan",), "GenuineIntel", "4.17.5-20.1")


def test_a_boot_time_that_is_absent_is_unknown() -> None:
    """While xapi starts the key is away for a moment."""
    pool = records.pool()
    pool["host"][ref("athos")]["other_config"] = {}
    assert reading.snapshot(pool, taken_at=0.0).hosts[0].boot_time is None


def test_ha_is_noted_with_the_srs_behind_its_statefiles() -> None:
    """The statefiles are gone once HA is off, so SR uuids are what is kept."""
    assert reading.settings(records.pool()).ha == HA(True, ("uuid-nfs",), {"timeout": "60"}, 1)


def test_a_flag_that_is_absent_is_noted_as_absent() -> None:
    """auto_poweron None is not auto_poweron "false"."""
    pool = records.pool()
    assert reading.settings(pool).auto_poweron == "true"
    pool["pool"][ref("pool")]["other_config"] = {}
    assert reading.settings(pool).auto_poweron is None


@pytest.mark.parametrize(("kind", "needed"), [("hvm", 1000), ("pv", 1000), ("pv_in_pvh", 4000)])
def test_memory_is_what_xapi_counts_on_a_destination(kind: str, needed: int) -> None:
    """dynamic_min, and static_max for a PV guest in a PVH container."""
    pool = records.pool()
    pool["vm_metrics"][ref("metrics-gitlab")]["current_domain_type"] = kind
    (vm,) = reading.snapshot(pool, taken_at=0.0).vms
    assert (vm.memory, vm.memory_now, vm.footprint) == (needed, 1800, needed + 9)


@pytest.mark.parametrize("flag", ["is_control_domain", "is_a_template", "is_a_snapshot"])
def test_what_is_no_guest_is_left_out(flag: str) -> None:
    """Control domains, templates and snapshots are VM objects too."""
    pool = records.pool()
    pool["vm"][ref("gitlab")][flag] = True
    assert reading.snapshot(pool, taken_at=0.0).vms == ()


@pytest.mark.parametrize(
    ("other", "tags", "wanted"),
    [
        ({}, [], ""),
        ({"rota.strategy": "suspend"}, ["rota:shutdown"], "suspend"),
        ({}, ["prod", "rota:shutdown"], "shutdown"),
        ({}, ["rota:canary"], ""),
        ({}, ["rota:canary", "rota:block"], "block"),
        ({"rota.strategy": "shutdwon"}, [], "shutdwon"),
    ],
)
def test_an_owner_says_what_he_wants_by_key_or_tag(other: dict[str, str], tags: list[str], wanted: str) -> None:
    """The key wins over the tag, a canary is no strategy, and a misspelt one is passed on to be refused."""
    assert reading.strategy({"other_config": other, "tags": tags}) == wanted


def test_a_look_at_a_host_sees_who_is_on_it_and_who_comes() -> None:
    """Residents without dom0, VMs that are scheduled to come, storage, and that it is the master."""
    pool = records.pool()
    pool["vm"][ref("wiki")] = records.vm("wiki", "porthos", scheduled_to_be_resident_on=ref("athos"))
    look = looks.host_look(pool, "uuid-athos", run="r1")
    assert look is not None
    assert [vm.named.name for vm in look.residents] == ["gitlab"]
    assert [vm.named.name for vm in look.arriving] == ["wiki"]
    assert (look.master, look.storage) == (True, {"uuid-nfs": True})
    assert looks.host_look(pool, "uuid-gone", run="r1") is None


def test_tasks_of_others_are_those_that_no_order_of_this_run_made() -> None:
    """Pending ones on the host, by name; ours, finished ones and those elsewhere do not count."""
    pool = records.pool()
    pool["task"] = {
        ref("export"): records.task("export of wiki"),
        ref("ours"): records.task("ours", other_config={looks.RUN_TAG: "r1"}),
        ref("over"): records.task("over", status="success"),
        ref("elsewhere"): records.task("elsewhere", resident_on=ref("porthos")),
        ref("holding"): records.task("holding it", resident_on=ref("porthos")),
        ref("update"): records.task("Update host athos (uuid-athos)", resident_on=ref("porthos")),
    }
    pool["host"][ref("athos")]["current_operations"] = {ref("holding"): "evacuate", ref("ours"): "evacuate"}
    look = looks.host_look(pool, "uuid-athos", run="r1")
    assert look is not None
    assert look.tasks_of_others == ("Update host athos (uuid-athos)", "export of wiki", "holding it")


def test_a_steps_tasks_are_found_by_run_and_step() -> None:
    """What a former executor left inside the pool, of any attempt, while it is not over."""
    mine = {looks.RUN_TAG: "r1", looks.STEP_TAG: "t01-s002"}
    tasks = {
        ref("mine"): records.task("mine", other_config=mine),
        ref("over"): records.task("over", other_config=mine, status="failure"),
        ref("other step"): records.task("x", other_config={**mine, looks.STEP_TAG: "t01-s003"}),
        ref("nobody's"): records.task("y"),
    }
    assert list(looks.working(tasks, run="r1", step="t01-s002")) == [ref("mine")]


def test_an_installation_is_found_by_the_hosts_uuid_in_its_task() -> None:
    """The plugin names its task after the host."""
    tasks = {
        ref("a"): records.task("Update host athos (uuid-athos)"),
        ref("b"): records.task("Update host porthos (uuid-porthos)"),
        ref("c"): records.task("Update kernel on host athos (uuid-athos)", status="success"),
    }
    assert list(looks.update_tasks(tasks, "uuid-athos")) == [ref("a")]


def test_a_vm_that_became_a_template_is_gone() -> None:
    """It can neither run nor move any more."""
    record = records.vm("gitlab", "athos", is_a_template=True)
    assert looks.vm_look(record, None) is None


def test_records_without_a_pool_are_unreadable() -> None:
    """Nothing is guessed."""
    with pytest.raises(Unreadable):
        reading.snapshot({"host": {}}, taken_at=0.0)


def test_times_are_read_from_xapis_text() -> None:
    """`20260101T00:00:00Z`; anything else is told."""
    assert reading.moment("20260101T00:00:00Z") == 1767225600.0
    with pytest.raises(Unreadable):
        reading.moment("yesterday")


def test_names_and_refs() -> None:
    """A thing without a name is known by its uuid, an endless name is cut, and the null ref is no ref."""
    assert reading.named({"uuid": "u1", "name_label": ""}).name == "u1"
    assert len(reading.named({"uuid": "u1", "name_label": "x" * 900}).name) == 400
    assert reading.refs_in(["a", NULL, ref("b")]) == (ref("b"),)
