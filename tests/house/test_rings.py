"""Tests of the suite's own telling: rings by folder, seconds by ring, also when workers run the tests."""

from __future__ import annotations

import pytest

from tests.rings import ring_lines, ring_of

pytest_plugins = ["pytester"]


@pytest.mark.parametrize(
    ("nodeid", "ring"),
    [
        ("tests/shared/domain/test_run.py::test_a", "words"),
        ("tests/services/planner/test_plan.py::TestA::test_b[x/y]", "words"),
        ("tests/test_anything.py::test_a", "words"),
        ("tests/stories/test_one.py::test_a", "stories"),
        ("tests/contracts/bus/test_guards.py::test_a", "contracts"),
        ("tests/e2e/test_demo.py::test_a", "e2e"),
    ],
)
def test_a_ring_is_the_folder_of_a_test(nodeid: str, ring: str) -> None:
    """The mirror of the code is the words; every other folder is a ring of its own name."""
    assert ring_of(nodeid) == ring


def test_rings_are_told_with_the_longest_first() -> None:
    """Seconds are added up by ring, and what did not pass is counted apart."""
    seconds = {"tests/cli/test_a.py::a": 0.25, "tests/shared/test_b.py::b": 0.5, "tests/e2e/test_c.py::c": 3.0}
    lines = ring_lines(seconds, {"tests/e2e/test_c.py::c": "skipped"})
    assert lines == ["   3.00  e2e        1 tests, 1 skipped", "   0.75  words      2 tests"]


@pytest.mark.parametrize("workers", ["0", "2"])
def test_the_suite_tells_its_rings_and_its_slowest_tests(pytester: pytest.Pytester, workers: str) -> None:
    """With `--rings`, in one process or several, each test is counted once."""
    pytester.makeconftest("from tests.conftest import pytest_addoption, pytest_configure")
    pytester.makepyfile(test_it="def test_one(): pass\ndef test_two(): assert False")
    result = pytester.runpytest_subprocess("--rings", "-n", workers, "-p", "no:cacheprovider")
    result.stdout.fnmatch_lines(["*rings, in seconds of work*", "*words*2 tests, 1 failed", "*slowest tests*"])
    result.assert_outcomes(passed=1, failed=1)
