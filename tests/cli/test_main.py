"""The command itself: its verbs, its help, and that it starts light."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Rota

VERBS = (
    *("plan", "start", "watch", "runs", "show", "journal", "why", "cancel", "pause", "resume", "retry"),
    *("skip", "skip-step", "undo", "schedules", "schedule", "demo", "up"),
)
HEAVY = ("rich", "pydantic", "nats", "aiohttp", "structlog", "aiosmtpd", "XenAPI", "shared", "services", "simulator")


def test_help_imports_nothing_heavy(repository: Path) -> None:
    """Help answers at once because it needs nothing of what the verbs need."""
    code = (
        "import sys\nfrom cli import main\n"
        "try:\n    main.app(['--help'])\nexcept SystemExit as left:\n    assert not left.code\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=repository, capture_output=True, text=True, check=True)
    assert done.stderr == "[]\n"
    assert "rota" in done.stdout.lower()


@pytest.mark.parametrize("verb", VERBS)
async def test_every_verb_has_help(rota: Rota, verb: str) -> None:
    """A docstring stands behind each."""
    said = await rota(verb, "--help")
    assert said.code == 0
    assert len(said.out.splitlines()) > 4


@pytest.mark.parametrize(
    "words",
    [("no-such-verb",), ("start",), ("start", "lab", "--watch", "--no-wait"), ("start", "lab", "--policy", "x")],
)
async def test_a_mistake_of_usage_ends_with_2(rota: Rota, words: tuple[str, ...]) -> None:
    """Nothing is sent, and stdout stays empty."""
    said = await rota(*words)
    assert (said.code, said.out) == (2, "")
    assert said.err


@pytest.mark.parametrize("words", [("runs",), ("why", "lab"), ("schedule", "next", "nightly")])
async def test_json_may_stand_before_the_verb_too(rota: Rota, words: tuple[str, ...]) -> None:
    """`rota --json VERB` says what `rota VERB --json` says: one document."""
    before, after = await rota("--json", *words), await rota(*words, "--json")

    assert (before.code, before.out) == (after.code, after.out)
    assert isinstance(json.loads(before.out), dict)
