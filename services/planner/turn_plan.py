"""One turn's plan, made afresh from a new survey when the turn begins. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from services.planner import (
    blockers,
    discs,
    gates,
    modes,
    placement,
    replication,
    selection,
    storage_discs,
    storage_moves,
    storage_stops,
    storage_vms,
    strategies,
)
from services.planner.beside import Beside
from services.planner.turn_graph import OWN, Graph
from shared.domain import facts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy


@dataclass(frozen=True, slots=True)
class TurnPlan:
    """A turn as planned from a fresh survey: its steps, homes first seen or changed, and what stands in the way;
    `waits` is why it had better wait for the turns beside it, where there are any."""

    steps: tuple[facts.StepPlanned, ...]
    homes: tuple[facts.Home, ...]
    blockers: tuple[facts.Blocker, ...]
    idle: bool = False
    waits: str = ""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a turn must know beside its snapshot: homes as noted, VMs that could not go home, hosts done already, hosts
    whose turns are to come, in their order, what other open turns will still do, who agreed that VMs stop, where the
    run's moves have `put` VMs (uuids of VM and host), and how many turns may be under way at once."""

    homes: Mapping[str, facts.Home]
    stranded: frozenset[str]
    done: frozenset[str]
    coming: tuple[str, ...] = ()
    beside: Beside = field(default_factory=Beside)
    consents: strategies.Consents = field(default_factory=strategies.Consents)
    put: Mapping[str, str] = field(default_factory=dict)
    at_once: int = 2


def steps_of_turn(snapshot: PoolSnapshot, turn: str, host: Named, standing: Standing, policy: Policy) -> TurnPlan:
    """A turn planned afresh: its steps as a graph with reasons. `idle` when there is nothing to do any more."""
    snapshot = selection.with_installations(snapshot)
    here = snapshot.host(host.uuid)
    if here is None:
        gone = facts.Blocker(sentence=f"Host {host.name} is no longer in the pool; cancel the run.", host=host)
        return TurnPlan((), (), (gone,))
    if not selection.has_turn(here, policy):
        return TurnPlan((), (), (), idle=True)
    if selection.work(here, policy) == "toolstack" and not _in_the_way(snapshot, here, policy):
        steps = Graph(turn, snapshot, here, standing.homes, policy, standing.beside).toolstack_steps()
        steps = gates.around_turn(steps, turn, here.named, policy)
        return TurnPlan(steps, (), ())
    fresh = new_homes(snapshot, here, standing)
    known = {**standing.homes, **{home.vm.uuid: home for home in fresh}}
    bound = blockers.bound(snapshot, here, policy)
    given = conditions(standing, policy, standing.beside.promised)
    found = _placed_home_aware(snapshot, here, known, standing, policy, bound)
    kept = (*bound, *(blockers.of_short(snapshot, here, one) for one in found.short))
    if going := storage_vms.going_away(snapshot, here, kept, policy):
        bound = storage_vms.in_the_way(snapshot, here, going, bound)
        found = _placed_home_aware(snapshot, here, known, standing, policy, bound, going)
        kept = (*bound, *(blockers.of_short(snapshot, here, one) for one in found.short))
    served = storage_vms.read(snapshot)
    room = storage_moves.Room(snapshot, here, policy, given, found, standing.beside.disks, going.srs, served.srs)
    chosen = storage_stops.choose(snapshot, here, going, kept, found, standing.done, policy, standing.consents, room)
    unclear = (stop for stop in served.faults if stop.vm and stop.vm.uuid in _on(snapshot, here))
    stops = (*_in_the_way(snapshot, here, policy), *unclear, *chosen.blockers, *_left_out(here, chosen))
    stops = (*stops, *replication.published_since(snapshot, here, policy))
    if stops:
        return TurnPlan((), fresh, stops)
    graph = Graph(turn, snapshot, here, known, policy, standing.beside, soaks_at(standing, policy))
    back = parked(snapshot, here, standing) if policy.mode == "home" else ()
    found = replace(found, moves=(*found.moves, *chosen.sends))
    steps = graph.steps(found, chosen.stops, standing.done, back, standing.coming, chosen.aside)
    steps = discs.around_moves(steps, turn, snapshot, here)
    steps = storage_discs.around_storage(steps, turn, snapshot, here, going)
    steps = replication.around_turn(steps, turn, snapshot, here, policy)
    waits = modes.waits(found, here, standing.coming, standing.beside.closed, policy)
    return TurnPlan(gates.around_turn(steps, turn, here.named, policy), fresh, (), waits=waits)


def _on(snapshot: PoolSnapshot, here: Host) -> frozenset[str]:
    return frozenset(vm.uuid for vm in snapshot.resident(here.uuid))


def _left_out(here: Host, chosen: strategies.Chosen) -> tuple[facts.Blocker, ...]:
    """A host that would be left out for a VM's sake, had that been known when the run was planned."""
    if not chosen.left_out_for:
        return ()
    names = ", ".join(chosen.left_out_for)
    sentence = f"{here.name} is to be left out for {names}, which came after the plan: skip the host, or move it away."
    return (facts.Blocker(sentence=sentence, code="LEFT_OUT", host=here.named),)


def _in_the_way(snapshot: PoolSnapshot, here: Host, policy: Policy) -> list[facts.Blocker]:
    """Faults of this very host, and of the others only where they matter to it: a host that is not live is not asked
    to take anything, so it does not stop a turn by itself."""
    if here.ahead:
        return [*blockers.of_host(replace(here, ahead=False), policy)]
    return [stop for stop in blockers.of_pool(snapshot, (here,), policy) if stop.host == here.named]


def new_homes(snapshot: PoolSnapshot, here: Host, standing: Standing) -> tuple[facts.Home, ...]:
    """Homes of VMs on this host that are seen for the first time, or that their owners moved here.

    A VM that could not go home keeps the home it has, and so does one that is about to, or that a move of this run
    has put here.
    """
    going = _going(here, standing)
    return tuple(
        facts.Home(vm=vm.named, host=here.named)
        for vm in snapshot.resident(here.uuid)
        if vm.uuid not in standing.stranded
        and vm.uuid not in going
        and standing.put.get(vm.uuid) != here.uuid
        and (vm.uuid not in standing.homes or standing.homes[vm.uuid].host.uuid != here.uuid)
    )


def _going(here: Host, standing: Standing) -> frozenset[str]:
    """VMs that a step of another turn takes away from a host."""
    return frozenset(one.vm for one in standing.beside.leaving.get(here.uuid, ()))


def free_to_go(
    snapshot: PoolSnapshot,
    here: Host,
    bound: Sequence[facts.Blocker],
    policy: Policy,
    stopped: frozenset[str] = frozenset(),
) -> list[VM]:
    """The VMs on a host that nothing keeps there and that are not `stopped` (uuids) in its turn, as they are to be
    placed."""
    kept = stopped | {stop.vm.uuid for stop in bound if stop.vm}
    return [discs.taken_out(vm, policy) for vm in snapshot.resident(here.uuid) if vm.uuid not in kept]


def _placed_home_aware(
    snapshot: PoolSnapshot,
    here: Host,
    known: Mapping[str, facts.Home],
    standing: Standing,
    policy: Policy,
    bound: Sequence[facts.Blocker],
    going: storage_vms.Going = storage_vms.NOTHING,
) -> placement.Placement:
    """VMs whose home is another host that is done go straight there; the others are placed. Those that another turn
    takes home are left to it."""
    left_to_others = _going(here, standing)
    free = free_to_go(snapshot, here, bound, policy, going.ours)
    vms = [vm for vm in free if vm.uuid not in left_to_others]
    straight: list[placement.Move] = []
    promised = dict(standing.beside.promised)
    for vm in vms if policy.mode == "home" else ():
        home = snapshot.host(known[vm.uuid].host.uuid) if vm.uuid in known else None
        if home is None or home.uuid == here.uuid or home.uuid not in standing.done:
            continue
        room = snapshot.free(home) - promised.get(home.uuid, 0)
        disks = storage_moves.straight_home(snapshot, vm, home)
        bare = replace(vm, srs=tuple(sr for sr in vm.srs if sr not in {disk.source.uuid for disk in disks}))
        if room < vm.footprint or placement.obstacle(snapshot, bare, here, home, standing.done):
            continue
        promised[home.uuid] = promised.get(home.uuid, 0) + placement.comfortable(vm)
        straight.append(placement.Move(vm, home, placement.comfortable(vm), disks=disks))
    gone = {move.vm.uuid for move in straight}
    left = [vm for vm in vms if vm.uuid not in gone]
    given = replace(conditions(standing, policy, promised), may_make_room=_movable(snapshot, standing, going.ours))
    rest = placement.place(snapshot, here, left, given)
    return replace(rest, moves=(*straight, *rest.moves))


def _movable(snapshot: PoolSnapshot, standing: Standing, stopped: frozenset[str]) -> Callable[[VM], bool]:
    """Which VMs of other hosts may be moved to make room: those that nothing binds, no other turn moves, and this one
    does not stop."""
    moved = stopped | {one.vm for departures in standing.beside.leaving.values() for one in departures}
    hosts = {host.uuid: host for host in snapshot.hosts}
    return lambda vm: vm.uuid not in moved and blockers.of_running(vm, hosts[vm.host or ""]) is None


def parked(snapshot: PoolSnapshot, here: Host, standing: Standing) -> tuple[tuple[VM, Host], ...]:
    """VMs that live on a host and stand elsewhere, where a move of this run has put them, with that host: they made
    room for others, or could not go home before their host was updated."""
    going = {one.vm for departures in standing.beside.leaving.values() for one in departures}
    found = []
    for uuid, home in standing.homes.items():
        if home.host.uuid == here.uuid and standing.put.get(uuid, here.uuid) != here.uuid and uuid not in going:
            where = snapshot.host(standing.put[uuid])
            there = next((vm for vm in snapshot.resident(where.uuid) if vm.uuid == uuid), None) if where else None
            stop = blockers.of_running(there, where) if where and there else None
            if where and there and (stop is None or stop.code in PASSING):
                found.append((there, where))
    return tuple(found)


PASSING = frozenset({"VM_LACKS_FEATURE"})
"""What keeps a VM that was just started from moving until its guest reports; by the time it goes home it does."""


def soaks_at(standing: Standing, policy: Policy) -> str:
    """The host (uuid) on which a turn lets the first guests be watched: its own where it is the run's first and its VMs
    come home (then `own`), else the run's first when VMs go there for the first time; empty where neither is so."""
    if not policy.updates or policy.soak_minutes <= 0:
        return ""
    if policy.mode == "home":
        return "" if standing.done else OWN
    return next(iter(standing.done)) if len(standing.done) == 1 else ""


def soon(coming: Sequence[str], policy: Policy, at_once: int) -> frozenset[str]:
    """Hosts that will be emptied while what goes there now is still there. Where VMs go home as soon as their host is
    back, as many as may be under way at once: the turns after those begin when the VMs of this one are home. Else all
    whose turns are to come."""
    return frozenset(coming[:at_once] if policy.mode == "home" else coming)


def busy(beside: Beside, policy: Policy) -> frozenset[str]:
    """Hosts to which more VMs are still to come home than are carried at once."""
    return frozenset(host for host, steps in beside.arriving.items() if len(steps) > policy.migrations_per_destination)


def conditions(standing: Standing, policy: Policy, promised: Mapping[str, int]) -> placement.Conditions:
    """What holds for a placement beside the snapshot."""
    return placement.Conditions(
        closed=standing.beside.closed,
        newest=standing.done,
        promised=promised,
        soon=soon(standing.coming, policy, standing.at_once),
        busy=busy(standing.beside, policy),
        coming=frozenset(standing.coming),
        squeeze=policy.squeeze,
    )
