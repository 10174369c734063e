"""A run as clients see it: a pure view of the book, for KV ROTA_RUNS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from services.planner import patience, remaining
from shared.domain import acts, facts
from shared.domain.book import Book
from shared.domain.run import Run, RunState, Step, StepState, Turn
from shared.domain.summary import Held, HostLine, Outstanding, OwedLine, RunSummary, Stage, State

TOLD_FOR = 120.0
"""Seconds of pool time for which an estimated end stands, where nothing of weight happens."""


@dataclass(frozen=True, slots=True)
class Ends:
    """When a run is thought to end and at the latest, pool time; `told_at` and `mark` say of which state it is told."""

    expected: float
    latest: float
    told_at: float
    mark: tuple[object, ...]


def ends(book: Book, run: Run, now: float, told: Ends | None) -> Ends | None:
    """When a run is thought to end: what was `told` before, while it is fresh and the same parts of turns go on."""
    mark = (run.id, run.state, run.cancel is not None, len(run.closed), *map(_mark, run.turns.values()))
    if told is not None and told.mark == mark and now - told.told_at < TOLD_FOR:
        return told
    left = remaining.of(run, book.history, now)
    return Ends(round(now + left.seconds), round(now + left.upper), now, mark) if left else None


def _mark(turn: Turn) -> tuple[str, bool, int]:
    """How far a turn is, but for its moves, which are many and small."""
    return turn.id, turn.planned, sum(step.settled for step in turn.steps.values() if step.act.kind != "migrate_vm")


def summary(book: Book, run: Run, sentence: str, ends: Ends | None = None) -> RunSummary:
    """A run's summary at the book's sequence. `sentence` is what the last decision said, `ends` when it is thought to
    end."""
    steps = [step for turn in run.turns.values() for step in turn.steps.values()]
    over = sum(turn.steps for turn in run.closed)
    done = sum(1 for step in steps if step.settled)
    return RunSummary(
        pool=run.pool,
        run=run.id,
        seq=book.seq,
        state=_state(run),
        sentence=run.sentence if run.outcome else sentence,
        order=run.order,
        by=run.by,
        reason=run.reason,
        pool_name=run.forecast.pool_name if run.forecast else run.pool,
        requested_at=run.requested_at,
        began_at=run.began_at or None,
        ended_at=run.ended_at or None,
        estimated_end=ends.expected if ends else None,
        estimated_latest=ends.latest if ends else None,
        outcome=run.outcome,
        cancelling=run.cancel is not None,
        hosts=tuple(_hosts(run)),
        steps_done=over + done,
        steps_total=over + len(steps) + _to_come(run),
        outstanding=tuple(_outstanding(run)),
        held=_held(run),
        owed=tuple(_owed(book)),
        not_home=tuple(run.stranded.values()),
        warnings=run.warnings,
        blockers=run.blockers,
    )


def _state(run: Run) -> State:
    if run.state is RunState.ENDED and run.outcome is not None:
        return run.outcome
    states: dict[RunState, State] = {
        RunState.REQUESTED: "requested",
        RunState.SURVEYING: "surveying",
        RunState.PLANNED: "planned",
        RunState.AWAITING_APPROVAL: "awaiting_approval",
        RunState.RUNNING: "running",
        RunState.PAUSED: "paused",
        RunState.HELD: "held",
        RunState.WAITING_FOR_WINDOW: "waiting_for_window",
        RunState.FINISHING: "finishing",
        RunState.ENDED: "failed",
    }
    return states[run.state]


def _to_come(run: Run) -> int:
    """Steps of turns not begun, as the forecast has them: each VM twice, and eight of the host's own."""
    if run.forecast is None or run.outcome is not None or run.cancel:
        return 0
    begun = {*run.turns, *(turn.id for turn in run.closed)}
    ahead = [turn for turn in run.forecast.turns if turn.turn not in begun and turn.host.uuid not in run.skipped]
    unplanned = [turn for turn in run.forecast.turns if turn.turn in run.turns and not run.turns[turn.turn].planned]
    restore = 0 if run.state is RunState.FINISHING else len(run.always)
    return sum(2 * len(turn.moves) + 8 for turn in (*ahead, *unplanned)) + restore


def _hosts(run: Run) -> Iterator[HostLine]:
    closed = {turn.id: turn for turn in run.closed}
    for planned in run.forecast.turns if run.forecast else ():
        over = closed.get(planned.turn)
        open_ = run.turns.get(planned.turn)
        if over is not None:
            yield _line(planned, _OUTCOMES.get(over.outcome, "done"), over.steps, over.steps, over.sentence)
        elif open_ is not None:
            settled = sum(1 for step in open_.steps.values() if step.settled)
            total = len(open_.steps) if open_.planned else 2 * len(planned.moves) + 9
            yield _line(planned, _stage(open_), settled, total, _going(open_))
        elif planned.host.uuid in run.skipped:
            yield _line(planned, "left_alone", 0, 0, "It is left out.")
        else:
            yield _line(planned, "waiting", 0, 2 * len(planned.moves) + 9, planned.because)


def _line(planned: facts.ForecastTurn, stage: Stage, done: int, total: int, sentence: str) -> HostLine:
    return HostLine(
        host=planned.host,
        master=planned.master,
        turn=planned.turn,
        stage=stage,
        steps_done=done,
        steps_total=total,
        sentence=sentence,
    )


def _stage(turn: Turn) -> Stage:
    """How far a turn is, by the furthest kind of step that was begun."""
    stage: Stage = "surveying"
    for step in turn.steps.values():
        if step.attempt > 0 and step.state is not StepState.SKIPPED:
            stage = _step_stage(step) or stage
    return stage


def _step_stage(step: Step) -> Stage | None:
    if isinstance(step.act, acts.MigrateVM):
        return "returning" if step.act.purpose in ("home", "level") else "emptying"
    return _STAGES.get(step.act.kind)


def _going(turn: Turn) -> str:
    going = [step for step in turn.steps.values() if step.state is StepState.ORDERED]
    if not going:
        return ""
    more = f", and {len(going) - 1} more" if len(going) > 1 else ""
    return f"{patience.subject(going[0])}{more}."


def _outstanding(run: Run) -> Iterator[Outstanding]:
    for step in run.steps():
        if step.state is StepState.ORDERED:
            yield Outstanding(
                step=step.id,
                kind=step.act.kind,
                attempt=step.attempt,
                since=step.ordered_at,
                until=patience.deadline(step, run.policy),
                sentence=step.why,
            )
        elif step.state is StepState.WAITING and step.because and step.not_before and _goes_on(run):
            yield Outstanding(
                step=step.id,
                kind=step.act.kind,
                attempt=step.attempt + 1,
                since=step.ended_at,
                until=step.not_before,
                sentence=f"{step.because.rstrip('.')}; it is tried again.",
            )


def _goes_on(run: Run) -> bool:
    return run.state in (RunState.SURVEYING, RunState.RUNNING, RunState.FINISHING)


def _held(run: Run) -> Held | None:
    if run.hold is None:
        return None
    return Held(since=run.hold.since, because=run.hold.because, step=run.hold.step, who_can_help=run.hold.who_can_help)


def _owed(book: Book) -> Iterator[OwedLine]:
    for owed in book.owed.values():
        yield OwedLine(
            setting=owed.setting,
            because=owed.because,
            condition=owed.condition,
            command=owed.command,
            since=owed.since,
        )


_OUTCOMES: dict[str, Stage] = {
    "done": "done",
    "turned_back": "turned_back",
    "left_alone": "left_alone",
    "failed": "failed",
}

_STAGES: dict[str, Stage] = {
    "survey": "surveying",
    "disable_host": "emptying",
    "evacuate_rest": "emptying",
    "install_updates": "installing",
    "read_host": "installing",
    "reboot_host": "rebooting",
    "await_host": "away",
    "check_gate": "checking",
    "enable_host": "checking",
    "restart_toolstack": "installing",
}
