"""Tests of the two commands that a new user is told, and that the machine which judges a change runs the same."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

FIRST_SCREEN = 24
"""Lines of README.md that a terminal shows at once."""


def test_the_first_screen_of_the_readme_says_the_commands(repository: Path) -> None:
    """Clone, demo, test: in this order, before anything else."""
    screen = "\n".join((repository / "README.md").read_text().splitlines()[:FIRST_SCREEN])
    places = [screen.find(command) for command in ("git clone", "make demo", "make test")]
    assert -1 not in places
    assert places == sorted(places)


@pytest.mark.parametrize("command", ["make demo", "make test", "make check"])
def test_a_change_is_judged_by_the_very_commands_of_the_readme(repository: Path, command: str) -> None:
    """.ci/run calls what people call, with nothing added."""
    script = (repository / ".ci" / "run").read_text()
    assert re.search(rf"^part {command}$", script, re.MULTILINE)


def test_make_alone_lists_the_verbs(repository: Path) -> None:
    """Each verb with one line; nothing is installed for it."""
    listed = _make(repository)
    assert listed.returncode == 0
    for verb in ("setup", "demo", "test", "check", "docs", "lint", "up"):
        assert re.search(rf"^  make {verb} +\S", listed.stdout, re.MULTILINE)


def test_a_python_that_is_too_old_is_told_in_one_sentence(repository: Path, tmp_path: Path) -> None:
    """Without a fitting interpreter make says what it needs, and installs nothing."""
    for name in ("Makefile", "pyproject.toml", "requirements-dev.lock"):
        shutil.copy(repository / name, tmp_path)
    refused = _make(tmp_path, "-s", "PYTHON=", "setup")
    assert refused.returncode != 0
    assert "needs Python 3.11 or newer" in refused.stderr
    assert not (tmp_path / ".venv").exists()


def _make(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Make as a person calls it, also when the suite itself was called by make."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed here")
    environment = {name: value for name, value in os.environ.items() if "MAKE" not in name and name != "MFLAGS"}
    return subprocess.run(
        ["make", *words], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=20
    )
