"""How long a plan takes to make and how much memory, from 16 hosts to 1,000: `python -m bench.planning_speed`.

The same call that `rota plan` and a run make: a survey as a value in, the whole forecast out, nothing else. Each size
is planned in a process of its own; the seconds are the CPU's, the best of a few; the memory is the most that the
process ever took, interpreter and survey included. Aims: 16 hosts and 480 VMs in 0.1 s, 64 and 2,400 in 1 s and
300 MB. Writes build/planning-speed.json.
"""

from __future__ import annotations

import gc
import json
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from bench import surveyed
from bench.worlds import World
from services.planner import forecasting
from shared.domain.policy import Policy

FILE = Path("build/planning-speed.json")
SHARE = 0.65

SIZES = ((16, 480), (64, 2400), (125, 3750), (250, 7500), (500, 15_000), (1000, 30_000))
"""Hosts and VMs. A pool of XAPI has 64 hosts at the most; the rest shows how it grows."""

AIMS = {(16, 480): 0.1, (64, 2400): 1.0}
"""Seconds that a plan of these sizes may take."""

MOST_MEMORY = 300
"""MB that a plan of 64 hosts may take."""

BEST_OF = 5
ONCE_FROM = 250
"""From so many hosts on once is enough: what else the machine does weighs little."""

Row = dict[str, Any]


def measured(hosts: int, vms: int) -> Row:
    """One size, planned in this process."""
    snapshot = surveyed.of_world(World(hosts, SHARE, vms // hosts), vms)
    gc.collect()
    before, policy = _peak(), Policy()
    seconds = []
    for _ in range(BEST_OF if hosts < ONCE_FROM else 1):
        began = time.process_time()
        forecasting.forecast(snapshot, policy)
        seconds.append(time.process_time() - began)
    peak, forecast = _peak(), forecasting.forecast(snapshot, policy)
    return {
        "hosts": hosts,
        "vms": len(snapshot.vms),
        "turns": len(forecast.turns),
        "moves": sum(len(turn.moves) for turn in forecast.turns),
        "blockers": len(forecast.blockers),
        "seconds": round(min(seconds), 3),
        "peak_mb": round(peak),
        "before_mb": round(before),
    }


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6


def _in_a_child(hosts: int, vms: int) -> Row:
    told = subprocess.run(
        [sys.executable, "-m", "bench.planning_speed", str(hosts), str(vms)], check=True, capture_output=True, text=True
    )
    return dict(json.loads(told.stdout))


def table(rows: list[Row]) -> str:
    """Each size with its time, alone and for one VM, and its memory; and how time grew since the one before, as the
    power of the number of VMs."""
    lines = [f"{'hosts':>6} {'VMs':>6} {'s':>7} {'ms/VM':>6} {'peak MB':>8} {'for the plan':>12}"]
    for row in rows:
        each, plan = row["seconds"] / row["vms"] * 1000, row["peak_mb"] - row["before_mb"]
        lines.append(f"{row['hosts']:6} {row['vms']:6} {row['seconds']:7.2f} {each:6.3f} {row['peak_mb']:8} {plan:12}")
    return "\n".join(lines)


def missed(rows: list[Row]) -> list[str]:
    """The aims that do not hold, in sentences."""
    said = []
    for row in rows:
        size = (row["hosts"], row["vms"])
        if size in AIMS and row["seconds"] > AIMS[size]:
            said.append(f"{size[0]} hosts took {row['seconds']:.2f} s; the aim is {AIMS[size]:g} s.")
        if row["hosts"] <= 64 and row["peak_mb"] > MOST_MEMORY:
            said.append(f"{size[0]} hosts took {row['peak_mb']} MB; the aim is {MOST_MEMORY} MB.")
    return said


def main(words: list[str]) -> int:
    """All sizes, each in a child; or one here, told as JSON."""
    if words:
        sys.stdout.write(json.dumps(measured(*map(int, words))) + "\n")
        return 0
    rows = [_in_a_child(hosts, vms) for hosts, vms in SIZES]
    said = missed(rows)
    sys.stdout.write("\n".join([table(rows), *said]) + "\n")
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
