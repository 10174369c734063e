"""What is stopped when a host's turn takes away storage that its own VM serves, and where it starts again. Pure.

The storage VM itself by the consent of whoever declared it; its users, wherever they run, by their strategies. A user
whose home has fallen behind by then cannot start there (conduct 3), so it starts on a host that is updated, and goes
home in its own host's turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.planner import blockers, placement, stopping, storage_moves, strategies, versions
from services.planner.placement.constraints import unreached
from services.planner.storage_vms import Going
from services.planner.strategies import Chosen, Consents, Stop
from shared.domain import facts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy


def choose(
    snapshot: PoolSnapshot,
    host: Host,
    going: Going,
    kept: Sequence[facts.Blocker],
    found: placement.Placement,
    done: frozenset[str],
    policy: Policy,
    consents: Consents,
    room: storage_moves.Room | None = None,
) -> Chosen:
    """What becomes of the VMs that something keeps on a host in its turn (`kept`), and where storage goes away with it
    of those that serve and use it. `found` are the moves of the turn, `done` the hosts (uuids) updated before; `room`
    as of `strategies.choose`."""
    chosen = strategies.choose(snapshot, host, kept, policy, consents, going.srs, room)
    if not going.services:
        return chosen
    stops = tuple(_using(stop, going) for stop in chosen.stops)
    own = _own(snapshot, host, going, policy)
    if not (chosen.blockers or own.blockers or chosen.left_out_for or own.left_out_for):
        leaving = replace(found, moves=(*found.moves, *chosen.sends))
        stops, short = _places(snapshot, host, stops, leaving, done, policy)
        own = replace(own, blockers=short)
    return replace(
        chosen,
        stops=(*stops, *own.stops),
        blockers=(*chosen.blockers, *own.blockers),
        left_out_for=(*chosen.left_out_for, *own.left_out_for),
    )


def _using(stop: Stop, going: Going) -> Stop:
    srs = tuple(Named(one.sr.uuid, one.sr.name) for one in going.services if one.sr.uuid in stop.vm.srs)
    return replace(stop, uses=srs)


# --- the VMs that serve -----------------------------------------------------------------------------------------------


def _own(snapshot: PoolSnapshot, host: Host, going: Going, policy: Policy) -> Chosen:
    """The storage VMs, shut down by their guests; or why one is not."""
    stops: list[Stop] = []
    stopped: list[facts.Blocker] = []
    out: list[str] = []
    for vm in {one.vm.uuid: one.vm for one in going.services}.values():
        mine = [one for one in going.services if one.vm == vm]
        srs = tuple(Named(one.sr.uuid, one.sr.name) for one in mine)
        names = " and ".join(repr(sr.name) for sr in srs)
        because = (
            f"{vm.name} serves {names} and cannot leave {host.name}; it is shut down by its guest when nothing uses"
            f" {'that' if len(srs) == 1 else 'those'} any more, and started first."
        )
        wanted = strategies.named(vm, policy.strategies) or vm.strategy
        if wanted == "skip_host":
            out.append(vm.name)
        elif why := _unable(snapshot, vm, wanted, policy):
            sentence = (
                f"VM {vm.name} serves {names} to this pool and cannot leave {host.name}, and it is not stopped: {why}."
            )
            stop = facts.Blocker(sentence=sentence, code="STORAGE_VM", host=host.named, vm=vm.named)
            stopped.append(blockers.with_ground(snapshot, vm, stop))
        else:
            by = mine[0].by if mine[0].by != "rota.toml" else policy.owner or mine[0].by
            stops.append(Stop(vm, "shutdown", "storage_vm", because, by, True, srs, where=host.named))
    return Chosen(tuple(stops), tuple(stopped), tuple(out))


def _unable(snapshot: PoolSnapshot, vm: VM, wanted: str, policy: Policy) -> str:
    """Why a storage VM is not shut down; empty when it is."""
    if vm.uuid in (*snapshot.rota_vms, *snapshot.needed_vms):
        return "Rota stands on it, or needs it"
    if wanted == "block":
        return "its strategy is 'block'"
    if not vm.tools and not policy.hard_shutdown:
        return "it has no guest tools to be shut down through, and policy does not let it be switched off hard"
    return ""


# --- where their users start ------------------------------------------------------------------------------------------


def _places(
    snapshot: PoolSnapshot,
    host: Host,
    stops: Sequence[Stop],
    found: placement.Placement,
    done: frozenset[str],
    policy: Policy,
) -> tuple[tuple[Stop, ...], tuple[facts.Blocker, ...]]:
    """A host for each VM that cannot start where it is stopped, because that will be older than others by then: the
    largest first, on the turn's own host if it has the room. And one for the case that the turn goes back, where its
    host is older already."""
    rooms = dict(_rooms(snapshot, host, found, done))
    back = {uuid: room for uuid, room in rooms.items() if uuid != host.uuid}
    placed: dict[str, Stop] = {}
    short: list[facts.Blocker] = []
    for stop in sorted(stops, key=lambda one: (-placement.comfortable(one.vm), one.vm.name)):
        home = snapshot.host(stop.vm.host or "") or host
        if stop.uses and stopping.no_way_back(snapshot, home, done, policy):
            stop = replace(stop, back_on=_taken(snapshot, stop, back))
        if stop.uses and home.uuid != host.uuid and falls_behind(snapshot, host, home, done, policy):
            to = _taken(snapshot, stop, rooms)
            short += () if to else (_nowhere(host, home, stop),)
            stop = replace(stop, starts_on=to)
        placed[stop.vm.uuid] = stop
    return tuple(placed[stop.vm.uuid] for stop in stops), tuple(short)


def falls_behind(snapshot: PoolSnapshot, host: Host, home: Host, done: frozenset[str], policy: Policy) -> bool:
    """Whether a home will be older than another host once the `host` in its turn is updated, so that XAPI starts no VM
    on it (xen-api message_forwarding.ml, start_on)."""
    if any(placement.older(home.versions, other.versions) for other in snapshot.hosts):
        return True
    if home.uuid in done or placement.older(host.versions, home.versions) or home.updates == ():
        return False
    offered = {package.name for package in host.updates or ()}
    rises = host.updates is None or host.reboot_pending or not offered.isdisjoint(versions.COMPARED)
    return policy.updates and rises


def _rooms(
    snapshot: PoolSnapshot, host: Host, found: placement.Placement, done: frozenset[str]
) -> Iterator[tuple[str, int]]:
    """Bytes free on the host in its turn once its own VMs are back, and on those that were updated before."""
    coming: dict[str, int] = {}
    for move in (*found.moves, *found.rooms):
        coming[move.to.uuid] = coming.get(move.to.uuid, 0) + move.memory
    for one in (host, *(other for other in snapshot.hosts if other.uuid in done and other.uuid != host.uuid)):
        taken = sum(map(placement.comfortable, snapshot.resident(one.uuid)))
        yield one.uuid, one.memory_total - one.memory_overhead - taken - coming.get(one.uuid, 0)


def _taken(snapshot: PoolSnapshot, stop: Stop, rooms: dict[str, int]) -> Named | None:
    """The first host that has the room and reaches what a VM needs, its room taken; None where none does."""
    needs = placement.comfortable(stop.vm)
    image = {strategies.suspend_sr(snapshot, host, stop.vm) for host in snapshot.hosts if host.uuid == stop.vm.host}
    for uuid, free in rooms.items():
        host = snapshot.host(uuid)
        reaches = host is not None and not unreached(snapshot, stop.vm, host)
        if host and reaches and free >= needs and (stop.way == "shutdown" or image <= {*host.attached}):
            rooms[uuid] -= needs
            return host.named
    return None


def _nowhere(host: Host, home: Host, stop: Stop) -> facts.Blocker:
    sentence = (
        f"VM {stop.vm.name} on {home.name} would be down until {home.name} is updated: once {host.name} is, XAPI starts"
        f" VMs on updated hosts only, and none of them has the room and the storage for it; make room on {host.name},"
        f" or stop {stop.vm.name} yourself."
    )
    return facts.Blocker(sentence=sentence, code="NO_HOSTS_AVAILABLE", host=home.named, vm=stop.vm.named)
