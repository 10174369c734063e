"""Many turns judged at once, and what is told of them."""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable
from multiprocessing import get_context
from typing import Any

from tests.prove.judged import Judged, judge

TOLD = 20
"""So many lines of progress."""


def of(seeds: range, workers: int, say: Callable[[str], None]) -> dict[str, Any]:
    """The turns of these seeds judged, as it is kept in build/prove.json: how many of each verdict, the seeds of those
    that differ, and how much is told to be short beside the least that would do."""
    say(f"{len(seeds)} turns, seeds {seeds.start} to {seeds.stop - 1}:")
    judged: list[Judged] = []
    with get_context("spawn").Pool(workers) as pool:
        for one in pool.imap_unordered(judge, seeds, chunksize=10):
            judged.append(one)
            if one.faults:
                say(f"seed {one.seed}: {'; '.join(one.faults)}")
            if len(judged) * TOLD // len(seeds) > (len(judged) - 1) * TOLD // len(seeds):
                say(f"  {len(judged)} judged: {_counted(judged)}")
    return _summary(sorted(judged, key=lambda one: one.seed))


def _summary(judged: list[Judged]) -> dict[str, Any]:
    verdicts = Counter(one.verdict for one in judged)
    agreed = verdicts["placed"] + verdicts["impossible"]
    over = [one.told / one.least for one in judged if one.verdict == "impossible" and one.least]
    return {
        "turns": len(judged),
        "placed": verdicts["placed"],
        "with_room_made": sum(one.verdict == "placed" and one.rooms > 0 for one in judged),
        "impossible": verdicts["impossible"],
        "missed": _seeds(judged, "missed"),
        "undecided": _seeds(judged, "undecided"),
        "wrong": _seeds(judged, "wrong"),
        "agreed_percent": round(100 * agreed / max(1, len(judged)), 3),
        "short": len(over),
        "told_over_least_median": round(statistics.median(over), 3) if over else 1.0,
        "told_is_least": sum(one <= 1.001 for one in over),
    }


def _seeds(judged: list[Judged], verdict: str) -> list[int]:
    return [one.seed for one in judged if one.verdict == verdict]


def _counted(judged: list[Judged]) -> str:
    counted = Counter(one.verdict for one in judged)
    return ", ".join(f"{number} {verdict}" for verdict, number in counted.most_common())


def text(told: dict[str, Any]) -> str:
    """What `make prove` prints of it."""
    turns = told["turns"]
    lines = [
        f"Placements: the planner and the exact solver agree on {told['agreed_percent']} % of {turns} turns.",
        f"  {told['placed']:6} placed by both, {told['with_room_made']} of them with moves that make room",
        f"  {told['impossible']:6} impossible to both",
        f"  {len(told['missed']):6} placed by the solver alone{_named(told['missed'])}",
        f"  {len(told['undecided']):6} not decided by the solver{_named(told['undecided'])}",
        f"  {len(told['wrong']):6} where the planner is wrong{_named(told['wrong'])}",
    ]
    if told["short"]:
        lines.append(
            f"Where memory is short, what is told makes the turn possible; it is the least that would do in"
            f" {told['told_is_least']} of {told['short']}, and {told['told_over_least_median']} times it at the median."
        )
    return "\n".join(lines)


def _named(seeds: list[int]) -> str:
    more = " ..." if len(seeds) > 20 else ""
    return f" (seeds {', '.join(map(str, seeds[:20]))}{more})" if seeds else ""
