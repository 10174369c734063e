"""Every recipe of docs/recipes by real processes: one `rota up` for a simulated pool of each, all updated at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from cli import judge
from shared.domain import facts
from tests.chaos.scenes import RECIPES, SCENES
from tests.e2e.conftest import House, Sim, origin, rota_up, simulated

FACTOR = 60
WITHIN = 400.0
"""Seconds of machine time for all of them: the longest takes an hour and a half of its pool's."""

PROMISES = {scene.world: scene.promise for scene in SCENES.values()}
ELSEWHERE = ("shared-storage",)
"""The demo itself, see test_demo."""


def recipes() -> list[Path]:
    """Those that run here."""
    return [file for file in sorted(RECIPES.glob("*.toml")) if file.stem not in ELSEWHERE]


def _world(recipe: Path) -> str:
    return recipe.read_text(encoding="utf-8").splitlines()[0].rpartition("World: ")[2]


def _table(recipe: Path, url: str) -> str:
    """What stands in rota.toml: how the pool is reached, and the recipe under the pool's own key."""
    own = recipe.read_text(encoding="utf-8").replace("pool.lab", f"pool.{recipe.stem}")
    return f'[pool.{recipe.stem}]\nurl = "{url}"\npassword_file = "password"\n{own}'


@pytest.fixture
def town(tmp_path: Path) -> Iterator[tuple[House, dict[str, Sim]]]:
    """A pool for each recipe, and everything of Rota for all of them."""
    with ExitStack() as stack:
        options = ("--factor", str(FACTOR))
        sims = {
            recipe.stem: stack.enter_context(
                simulated(Path(_world(recipe)), tmp_path / f"{recipe.stem}.ndjson", *options)
            )
            for recipe in recipes()
        }
        clock = f"[clock]\nfactor = {FACTOR}\norigin = {origin(next(iter(sims.values())))}\n"
        tables = [_table(recipe, sims[recipe.stem].url) for recipe in recipes()]
        (tmp_path / "rota.toml").write_text("\n".join([clock, *tables]))
        (tmp_path / "password").write_text("simulated")
        yield stack.enter_context(rota_up(tmp_path)), sims


def test_every_recipe_runs_to_its_right_end(town: tuple[House, dict[str, Sim]]) -> None:
    """All at once. Who may be stopped was; nobody else; everybody is at home, and no storage lost its server."""
    house, sims = town
    for key in sims:
        assert house.rota("start", key, "--json").code == 0, key
    ends = _ends(house, len(sims))
    assert set(ends) == set(sims)
    assert {end.outcome for end in ends.values()} <= {"succeeded", "succeeded_with_warnings"}, ends
    warned = [warning for end in ends.values() for warning in end.warnings]
    assert [one for one in warned if "clock" not in one] == []  # one clock is Rota's, and each pool began at its own
    wrong = {
        key: judge.violations(sim.journal(), PROMISES[_world(RECIPES / f"{key}.toml")]) for key, sim in sims.items()
    }
    assert {key: found for key, found in wrong.items() if found} == {}


def _ends(house: House, count: int) -> dict[str, facts.RunEnded]:
    """How each run ended, by pool; waited for with a deadline."""
    until = time.monotonic() + WITHIN
    while True:
        ends = {fact.pool: fact for fact in house.told() if isinstance(fact, facts.RunEnded)}
        if len(ends) >= count or time.monotonic() > until:
            return ends
        time.sleep(0.5)
