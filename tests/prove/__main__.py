"""`make prove`: the planner beside an exact solver, with progress, a table, and build/prove.json.

COUNT turns (10,000) and SCHEDULES whole updates (60) from SEED (1) on, judged by WORKERS at once (2), with some WITHIN
(10) seconds of a core at most for each schedule. Ends with 1 where the planner is wrong, or its schedules are longer
than they may be.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.prove import placements, schedules, solver

BUILD = Path("build")


def main() -> int:
    if not solver.HERE:
        say(solver.MISSING)
        return 1
    seed, workers = _asked("SEED", 1), _asked("WORKERS", 2)
    told: dict[str, Any] = {"seed": seed}
    turns = placements.of(range(seed, seed + _asked("COUNT", 10_000)), workers, say)
    told["placements"] = turns
    lengths = schedules.of(range(seed, seed + _asked("SCHEDULES", 60)), workers, _asked("WITHIN", 10), say)
    told["schedules"] = lengths
    BUILD.mkdir(exist_ok=True)
    (BUILD / "prove.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    say(placements.text(turns))
    say(schedules.text(lengths))
    longer = (lengths["median_over_optimum"] or 1.0) > schedules.AIM
    return 1 if turns["wrong"] or lengths["impossible"] or longer else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _asked(name: str, default: int) -> int:
    return int(os.environ.get(name, default))


if __name__ == "__main__":
    sys.exit(main())
