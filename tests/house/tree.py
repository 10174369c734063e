"""The repository's files as git knows them, for tests that read them all."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PRODUCT = ("shared", "services", "simulator", "cli")


def tracked(repository: Path, *patterns: str) -> list[Path]:
    """The files that git tracks or would add, as paths under `repository`. Skips the test where there is no git."""
    if shutil.which("git") is None or not (repository / ".git").exists():
        pytest.skip("git tells which files belong to the repository, and this is no git checkout")
    command = ["git", "-C", str(repository), "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--"]
    listed = subprocess.run([*command, *patterns], capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := repository / name).is_file()]


def modules(repository: Path) -> list[Path]:
    """The product's python files: what `PRODUCT` holds, without tests."""
    return [path for path in tracked(repository, "*.py") if path.relative_to(repository).parts[0] in PRODUCT]
