"""What stands in the way, what should be mended and what is good to know: each with names, cause and the fix."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.planner import backups, blockers, concerns, forecasting
from shared.domain.model import SR, VM, Disc, Disk, Evacuation, Package, PoolSettings, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, UPDATES, host, pool, vm

LOCAL = ("sr-nfs", "sr-local")


def stopped(snapshot: PoolSnapshot, policy: Policy | None = None) -> dict[str, str]:
    """The blockers of a forecast: code to sentence."""
    return {stop.code: stop.sentence for stop in forecasting.forecast(snapshot, policy or Policy()).blockers}


def warned(snapshot: PoolSnapshot) -> str:
    """All warnings of a forecast as one text."""
    return " ".join(forecasting.forecast(snapshot, Policy()).warnings)


def noted(snapshot: PoolSnapshot) -> str:
    """All notes of a forecast as one text."""
    return " ".join(forecasting.forecast(snapshot, Policy()).notes)


def noted_with(snapshot: PoolSnapshot, policy: Policy) -> str:
    """The same under a policy."""
    return " ".join(forecasting.forecast(snapshot, policy).notes)


def two(*vms: VM, **changes: Any) -> PoolSnapshot:
    """athos and porthos, and these VMs."""
    hosts = (host("athos", attached=LOCAL), host("porthos", **changes))
    return pool(hosts, vms, PoolSettings())


def test_a_local_disk_is_named_with_its_storage() -> None:
    """The disk, the SR, the host, and what to do."""
    disk = Disk("disk-1", "db data", "sr-local", GIB, shared=False)
    said = stopped(two(vm("db", "athos", srs=LOCAL, disks=(disk,))))["VM_REQUIRES_SR"]
    assert "db cannot leave athos: it has 'db data' on 'Local storage'" in said
    assert "move the disk to shared storage" in said


def test_a_disc_in_a_drive_is_told_from_a_disk() -> None:
    """An image on a local SR is ejected, not moved."""
    disc = Disc("iso-1", "setup.iso", "sr-local", "vbd-1", shared=False)
    said = stopped(two(vm("db", "athos", srs=LOCAL, discs=(disc,))))["DISC_IN_DRIVE"]
    assert "the disc 'setup.iso' of 'Local storage', which only athos reaches, is in its drive" in said
    assert "xe vm-cd-eject" in said


@pytest.mark.parametrize(
    ("device", "code", "cause"),
    [
        ("pci", "VM_HAS_PCI_ATTACHED", "PCI device"),
        ("vgpu", "VM_HAS_VGPU", "virtual GPU"),
        ("sriov", "VM_HAS_SRIOV_VIF", "SR-IOV"),
        ("vusb", "VM_HAS_VUSBS", "USB device"),
    ],
)
def test_a_device_binds_a_vm_whether_or_not_xapi_says_so(device: str, code: str, cause: str) -> None:
    """By our own reading of the VM, and by XAPI's code about it."""
    assert cause in stopped(two(vm("db", "athos", devices=(device,))))[code]
    assert cause in stopped(two(vm("db", "athos", prevents=Evacuation(code))))[code]


def test_missing_tools_bind_where_xapi_says_so_and_are_a_warning_elsewhere() -> None:
    """Codes about the VM are law; a guest of which nothing is heard can still move."""
    assert (
        "install them" in stopped(two(vm("db", "athos", prevents=Evacuation("VM_LACKS_FEATURE"))))["VM_LACKS_FEATURE"]
    )
    assert "VM db has no guest tools that report" in warned(two(vm("db", "athos", tools=False)))


@pytest.mark.parametrize(
    ("changes", "code", "cause"),
    [
        ({"power_state": "paused"}, "VM_BAD_POWER_STATE", "db on athos is paused; unpause it or stop it"),
        ({"prevents": Evacuation("VM_IS_IMMOBILE")}, "VM_IS_IMMOBILE", "marked as not migratable"),
        ({"prevents": Evacuation("VM_NON_SUSPENDABLE")}, "VM_NON_SUSPENDABLE", "cannot be suspended"),
        (
            {"prevents": Evacuation("VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION")},
            "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION",
            "a disk of it is reset at each boot",
        ),
    ],
)
def test_what_else_binds_a_vm_is_told_with_its_cause(changes: dict[str, Any], code: str, cause: str) -> None:
    """A paused guest, a mark of its owner, a guest that cannot be suspended, a disk that is reset."""
    assert cause in stopped(two(vm("db", "athos", **changes)))[code]


def test_a_member_that_is_ahead_of_its_master_is_no_blocker_and_is_told() -> None:
    """It joins after the master's turn."""
    behind = host("porthos", ahead=True, live=False, updates=None)
    snapshot = pool((host("athos"), behind, host("aramis")), (vm("db", "athos"),), PoolSettings())
    assert stopped(snapshot) == {}
    assert "porthos was updated before its master and is not let in; it joins by itself after the turn of athos" in (
        noted(snapshot)
    )


def test_from_when_to_when_snapshots_are_refused_is_told() -> None:
    """Where the updates change what XAPI compares; nothing is said of those that do not."""
    newer = (Package("xapi-core", "26.1.0", "1"), *UPDATES)
    hosts = (host("athos", updates=newer), host("porthos", updates=newer))
    said = noted(pool(hosts, (vm("db", "athos"),), PoolSettings()))
    assert "this pool refuses snapshots, and so backups" in said
    assert "(from minute " in said
    assert "refuses snapshots" not in noted(two(vm("db", "athos")))


def test_want_of_memory_says_how_much_and_whether_squeezing_would_do() -> None:
    """squeeze is named only where guests could be squeezed."""
    full = pool(
        (host("athos", 40), host("porthos", 40)), (vm("a", "athos", 30), vm("b", "porthos", 30)), PoolSettings()
    )
    said = stopped(full)["HOST_NOT_ENOUGH_FREE_MEMORY"]
    assert "is 22528 MiB short" in said
    assert "squeeze" not in said
    soft = replace(full, vms=tuple(replace(one, memory=8 * GIB) for one in full.vms))
    assert "(squeeze = true), which frees up to 45056 MiB" in stopped(soft)["HOST_NOT_ENOUGH_FREE_MEMORY"]
    assert stopped(soft, Policy(squeeze=True)) == {}


def test_a_host_that_no_vm_may_enter_is_named_with_the_reason() -> None:
    """Asked of all VMs that run elsewhere."""
    snapshot = pool((host("athos"), host("porthos"), host("aramis", attached=())), (vm("a", "athos"),), PoolSettings())
    assert "No VM can go to aramis: aramis does not reach the storage 'NFS'." in warned(snapshot)
    assert "No VM can go to porthos" not in warned(snapshot)


def test_a_cpu_that_lacks_what_a_guest_saw_at_its_boot_is_an_obstacle() -> None:
    """Feature words are compared bit by bit."""
    hosts = (host("athos", cpu_features="ff-0f"), host("porthos", cpu_features="7f-0f"))
    said = stopped(pool(hosts, (vm("db", "athos", cpu_features="ff-03"),), PoolSettings()))["NO_HOSTS_AVAILABLE"]
    assert "CPU of porthos lacks" in said
    assert stopped(pool(hosts, (vm("db", "athos", cpu_features="7f-03"),), PoolSettings())) == {}


def test_memory_that_may_shrink_to_half_is_a_warning() -> None:
    """With the fix: raise the minimum before the run, since it cannot be changed during it."""
    assert "VM db may be squeezed to 4096 MiB, under half of the 16384 MiB it has; raise its dynamic minimum" in warned(
        two(vm("db", "athos", 4, memory_now=16 * GIB))
    )


def test_a_full_root_disk_stops_and_a_small_one_warns() -> None:
    """Where nothing can be asked nothing is said."""
    assert "porthos has 100 MiB free on its root disk" in stopped(two(disk_free=100 * 1024**2))["DISK_SPACE"]
    assert "porthos has only 1024 MiB free" in warned(two(disk_free=GIB))
    assert "root disk" not in warned(two(disk_free=None))


def test_repositories_that_do_not_answer_are_told_for_each_host() -> None:
    """The updater's own words, and where to look."""
    said = stopped(two(updates=None, updates_unknown_because="No mirror answers."))["UPDATES_UNKNOWN"]
    assert said.startswith("The updates of host porthos cannot be told: No mirror answers. See that it reaches its")


def test_clocks_that_are_apart_are_a_warning() -> None:
    """One host's, or our own where all are off alike."""
    assert "The clock of porthos is 2 h behind ours; have it set (NTP)" in warned(two(clock_offset=-7200.0))
    hosts = (host("athos", clock_offset=300.0), host("porthos", clock_offset=301.0))
    said = warned(pool(hosts, (), PoolSettings()))
    assert "All hosts' clocks are 5 min before the clock of the machine that Rota runs on" in said
    assert "clock" not in warned(two(clock_offset=-1.0))


def test_a_member_that_is_offered_other_versions_than_its_master_is_a_warning() -> None:
    """Newer ones would not be installed, older ones would leave it behind; what the master has already counts too."""
    assert "offered" not in warned(two())
    newer = warned(two(updates=(Package("kernel", "4.19.19", "8.0.45"),)))
    assert "porthos is offered kernel 4.19.19-8.0.45, newer than what its master athos has or is offered" in newer
    assert "(kernel 4.19.19-8.0.44); it would not be installed" in newer
    assert "older than what its master athos" in warned(two(updates=(Package("kernel", "4.19.19", "8.0.43"),)))
    has = {"xapi-core": "xapi-core-25.33.1-2.x86_64"}
    done = (host("athos", updates=(), installed=has), host("porthos", updates=(Package("xapi-core", "26.1.0", "1"),)))
    assert "porthos is offered xapi-core 26.1.0-1, newer" in warned(pool(done, (), PoolSettings()))
    same = (done[0], host("porthos", updates=(Package("xapi-core", "25.33.1", "2"),)))
    assert "offered" not in warned(pool(same, (), PoolSettings()))


def test_who_is_squeezed_on_which_host_and_by_how_much_is_told() -> None:
    """Only with squeeze = true, and only where the receiving host has no room for what its guests have now."""
    vms = (vm("a", "athos", 8, memory_now=30 * GIB), vm("b", "porthos", 8, memory_now=30 * GIB), vm("c", "porthos", 4))
    full = pool((host("athos", 40), host("porthos", 50)), vms, PoolSettings())
    said = noted_with(full, Policy(squeeze=True))
    # 64 GiB on 48: 16 are short, and a and b may give 22 each; c has nothing to give.
    assert (
        "While athos is empty, guests on porthos are squeezed by 16384 MiB in all (squeeze = true): a from 30720 to"
        " 22528 MiB, b from 30720 to 22528 MiB." in said
    )
    assert "For its move XAPI shrinks a guest with dynamic memory to its minimum: a from 30720 to 8192 MiB" in said
    roomy = replace(full, hosts=(host("athos", 80), host("porthos", 80)))
    assert "squeezed" not in noted_with(roomy, Policy(squeeze=True))


def test_storage_that_is_not_attached_is_a_warning_with_names() -> None:
    """VMs that need it cannot go there."""
    assert "The storage 'NFS' is not attached to porthos" in warned(two(attached=(), detached=("sr-nfs",)))


def test_a_host_that_is_not_live_stops_a_run_only_where_it_has_a_turn() -> None:
    """Left out by the policy, it is a warning."""
    snapshot = pool((host("athos"), host("porthos"), host("aramis", live=False, updates=None)), (), PoolSettings())
    assert "aramis is not live" in stopped(snapshot)["HOST_OFFLINE"]
    assert stopped(snapshot, Policy(skip=("aramis",))) == {}
    shown = forecasting.forecast(snapshot, Policy(skip=("aramis",)))
    assert any("aramis is not live and has no turn" in warning for warning in shown.warnings)


def test_a_host_that_somebody_disabled_stops_a_run_only_where_it_has_a_turn() -> None:
    """An up to date one is a warning."""
    assert "was disabled by somebody" in stopped(two(enabled=False))["HOST_DISABLED"]
    assert "porthos is disabled and has no turn" in warned(two(enabled=False, updates=()))


def test_a_pool_without_shared_storage_is_told_as_such() -> None:
    """ISOs do not count."""
    snapshot = replace(two(), srs=(SR("sr-local", "Local", "ext", False), SR("iso", "ISOs", "iso", True, holds="iso")))
    assert "Pool Lab has no shared storage" in noted(snapshot)
    assert "no shared storage" not in noted(two())


def test_a_pool_of_one_host_is_offered_what_can_be_done() -> None:
    """Suspend or shut down, reboot, bring back."""
    said = stopped(pool((host("athos"),), (vm("db", "athos"),), PoolSettings()))["ONE_HOST"]
    assert "the only host of Lab" in said
    assert "suspended or shut down while athos reboots and brought back" in said


def test_rotas_own_vm_and_those_it_needs_are_named_as_such() -> None:
    """Where one of them cannot move, nothing else is proposed."""
    snapshot = two(vm("db", "athos", devices=("pci",)), vm("dns", "athos", devices=("pci",)))
    stops = [*blockers.of_vms(replace(snapshot, rota_vms=("vm-db",), needed_vms=("vm-dns",)), snapshot.hosts[0])]
    assert stops[0].sentence.endswith("so it cannot update the host it stands on while that is so.")
    assert stops[1].sentence.endswith("Rota needs dns, so it is never stopped.")


def test_the_migration_network_must_be_there_with_an_address_on_each_host() -> None:
    """The policy's, or the pool's own."""
    assert "has no network 'fast' for migrations" in stopped(two(), Policy(migration_network="fast"))["NO_SUCH_NETWORK"]
    with_ip = two(networks_with_ip=("net-0",))
    said = stopped(with_ip, Policy(migration_network="net-0"))["INTERFACE_HAS_NO_IP"]
    assert "Host athos has no address on 'Pool-wide network'" in said
    pools_own = replace(with_ip, settings=PoolSettings(migration_network="net-0"))
    assert "put right the pool's xo:migrationNetwork" in stopped(pools_own)["INTERFACE_HAS_NO_IP"]
    assert stopped(two()) == {}


@pytest.mark.parametrize("code", ["HOST_NOT_ENOUGH_FREE_MEMORY", "NO_HOSTS_AVAILABLE", "VM_REQUIRES_SR"])
def test_xapis_answers_about_targets_stand_beside_ours_where_they_differ(code: str) -> None:
    """They are notes, never blockers."""
    snapshot = two(vm("db", "athos", prevents=Evacuation(code)))
    assert stopped(snapshot) == {}
    assert f"XAPI by itself would not empty athos because of db ({code}: " in noted(snapshot)


@pytest.mark.parametrize(
    ("changes", "because"),
    [
        ({"operations": ("snapshot",)}, "VM db is being snapshotted"),
        ({"operations": ("export",)}, "VM db is being exported"),
        ({"blocked_operations": {"pool_migrate": "VM migration is blocked during backup"}}, "VM db is being backed up"),
    ],
)
def test_a_backup_is_waited_for_and_stops_nothing(changes: dict[str, Any], because: str) -> None:
    """It is said for how long, and its block is left alone, also where XAPI tells of it as of any block."""
    prevented = vm("db", "athos", prevents=Evacuation("OPERATION_BLOCKED"), **changes)
    if "operations" in changes:
        prevented = replace(prevented, prevents=Evacuation("OTHER_OPERATION_IN_PROGRESS"))
    snapshot = two(prevented)
    assert stopped(snapshot) == {}
    assert f"athos waits: {because}. It is waited for, for 240 minutes at most." in noted(snapshot)


def test_a_block_that_no_backup_set_stays_a_blocker() -> None:
    """Its owner's reason is told."""
    said = stopped(two(vm("db", "athos", blocked_operations={"pool_migrate": "licence dongle"})))["OPERATION_BLOCKED"]
    assert "(licence dongle)" in said


def test_a_host_waits_for_what_others_do_on_it_and_the_master_for_every_export() -> None:
    """Disks at its control domain, tasks of others; an export elsewhere is the master's business alone."""
    snapshot = two(
        vm("db", "porthos", operations=("export",)), control_domain_disks=("disk 1",), tasks_of_others=("SR.scan",)
    )
    athos, porthos = snapshot.hosts
    assert backups.waiting_for(snapshot, athos.named) == "athos waits: VM db is being exported."
    said = backups.waiting_for(snapshot, porthos.named)
    assert said is not None
    assert "the disk 'disk 1' is attached to its control domain" in said
    assert "somebody else's task 'SR.scan' runs on it" in said
    assert backups.waiting_for(two(vm("db", "athos")), athos.named) is None


def test_what_is_asked_of_many_vms_alike_is_asked_once() -> None:
    """Two thousand VMs that need the same cost no more than one."""
    many = tuple(vm(f"v{n}", "athos", 1) for n in range(2000))
    snapshot = pool((host("athos", 4096), host("porthos", 4096)), many, PoolSettings())
    assert list(concerns.warnings(snapshot, snapshot.hosts)) == []
