"""The lengths that the planner foretells, beside the shortest that the solver finds, and what is told of them."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from multiprocessing import get_context
from typing import Any

from tests.prove.pools import update
from tests.prove.shortest import shortest

AIM = 1.05
"""The median of the lengths over the optimum, at the most."""


@dataclass(frozen=True, slots=True)
class Row:
    """One update: seconds from its beginning to the last VM's way home as the planner foretells them (`planner`), as
    the solver found them at best (`solver`), and the `bound` that nothing can beat; `proved` says that the last two are
    one."""

    seed: int
    hosts: int
    vms: int
    max_away: int
    empty_ahead: int
    planner: int
    solver: int
    bound: int
    proved: bool

    @property
    def over(self) -> float:
        """The planner's length over the optimum, or over the bound where the optimum was not proved."""
        return self.planner / (self.solver if self.proved else self.bound)


WORK_A_SECOND = 0.3
"""What CP-SAT counts as work in a second of an idle core on these questions, about."""


def judge(seed: int, *, work: float) -> Row:
    """One update judged; the solver has so much work."""
    asked = update(seed)
    said = shortest(asked, work=work)
    return Row(
        seed=seed,
        hosts=len(asked.snapshot.hosts),
        vms=len(asked.snapshot.vms),
        max_away=asked.forecast.max_away,
        empty_ahead=asked.forecast.empty_ahead,
        planner=round(asked.length),
        solver=round(said.objective) if said.found else 0,
        bound=round(said.bound),
        proved=said.said == "optimal",
    )


def of(seeds: range, workers: int, seconds: float, say: Callable[[str], None]) -> dict[str, Any]:
    """The updates of these seeds, as it is kept in build/prove.json."""
    say(
        f"{len(seeds)} schedules, seeds {seeds.start} to {seeds.stop - 1}, at most some {seconds:.0f} s of a core each:"
    )
    rows: list[Row] = []
    with get_context("spawn").Pool(workers) as pool:
        for row in pool.imap(partial(judge, work=seconds * WORK_A_SECOND), seeds):
            rows.append(row)
            say(line(row))
    over = [row.over for row in rows if row.proved]
    return {
        "schedules": len(rows),
        "proved": len(over),
        "median_over_optimum": round(statistics.median(over), 4) if over else None,
        "mean_over_optimum": round(statistics.mean(over), 4) if over else None,
        "most_over_optimum": round(max(over), 4) if over else None,
        "optimal": sum(one <= 1.0 for one in over),
        "not_proved": [row.seed for row in rows if not row.proved],
        "impossible": [row.seed for row in rows if too_short(row)],
        "rows": [{**asdict(row), "over": round(row.over, 4)} for row in rows],
    }


def too_short(row: Row) -> bool:
    """Whether the planner foretells a length that nothing can reach."""
    return row.planner < row.bound


def line(row: Row) -> str:
    """One row of the table."""
    best = f"optimum {row.solver:6}" if row.proved else f"bound {row.bound:6}, best found {row.solver:6}"
    wrong = "  SOONER THAN CAN BE" if too_short(row) else ""
    return (
        f"  seed {row.seed:4}  {row.hosts} hosts {row.vms:2} VMs  max_away {row.max_away} empty_ahead {row.empty_ahead}"
        f"  planner {row.planner:6} s  {best}  {row.over:6.3f}{wrong}"
    )


def text(told: dict[str, Any]) -> str:
    """What `make prove` prints of it at the end."""
    median, mean, most = (told[f"{which}_over_optimum"] for which in ("median", "mean", "most"))
    lines = [
        f"Schedules: the planner's length is {median} times the optimum at the median of {told['proved']} updates",
        f"  whose optimum is proved; {told['optimal']} are the optimum, the mean is {mean} times it, the most {most}.",
    ]
    rows = [row for row in told["rows"] if not row["proved"]]
    for row in rows:
        best = f"{row['solver']} s at best, bound {row['bound']} s: at most {row['over']} times the optimum"
        lines.append(f"  not proved: seed {row['seed']}, {row['planner']} s by the planner, {best}")
    if told["impossible"]:
        lines.append(f"  SOONER THAN CAN BE: seeds {told['impossible']}")
    return "\n".join(lines)
