"""A few runs of chaos with real processes: a NATS server, the simulated pool at factor 20, every service its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from tests.chaos import real
from tests.chaos.scenes import SCENES


@pytest.mark.parametrize(("seed", "replicas"), [(1, 1), (2, 2)])
async def test_a_run_under_a_monkey_ends_as_it_would_have(tmp_path: Path, seed: int, replicas: int) -> None:
    """Services are killed and stopped, the bus is killed with `kill -9`: nothing is done twice, nothing is left."""
    plot = replace(real.plot(seed), world="brief", replicas=replicas, cancel="", scheduled=False)

    outcome = await real.tell(plot, tmp_path, within=120.0)

    assert outcome["wrong"] == [], plot
    assert outcome["blows"], plot


async def test_a_run_that_a_schedule_starts_ends_as_it_would_have(tmp_path: Path) -> None:
    """The scheduler is killed and stopped like all the others; the pool has its one run."""
    plot = replace(real.plot(4), world="brief", replicas=2, cancel="", scheduled=True, trouble="")

    outcome = await real.tell(plot, tmp_path, within=150.0)

    assert outcome["wrong"] == [], plot


async def test_a_run_on_a_pool_with_troubles_of_its_own_ends_as_it_would_have(tmp_path: Path) -> None:
    """Replies to moves are lost, while services are killed, stopped and cut off."""
    plot = replace(real.plot(5), world="brief", replicas=1, cancel="", trouble="replies to moves are lost")

    outcome = await real.tell(plot, tmp_path, within=150.0)

    assert outcome["wrong"] == [], plot


async def test_a_run_under_a_monkey_is_cancelled(tmp_path: Path) -> None:
    """Ordered while parts are down, the cancel takes effect, and what was changed is put back."""
    plot = replace(real.plot(3), world="brief", replicas=1, cancel="now", cancel_at=30, scheduled=False)

    outcome = await real.tell(plot, tmp_path, within=120.0)

    assert outcome["wrong"] == [], plot
    assert outcome["cancel"] == "now", plot


async def test_a_run_on_the_pool_of_a_recipe_ends_as_it_would_have(tmp_path: Path) -> None:
    """A single host, whose VMs are suspended: under the same monkey and the recipe's own policy."""
    plot = replace(real.plot_on("one host", 6), replicas=1, cancel="")

    outcome = await real.tell(plot, tmp_path, within=150.0)

    assert outcome["wrong"] == [], plot
    assert outcome["blows"], plot


def test_a_seed_stands_for_the_same_runs_whatever_is_added() -> None:
    """So that a wrong one can be told again; each recipe's pool has its own."""
    plots = real.plots(1, 4, 2)

    assert [str(plot) for plot in plots[:4]] == [str(plot) for plot in real.plots(1, 4, 0)]
    assert len({str(plot) for plot in plots}) == len(plots) == 4 + 2 * (len(SCENES) - 1)
