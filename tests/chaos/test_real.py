"""A few runs of chaos with real processes: a NATS server, the simulated pool at factor 20, every service its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import real


@pytest.mark.parametrize(("seed", "replicas"), [(1, 1), (2, 2)])
async def test_a_run_under_a_monkey_ends_as_it_would_have(tmp_path: Path, seed: int, replicas: int) -> None:
    """Services are killed and stopped, the bus is killed with `kill -9`: nothing is done twice, nothing is left."""
    plot = replace(real.plot(seed), world="brief", replicas=replicas, cancel="")

    outcome = await real.tell(plot, tmp_path, within=120.0)

    assert outcome["wrong"] == [], plot
    assert outcome["blows"], plot


async def test_a_run_under_a_monkey_is_cancelled(tmp_path: Path) -> None:
    """Ordered while parts are down, the cancel takes effect, and what was changed is put back."""
    plot = replace(real.plot(3), world="brief", replicas=1, cancel="now", cancel_at=30)

    outcome = await real.tell(plot, tmp_path, within=120.0)

    assert outcome["wrong"] == [], plot
    assert outcome["cancel"] == "now", plot
