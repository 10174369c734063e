"""How long `rota --help` takes, from the start of the process to its end: `python bench/cli_help.py [TIMES]`.

The aim is 0.4 s. Prints the median and the worst of so many runs, after one that warms the caches.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

AIM = 0.4
REPOSITORY = Path(__file__).resolve().parent.parent


def once() -> float:
    """Seconds of one run."""
    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "cli.main", "--help"], cwd=REPOSITORY, capture_output=True, check=True)
    return time.perf_counter() - began


def main(times: int) -> int:
    """Measure and tell; 1 where the median misses the aim."""
    once()
    taken = [once() for _ in range(times)]
    median = statistics.median(taken)
    sys.stdout.write(f"rota --help: median {median:.3f} s, worst {max(taken):.3f} s of {times} (aim {AIM} s)\n")
    return int(median > AIM)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
