"""The plan that is shown before the start, made from a snapshot. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from services.planner import blockers, concerns, estimate, gates, limits, placement, selection
from shared.domain import facts
from shared.domain.model import Host, Package, PoolSettings, PoolSnapshot
from shared.domain.names import Named, turn_id
from shared.domain.offers import advisories
from shared.domain.policy import Policy


def forecast(snapshot: PoolSnapshot, policy: Policy) -> facts.Forecast:
    """The plan that is shown: turns in their order, the moves of each, blockers, warnings and an estimate."""
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
        found = _placed(snapshot, host, policy, newest=frozenset(done))
        stops += [*blockers.of_vms(snapshot, host), *(blockers.of_short(snapshot, host, one) for one in found.short)]
        opinions += concerns.second_opinion(snapshot, host, [move.vm for move in found.moves])
        turns.append(_forecast_turn(turn_id(number), host, host.uuid == snapshot.master, found, policy))
        done.add(host.uuid)
    allowed = limits.resolved(policy, snapshot)
    left = tuple(host.named for host in snapshot.hosts if host not in hosts)
    seconds = sum(turn.seconds for turn in turns)
    unique = tuple({(stop.sentence): stop for stop in stops}.values())
    return facts.Forecast(
        pool_name=snapshot.name,
        turns=tuple(turns),
        left_alone=left,
        blockers=unique,
        warnings=(*allowed.because, *concerns.warnings(snapshot, hosts)) if hosts else (),
        settings=tuple(_setting_sentences(snapshot.settings)) if hosts else (),
        seconds=seconds,
        digest=_digest(turns, unique),
        sentence=_forecast_sentence(snapshot, turns, left, unique, seconds),
        max_away=allowed.max_away,
        empty_ahead=allowed.empty_ahead,
        notes=(
            *chosen.notes,
            *(gates.notes(policy) if hosts else ()),
            *concerns.notes(snapshot, policy, hosts),
            *opinions,
        ),
    )


def _placed(snapshot: PoolSnapshot, host: Host, policy: Policy, newest: frozenset[str]) -> placement.Placement:
    bound = {stop.vm.uuid for stop in blockers.of_vms(snapshot, host) if stop.vm}
    vms = [vm for vm in snapshot.resident(host.uuid) if vm.uuid not in bound]
    return placement.place(snapshot, host, vms, placement.Conditions(newest=newest, squeeze=policy.squeeze))


def _forecast_turn(
    turn: str, host: Host, master: bool, found: placement.Placement, policy: Policy
) -> facts.ForecastTurn:
    return facts.ForecastTurn(
        turn=turn,
        host=host.named,
        master=master,
        updates=tuple(Package(one.name, one.version, one.release) for one in host.updates or ()),
        moves=tuple(facts.ForecastMove(vm=move.vm.named, to=move.to.named, memory=move.memory) for move in found.moves),
        seconds=estimate.of_turn(found.moves, installs=policy.updates and bool(host.updates)),
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
    text = "\n".join([*(turn.model_dump_json() for turn in turns), *(stop.model_dump_json() for stop in stops)])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _forecast_sentence(
    snapshot: PoolSnapshot,
    turns: Sequence[facts.ForecastTurn],
    left: Sequence[Named],
    stops: Sequence[facts.Blocker],
    seconds: float,
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
        f" moved away and home again, in about {max(1, round(seconds / 60))} minutes."
    )
