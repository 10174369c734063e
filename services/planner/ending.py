"""Rules of a run's end: what was owed is paid, and the verdict. Pure."""

from __future__ import annotations

from services.planner import discs, gates, levelling, patience, preparing, stopping, storage_moves
from services.planner.view import Said, View, ended
from shared.domain import acts, facts
from shared.domain.book import Book
from shared.domain.names import run_id
from shared.domain.policy import Policy
from shared.domain.run import PREPARATION, RESTORATION, RunState, StepState

AFTER_A_RETURN = 120.0
EACH = 6 * 3600.0
"""Seconds of pool time after which what is owed is tried again: after a host's return, and in any case."""


def paid(view: View) -> Said | None:
    """A setting that was owed and has been put back is paid."""
    paid = tuple(
        facts.SettingPaid(**view.ids, step=step.id, setting=name)
        for step in view.run.steps()
        if step.state is StepState.SUCCEEDED and (name := _debt_of(step.act)) in view.book.owed
        if _pays(step.act, view.book.owed[name].act)
    )
    return Said(paid, sentence="What was owed is paid.") if paid else None


def _debt_of(act: acts.Act) -> str:
    """The name under which an act would be owed; empty where it never is."""
    if isinstance(act, acts.RestorePoolSetting):
        return act.setting
    if isinstance(act, acts.InsertMedia):
        return discs.debt(act).setting
    if isinstance(act, acts.MigrateVM):
        return storage_moves.debt(act).setting if act.disks else ""
    return stopping.debt(act).setting if isinstance(act, acts.GivesBack) else ""


def _pays(act: acts.Act, owed: acts.Act) -> bool:
    """Whether an act of the same name gives what is owed: disks may have gone somewhere else."""
    if not isinstance(act, acts.MigrateVM) or not isinstance(owed, acts.MigrateVM):
        return True
    there = {disk.device: disk.to for disk in act.disks}
    return act.to == owed.to and all(there.get(disk.device) == disk.to for disk in owed.disks)


def end(view: View) -> Said | None:
    """The run is over when everything that can be put back is put back."""
    turn = view.run.turns.get(RESTORATION)
    if view.run.state is not RunState.FINISHING or turn is None or not turn.settled:
        return None
    verdict = _verdict(view)
    return Said((verdict,), sentence=verdict.sentence)


def _verdict(view: View) -> facts.RunEnded:
    run = view.run
    done = [turn for turn in run.closed if turn.outcome == "done"]
    total = len(run.forecast.turns) if run.forecast else 0
    owed = tuple(f"Owed: {one.setting} ({one.because}); when {one.condition} {one.command}" for one in run.owed)
    restored = gates.warnings(run.turns.get(RESTORATION))
    warnings = tuple(dict.fromkeys((*run.warnings, *levelling.warnings(run), *restored, *owed)))
    took = patience.duration(view.now - (run.began_at or run.requested_at))
    if run.cancel:
        who = "policy" if run.cancel.by == "policy" else run.cancel.by
        outcome: facts.Outcome = "failed" if run.cancel.by == "policy" else "cancelled"
        return ended(
            view, outcome, f"Cancelled by {who} after {len(done)} of {total} hosts, in {took}.", warnings=warnings
        )
    outcome = "succeeded_with_warnings" if warnings else "succeeded"
    if run.purpose == "undo":
        return ended(view, outcome, "What was noted on the pool is put back, and the pool is free.", warnings=warnings)
    if run.purpose == "pay":
        still = f"Still owed: {', '.join(one.setting for one in run.owed)}." if run.owed else "What was owed is paid."
        return ended(view, outcome, still, warnings=warnings)
    return ended(view, outcome, f"{len(done)} of {total} hosts are updated, in {took}.", warnings=warnings)


def due(book: Book, now: float) -> float | None:
    """When what a pool owes is tried again, pool time; None where it owes nothing.

    Two minutes after a host came back since the last try, else every six hours: versions meet when hosts come back, and
    the pool looks at them every thirty seconds (xen-api db_gc.ml detect_rolling_upgrade).
    """
    if not book.owed:
        return None
    last = max([owed.since for owed in book.owed.values()] + ([book.run.ended_at] if book.run else []))
    back = [seen.back_at + AFTER_A_RETURN for seen in book.hosts.values() if seen.back_at > last]
    return min([last + EACH, *back])


def pay(book: Book, now: float) -> facts.RunRequested:
    """The run that tries to put back what is owed."""
    order = f"pay-{book.after}"
    survey = preparing.survey_step(PREPARATION, book.pool, updates=False, why=f"Look at pool {book.pool}.")
    return facts.RunRequested(
        pool=book.pool,
        run=run_id(book.pool, order),
        order=order,
        by="rota",
        policy=Policy(),
        reason=f"{', '.join(book.owed)} is owed since an earlier run",
        purpose="pay",
        survey=survey,
    )
