"""`python -m tests.chaos`: the whole proof that nothing is lost, in process and with real processes, and its table.

RUNS real runs (200) and ON_EACH (3) more on the pool of each recipe, by SEED, WORKERS at once (3); RESUME=1 goes on
where it stopped. In process: a kill before and after each change that a service makes, SHARE (0.1) of all other single
blows, STORMS (300), and cancels at every fact of a step on each pool of `scenes`; CASES takes a sample of these.
PART=real or PART=in-process carries out that half alone, beside what an earlier call wrote of the other. Ends with 1 if
anything is wrong.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tests.chaos import in_process, real, table
from tests.chaos.blows import sample
from tests.chaos.campaign import Outcome, carry_out, known

BUILD = Path("build")
ONE_CASE, ONE_RUN = 180.0, 480.0
"""Seconds of real time that one may take, with others beside it."""


def main() -> int:
    seed = int(os.environ.get("SEED", "1"))
    say(f"SEED={seed}")
    part = os.environ.get("PART", "")
    cases = known(_file("in-process")) if part == "real" else _in_process(seed)
    runs = known(_file("real")) if part == "in-process" else _real(seed)
    rows = [*table.in_process_rows(cases), *table.real_rows(runs)]
    BUILD.mkdir(exist_ok=True)
    (BUILD / "chaos.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    say(table.text(rows))
    wrong = [sum(bool(one["wrong"]) for one in some) for some in (cases, runs)]
    say(f"In process: {table.bound(len(cases), wrong[0])} Real: {table.bound(len(runs), wrong[1])}")
    return 1 if any(wrong) else 0


def say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _in_process(seed: int) -> list[Outcome]:
    cases = in_process.cases(int(os.environ.get("STORMS", "300")), float(os.environ.get("SHARE", "0.1")), seed)
    cases = sample(cases, int(os.environ.get("CASES", len(cases))), seed)
    say(f"{len(cases)} cases in process:")
    return _campaign({str(case): case for case in cases}, in_process.outcome, "in-process", ONE_CASE)


def _real(seed: int) -> list[Outcome]:
    plots = real.plots(seed, int(os.environ.get("RUNS", "200")), int(os.environ.get("ON_EACH", "3")))
    say(f"{len(plots)} runs with real processes:")
    return _campaign({str(plot): plot for plot in plots}, real.outcome, "real", ONE_RUN)


def _campaign(cases: dict[str, object], do: object, name: str, within: float) -> list[Outcome]:
    assert callable(do)
    return carry_out(
        cases,
        do,
        _file(name),
        at_once=int(os.environ.get("WORKERS", "3")),
        within=within,
        resume=os.environ.get("RESUME") == "1",
        say=say,
    )


def _file(name: str) -> Path:
    """Where a half of the campaign writes a line for each of its cases."""
    return BUILD / f"chaos-{name}.ndjson"


if __name__ == "__main__":
    sys.exit(main())
