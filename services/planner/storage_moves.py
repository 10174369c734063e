"""VMs that leave a host with their disks: where each goes, on which SRs, and what is short. Pure.

Disks go by `VM.migrate_send`, the VM running on, to a host that is not older than its own (conduct 7; xen-api
xapi_vm_migrate.ml): from an old host to any, from an updated one to updated ones only. Room is counted over all moves
of a plan, each as if it were there at once.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

from services.planner import backups, discs, placement
from services.planner.few import few
from shared.domain import acts, facts, storage
from shared.domain.model import SR, VM, Disk, Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.storage import DiskMove

GIB = 1024**3

AT_ONCE = 3
"""So many VMs take their disks away from one host at once: XAPI refuses a fourth (TOO_MANY_STORAGE_MIGRATES)."""

NOTE = "rota:disks:"
"""What the keys in the pool's other_config begin with that say where a VM's disks live while they are elsewhere."""

Promised = Mapping[tuple[str, str], int]
"""Bytes that disks of a VM will take on an SR (uuids of both)."""


class Room:
    """What is left on hosts and SRs beside the moves that are planned already, while one host is emptied. Lives for one
    plan; `promised` is what other moves will take on SRs, `away` the SRs (uuids) that go away themselves, from every
    host: what lies on them goes to other shared ones, to those that VMs of the pool have `served` last."""

    def __init__(
        self,
        snapshot: PoolSnapshot,
        leaving: Host,
        policy: Policy,
        conditions: placement.Conditions,
        found: placement.Placement,
        promised: Promised | None = None,
        away: frozenset[str] = frozenset(),
        served: frozenset[str] = frozenset(),
    ) -> None:
        self.snapshot = snapshot
        self.leaving = leaving
        self.policy = policy
        self.given = conditions
        self.away, self.served = away, served
        self.srs = {sr.uuid: sr for sr in snapshot.srs}
        self.doubled: dict[str, list[int]] = {}
        self.need = placement.tight if conditions.squeeze else placement.comfortable
        self.found = found
        held = _by_sr(promised or {}, _homes_kept(snapshot))
        self.free = {sr.uuid: free_on(sr, policy) - held.get(sr.uuid, 0) for sr in snapshot.srs}

    @cached_property
    def memory(self) -> dict[str, int]:
        """Bytes left on each host, counted when the first VM asks: most turns have none that does."""
        return {host.uuid: self._memory(host, self.found) for host in self.snapshot.hosts}

    def _memory(self, host: Host, found: placement.Placement) -> int:
        taken = sum(self.need(vm) for vm in self.snapshot.resident(host.uuid))
        coming = sum(move.memory for move in (*found.moves, *found.rooms) if move.to.uuid == host.uuid)
        room = host.memory_total - host.memory_overhead
        return room - taken - coming - self.given.promised.get(host.uuid, 0)

    def send(self, vm: VM, *, again: bool = True) -> placement.Move | str:
        """The move of a VM with its disks, its room taken; or why there is none, as the end of a sentence. `again`
        whether it may go where it failed to go before. A VM of another host stays there, and only its disks go."""
        if (where := self.snapshot.host(vm.host or "")) and where.uuid != self.leaving.uuid:
            return self._aside(vm, where)
        vm = discs.taken_out(vm, self.policy)
        if because := unsendable(vm):
            return because
        found, reasons = list[tuple[Any, Host, dict[str, SR]]](), list[str]()
        for host in self.snapshot.hosts:
            if host.uuid == self.leaving.uuid:
                continue
            failed = not again and host.uuid in self.given.avoid.get(vm.uuid, ())
            chosen = f"its move to {host.name} failed" if failed else self._on(vm, host)
            if isinstance(chosen, str):
                reasons.append(chosen)
            else:
                found.append((self._rank(vm, host, chosen), host, chosen))
        if not found:
            return "; ".join(dict.fromkeys(reasons)) or "there is no other host"
        _, host, chosen = min(found, key=lambda one: one[0])
        disks = self._moved(vm, chosen)
        self.take(vm, host, disks)
        return placement.Move(vm, host, self.need(vm), disks=disks)

    def _aside(self, vm: VM, host: Host) -> placement.Move | str:
        """The move of a VM's disks on its own host, where it runs on."""
        if because := unsendable(vm):
            return because
        if host.uuid in self.given.closed or not (host.enabled and host.live):
            return f"{host.name} does not take VMs"
        if disc := next((disc for disc in vm.discs if disc.sr in self.away), None):
            return f"the disc {disc.name!r} is in its drive, which goes away too"
        if (short := self._twice(vm, host) - self.memory[host.uuid]) > 0:
            return f"{host.name} has {short / GIB:.1f} GiB of memory too little for it to be there twice for a moment"
        chosen = self._shelves(vm, host)
        if isinstance(chosen, str):
            return chosen
        self.memory[host.uuid] -= self._twice(vm, host)
        self.doubled.setdefault(host.uuid, []).append(self.need(vm))
        disks = self._moved(vm, chosen)
        for disk in disks:
            self.free[disk.to.uuid] -= disk.size
        return placement.Move(vm, host, self.need(vm), source=host, disks=disks)

    def _twice(self, vm: VM, host: Host) -> int:
        """Bytes that are needed on a host beside what is counted already, so that a VM can be there twice while its
        disks are handed over: the few largest that may be at it at once. XAPI asks for them as for any move (xen-api
        xapi_vm_migrate.ml)."""
        sizes = self.doubled.get(host.uuid, [])
        return sum(sorted([*sizes, self.need(vm)])[-AT_ONCE:]) - sum(sorted(sizes)[-AT_ONCE:])

    def _moved(self, vm: VM, chosen: Mapping[str, SR]) -> tuple[DiskMove, ...]:
        return tuple(self._move(vm, disk, chosen[disk.device]) for disk in vm.disks if disk.device in chosen)

    def _reached(self, host: Host) -> frozenset[str]:
        """The SRs (uuids) that a host reaches all the time."""
        return frozenset(host.attached) - self.away

    def take(self, vm: VM, host: Host, disks: Iterable[DiskMove]) -> None:
        """A VM goes to a host with these disks."""
        self.memory[host.uuid] -= self.need(vm)
        for disk in disks:
            self.free[disk.to.uuid] -= disk.size

    def _rank(self, vm: VM, host: Host, chosen: Mapping[str, SR]) -> tuple[object, ...]:
        """The best host first: one that did not fail before; one that is not emptied soon, unless the disks go where
        they need not move again; the roomiest."""
        again = host.uuid in self.given.soon and not all(sr.shared for sr in chosen.values())
        return host.uuid in self.given.avoid.get(vm.uuid, ()), again, -self.memory[host.uuid], host.name, host.uuid

    def _on(self, vm: VM, host: Host) -> dict[str, SR] | str:
        """The SR on a host for each disk that must change its own, by device; or why there is none."""
        if host.uuid in self.given.closed:
            return f"{host.name} is in its own turn"
        if why := placement.obstacle(self.snapshot, replace(vm, srs=()), self.leaving, host, self.given.newest):
            return why
        if placement.backwards(self.leaving.uuid, host.uuid, self.given.newest, self.given.coming):
            return f"{host.name} runs older software than {self.leaving.name}"
        if disc := next((disc for disc in vm.discs if disc.sr not in self._reached(host)), None):
            return f"the disc {disc.name!r} is in its drive, which {host.name} does not reach"
        if (short := self.need(vm) - self.memory[host.uuid]) > 0:
            return f"{host.name} has {short / GIB:.1f} GiB of memory too little"
        return self._shelves(vm, host)

    def _shelves(self, vm: VM, host: Host) -> dict[str, SR] | str:
        chosen: dict[str, SR] = {}
        left = {sr: self.free[sr] for sr in host.attached if sr in self.srs and sr not in self.away}
        for disk in sorted(vm.disks, key=lambda disk: (-disk.size, disk.device)):
            if disk.sr in self._reached(host):
                continue
            own = self.srs.get(disk.sr)
            if own is not None and storage.is_excluded(own, self.policy.exclude_sr):
                return f"its disk {disk.name!r} lies on {own.name!r}, which is not to be touched (exclude_sr)"
            shared = {sr: free for sr, free in left.items() if self.srs[sr].shared}
            sr = self._shelf(disk, own, shared if disk.sr in self.away else left, host)
            if isinstance(sr, str):
                return sr
            left[sr.uuid] -= storage.taken(disk, sr)
            chosen[disk.device] = sr
        return chosen

    def _shelf(self, disk: Disk, own: SR | None, left: Mapping[str, int], host: Host) -> SR | str:
        """The roomiest SR that takes a disk; or by how much the roomiest is short."""
        if because := storage.unmovable(disk):
            return because
        able = [self.srs[uuid] for uuid in left if not storage.unfit(disk, self.srs[uuid], own, self.policy.exclude_sr)]
        if not able:
            why = [storage.unfit(disk, self.srs[uuid], own, self.policy.exclude_sr) for uuid in sorted(left)]
            return f"{host.name} reaches no SR for its disk {disk.name!r}" + (f" ({'; '.join(why)})" if why else "")
        room = {sr.uuid: left[sr.uuid] - storage.taken(disk, sr) for sr in able}
        best = max(
            able,
            key=lambda sr: (room[sr.uuid] >= 0 and sr.uuid not in self.served, room[sr.uuid], sr.name, sr.uuid),
        )
        short = storage.taken(disk, best) - left[best.uuid]
        if short > 0:
            return f"{best.name!r} is {short / GIB:.1f} GiB short of what its disk {disk.name!r} takes"
        return best

    def _move(self, vm: VM, disk: Disk, sr: SR) -> DiskMove:
        own = Named(disk.sr, self.snapshot.sr_name(disk.sr))
        return DiskMove(disk.device, disk.name, own, Named(sr.uuid, sr.name), storage.taken(disk, sr))


def free_on(sr: SR, policy: Policy) -> int:
    """Bytes that moves may take on an SR: what is free less the share that is left so."""
    return (sr.free or 0) - int(sr.size * float(policy.sr_spare.rstrip("%")) / 100)


def unsendable(vm: VM) -> str:
    """Why a VM cannot take its disks along, wherever it goes, as the end of a sentence; empty when it can."""
    if not vm.sendable and not vm.operations and not backups.blocks(vm):
        return "XAPI does not offer its move with its disks (VM.allowed_operations has no migrate_send)"
    return ""


def size(disks: Iterable[DiskMove]) -> int:
    """Bytes that are copied."""
    return sum(disk.size for disk in disks if disk.source != disk.to)


def spoken(disks: Sequence[DiskMove]) -> str:
    """Disks for people: `50.0 GiB to 'Local storage on beta'`."""
    names = " and ".join(dict.fromkeys(repr(disk.to.name) for disk in disks))
    return f"{size(disks) / GIB:.1f} GiB to {names}"


def notes(turns: Iterable[facts.ForecastTurn], *, differ: bool) -> Iterator[str]:
    """What is said beforehand of disks that go along: which before which reboot, and, where versions may `differ`, what
    cannot go back meanwhile."""
    along = [(turn, [move for move in turn.moves if move.disks]) for turn in turns]
    for turn, sent in along:
        if aside := [move for move in sent if move.source]:
            copied = sum(size(move.disks) for move in aside) / GIB
            yield (
                f"{few([move.vm.name for move in aside], 10)} run on where they are; {copied:.1f} GiB of their disks go"
                f" to other storage before what {turn.host.name} serves goes away, and home when it is there again;"
                " nobody is stopped for it."
            )
        moves = [move for move in sent if not move.source]
        if not moves:
            continue
        copied = sum(size(move.disks) for move in moves) / GIB
        yield (
            f"{few([move.vm.name for move in moves], 10)} take {copied:.1f} GiB of disks along before {turn.host.name}"
            " is rebooted, and home again once it is back; nobody is stopped for it."
        )
    if differ and any(move.source is None for _, moves in along for move in moves):
        yield (
            "While versions differ, disks go only to a host that is not older (VM.migrate_send): from a host that is"
            " not updated yet to any, from an updated one to updated ones. A run that is cancelled meanwhile leaves"
            " such disks where they are, owed, until their home is updated."
        )


# --- SRs that are not to be touched -----------------------------------------------------------------------------------


def kept(snapshot: PoolSnapshot, host: Host, policy: Policy) -> Iterator[facts.Blocker]:
    """VMs on a host that stay where they are for the sake of an SR that is not to be touched, where policy says so."""
    for vm in snapshot.resident(host.uuid):
        if sr := stays_for(snapshot, vm, policy):
            sentence = (
                f"VM {vm.name} is not moved off {host.name}: it has a disk on {sr!r}, which is not to be touched"
                ' (exclude_sr, excluded_vms = "block"); let such VMs move, or give it a strategy.'
            )
            yield facts.Blocker(sentence=sentence, code="EXCLUDED_SR", host=host.named, vm=vm.named)


def stays_for(snapshot: PoolSnapshot, vm: VM, policy: Policy) -> str:
    """The name of the SR for whose sake a VM is not moved; empty where there is none."""
    if policy.excluded_vms != "block" or not policy.exclude_sr:
        return ""
    on = {disk.sr for disk in vm.disks}
    return next((sr.name for sr in snapshot.srs if sr.uuid in on and storage.is_excluded(sr, policy.exclude_sr)), "")


# --- disks that are away ----------------------------------------------------------------------------------------------


def away(snapshot: PoolSnapshot) -> Iterator[tuple[VM, Host, tuple[DiskMove, ...]]]:
    """VMs whose disks a run has moved and that are noted in the pool: each with its home and its disks' way there."""
    vms = {vm.uuid: vm for vm in snapshot.vms}
    for key in sorted(snapshot.settings.notes):
        vm = vms.get(key.removeprefix(NOTE)) if key.startswith(NOTE) else None
        home = snapshot.host(str(_note(snapshot, vm).get("home", ""))) if vm else None
        if vm is not None and home is not None:
            yield vm, home, way_home(snapshot, vm)


def way_home(snapshot: PoolSnapshot, vm: VM) -> tuple[DiskMove, ...]:
    """Every noted disk of a VM with the SR it is on and the one it lives on; nothing where nothing is noted."""
    homes = _note(snapshot, vm).get("disks", {})
    srs = {sr.uuid: sr for sr in snapshot.srs}
    return tuple(
        DiskMove(
            disk.device,
            disk.name,
            Named(disk.sr, snapshot.sr_name(disk.sr)),
            Named(srs[homes[disk.device]].uuid, srs[homes[disk.device]].name),
            storage.taken(disk, srs[homes[disk.device]]),
        )
        for disk in vm.disks
        if homes.get(disk.device) in srs
    )


def straight_home(snapshot: PoolSnapshot, vm: VM, home: Host) -> tuple[DiskMove, ...]:
    """The disks that a VM must take along to the host it lives on, where they are noted to live on SRs of its."""
    disks = way_home(snapshot, vm)
    return disks if all(disk.to.uuid in home.attached for disk in disks) else ()


def stays(act: acts.Act) -> bool:
    """Whether an act moves nothing but a VM's disks: the VM stays on its host."""
    return isinstance(act, acts.MigrateVM) and bool(act.disks) and act.to == act.away_from


def goes_home(act: acts.Act) -> bool:
    """Whether an act brings disks to where they live."""
    return isinstance(act, acts.MigrateVM) and act.purpose == "home" and bool(act.disks)


def debt(act: acts.MigrateVM) -> facts.Debt:
    """What is owed when disks could not go home: the name of the debt, its condition, and the command. `xe` asks for
    the master and a login where disks go along."""
    disks = " ".join(f"vdi:<disk {disk.device}>={disk.to.uuid}" for disk in act.disks)
    return facts.Debt(
        setting=f"the disks of {act.vm.name}",
        condition=f"{act.to.name} is not older than {act.away_from.name} and has room",
        command=f"xe vm-migrate uuid={act.vm.uuid} host={act.to.name} remote-master=<master> remote-username=root"
        f" remote-password=<password> {disks}",
    )


def _homes_kept(snapshot: PoolSnapshot) -> Promised:
    """What disks that are away will take again on the SRs they live on."""
    promised: dict[tuple[str, str], int] = {}
    for vm, _, disks in away(snapshot):
        for disk in disks:
            if disk.source != disk.to:
                promised[vm.uuid, disk.to.uuid] = promised.get((vm.uuid, disk.to.uuid), 0) + disk.size
    return promised


def moved(vm: VM, act: acts.MigrateVM) -> VM:
    """A VM as it is once a move has ended."""
    to = {disk.device: disk.to.uuid for disk in act.disks}
    left = {disk.sr for disk in vm.disks if disk.device in to}
    disks = tuple(replace(disk, sr=to.get(disk.device, disk.sr)) for disk in vm.disks)
    stay = {disk.sr for disk in disks} | {disc.sr for disc in vm.discs}
    srs = tuple(sorted({sr for sr in vm.srs if sr not in left} | (stay if to else set())))
    return replace(vm, host=act.to.uuid, disks=disks, srs=srs if to else vm.srs)


def promised(moves: Iterable[acts.MigrateVM]) -> Promised:
    """What moves that have not ended will take on SRs."""
    found: dict[tuple[str, str], int] = {}
    for act in moves:
        for disk in act.disks:
            found[act.vm.uuid, disk.to.uuid] = found.get((act.vm.uuid, disk.to.uuid), 0) + disk.size
    return found


def _by_sr(*promises: Promised) -> dict[str, int]:
    """Bytes by SR; what two promise of the same VM on the same SR is one thing."""
    sizes: dict[tuple[str, str], int] = {}
    for one in promises:
        for key, bytes_ in one.items():
            sizes[key] = max(bytes_, sizes.get(key, 0))
    found: dict[str, int] = {}
    for (_, sr), bytes_ in sizes.items():
        found[sr] = found.get(sr, 0) + bytes_
    return found


def _note(snapshot: PoolSnapshot, vm: VM) -> dict[str, Any]:
    try:
        note = json.loads(snapshot.settings.notes.get(f"{NOTE}{vm.uuid}", "{}"))
    except ValueError:
        return {}
    return note if isinstance(note, dict) and isinstance(note.get("disks", {}), dict) else {}
