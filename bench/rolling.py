"""A rolling update side by side: the incumbent and Rota on the same simulated pools, against what no plan can beat.

`make bench` (or `python -m bench.rolling`) carries out every world twice over, with the incumbent's order of calls and
with Rota's real services over the bus in memory, each in one process on the virtual clock. It prints a table and writes
build/bench.json. `WORLDS=4h-50,16h-65` and `ONLY=rota` (or incumbent) do a part of it, and print only; `REAL=1` runs
one small world with real processes at factor 30 as well, and shows the difference. Each row is kept as soon as it is
measured (build/bench-rows.jsonl), so what was broken off goes on where it stopped; `FRESH=1` measures all anew.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from bench import bound, incumbent, measured, worlds
from bench.kept import Kept, Row
from bench.measured import Measured
from bench.worlds import World
from cli import judge
from shared.domain import commands, facts
from shared.domain.policy import SUPPORTED
from simulator import running
from simulator.virtual import run_virtual
from tests.stories.house import House, tell

FILE = Path("build/bench.json")
ROWS = Path("build/bench-rows.jsonl")
PARTS = {
    "incumbent": ("simulator", "bench/incumbent.py", "bench/worlds.py", "bench/measured.py"),
    "rota": ("simulator", "bench/worlds.py", "bench/measured.py", "shared", "services", "tests/stories/house.py"),
}
"""The code that has a part in a row, by tool."""

WITHIN = 48 * 3600.0
"""Simulated seconds in which a run must end."""

THREADS = 64
"""More than the incumbent asks hosts at once: on the virtual clock a call that waits for a thread stops the time."""


@dataclass(frozen=True, slots=True)
class Way:
    """Who updates a world and how."""

    tool: str
    mode: str = "home"
    max_away: int = 1


def ways(world: World) -> Iterator[Way]:
    """Every way in which a world is updated."""
    yield Way("incumbent")
    for mode in ("home", "level", "stay"):
        if mode in SUPPORTED["mode"]:
            yield Way("rota", mode)
    if world.hosts >= 16 and world.share < 0.7:
        yield Way("rota", max_away=4)


def row(world: World, way: Way, folder: Path) -> Row:
    """One run, measured, beside what no plan can beat."""
    return _bounded(_measured(world, way, folder), world, way)


def _measured(world: World, way: Way, folder: Path) -> Row:
    began = time.process_time()
    described = world.described()
    carry_out = _incumbent if way.tool == "incumbent" else _rota
    found, empty_ahead = carry_out(described, way, folder)
    return {
        "world": world.name,
        "hosts": world.hosts,
        "tool": way.tool,
        "mode": way.mode,
        "max_away": way.max_away,
        "empty_ahead": empty_ahead,
        "moves_per_vm": found.moves_per_vm,
        "gib_moved": found.gib_moved,
        "minutes": found.minutes,
        "not_home": found.not_home,
        "longest_away_minutes": found.longest_away_minutes,
        "total_away_minutes": found.total_away_minutes,
        "ha_off_minutes": found.ha_off_minutes,
        "cpu_seconds": round(time.process_time() - began, 2),
    }


def _bounded(measured_row: Row, world: World, way: Way) -> Row:
    """A row with the bound behind its minutes."""
    described = world.described()
    least = bound.of_world(
        worlds.memory_on(described),
        world.bandwidth,
        world.install,
        world.boot,
        max_away=way.max_away,
        homeward=way.mode == "home",
        room=worlds.room_on(described),
    )
    found: Row = {}
    for key, value in measured_row.items():
        found[key] = value
        if key == "minutes":
            found["bound_minutes"] = round(least.seconds / 60, 2)
    return found


def _incumbent(described: dict[str, Any], way: Way, folder: Path) -> tuple[Measured, int]:
    async def run() -> Measured:
        async with running(described, drive="virtual") as sim:
            loop = asyncio.get_running_loop()
            loop.set_default_executor(ThreadPoolExecutor(THREADS))
            began = loop.time()
            update = incumbent.RollingPoolUpdate(sim.master_url, sim.username, sim.password)
            try:
                await update.run()
            except incumbent.Failed as failed:
                _say(f"  the incumbent's run failed: {failed}")
            return measured.read(sim.journal, worlds.memory_of(described), began, loop.time())

    return run_virtual(run()), 0


def _rota(described: dict[str, Any], way: Way, folder: Path) -> tuple[Measured, int]:
    told: list[tuple[Measured, int]] = []

    async def story(house: House) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        await house.order(commands.StartRun(pool="lab", policy={"max_away": way.max_away, "mode": way.mode}))
        ended = await house.until("run_ended", within=WITHIN)
        found = measured.read(house.sim.journal, worlds.memory_of(described), began, loop.time())
        journal = await house.journal()
        ahead = next(fact.forecast.empty_ahead for fact in journal if isinstance(fact, facts.RunPlanned))
        _judged(ended, house.sim.journal, way, worlds.memory_of(described))
        told.append((found, ahead))

    tell(story, folder, world=described)
    return told[0]


def _judged(ended: facts.Fact, lines: Sequence[dict[str, Any]], way: Way, sizes: dict[str, int]) -> None:
    """A fast run that breaks a promise counts for nothing, so it is said aloud."""
    assert isinstance(ended, facts.RunEnded)
    if ended.outcome != "succeeded":
        _say(f"  Rota's run ended as {ended.outcome}: {ended.sentence}")
    even = sizes if way.mode == "level" else None
    promise = judge.Promise(max_away=way.max_away, home=way.mode == "home", even=even)
    for sentence in judge.violations(lines, promise):
        _say(f"  broken: {sentence}")


# --- the table --------------------------------------------------------------------------------------------------------

HEAD = ("world", "tool", "mode", "away", "ahead", "moves/VM", "GiB", "min", "of inc.", "bound", "x bound", "not home",
        "longest away", "away in all", "HA off", "CPU s")  # fmt: skip


def table(rows: Sequence[Row]) -> str:
    """The rows side by side, each with its time as a part of the incumbent's and as a multiple of the bound."""
    slow = {one["world"]: one["minutes"] for one in rows if one["tool"] == "incumbent"}
    lines = [HEAD, *(_cells(one, slow.get(one["world"])) for one in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(HEAD))]
    return "\n".join("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True)) for line in lines)


def _cells(one: Row, slow: float | None) -> tuple[str, ...]:
    return (
        one["world"],
        one["tool"],
        one["mode"],
        str(one["max_away"]),
        str(one["empty_ahead"]),
        f"{one['moves_per_vm']:.2f}",
        f"{one['gib_moved']:.0f}",
        f"{one['minutes']:.0f}",
        f"{one['minutes'] / slow:.2f}" if slow else "-",
        f"{one['bound_minutes']:.0f}",
        f"{one['minutes'] / one['bound_minutes']:.2f}",
        str(one["not_home"]),
        f"{one['longest_away_minutes']:.1f}",
        f"{one['total_away_minutes']:.0f}",
        f"{one['ha_off_minutes']:.0f}",
        f"{one['cpu_seconds']:.0f}",
    )


def rows_of(chosen: Iterable[tuple[World, Way]], kept: Kept | None = None) -> Iterator[Row]:
    """A row for each world and way, one after the other as they are measured, or as they were kept."""
    for world, way in chosen:
        key = {"world": world.name, "seed": world.seed, "tool": way.tool, "mode": way.mode, "away": way.max_away}
        measure = partial(_in_a_folder, world, way)
        yield _bounded(kept.row(key, PARTS[way.tool], measure) if kept else measure(), world, way)


def _in_a_folder(world: World, way: Way) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        return _measured(world, way, Path(folder))


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def main() -> int:
    """Everything, or what WORLDS and ONLY ask for."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.disable(logging.WARNING)
    named = {world.name: world for world in worlds.ALL}
    wanted = [name for name in os.environ.get("WORLDS", "").split(",") if name]
    if strange := [name for name in wanted if name not in named]:
        _say(f"There is no world {', '.join(strange)}; there are {', '.join(named)}.")
        return 2
    only = os.environ.get("ONLY", "")
    if only not in ("", "incumbent", "rota"):
        _say(f"ONLY is incumbent or rota, and not {only!r}.")
        return 2
    if os.environ.get("FRESH"):
        ROWS.unlink(missing_ok=True)
    found: list[Row] = []
    chosen = [named[name] for name in wanted] or worlds.ALL
    asked = ((world, way) for world in chosen for way in ways(world) if only in ("", way.tool))
    for one in rows_of(asked, Kept(ROWS)):
        found.append(one)
        _say(f"{one['world']} {one['tool']} {one['mode']} {one['max_away']}: {one['minutes']:.0f} min")
    _say("\n" + table(found))
    if not wanted and not only:
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        _say(f"\nwritten to {FILE}")
    if os.environ.get("REAL"):
        from bench import real

        _say("\n" + real.compared(worlds.TINY))
    return 0


if __name__ == "__main__":
    sys.exit(main())
