"""VMs that serve storage to their own pool: who serves what to whom, and what of that cannot be worked with. Pure.

The chain is host, VM, SR, PBDs, disks, VMs: when the host is away, whoever has a disk at its end stands still. Declared
in rota.toml, or by a tag `rota:serves:<sr>` on the VM.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from services.planner import blockers
from services.planner.few import few
from shared.domain import facts
from shared.domain.model import SR, VM, Disc, Host, PoolSnapshot, StorageVM
from shared.domain.policy import Policy

TAG = "rota:serves:"
"""What the tag of a VM begins with that serves the SR whose name or uuid follows."""


@dataclass(frozen=True, slots=True)
class Service:
    """An SR and the VM that serves it, the host that this VM lives on, and by whose word it is known."""

    vm: VM
    sr: SR
    home: Host
    by: str


@dataclass(frozen=True, slots=True)
class Served:
    """What a pool's own VMs serve, and what is wrong with what was declared."""

    services: tuple[Service, ...] = ()
    faults: tuple[facts.Blocker, ...] = ()

    @property
    def srs(self) -> frozenset[str]:
        """The SRs (uuids) that VMs serve."""
        return frozenset(service.sr.uuid for service in self.services)


def read(snapshot: PoolSnapshot) -> Served:
    """The services of a pool, as declared and tagged. What is declared in rota.toml counts before a tag."""
    found: dict[str, Service] = {}
    faults: list[facts.Blocker] = []
    for declared, by in _declared(snapshot):
        said = _service(snapshot, declared, by)
        if isinstance(said, facts.Blocker):
            faults.append(said)
        else:
            found.setdefault(said.sr.uuid, said)
    services = tuple(found.values())
    return Served(services, (*faults, *_circles(services)))


def _declared(snapshot: PoolSnapshot) -> Iterator[tuple[StorageVM, str]]:
    for one in snapshot.storage_vms:
        yield one, "rota.toml"
    for vm in snapshot.vms:
        for tag in vm.tags:
            if tag.startswith(TAG):
                yield StorageVM(vm.uuid, tag.removeprefix(TAG)), f"the owner of {vm.name}"


def _service(snapshot: PoolSnapshot, declared: StorageVM, by: str) -> Service | facts.Blocker:
    """A service as it is in this pool, or what is wrong with what was said of it."""
    vm = next((vm for vm in snapshot.vms if declared.vm in (vm.uuid, vm.name)), None)
    where = "[[storage_vm]] of rota.toml" if by == "rota.toml" else f"The tag of {vm.name if vm else declared.vm}"
    if vm is None:
        sentence = f"{where} names a VM {declared.vm!r}, and pool {snapshot.name} has none of that name; mend the name."
        return facts.Blocker(sentence=sentence, code="NO_SUCH_VM")
    sr = next((sr for sr in snapshot.srs if declared.sr in (sr.uuid, sr.name)), None)
    if sr is None:
        sentence = (
            f"{where} says that {vm.name} serves {declared.sr!r}, and pool {snapshot.name} has no SR of that name; mend"
            " the name."
        )
        return facts.Blocker(sentence=sentence, code="NO_SUCH_SR", vm=vm.named)
    home = next((host for host in snapshot.hosts if declared.host in (host.uuid, host.name)), None)
    if declared.host and home is None:
        hosts = ", ".join(host.name for host in snapshot.hosts)
        sentence = f"{where} says that {vm.name} lives on {declared.host!r}, and there are {hosts}; mend the name."
        return facts.Blocker(sentence=sentence, code="NO_SUCH_HOST", vm=vm.named)
    here = snapshot.host(vm.host) if vm.host else None
    if here is None or vm.power_state != "running":
        sentence = (
            f"{vm.name}, which serves {sr.name!r} to this pool, is {vm.power_state}; start it, or take it out of what"
            " serves storage."
        )
        return facts.Blocker(sentence=sentence, code="STORAGE_VM_DOWN", host=home.named if home else None, vm=vm.named)
    if home is not None and home != here and bound(snapshot, vm, here):
        sentence = (
            f"{where} says that {vm.name} lives on {home.name}, and it runs on {here.name}, which its disks bind it to;"
            f" write host = {here.name!r}."
        )
        return facts.Blocker(sentence=sentence, code="WRONG_HOST", host=here.named, vm=vm.named)
    return Service(vm, sr, home or here, by)


def bound(snapshot: PoolSnapshot, vm: VM, here: Host) -> bool:
    """Whether a VM cannot leave its host whatever the others are like: it is held there, or has a disk or a disc that
    only that host reaches."""
    local = {sr.uuid for sr in snapshot.srs if not sr.shared}
    return not local.isdisjoint(vm.srs) or blockers.of_running(vm, here) is not None


def _circles(services: Sequence[Service]) -> Iterator[facts.Blocker]:
    """Storage VMs that need each other's SR, each circle once: none of them could be stopped before the others."""
    by_sr = {service.sr.uuid: service for service in services}
    told: set[frozenset[str]] = set()
    for first in services:
        way = _circle(first, by_sr)
        if way and frozenset(one.sr.uuid for one in way) not in told:
            told.add(frozenset(one.sr.uuid for one in way))
            chain = "; ".join(
                f"{one.vm.name} has a disk on {after.sr.name!r}, which {after.vm.name} serves"
                for one, after in zip(way, [*way[1:], way[0]], strict=True)
            )
            sentence = (
                f"Storage VMs need each other in a circle: {chain}. None of them can be stopped first, so no host of"
                " theirs can be updated; move one of these disks to other storage."
            )
            yield facts.Blocker(sentence=sentence, code="STORAGE_CIRCLE", vm=way[0].vm.named)


def _circle(first: Service, by_sr: Mapping[str, Service]) -> list[Service]:
    """The shortest way from a service over what each needs back to itself; empty where there is none."""
    ways = [[first]]
    seen: set[str] = set()
    while ways:
        way = ways.pop(0)
        for sr in way[-1].vm.srs:
            after = by_sr.get(sr)
            if after is None:
                continue
            if after == first:
                return way
            if sr not in seen:
                seen.add(sr)
                ways.append([*way, after])
    return []


def faults_of(snapshot: PoolSnapshot, hosts: Sequence[Host]) -> Iterator[facts.Blocker]:
    """What is wrong with what was declared, as far as it matters to hosts that have a turn."""
    theirs = {host.uuid for host in hosts}
    return (one for one in read(snapshot).faults if one.host is None or one.host.uuid in theirs)


# --- who hangs on it --------------------------------------------------------------------------------------------------


def users(snapshot: PoolSnapshot, services: Sequence[Service]) -> tuple[VM, ...]:
    """The running and paused VMs, wherever they are, that have a disk or a disc on what these serve; those that serve
    it themselves left out."""
    srs = {service.sr.uuid for service in services}
    own = {service.vm.uuid for service in services}
    return tuple(vm for vm in snapshot.vms if vm.host and vm.uuid not in own and not srs.isdisjoint(vm.srs))


def sleepers(snapshot: PoolSnapshot, services: Sequence[Service]) -> tuple[VM, ...]:
    """The halted and suspended VMs that cannot be started or resumed while these serve nothing."""
    srs = {service.sr.uuid for service in services}
    return tuple(
        vm for vm in snapshot.vms if not vm.host and not srs.isdisjoint({*vm.srs, *filter(None, (vm.suspended_on,))})
    )


def attached_to(snapshot: PoolSnapshot, sr: SR) -> tuple[Host, ...]:
    """The hosts whose PBD of an SR is attached: the members by name, the master last."""
    hosts = [host for host in snapshot.hosts if sr.uuid in host.attached]
    return tuple(sorted(hosts, key=lambda host: (host.uuid == snapshot.master, host.name, host.uuid)))


def notes(snapshot: PoolSnapshot, services: Sequence[Service]) -> Iterator[str]:
    """The chain of each service, from its host to the VMs at its end; and who cannot be started meanwhile."""
    for service in services:
        hosts = few(sorted(host.name for host in attached_to(snapshot, service.sr))) or "no host"
        ends = [vm.name for vm in users(snapshot, (service,))]
        on_it = f"{few(ends)} {'has' if len(ends) == 1 else 'have'} disks on it" if ends else "no running VM uses it"
        yield f"{service.vm.name} on {service.home.name} serves {service.sr.name!r} to {hosts}; {on_it}."
        if asleep := [vm.name for vm in sleepers(snapshot, (service,))]:
            yield (
                f"{few(asleep)} cannot be started while {service.home.name} is in its turn: {service.sr.name!r} is"
                " not attached to any host then."
            )


# --- a host whose turn takes a service away ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Going:
    """What a host's turn takes away: the services of VMs that cannot leave it, who uses them, and discs that need only
    be taken out of the drives of others."""

    services: tuple[Service, ...] = ()
    users: tuple[VM, ...] = ()
    discs: tuple[tuple[VM, Disc], ...] = ()

    def __bool__(self) -> bool:
        return bool(self.services)

    @property
    def ours(self) -> frozenset[str]:
        """The VMs, by uuid, that are no ordinary VMs of this turn: those that serve, and those that use."""
        return frozenset(vm.uuid for vm in (*self.users, *(service.vm for service in self.services)))

    @property
    def srs(self) -> frozenset[str]:
        """The SRs, by uuid, that go away."""
        return frozenset(service.sr.uuid for service in self.services)


NOTHING = Going()


def going_away(snapshot: PoolSnapshot, host: Host, kept: Sequence[facts.Blocker], policy: Policy) -> Going:
    """What goes away with a host; `kept` are the VMs that something keeps on it. A storage VM that can simply move does
    so, and serves on. Who has but a disc there is no user where policy lets discs be taken out."""
    stay = {stop.vm.uuid for stop in kept if stop.vm}
    services = tuple(one for one in read(snapshot).services if one.vm.host == host.uuid and one.vm.uuid in stay)
    if not services:
        return NOTHING
    srs = {service.sr.uuid for service in services}
    found, discs = list[VM](), list[tuple[VM, Disc]]()
    for vm in users(snapshot, services):
        there = [disc for disc in vm.discs if disc.sr in srs]
        if there and policy.eject_discs and policy.mode == "home" and not any(disk.sr in srs for disk in vm.disks):
            discs += [(vm, disc) for disc in there]
        else:
            found.append(vm)
    return Going(services, tuple(found), tuple(discs))


def in_the_way(
    snapshot: PoolSnapshot, host: Host, going: Going, kept: Sequence[facts.Blocker]
) -> tuple[facts.Blocker, ...]:
    """The same with a cause of its own for each VM that uses what goes away, wherever it is; the VMs that serve are no
    longer in it."""
    others = tuple(stop for stop in kept if not (stop.vm and stop.vm.uuid in going.ours))
    return (*others, *(_of_user(snapshot, host, going, vm) for vm in going.users))


def _of_user(snapshot: PoolSnapshot, host: Host, going: Going, vm: VM) -> facts.Blocker:
    service = next(one for one in going.services if one.sr.uuid in vm.srs)
    where = snapshot.host(vm.host or "") or host
    if vm.power_state != "running":
        sentence = f"VM {vm.name} on {where.name} is {vm.power_state}; unpause it or stop it."
        return facts.Blocker(sentence=sentence, code="VM_BAD_POWER_STATE", host=where.named, vm=vm.named)
    serves = [one for one in read(snapshot).services if one.vm.uuid == vm.uuid]
    only_disc = vm.discs and not any(disk.sr == service.sr.uuid for disk in vm.disks)
    cure = f"eject it (xe vm-cd-eject uuid={vm.uuid}; eject_discs = true)" if only_disc else "move its disks"
    lies = [(one.name, one.sr) for one in vm.disks] + [(one.name, one.sr) for one in vm.discs]
    what = next((repr(name) for name, sr in lies if sr == service.sr.uuid), "a disk")
    begin = (
        f"VM {vm.name} on {where.name} uses {what} on {service.sr.name!r}, which {service.vm.name} serves from"
        f" {host.name} and which is away while {host.name} is updated"
    )
    if serves:
        sentence = (
            f"{begin}; {vm.name} itself serves {serves[0].sr.name!r}, and two storage VMs are never down together: move"
            " its disks to other storage."
        )
        return facts.Blocker(sentence=sentence, code="STORAGE_VM_CHAIN", host=host.named, vm=vm.named)
    sentence = f"{begin}: let it be suspended or shut down meanwhile (strategies, or the chain storage_vm), or {cure}."
    return blockers.with_ground(
        snapshot, vm, facts.Blocker(sentence=sentence, code="STORAGE_VM", host=where.named, vm=vm.named)
    )
