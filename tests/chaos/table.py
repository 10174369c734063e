"""What a campaign adds up to: a row for each kind of blow, as a table for people and as build/chaos.json for machines.

Pure: outcomes to rows to text.
"""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from tests.chaos.campaign import Outcome
from tests.chaos.scenes import SMALL

Row = dict[str, Any]


def in_process_rows(outcomes: Iterable[Outcome]) -> list[Row]:
    """A row for each kind; the recovery is by how many simulated seconds the whole run was delayed."""
    by_kind: defaultdict[str, list[Outcome]] = defaultdict(list)
    for one in outcomes:
        by_kind[f"in process: {one.get('kind', 'unknown')}"].append(one)
    return [
        _row(kind, sum(one.get("struck", 0) for one in some), some, [one["recovery"] for one in some])
        for kind, some in sorted(by_kind.items())
    ]


def real_rows(outcomes: Sequence[Outcome]) -> list[Row]:
    """A row for each kind of injury over the runs that had it, for each form of cancel, trouble and recipe, and
    for all runs together."""
    injuries = sorted({injury for one in outcomes for injury in one.get("blows", ())})
    rows = [
        _row(
            f"real: {injury}",
            sum(one["blows"].count(injury) for one in with_it),
            with_it,
            [seconds for one in with_it for kind, seconds in one["recoveries"] if kind == injury],
        )
        for injury in injuries
        for with_it in [[one for one in outcomes if injury in one.get("blows", ())]]
    ]
    for form in sorted({one["cancel"] for one in outcomes if one.get("cancel")}):
        some = [one for one in outcomes if one.get("cancel") == form]
        rows.append(_row(f"real: cancel {form}", len(some), some, []))
    for trouble in sorted({one["trouble"] for one in outcomes if one.get("trouble")}):
        some = [one for one in outcomes if one.get("trouble") == trouble]
        rows.append(_row(f"real: {trouble}", len(some), some, []))
    for scene in sorted({one.get("scene", SMALL) for one in outcomes} - {SMALL}):
        some = [one for one in outcomes if one.get("scene") == scene]
        rows.append(_row(f"real: on {scene}", sum(len(one.get("blows", ())) for one in some), some, []))
    if some := [one for one in outcomes if one.get("scheduled")]:
        rows.append(_row("real: started by a schedule", len(some), some, []))
    return [*rows, _row("real: all runs", sum(len(one.get("blows", ())) for one in outcomes), outcomes, [])]


def text(rows: Sequence[Row]) -> str:
    """The table, in columns."""
    heads = ("kind", "injected", "runs", "ended", "violations", "recovery_p50", "recovery_max")
    lines = [heads, *(tuple(_told(row[head]) for head in heads) for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(heads))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def bound(runs: int, wrong: int) -> str:
    """What rate the figures bound, by the rule of three."""
    if wrong or not runs:
        return f"{wrong} of {runs} runs were wrong."
    return f"0 of {runs} runs were wrong, which bounds the true rate to about {300 / runs:.2g} % (95 %, rule of three)."


def _row(kind: str, injected: int, some: Sequence[Outcome], recovery: Sequence[float | None]) -> Row:
    seconds = sorted(one for one in recovery if one is not None)
    return {
        "kind": kind,
        "injected": injected,
        "runs": len(some),
        "ended": sum(bool(one.get("ended")) for one in some),
        "violations": sum(bool(one["wrong"]) for one in some),
        "recovery_p50": round(statistics.median(seconds), 3) if seconds else None,
        "recovery_max": round(seconds[-1], 3) if seconds else None,
    }


def _told(cell: object) -> str:
    return "-" if cell is None else str(cell)
