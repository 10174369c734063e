"""What does not stand in the way of a run and should be known before it: warnings, with names and the fix. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from services.planner import backups, ceiling, placement, replication, timing, versions
from services.planner.few import few
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.policy import Policy

MIB = 1024 * 1024

LITTLE_DISK = 2 * 1024 * MIB
"""Bytes free on a root disk under which a warning is due: a year's updates at once come near it."""

CLOCKS_APART = 60.0
"""Seconds by which a clock may be off: boots are told apart by a minute (conduct 1)."""

NAMED = 3
"""So many names stand in a sentence."""


def warnings(snapshot: PoolSnapshot, turns: Sequence[Host]) -> Iterator[str]:
    """What should be mended on a pool whose hosts `turns` have a turn, though the run can go on without."""
    yield from chain(
        _hosts(snapshot, turns),
        _clocks(snapshot),
        _storage(snapshot),
        _closed(snapshot),
        _guests(snapshot),
        ceiling.warnings(snapshot, turns),
        replication.warnings(snapshot),
    )


def notes(
    snapshot: PoolSnapshot, policy: Policy, turns: Sequence[Host], times: timing.Times | None = None
) -> Iterator[str]:
    """What will happen and nobody need mend: what is refused meanwhile and from when to when, members that will join,
    backups that are waited for."""
    if turns and policy.updates and versions.flag_will_be_set(snapshot):
        yield (
            f"From the first host's reboot until the last host is updated{_when(times)} this pool refuses snapshots,"
            " and so backups, because its hosts run different versions of XAPI meanwhile."
        )
    yield from _no_shared_storage(snapshot)
    for host in snapshot.hosts:
        if host.ahead:
            master = snapshot.named(snapshot.master).name
            yield (
                f"{host.name} was updated before its master and is not let in; it joins by itself after the turn of"
                f" {master}, and is looked at then."
            )
    yield from replication.notes(snapshot, policy) if turns else ()
    for host in turns:
        if sentence := backups.waiting_for(snapshot, host.named):
            yield backups.until(sentence, policy.backup_minutes)


def _no_shared_storage(snapshot: PoolSnapshot) -> Iterator[str]:
    if len(snapshot.hosts) > 1 and not any(sr.shared and sr.holds != "iso" for sr in snapshot.srs):
        yield (
            f"Pool {snapshot.name} has no shared storage, so no VM can move without its disks; see what strategies say"
            " for each."
        )


def _when(times: timing.Times | None) -> str:
    """Between which minutes of the run versions differ, upper end."""
    if times is None or times.differ_from is None or times.differ_until is None:
        return ""
    return f" (from minute {times.differ_from // 60:.0f} of the run to minute {-(-times.differ_until // 60):.0f})"


def second_opinion(snapshot: PoolSnapshot, host: Host, placed: Sequence[VM]) -> Iterator[str]:
    """XAPI's answers about targets, for VMs on a host that our plan has a place for (conduct 15): its own planner asks
    every host to take every VM, and packs by memory alone."""
    by_code: dict[str, list[str]] = {}
    for vm in placed:
        if vm.prevents is not None and vm.prevents.code in OF_TARGETS:
            by_code.setdefault(vm.prevents.code, []).append(vm.name)
    for code, names in by_code.items():
        yield (
            f"XAPI by itself would not empty {host.name} because of {few(names, NAMED)} ({code}: {OF_TARGETS[code]});"
            " Rota's plan has a place for each."
        )


def _hosts(snapshot: PoolSnapshot, turns: Sequence[Host]) -> Iterator[str]:
    for host in snapshot.hosts:
        if not host.live and host not in turns:
            yield f"{host.name} is not live and has no turn; no VM can go there, and HA stays off without it."
        elif not host.enabled and host not in turns:
            yield f"{host.name} is disabled and has no turn, so no VM goes there (xe host-enable host={host.name})."
        if host in turns and host.disk_free is not None and host.disk_free < LITTLE_DISK:
            yield (
                f"{host.name} has only {host.disk_free // MIB} MiB free on its root disk; clear old logs and packages"
                " there (yum clean all)."
            )


def _clocks(snapshot: PoolSnapshot) -> Iterator[str]:
    """Hosts whose clock is off; where all are off alike it is our own."""
    told = [(host, host.clock_offset) for host in snapshot.hosts if host.clock_offset is not None]
    offsets = [offset for _, offset in told]
    if len(told) > 1 and min(map(abs, offsets)) > CLOCKS_APART and max(offsets) - min(offsets) <= CLOCKS_APART:
        yield (
            f"All hosts' clocks are {_span(offsets[0])} the clock of the machine that Rota runs on; set that one (NTP)."
        )
        return
    for host, offset in told:
        if abs(offset) > CLOCKS_APART:
            yield f"The clock of {host.name} is {_span(offset)} ours; have it set (NTP) before the run."


def _span(offset: float) -> str:
    seconds = round(abs(offset))
    spoken = f"{seconds} s" if seconds < 120 else f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h"
    return f"{spoken} {'before' if offset > 0 else 'behind'}"


def _storage(snapshot: PoolSnapshot) -> Iterator[str]:
    for host in (host for host in snapshot.hosts if host.live):
        for sr in host.detached:
            name = snapshot.sr_name(sr)
            yield (
                f"The storage {name!r} is not attached to {host.name}; VMs that need it cannot go there (xe pbd-plug of"
                f" its PBD on {host.name})."
            )


def _closed(snapshot: PoolSnapshot) -> Iterator[str]:
    """Hosts that no VM of another host may enter, with the reason that is met most. VMs that need the same are asked
    for once, and the first that may enter settles it. A VM with a disk or a device of its own host says nothing."""
    local = {sr.uuid for sr in snapshot.srs if not sr.shared}
    alike = {
        (vm.host, vm.srs, vm.networks, vm.cpu_features): vm
        for vm in snapshot.vms
        if vm.power_state == "running" and not vm.devices and local.isdisjoint(vm.srs)
    }
    hosts = {host.uuid: host for host in snapshot.hosts}
    for target in snapshot.hosts:
        if not (target.live and target.enabled):
            continue
        reasons: list[str] = []
        for vm in alike.values():
            if vm.host in hosts and vm.host != target.uuid:
                reasons.append(placement.obstacle(snapshot, vm, hosts[vm.host], target, frozenset()))
                if not reasons[-1]:
                    break
        if reasons and all(reasons):
            yield f"No VM can go to {target.name}: {max(set(reasons), key=reasons.count)}."


def _guests(snapshot: PoolSnapshot) -> Iterator[str]:
    for vm in snapshot.vms:
        if vm.power_state != "running":
            continue
        if 0 < vm.memory < vm.memory_now / 2:
            yield (
                f"VM {vm.name} may be squeezed to {vm.memory // MIB} MiB, under half of the"
                f" {vm.memory_now // MIB} MiB it has; raise its dynamic minimum before the run."
            )
        if not vm.tools and vm.prevents is None:
            yield (
                f"VM {vm.name} has no guest tools that report, so nobody can tell whether it is well after a move;"
                " install them."
            )


OF_TARGETS: dict[str, str] = {
    "NO_HOSTS_AVAILABLE": "it sees no host that may take them",
    "HOST_NOT_ENOUGH_FREE_MEMORY": "it finds no memory for them",
    "VM_REQUIRES_SR": "some host does not reach their storage",
    "VM_REQUIRES_NETWORK": "some host is not on their network",
    "HOST_CANNOT_ATTACH_NETWORK": "some host is not on their network",
    "VM_INCOMPATIBLE_WITH_THIS_HOST": "some host's CPU is not what they need",
}
"""XAPI's codes about targets (xen-api xapi_host.ml), in words. HOST_EVACUATE_VM_NOT_HA_PROTECTED is none of them: HA is
off by then."""
