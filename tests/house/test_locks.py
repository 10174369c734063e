"""Tests of the locks: what is installed is exactly what was tried, and the locks say nothing of where from."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

LOCKS = ("requirements.lock", "requirements-dev.lock")
SOLVER = "requirements-prove.lock"
"""What judges plans, in a lock of its own; it is installed beside the others by who wants it."""

_PIN = re.compile(r"([a-z0-9][a-z0-9-]*)==(\S+)(?: ; (.+))?")


def _entries(lock: Path) -> list[str]:
    """Each requirement of a lock with its hashes, on one line."""
    return [entry.strip() for entry in lock.read_text().replace("\\\n", " ").splitlines() if entry.strip()]


def _pins(lock: Path) -> dict[str, str]:
    return {found[1]: found[2] for entry in _entries(lock) if (found := _PIN.match(entry))}


def _asked(requirements: list[str]) -> dict[str, str]:
    """Name and version of each of pyproject's requirements, names as the locks spell them."""
    pairs = [re.sub(r"\[.*\]", "", one).split("==") for one in requirements]
    return {name.lower().replace("_", "-"): version for name, version in pairs}


@pytest.fixture
def project(repository: Path) -> dict[str, Any]:
    """pyproject.toml, read."""
    return tomllib.loads((repository / "pyproject.toml").read_text())


@pytest.mark.parametrize("lock", [*LOCKS, SOLVER])
def test_every_requirement_has_one_version_and_its_hashes(repository: Path, lock: str) -> None:
    """A line that pip could resolve in two ways would make two machines differ."""
    for entry in _entries(repository / lock):
        requirement, *hashes = re.split(r"\s+--hash=", entry)
        assert _PIN.fullmatch(requirement), f"{lock} has a line that pins nothing: {entry}"
        assert hashes, f"{requirement} has no hash in {lock}"
        assert all(re.fullmatch(r"sha256:[0-9a-f]{64}", one) for one in hashes), entry


@pytest.mark.parametrize("lock", [*LOCKS, SOLVER])
def test_a_lock_names_no_address(repository: Path, lock: str) -> None:
    """Where packages come from is each machine's own matter."""
    text = (repository / lock).read_text()
    assert not re.search(r"://|@ |index-url|find-links|trusted-host", text)


def test_both_locks_agree(repository: Path) -> None:
    """What is tested is what runs."""
    runtime, development = (_pins(repository / lock) for lock in LOCKS)
    assert runtime.items() <= development.items()


def test_the_solver_changes_no_version_of_what_is_tested(repository: Path) -> None:
    """Installed beside the rest it leaves it as it is, and nothing that runs asks for it."""
    solver, development = _pins(repository / SOLVER), _pins(repository / LOCKS[1])
    both = solver.keys() & development.keys()
    assert {name: solver[name] for name in both} == {name: development[name] for name in both}
    assert "ortools" in solver.keys() - development.keys()


def test_the_locks_hold_what_the_project_asks_for(repository: Path, project: dict[str, Any]) -> None:
    """A version changed in pyproject.toml and not in the locks is told here; `make lock` mends it."""
    asked = _asked(project["project"]["dependencies"])
    assert asked.items() <= _pins(repository / LOCKS[0]).items()
    development = _asked(project["dependency-groups"]["dev"])
    assert development.items() <= _pins(repository / LOCKS[1]).items()
    solver = _asked(project["dependency-groups"]["prove"])
    assert solver.items() <= _pins(repository / SOLVER).items()
