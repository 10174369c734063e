"""Clients that nobody here wrote, installed from their registries for a test; skipped aloud where there is no way."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

import pytest

WITHIN = 90.0
"""Seconds an installation may take; a registry that cannot be reached may not answer at all."""


def install(what: str, words: Sequence[str]) -> None:
    """Run an installer; skip with the reason where it fails or hangs."""
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=WITHIN)
    except subprocess.TimeoutExpired:
        pytest.skip(f"{what} cannot be installed here, so it is not tried: its registry did not answer in {WITHIN:g} s")
    if done.returncode != 0:
        pytest.skip(f"{what} cannot be installed here, so it is not tried: {done.stderr[-200:]}")
