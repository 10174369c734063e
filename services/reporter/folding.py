"""From the journal to the Report: `fold` reads a run's facts in order and closes the draft. Pure: no clock, no I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Literal

from services.reporter import doing, noting
from services.reporter.draft import Draft, StepDraft, TurnDraft
from services.reporter.report import (
    Downtime,
    Guest,
    Move,
    MoveState,
    Purpose,
    Report,
    Span,
    Trouble,
    Turn,
    TurnState,
    last_turns,
)
from services.reporter.spoken import clean, each_text, on_one_line
from shared.bus import wire
from shared.domain import acts, offers
from shared.domain.model import Package, Versions
from shared.domain.names import Named, turn_of

MOST = 5000
"""Entries of one list; far above the largest pool, and a bound."""

CHANGELOG = 2000
"""Characters of one package's changelog."""


def fold(pool: str, run: str, recorded: Iterable[wire.Recorded], *, unreadable: int = 0) -> Report:
    """The Report of one run from its facts, in the order of the journal; from none an empty one.

    `unreadable` is how many of its facts could not be read, which the report says.
    """
    draft = Draft()
    for one in recorded:
        noting.note(draft, one.fact, one.at)
    return each_text(_bounded(replace(_report(pool, run, draft), unreadable=unreadable)), clean)


def _report(pool: str, run: str, draft: Draft) -> Report:
    forecast = draft.planned.forecast if draft.planned else None
    asked = draft.requested or draft.refused
    turns = tuple(_turn(turn, draft) for turn in draft.turns.values())
    last = last_turns(turns)
    advisories = _advisories(turns)
    return Report(
        pool=pool,
        run=run,
        state=draft.state,
        sentence=draft.sentence,
        through=draft.through,
        pool_name=forecast.pool_name if forecast else "",
        outcome=draft.ended.outcome if draft.ended else ("refused" if draft.refused else None),
        purpose=_purpose(draft),
        mode=draft.requested.policy.mode if draft.requested else "home",
        order=asked.order if asked else "",
        by=asked.by if asked else "",
        reason=draft.requested.reason if draft.requested else "",
        requested_at=draft.times.get("requested"),
        planned_at=draft.times.get("planned"),
        began_at=draft.times.get("began"),
        ended_at=draft.times.get("ended"),
        estimate=forecast.seconds if forecast else 0.0,
        digest=forecast.digest if forecast else "",
        forecast=forecast.sentence if forecast else "",
        updated=sum(1 for turn in last if turn.state == "done"),
        total=len(last),
        moving=len({move.vm.uuid for turn in forecast.turns for move in turn.moves}) if forecast else 0,
        turns=turns,
        left_alone=forecast.left_alone if forecast else (),
        guests=tuple(_guests(draft)),
        moves=tuple(_moves(draft)),
        downtimes=tuple(_downtimes(draft)),
        plans=forecast.settings if forecast else (),
        settings=tuple(draft.settings.values()),
        owed=tuple(draft.owed.values()),
        holds=tuple(draft.holds),
        troubles=tuple(_troubles(draft)),
        said=tuple(draft.said),
        warnings=tuple(dict.fromkeys(draft.warnings)),
        obstacles=draft.obstacles,
        events=tuple(draft.events),
        closed_advisories=advisories[0],
        open_advisories=advisories[1],
        untold=tuple(draft.untold.values()),
        waits=tuple(draft.waits),
    )


def _purpose(draft: Draft) -> Purpose:
    if draft.requested is None or (draft.requested.purpose == "update" and draft.requested.policy.updates):
        return "update"
    return "reboot" if draft.requested.purpose == "update" else "undo"


# --- turns ------------------------------------------------------------------------------------------------------------


def _turn(turn: TurnDraft, draft: Draft) -> Turn:
    steps = [step for step in draft.steps.values() if turn_of(step.id) == turn.id]
    reboot, back = _of(steps, acts.RebootHost), _of(steps, acts.AwaitHost)
    gate = _of(steps, acts.CheckGate)
    checked = gate.result if gate and isinstance(gate.result, acts.Checked) else acts.Checked()
    install = _of(steps, acts.InstallUpdates)
    done = install.result if install and isinstance(install.result, acts.Installed) else acts.Installed()
    early = _early(draft, turn.host)
    return Turn(
        id=turn.id,
        host=turn.host,
        master=turn.master,
        state=_turn_state(turn, draft),
        because=turn.because,
        estimate=turn.estimate,
        begun_at=turn.begun_at,
        ended_at=turn.ended_at,
        spans=_spans(steps),
        offered=turn.forecast.updates if turn.forecast else (),
        installed=(*early.packages, *done.packages),
        replaced=(*early.before.items(), *done.before.items()),
        advisories=done.advisories or (turn.forecast.advisories if turn.forecast else ()),
        away_at=reboot.tries[-1][0] if reboot and reboot.tries else None,
        back_at=back.tries[-1][1] if back and back.tries and back.state == "done" else None,
        before=gate.act.versions if gate and isinstance(gate.act, acts.CheckGate) else Versions(),
        after=checked.versions,
        repaired=checked.repaired,
        differences=turn.differences,
        warnings=turn.warnings,
    )


def _of(steps: list[StepDraft], kind: type) -> StepDraft | None:
    """The last step of a kind that was tried, else the last of that kind."""
    found = [step for step in steps if isinstance(step.act, kind)]
    tried = [step for step in found if step.tries]
    return next(reversed(tried or found), None)


def _early(draft: Draft, host: Named) -> acts.Installed:
    """The packages that were installed on a host before its turn."""
    steps = draft.steps.values()
    done = [
        step.result
        for step in steps
        if isinstance(step.act, acts.InstallPackage)
        and step.act.host.uuid == host.uuid
        and isinstance(step.result, acts.Installed)
    ]
    before = {name: evr for one in done for name, evr in one.before.items()}
    return acts.Installed(tuple(package for one in done for package in one.packages), before)


def _turn_state(turn: TurnDraft, draft: Draft) -> TurnState:
    if draft.state == "ended" and turn.state in ("waiting", "under_way"):
        return "not_begun" if turn.state == "waiting" else "failed"
    return turn.state


def _spans(steps: list[StepDraft]) -> tuple[Span, ...]:
    """The parts of a turn in order of time; tries of one part that follow each other are one span."""
    tries = sorted((begun, until, doing.phase(step.act)) for step in steps for begun, until in _closed(step))
    spans: list[Span] = []
    for begun, until, phase in tries:
        if spans and spans[-1].phase == phase:
            spans[-1] = replace(spans[-1], end=max(spans[-1].end or begun, until))
        else:
            spans.append(Span(phase, begun, until))
    running = {doing.phase(step.act) for step in steps if step.state == "under_way"}
    if spans and spans[-1].phase in running:
        spans[-1] = replace(spans[-1], end=None)
    return tuple(spans)


def _closed(step: StepDraft) -> Iterator[tuple[float, float]]:
    for begun, until in step.tries:
        yield begun, begun if until is None else until


# --- VMs --------------------------------------------------------------------------------------------------------------


def _moves(draft: Draft) -> Iterator[Move]:
    for step in draft.steps.values():
        if isinstance(step.act, acts.MigrateVM) and (step.tries or step.state not in ("waiting", "dropped")):
            yield _move(step, step.act)
        elif isinstance(step.act, acts.EvacuateRest) and isinstance(step.result, acts.Swept):
            begun, until = step.tries[-1] if step.tries else (None, None)
            for vm in step.result.vms:
                yield Move(vm, step.act.host, None, "sweep", "moved", begun, until)


def _move(step: StepDraft, act: acts.MigrateVM) -> Move:
    begun, until = step.tries[-1] if step.tries else (None, None)
    state = _move_state(step)
    why = step.because if state in ("failed", "skipped") else (step.failures or [""])[-1]
    copied = step.result.copied if isinstance(step.result, acts.Moved) else 0
    return Move(act.vm, act.away_from, act.to, act.purpose, state, begun, until, max(1, len(step.tries)), why, copied)


def _move_state(step: StepDraft) -> MoveState:
    if step.state == "done":
        moved = step.result if isinstance(step.result, acts.Moved) else acts.Moved()
        return "gone" if moved.gone else "already" if moved.already else "moved"
    if step.state in ("gave_up", "timed_out"):
        return "failed"
    return "skipped" if step.state == "skipped" else "under_way"


def _downtimes(draft: Draft) -> Iterator[Downtime]:
    """VMs that were stopped, each with the start that followed."""
    for step in draft.steps.values():
        act, result = step.act, step.result
        if not isinstance(act, (acts.ShutdownVM, acts.SuspendVM)) or not isinstance(result, acts.Stopped):
            continue
        if result.gone:
            continue
        way: Literal["suspend", "shutdown"] = "suspend" if isinstance(act, acts.SuspendVM) else "shutdown"
        since = step.tries[0][0] if step.tries else None
        yield Downtime(act.vm, act.host, way, act.consent, since, _down(draft, act.vm), result.hard)


def _down(draft: Draft, vm: Named) -> float | None:
    for step in draft.steps.values():
        act, result = step.act, step.result
        if isinstance(act, (acts.StartVM, acts.ResumeVM)) and act.vm == vm and isinstance(result, acts.Started):
            return result.down or None
    return None


def _guests(draft: Draft) -> Iterator[Guest]:
    moved: dict[str, int] = {}
    why: dict[str, str] = {}
    for move in _moves(draft):
        moved[move.vm.uuid] = moved.get(move.vm.uuid, 0) + (move.state == "moved")
        if move.purpose == "home" and move.state in ("failed", "skipped"):
            why[move.vm.uuid] = move.because
    for uuid, home in draft.homes.items():
        at, lost = draft.at.get(uuid), draft.lost_sight.get(uuid, "")
        yield _guest(home.vm, home.host, at, moved.get(uuid, 0), lost, why.get(uuid, ""))


def _guest(vm: Named, home: Named, at: Named | None, moves: int, lost: str, why: str) -> Guest:
    if lost:
        return Guest(vm, home, None, "gone", moves, lost)
    if at is None:
        return Guest(vm, home, None, "unknown", moves, why or "It was moved with what had come late to its host.")
    return Guest(vm, home, at, "home" if at.uuid == home.uuid else "elsewhere", moves, why)


# --- what else there is to tell ---------------------------------------------------------------------------------------


def _troubles(draft: Draft) -> Iterator[Trouble]:
    for step in draft.steps.values():
        if not step.failures and step.state != "skipped":
            continue
        ended = "under_way" if step.state == "waiting" else "skipped" if step.state == "dropped" else step.state
        yield Trouble(doing.phrase(step.act), len(step.tries), (step.failures or [step.because])[-1], ended)


def _advisories(turns: tuple[Turn, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Security advisories that the changelogs name: closed on every host that had them open, and still open on one."""
    closed: set[str] = set()
    still: set[str] = set()
    for turn in last_turns(turns):
        if turn.state == "done":
            names = {package.name for package in turn.installed}
            told = _named_in((*turn.installed, *(one for one in turn.offered if one.name in names)))
            closed |= {*told, *(turn.advisories if turn.installed else ())}
        else:
            still |= {*_named_in(turn.offered), *turn.advisories}
    return tuple(sorted(closed - still)), tuple(sorted(still))


def _named_in(packages: Iterable[Package]) -> set[str]:
    return set(offers.advisories(packages))


def _bounded(report: Report) -> Report:
    """Lists that cannot grow without end; what was cut is named."""
    long = {name: getattr(report, name)[:MOST] for name in _LISTS if len(getattr(report, name)) > MOST}
    turns = tuple(
        replace(turn, offered=_short(turn.offered), installed=_short(turn.installed)) for turn in report.turns[:MOST]
    )
    return replace(report, **long, turns=turns, cut=tuple(long))


def _short(packages: tuple[Package, ...]) -> tuple[Package, ...]:
    return tuple(replace(one, changelog=on_one_line(one.changelog, CHANGELOG)) for one in packages[:MOST])


_LISTS = (
    "guests",
    "moves",
    "downtimes",
    "events",
    "troubles",
    "holds",
    "said",
    "warnings",
    "obstacles",
    "untold",
    "left_alone",
    "waits",
)
