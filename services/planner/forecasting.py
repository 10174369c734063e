"""The plan that is shown before the start, made from a snapshot. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.planner import (
    blockers,
    concerns,
    fitting,
    gates,
    limits,
    placement,
    selection,
    timing,
    turn_plan,
    versions,
)
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import Host, Package, PoolSettings, PoolSnapshot
from shared.domain.names import Named, turn_id
from shared.domain.offers import advisories
from shared.domain.policy import Policy

NOTHING_MEASURED = History()


def forecast(
    snapshot: PoolSnapshot, policy: Policy, history: History = NOTHING_MEASURED, opening: fitting.Opening | None = None
) -> facts.Forecast:
    """The plan that is shown: turns in their order, the moves of each, blockers, warnings and an estimate, from what
    the pool's history says; with a window also whether it fits."""
    snapshot = selection.with_installations(snapshot)
    chosen = selection.select(snapshot, policy)
    hosts = chosen.hosts
    stops = [*chosen.blockers, *(blockers.of_pool(snapshot, hosts, policy) if hosts else ())]
    opinions: list[str] = []
    turns: list[facts.ForecastTurn] = []
    done: set[str] = set()
    for number, host in enumerate(hosts, 1):
        if selection.work(host, policy) == "toolstack":
            turns.append(
                _forecast_turn(turn_id(number), host, host.uuid == snapshot.master, placement.Placement(), policy)
            )
            continue
        coming = frozenset(one.uuid for one in hosts[number : number + turn_plan.SOON])
        found = _placed(snapshot, host, policy, newest=frozenset(done), coming=coming)
        stops += [*blockers.of_vms(snapshot, host), *(blockers.of_short(snapshot, host, one) for one in found.short)]
        opinions += concerns.second_opinion(snapshot, host, [move.vm for move in found.moves])
        turns.append(_forecast_turn(turn_id(number), host, host.uuid == snapshot.master, found, policy))
        done.add(host.uuid)
    allowed = limits.resolved(policy, snapshot)
    left = tuple(host.named for host in snapshot.hosts if host not in hosts)
    times = timing.of(snapshot, turns, policy, allowed, history)
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
        sentence=_forecast_sentence(snapshot, turns, left, unique, times),
        max_away=allowed.max_away,
        empty_ahead=allowed.empty_ahead,
        notes=(
            *chosen.notes,
            *(gates.notes(policy) if hosts else ()),
            *concerns.notes(snapshot, policy, hosts, times),
            *opinions,
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


def _placed(
    snapshot: PoolSnapshot, host: Host, policy: Policy, newest: frozenset[str], coming: frozenset[str]
) -> placement.Placement:
    """Places as the turn itself will find them: rather not on hosts whose turns come next."""
    bound = {stop.vm.uuid for stop in blockers.of_vms(snapshot, host) if stop.vm}
    vms = [vm for vm in snapshot.resident(host.uuid) if vm.uuid not in bound]
    avoid = {vm.uuid: coming for vm in vms}
    conditions = placement.Conditions(newest=newest, avoid=avoid, squeeze=policy.squeeze)
    return placement.place(snapshot, host, vms, conditions)


def _forecast_turn(
    turn: str, host: Host, master: bool, found: placement.Placement, policy: Policy
) -> facts.ForecastTurn:
    return facts.ForecastTurn(
        turn=turn,
        host=host.named,
        master=master,
        updates=tuple(Package(one.name, one.version, one.release) for one in host.updates or ()),
        moves=tuple(facts.ForecastMove(vm=move.vm.named, to=move.to.named, memory=move.memory) for move in found.moves),
        seconds=0.0,
        reboots=selection.work(host, policy) != "toolstack",
        because=_turn_because(host, master, policy),
        advisories=advisories(host.updates or ())[:500],
    )


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


def _forecast_sentence(
    snapshot: PoolSnapshot,
    turns: Sequence[facts.ForecastTurn],
    left: Sequence[Named],
    stops: Sequence[facts.Blocker],
    times: timing.Times,
) -> str:
    if stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        return f"Pool {snapshot.name} cannot be updated as it is: {stops[0].sentence}{more}"
    if not turns:
        return f"Nothing to do on pool {snapshot.name}: no host has an update waiting."
    moves = sum(len(turn.moves) for turn in turns)
    names = ", ".join(turn.host.name for turn in turns)
    rest = f"; {len(left)} left alone" if left else ""
    return (
        f"{len(turns)} of {len(snapshot.hosts)} hosts of {snapshot.name} have a turn ({names}{rest}), with {moves} VMs"
        f" moved away and home again, in about {_minutes(times.seconds)} minutes, {_minutes(times.upper)} at the most."
    )


def _minutes(seconds: float) -> int:
    return max(1, round(seconds / 60))


OF_TIME = {"seconds": True, "upper": True, "begins": True, "ends": True, "parts": True,
           "moves": {"__all__": {"times": True}}}  # fmt: skip
"""The fields of a turn that an estimate fills in."""
