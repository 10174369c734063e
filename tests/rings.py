"""The suite's rings: which folder belongs to which, and what each took.

A ring says which doubles a test may use; the folder says the ring. Here lives only the telling: no fixture, no test.
"""

from __future__ import annotations

from collections import Counter
from pathlib import PurePosixPath

import pytest

SLOWEST = 10
"""How many single tests are named at the end."""


def ring_of(nodeid: str) -> str:
    """The ring of a test by pytest's id of it: `tests/e2e/test_run.py::test_x` is in `e2e`.

    The folders that mirror the code are the words; what lies in no folder is with them.
    """
    place = PurePosixPath(nodeid.partition("::")[0])
    folder = place.parts[1] if len(place.parts) > 2 else ""
    return _RINGS.get(folder, folder)


class RingTimes:
    """Adds up what pytest reports of each test (set-up, call and clean-up), and tells it when the suite is through.

    Under xdist it stands in the controller, which is told of every worker's tests.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.outcomes: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.seconds[report.nodeid] = self.seconds.get(report.nodeid, 0.0) + report.duration
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.nodeid] = report.outcome

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("rings, in seconds of work", sep="-")
        for line in ring_lines(self.seconds, self.outcomes):
            terminalreporter.write_line(line)
        terminalreporter.section(f"the {SLOWEST} slowest tests, in seconds", sep="-")
        for nodeid, seconds in sorted(self.seconds.items(), key=lambda one: -one[1])[:SLOWEST]:
            terminalreporter.write_line(f"{seconds:7.2f}  {nodeid}")


def ring_lines(seconds: dict[str, float], outcomes: dict[str, str]) -> list[str]:
    """One line a ring, the longest first: seconds, number of tests, and how many of them were skipped or failed."""
    spent: dict[str, float] = {}
    ends: dict[str, Counter[str]] = {}
    for nodeid, duration in seconds.items():
        ring = ring_of(nodeid)
        spent[ring] = spent.get(ring, 0.0) + duration
        ends.setdefault(ring, Counter())[outcomes.get(nodeid, "passed")] += 1
    return [
        f"{spent[ring]:7.2f}  {ring:<10} {ends[ring].total()} tests" + _exceptions(ends[ring])
        for ring in sorted(spent, key=lambda ring: -spent[ring])
    ]


def _exceptions(ends: Counter[str]) -> str:
    return "".join(f", {ends[outcome]} {outcome}" for outcome in ("skipped", "failed") if ends[outcome])


_RINGS = {"": "words", "shared": "words", "services": "words", "simulator": "words", "cli": "words"}
