"""Many cases, some at once, each in a process of its own; what became of each is a line in a file, so that a campaign
that was broken off goes on where it stopped.

It knows nothing of what a case is, but that it has a name and takes a bounded time.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

Outcome = dict[str, Any]
"""Of one case: `name`, `kind`, `wrong` (sentences), `recovery` (seconds, or None), and what else is worth keeping."""

AGAIN = 200
"""Cases that one process carries out before another takes its place."""


def carry_out(
    cases: Mapping[str, object],
    do: Callable[[Any], Outcome],
    file: Path,
    *,
    at_once: int,
    within: float,
    resume: bool,
    say: Callable[[str], None],
) -> list[Outcome]:
    """Carry out cases by name, in their order; returns what became of each. `within` bounds one, in seconds.

    `file` takes a line for each as it ends; with `resume` what stands there is not done again.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    done = {outcome["name"]: outcome for outcome in known(file)} if resume else {}
    file.open("a" if resume else "w").close()
    left = [(name, one) for name, one in cases.items() if name not in done]
    found = [done[name] for name in cases if name in done]
    began = time.monotonic()
    with file.open("a", encoding="utf-8") as lines:
        for outcome in _each(left, do, at_once, within):
            found.append(outcome)
            lines.write(json.dumps(outcome) + "\n")
            lines.flush()
            if outcome["wrong"]:
                say(f"WRONG  {outcome['name']}: {' '.join(outcome['wrong'])}")
            if len(found) % 50 == 0:
                say(f"{len(found)} of {len(cases)} cases after {time.monotonic() - began:.0f} s.")
    return found


def _each(
    left: Sequence[tuple[str, object]], do: Callable[[Any], Outcome], at_once: int, within: float
) -> Iterator[Outcome]:
    """(A Pool: ProcessPoolExecutor can stand still for ever where `max_tasks_per_child` is set, cpython #115634.)"""
    given = [(do, name, one, within) for name, one in left]
    with multiprocessing.get_context("spawn").Pool(at_once, maxtasksperchild=AGAIN) as pool:
        yield from pool.imap_unordered(_bounded, given)


def _bounded(given: tuple[Callable[[Any], Outcome], str, object, float]) -> Outcome:
    """A case in a worker process; one that does not end is told as such."""
    do, name, one, within = given

    def late(*_: object) -> None:
        raise TimeoutError(f"The case did not end within {within:g} s of real time.")

    signal.signal(signal.SIGALRM, late)
    signal.setitimer(signal.ITIMER_REAL, within)
    began = time.monotonic()
    try:
        outcome = do(one)
    except Exception as error:  # noqa: BLE001 - whatever a case breaks on is its outcome
        outcome = {"wrong": [f"The case broke off: {error!r}."], "recovery": None, "ended": False}
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    return {"name": name, **outcome, "seconds": round(time.monotonic() - began, 2), "by": os.getpid()}


def known(file: Path) -> list[Outcome]:
    """What became of the cases that a file has a line of; a line that was broken off is left out."""
    if not file.exists():
        return []
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
