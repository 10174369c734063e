"""Several pools at once: how many runs may be under way, and which begins next. Pure.

Looked at are the books of all pools, as this planner has folded them; each planner with the same journal says the same.
That two do not begin at once in one another's backs is the guard's affair: the fact that begins a run, or lets it go on
in its next window, is written under a guard over the runs of all pools.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from services.planner import approvals, fitting, pacing
from shared.domain import window
from shared.domain.book import Book
from shared.domain.run import Run, RunState

NOT_BUSY = frozenset({RunState.WAITING_FOR_WINDOW, RunState.ENDED})


@dataclass(frozen=True, slots=True)
class Crowd:
    """All pools: `at_once` runs may be under way (0: any number), and of those that wait the one whose pool stands
    first in `order` begins first, then the one that was asked for first. `seq` is the sequence of the last fact of any
    run that was folded."""

    at_once: int = 0
    order: Sequence[str] = ()
    books: Sequence[Book] = ()
    seq: int = 0


ALONE = Crowd()


def no_room(run: Run, crowd: Crowd, now: float) -> str:
    """Why a run may not begin, or go on in its window, beside those of other pools; or nothing."""
    if not crowd.at_once:
        return ""
    others = [book.open for book in crowd.books if book.open is not None and book.open.id != run.id]
    busy = [other for other in others if under_way(other)]
    first = [other for other in others if waits_for_room(other, now) and _rank(other, crowd) < _rank(run, crowd)]
    if len(busy) + len(first) < crowd.at_once:
        return ""
    allowed = "one run may" if crowd.at_once == 1 else f"{crowd.at_once} runs may"
    going = f"{_pools(busy)} {'is' if len(busy) == 1 else 'are'} being updated" if busy else ""
    ahead = f"{_pools(first)} {'goes' if len(first) == 1 else 'go'} first" if first else ""
    because = " and ".join(filter(None, (going, ahead)))
    return f"Waiting for others, because no more than {allowed} be under way at once: {because}."


def under_way(run: Run) -> bool:
    """Whether a run counts: from its begin to its end, also while it is held, but not between its windows."""
    return run.purpose == "update" and bool(run.began_at) and run.state not in NOT_BUSY


def waits_for_room(run: Run, now: float) -> bool:
    """Whether nothing but room keeps a run from beginning, or from going on in its window."""
    if run.purpose != "update" or run.cancel or run.forecast is None:
        return False
    if run.state is RunState.PLANNED:
        return not approvals.awaits_its_plan(run) and _is_open(run, now)
    return run.state is RunState.WAITING_FOR_WINDOW and _is_open(run, now)


def _is_open(run: Run, now: float) -> bool:
    planned = pacing.next_of(run)
    return run.window is None or window.fits(run.window, now, fitting.upper(planned) if planned else 0.0)


def _rank(run: Run, crowd: Crowd) -> tuple[int, float, str]:
    place = crowd.order.index(run.pool) if run.pool in crowd.order else len(crowd.order)
    return place, run.requested_at, run.pool


def _pools(runs: Sequence[Run]) -> str:
    return " and ".join(sorted(run.pool for run in runs))
