"""How long a run will take from now on, told anew while it goes: what is left of its turns. Pure.

The same rehearsal as before the start, with the pool's history, which by now has this run's own turns too.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from services.planner import estimate, pacing, stepping, stopping, storage_moves
from services.planner.estimate import Pace
from services.planner.rehearsal import Leg, Move, Terms, play
from shared.domain import acts
from shared.domain.history import History
from shared.domain.run import PREPARATION, RESTORATION, Run, RunState, Step, StepState, Turn

UNKNOWN_MEMORY = 4 * 1024**3
"""Bytes of a VM that the forecast did not know: it came later."""

AT_LEAST = 0.1
"""What is left of a part that takes longer than expected, as a share of what was expected."""


@dataclass(frozen=True, slots=True)
class Left:
    """Seconds of pool time from now until a run is over, the upper end, and until each open turn is, by its id."""

    seconds: float
    upper: float
    turns: Mapping[str, float]


def of(run: Run, history: History, now: float) -> Left | None:
    """What is left of a run; None where nobody can tell: it has no plan or waits for a person, a window or nothing."""
    if run.forecast is None or run.purpose != "update" or run.state not in TOLD:
        return None
    pace = estimate.pace(history, run.policy)
    terms = estimate.terms_of(run.forecast.turns, run.policy, run.forecast.max_away, run.forecast.empty_ahead)
    legs = [*_open(run, pace, now), *_coming(run, pace)]
    played = play(legs, _progressed(run, terms), begins=_prepared(run))
    restored = _restored(run, played.ends, now)
    stretch = run.forecast.upper / run.forecast.seconds if run.forecast.seconds else estimate.UPPER
    turns = {turn.turn: turn.ends for turn in played.turns}
    return Left(round(restored, 1), round(restored * max(1.0, stretch), 1), turns)


def _progressed(run: Run, terms: Terms) -> Terms:
    back = [turn.master for turn in run.turns.values() if turn.host and pacing.enabled_again(turn)]
    back += [closed.master for closed in run.closed if closed.host and closed.outcome == "done"]
    return replace(terms, masters=sum(back), members=len(back) - sum(back))


def _prepared(run: Run) -> float:
    preparation = run.turns.get(PREPARATION)
    return 0.0 if preparation is None or preparation.settled else estimate.PREPARE_SECONDS


def _restored(run: Run, ends: float, now: float) -> float:
    """Until everything is put back; what waits for the last boot to settle is known once it is planned."""
    finishing = run.turns.get(RESTORATION)
    due = [stepping.earliest(run, step) - now for step in finishing.steps.values()] if finishing else []
    return max([ends + estimate.RESTORE_SECONDS, *due])


def _coming(run: Run, pace: Pace) -> Iterator[Leg]:
    if run.forecast is None or run.cancel:
        return
    coming = pacing.coming(run)
    first = not run.closed and not any(turn.host for turn in run.turns.values())
    for planned in run.forecast.turns:
        if planned.host.uuid in coming:
            yield estimate.leg(planned, run.policy, pace, first=first)
            first = False


def _open(run: Run, pace: Pace, now: float) -> Iterator[Leg]:
    known = {turn.turn: turn for turn in run.forecast.turns} if run.forecast else {}
    sizes = {move.vm.uuid: move.memory for turn in known.values() for move in turn.moves}
    sizes |= {stop.vm.uuid: stop.memory for turn in known.values() for stop in turn.stops}
    for turn in run.turns.values():
        if turn.host is None:
            continue
        if turn.planned:
            yield _leg(turn, turn.host.uuid, sizes, pace, now)
        elif turn.id in known:
            begun = estimate.leg(known[turn.id], run.policy, pace, first=not run.closed)
            look = max(begun.look * AT_LEAST, begun.look - (now - turn.begun_at))
            yield replace(begun, begun=True, look=look)


def _leg(turn: Turn, host: str, sizes: Mapping[str, int], pace: Pace, now: float) -> Leg:
    moves = [step for step in turn.of_kind("migrate_vm") if not step.settled]
    watch = [step for step in turn.of_kind("watch_guests") if not step.settled]
    needed = {need.step for step in watch for need in step.needs}
    home = sorted((step for step in moves if not _leaves(step)), key=lambda step: step.id not in needed)
    soak = sum(_soak(step, now) for step in watch)
    watched = sum(step.id in needed for step in home)
    checks = estimate.CHECK_SECONDS if not pacing.enabled_again(turn) and turn.of_kind("enable_host") else 0.0
    checks += sum(estimate.TOOLSTACK_SECONDS for step in turn.of_kind("restart_toolstack") if not step.settled)
    return Leg(
        turn=turn.id,
        host=host,
        master=turn.master,
        away=tuple(_move(step, sizes, pace, now) for step in moves if _leaves(step)),
        install=sum(_rest(step, pace.install(host), now) for step in turn.of_kind("install_updates")),
        boot=_boot(turn, pace.boot(host), now),
        down=_switching(turn, {"shutdown_vm": "shutdown", "suspend_vm": "suspend"}, sizes, now),
        up=_switching(turn, {"start_vm": "shutdown", "resume_vm": "suspend"}, sizes, now),
        check=checks + (0.0 if watched else soak),
        soak=soak if watched else 0.0,
        canaries=watched,
        home=tuple(_move(step, sizes, pace, now) for step in home),
        begun=True,
        back=pacing.enabled_again(turn),
    )


def _leaves(step: Step) -> bool:
    return isinstance(step.act, acts.MigrateVM) and step.act.purpose in ("empty", "room")


def _move(step: Step, sizes: Mapping[str, int], pace: Pace, now: float) -> Move:
    act = step.act
    assert isinstance(act, acts.MigrateVM)
    size = sizes.get(act.vm.uuid, UNKNOWN_MEMORY)
    usual = pace.send(size, storage_moves.size(act.disks))
    return Move(act.vm.uuid, act.away_from.uuid, act.to.uuid, size, _rest(step, usual, now))


def _soak(step: Step, now: float) -> float:
    assert isinstance(step.act, acts.WatchGuests)
    return _rest(step, step.act.minutes * 60.0, now)


def _boot(turn: Turn, usual: float, now: float) -> float:
    """Until the host is back: from its reboot's order on, which the wait follows."""
    waits = [step for step in turn.of_kind("await_host") if not step.settled]
    reboots = [step for step in turn.of_kind("reboot_host") if step.attempt and step.state is not StepState.WAITING]
    if not waits:
        return 0.0
    return max(usual * AT_LEAST, usual - (now - reboots[-1].ordered_at)) if reboots else usual


def _switching(turn: Turn, kinds: Mapping[str, str], sizes: Mapping[str, int], now: float) -> float:
    """What stopping VMs, or starting them, has yet to take; the strategy of each kind of step."""
    each = []
    for kind, strategy in kinds.items():
        for step in turn.of_kind(kind):
            size = sizes.get(step.act.vm.uuid, UNKNOWN_MEMORY) if isinstance(step.act, (acts.Stop, acts.Start)) else 0
            each.append((strategy, _rest(step, stopping.seconds(strategy, size), now)))
    return stopping.together(each)


def _rest(step: Step, usual: float, now: float) -> float:
    """What is left of a step, seconds."""
    if step.settled:
        return 0.0
    return max(usual * AT_LEAST, usual - (now - step.ordered_at)) if step.state is StepState.ORDERED else usual


TOLD = frozenset({RunState.PLANNED, RunState.RUNNING, RunState.FINISHING})
"""The states in which an end can be told: in all others it depends on somebody."""
