"""The plan that is shown before the start, made from a snapshot. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.planner import (
    blockers,
    concerns,
    discs,
    fitting,
    gates,
    limits,
    modes,
    placement,
    selection,
    squeezing,
    stopping,
    storage_discs,
    storage_moves,
    storage_stops,
    storage_vms,
    strategies,
    timing,
    turn_plan,
    versions,
)
from services.planner.few import few
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import VM, Host, Package, PoolSettings, PoolSnapshot
from shared.domain.names import Named, turn_id
from shared.domain.offers import advisories
from shared.domain.policy import Policy

NOTHING_MEASURED = History()
NOTHING_CHOSEN = strategies.Chosen()


def forecast(
    snapshot: PoolSnapshot,
    policy: Policy,
    history: History = NOTHING_MEASURED,
    opening: fitting.Opening | None = None,
    consents: strategies.Consents | None = None,
) -> facts.Forecast:
    """The plan that is shown: turns in their order, the moves and stops of each, blockers, warnings and an estimate,
    from what the pool's history says; with a window also whether it fits."""
    consents = consents or strategies.Consents()
    snapshot = selection.with_installations(snapshot)
    chosen = selection.select(snapshot, policy)
    hosts = chosen.hosts
    served = storage_vms.read(snapshot)
    stops = [*chosen.blockers, *(blockers.of_pool(snapshot, hosts, policy) if hosts else ())]
    stops += storage_vms.faults_of(snapshot, hosts) if hosts else ()
    opinions: list[str] = []
    turns: list[facts.ForecastTurn] = []
    skipped: list[str] = []
    moving: list[VM] = []
    allowed = limits.resolved(policy, snapshot)
    world = modes.Stage(snapshot, policy, allowed)
    at_once = allowed.max_away + allowed.empty_ahead
    for number, host in enumerate(chosen.hosts, 1):
        turn, master = turn_id(len(turns) + 1), host.uuid == snapshot.master
        if selection.work(host, policy) == "toolstack":
            turns.append(_forecast_turn(turn, host, master, placement.Placement(), world))
            continue
        bound = blockers.bound(world.snapshot, host, policy)
        coming = tuple(one.uuid for one in chosen.hosts[number:])
        given = _conditions(host, policy, world.newest, coming, at_once)
        found = world.place(host, turn_plan.free_to_go(world.snapshot, host, bound, policy), given)
        kept = (*bound, *(blockers.of_short(world.snapshot, host, one) for one in found.short))
        if going := storage_vms.going_away(world.snapshot, host, kept, policy):
            bound = storage_vms.in_the_way(world.snapshot, host, going, bound)
            given = _conditions(host, policy, world.newest, coming, at_once, going.ours)
            found = world.place(host, turn_plan.free_to_go(world.snapshot, host, bound, policy, going.ours), given)
            kept = (*bound, *(blockers.of_short(world.snapshot, host, one) for one in found.short))
        room = storage_moves.Room(world.snapshot, host, policy, given, found, away=going.srs, served=served.srs)
        decided = storage_stops.choose(world.snapshot, host, going, kept, found, world.newest, policy, consents, room)
        if decided.left_out_for:
            hosts = tuple(one for one in hosts if one != host)
            skipped.append(_left_out(host, decided))
            stops += _master_left_out(host, decided, len(chosen.hosts)) if master else ()
            continue
        stops += decided.blockers
        opinions += concerns.second_opinion(snapshot, host, [move.vm for move in found.moves])
        moving += [move.vm for move in (*found.rooms, *found.moves, *decided.sends, *decided.aside)]
        opinions += discs.notes(snapshot, host, (*found.moves, *decided.sends))
        opinions += storage_discs.notes(snapshot, host, going)
        opinions += squeezing.told(world.snapshot, host, found) if policy.squeeze else ()
        turns.append(_forecast_turn(turn, host, master, found, world, decided, kept))
        world.over(host, found)
    turns = _with_levelling(turns, world.levelled())
    theirs = {host.uuid for host in hosts}
    left = tuple(host.named for host in snapshot.hosts if host.uuid not in theirs)
    times = timing.of(snapshot, turns, policy, allowed, history, world.snapshot)
    turns = [*times.turns]
    unique = tuple({(stop.sentence): stop for stop in stops}.values())
    refuses = policy.updates and bool(versions.flag_will_be_set(snapshot))
    fits = fitting.told(times.turns, opening) if opening and not unique else ()
    return facts.Forecast(
        pool_name=snapshot.name,
        turns=tuple(turns),
        left_alone=left,
        blockers=unique,
        warnings=(*allowed.because, *concerns.warnings(snapshot, hosts)) if hosts else (),
        settings=tuple(_setting_sentences(snapshot.settings)) if hosts else (),
        seconds=times.seconds,
        digest=_digest(turns, unique),
        sentence=_forecast_sentence(snapshot, turns, left, unique, times, policy),
        max_away=allowed.max_away,
        empty_ahead=allowed.empty_ahead,
        notes=(
            *chosen.notes,
            *skipped,
            *(gates.notes(policy) if hosts else ()),
            *(storage_vms.notes(snapshot, served.services) if hosts else ()),
            *concerns.notes(snapshot, policy, hosts, times),
            *storage_moves.notes(turns, differ=versions.will_differ(snapshot) is not False),
            *opinions,
            *squeezing.moving(moving),
            *modes.notes(policy, times.loads),
            *fits,
        ),
        upper=times.upper,
        basis=times.basis,
        loads=times.loads,
        tightest=times.tightest,
        ha_off=times.ha_off,
        ha_off_upper=times.ha_off_upper,
        refused_from=times.differ_from if refuses else None,
        refused_until=times.differ_until if refuses else None,
    )


def _conditions(
    host: Host,
    policy: Policy,
    newest: frozenset[str],
    coming: Sequence[str],
    at_once: int,
    stopped: frozenset[str] = frozenset(),
) -> placement.Conditions:
    return placement.Conditions(
        newest=newest,
        squeeze=policy.squeeze,
        soon=turn_plan.soon(coming, policy, at_once),
        coming=frozenset(coming),
        may_make_room=lambda vm: vm.uuid not in stopped and blockers.of_running(vm, host) is None,
    )


def _left_out(host: Host, decided: strategies.Chosen) -> str:
    return f"Host {host.name} is left out for the sake of {', '.join(decided.left_out_for)}, as its strategy says."


def _master_left_out(host: Host, decided: strategies.Chosen, hosts: int) -> tuple[facts.Blocker, ...]:
    """Nobody is updated before the master (conduct 13)."""
    if hosts == 1:
        return ()
    sentence = (
        f"{host.name} is the master and would be left out for the sake of {', '.join(decided.left_out_for)}; no member"
        " is updated before it, so give that VM another strategy, or move it."
    )
    return (facts.Blocker(sentence=sentence, code="MASTER_LEFT_OUT", host=host.named),)


def _forecast_turn(
    turn: str,
    host: Host,
    master: bool,
    found: placement.Placement,
    world: modes.Stage,
    chosen: strategies.Chosen = NOTHING_CHOSEN,
    kept: Sequence[facts.Blocker] = (),
) -> facts.ForecastTurn:
    why = {stop.vm.uuid: stop.sentence for stop in kept if stop.vm}
    return facts.ForecastTurn(
        turn=turn,
        host=host.named,
        master=master,
        updates=tuple(Package(one.name, one.version, one.release) for one in host.updates or ()),
        moves=tuple(
            facts.ForecastMove(
                vm=move.vm.named,
                to=move.to.named,
                memory=move.memory,
                purpose="room" if move.source else "empty",
                source=move.source.named if move.source else None,
                disks=move.disks,
                cause=chosen.causes.get(move.vm.uuid, ""),
                because=why.get(move.vm.uuid, "") if move.disks else "",
                stays=not world.comes_home(move),
            )
            for move in (*found.rooms, *found.moves, *chosen.sends, *chosen.aside)
        ),
        seconds=0.0,
        reboots=selection.work(host, world.policy) != "toolstack",
        because=_turn_because(host, master, world.policy),
        advisories=advisories(host.updates or ())[:500],
        stops=tuple(stopping.told(stop, host.named) for stop in chosen.stops),
    )


def _with_levelling(turns: Sequence[facts.ForecastTurn], moves: Sequence[placement.Move]) -> list[facts.ForecastTurn]:
    """The turns, the last of them with the moves that follow it."""
    last = [*turns]
    if moves:
        level = tuple(
            facts.ForecastMove(
                vm=move.vm.named,
                to=move.to.named,
                memory=move.memory,
                purpose="level",
                source=move.source.named if move.source else None,
                stays=True,
            )
            for move in moves
        )
        last[-1] = last[-1].model_copy(update={"moves": (*last[-1].moves, *level)})
    return last


def _turn_because(host: Host, master: bool, policy: Policy) -> str:
    what = (
        f"{len(host.updates or ())} updates wait that need no reboot; its VMs stay"
        if selection.work(host, policy) == "toolstack"
        else f"{len(host.updates)} updates wait" if host.updates and policy.updates
        else "it was updated and not rebooted since" if host.reboot_pending
        else "it was updated before its master, which lets it in again once it is updated itself" if host.ahead
        else "a rolling reboot was asked for"
    )  # fmt: skip
    return f"{what}; the master goes first" if master else what


def _setting_sentences(settings: PoolSettings) -> list[str]:
    sentences = []
    if settings.ha.enabled:
        sentences.append("High availability is switched off for the run and on again at its end.")
    if settings.auto_poweron == "true":
        sentences.append("auto_poweron of the pool is set to false for the run and put back at its end.")
    if settings.wlb_enabled:
        sentences.append("Workload balancing is switched off for the run and on again at its end.")
    return sentences


def _digest(turns: Sequence[facts.ForecastTurn], stops: Sequence[facts.Blocker]) -> str:
    """What names the plan: what is done and what stands in the way, not how long it is thought to take."""
    said = [turn.model_dump_json(exclude=OF_TIME) for turn in turns]  # type: ignore[arg-type]
    text = "\n".join([*said, *(stop.model_dump_json() for stop in stops)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


NAMED = 20
"""So many hosts are named in a sentence."""


def _forecast_sentence(
    snapshot: PoolSnapshot,
    turns: Sequence[facts.ForecastTurn],
    left: Sequence[Named],
    stops: Sequence[facts.Blocker],
    times: timing.Times,
    policy: Policy,
) -> str:
    if stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        return f"Pool {snapshot.name} cannot be updated as it is: {stops[0].sentence}{more}"
    if not turns:
        return f"Nothing to do on pool {snapshot.name}: no host has an update waiting."
    moved = len({move.vm.uuid for turn in turns for move in turn.moves})
    stopped = [stop.vm.name for turn in turns for stop in turn.stops]
    names = few([turn.host.name for turn in turns], NAMED)
    rest = f"; {len(left)} left alone" if left else ""
    return (
        f"{len(turns)} of {len(snapshot.hosts)} hosts of {snapshot.name} have a turn ({names}{rest}), with {moved} VMs"
        f" {modes.moved(policy)}{_stopped(stopped)}, in about {_minutes(times.seconds)} minutes,"
        f" {_minutes(times.upper)} at the most."
    )


def _stopped(names: Sequence[str]) -> str:
    if not names:
        return ""
    return f" and {len(names)} stopped meanwhile ({few(names, 5)})"


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


OF_TIME = {"seconds": True, "upper": True, "begins": True, "ends": True, "parts": True,
           "moves": {"__all__": {"times": True}}, "stops": {"__all__": {"seconds": True, "consent": True}}}  # fmt: skip
"""The fields of a turn that an estimate fills in, and who agreed."""
