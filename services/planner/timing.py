"""The forecast's times: when each turn is at what, how long it all takes at most, how full each host becomes. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from services.planner import estimate, limits, placement, stopping
from services.planner.rehearsal import Played, Rehearsal
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy

FLAG_SECONDS = 30.0
"""The loop of xapi that takes the upgrade flag away once all hosts run the same (xen-api db_gc.ml)."""


@dataclass(frozen=True, slots=True)
class Times:
    """What a forecast says of time and memory; see `facts.Forecast`."""

    turns: tuple[facts.ForecastTurn, ...] = ()
    seconds: float = 0.0
    upper: float = 0.0
    basis: str = ""
    loads: tuple[facts.HostLoad, ...] = ()
    tightest: Named | None = None
    ha_off: float = 0.0
    ha_off_upper: float = 0.0
    differ_from: float | None = None
    differ_until: float | None = None


def of(
    snapshot: PoolSnapshot,
    turns: Sequence[facts.ForecastTurn],
    policy: Policy,
    allowed: limits.Limits,
    history: History,
    after: PoolSnapshot | None = None,
) -> Times:
    """The times of a plan on this pool; `after` is the pool as the plan leaves it."""
    if not turns:
        return Times()
    terms = estimate.terms_of(turns, policy, allowed.max_away, allowed.empty_ahead)
    usual = estimate.of_forecast(snapshot, turns, policy, terms, estimate.pace(history, policy))
    most = estimate.of_forecast(snapshot, turns, policy, terms, estimate.pace(history, policy, upper=True))
    loads = tuple(_loads(snapshot, usual, after or snapshot))
    reboots = usual.of_kind("reboot")
    ha = snapshot.settings.ha.enabled
    end, upper = (_restored(one, estimate.RESTORE_SECONDS) for one in (usual, most))
    return Times(
        turns=tuple(
            _timed(turn, played, latest) for turn, played, latest in zip(turns, usual.turns, most.turns, strict=True)
        ),
        seconds=_whole(usual, snapshot, policy),
        upper=_whole(most, snapshot, policy),
        basis=_basis(history),
        loads=loads,
        tightest=min(loads, key=_left).host if loads else None,
        ha_off=end if ha else 0.0,
        ha_off_upper=upper if ha else 0.0,
        differ_from=round(min(part.begins for part in reboots)) if reboots else None,
        differ_until=round(max(part.ends for part in most.of_kind("reboot")) + FLAG_SECONDS) if reboots else None,
    )


def _restored(played: Rehearsal, seconds: float) -> float:
    return round(played.ends + seconds, 1)


def _whole(played: Rehearsal, snapshot: PoolSnapshot, policy: Policy) -> float:
    """Until everything is put back; auto_poweron waits for the last boot to settle."""
    end = played.ends + estimate.RESTORE_SECONDS
    reboots = played.of_kind("reboot")
    if reboots and snapshot.settings.auto_poweron == "true":
        end = max(end, max(part.ends for part in reboots) + policy.autostart_settle_minutes * 60.0)
    return round(end, 1)


def _timed(turn: facts.ForecastTurn, played: Played, latest: Played) -> facts.ForecastTurn:
    times: dict[tuple[str, bool], list[int]] = {}
    for moved in played.moves:
        times.setdefault((moved.vm, moved.level), []).extend((round(moved.begins), round(moved.ends)))
    moves = tuple(
        move.model_copy(update={"times": tuple(times.get((move.vm.uuid, move.purpose == "level"), ()))})
        for move in turn.moves
    )
    parts = tuple(
        facts.ForecastPart(kind=part.kind, begins=round(part.begins, 1), ends=round(part.ends, 1))
        for part in played.parts
    )
    return turn.model_copy(
        update={
            "moves": moves,
            "seconds": round(played.ends - played.begins, 1),
            "upper": round(latest.ends - latest.begins, 1),
            "begins": round(played.begins, 1),
            "ends": round(played.ends, 1),
            "parts": parts,
            "stops": stopping.timed(turn.stops, parts),
        }
    )


def _loads(snapshot: PoolSnapshot, played: Rehearsal, after: PoolSnapshot) -> Iterator[facts.HostLoad]:
    for host in snapshot.hosts:
        if host.live and host.enabled:
            most, at = played.high_water.get(host.uuid, (0, 0.0))
            usable = max(0, host.memory_total - host.memory_overhead)
            end = sum(placement.comfortable(vm) for vm in after.resident(host.uuid))
            yield facts.HostLoad(host=host.named, most=most, usable=usable, at=round(at, 1), end=end)


def _left(load: facts.HostLoad) -> tuple[float, str]:
    return 1 - load.most / load.usable if load.usable else 0.0, load.host.name


def _basis(history: History) -> str:
    if not history.turns:
        return "The times are estimated from defaults, since no turn on this pool was measured yet."
    turns = f"the last {history.turns} turns" if history.turns > 1 else "one turn"
    return f"The times are estimated from {turns} on this pool."
