"""One case of chaos with real processes: a whole run under a monkey, judged from the simulator's journal alone.

A fifth of the runs is cancelled at some fact, in either form; they end otherwise, and are judged for harm only. Most
runs are on the smallest pool; some on each pool whose VMs cannot all move, with its recipe.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from shared.bus import wire
from shared.domain import commands, facts
from tests.chaos import harm
from tests.chaos.blows import TROUBLES, Cancel
from tests.chaos.campaign import Outcome
from tests.chaos.monkey import Monkey
from tests.chaos.recovery import recoveries
from tests.chaos.scenes import SCENES, SMALL
from tests.chaos.stage import BRIEF, POOL, Stage, stage

FACTOR, FACTOR_OF_SCENES = 20.0, 30.0
WITHIN, WITHIN_OF_SCENES = 240.0, 360.0
"""Seconds of machine time within which a run must have ended and been told: one that nothing befalls takes 15 to 30,
on the pool of a recipe up to 90."""

AFTERMATH = 3.0
"""Seconds in which everything is left alone afterwards, to see that nothing more happens."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A run to be told. `cancel_at`: how many facts are seen before it is cancelled; `scheduled`: a schedule starts it;
    `trouble` is of the pool itself, a name of `TROUBLES`; `scene` says under which policy it is run."""

    seed: int
    replicas: int
    world: str
    cancel: Cancel
    cancel_at: int
    scheduled: bool = False
    trouble: str = ""
    scene: str = SMALL

    def __str__(self) -> str:
        cancelled = f", cancelled {self.cancel} at fact {self.cancel_at}" if self.cancel else ""
        more = f"{', scheduled' if self.scheduled else ''}{', ' if self.trouble else ''}{self.trouble}"
        return f"seed {self.seed}: {self.world}, {self.replicas} of each{more}{cancelled}"


def plot(seed: int) -> Plot:
    """What a seed stands for."""
    chance = random.Random(f"plot {seed}")
    cancel: Cancel = chance.choice(["now", "after this turn"]) if chance.random() < 0.2 else ""
    replicas, world, at = chance.choice([1, 2]), chance.choice(["brief", "brief", "small"]), chance.randint(5, 90)
    scheduled = chance.random() < 0.25
    trouble = chance.choice(sorted(TROUBLES)) if chance.random() < 0.3 else ""
    return Plot(seed, replicas, world, cancel, at, scheduled, trouble)


def plot_on(scene: str, seed: int) -> Plot:
    """What a seed stands for on the pool of a recipe: no schedule, and no trouble but what that pool has of its own."""
    chance = random.Random(f"plot {scene} {seed}")
    cancel: Cancel = chance.choice(["now", "after this turn"]) if chance.random() < 0.2 else ""
    return Plot(seed, chance.choice([1, 2]), SCENES[scene].world, cancel, chance.randint(5, 150), scene=scene)


def plots(seed: int, runs: int, on_each_scene: int) -> list[Plot]:
    """A campaign: so many runs on the smallest pool, and so many more on the pool of each recipe."""
    numbers = range(seed * 1000, seed * 1000 + on_each_scene)
    scenes = [plot_on(scene, number) for number in numbers for scene in SCENES if scene != SMALL]
    return [*(plot(number) for number in range(seed * 1000, seed * 1000 + runs)), *scenes]


def outcome(plot: Plot) -> Outcome:
    """A case as a campaign wants it. (That the bus is away is no news here.)"""
    logging.disable(logging.WARNING)
    with tempfile.TemporaryDirectory(prefix="chaos-") as folder:
        return asyncio.run(tell(plot, Path(folder)))


async def tell(plot: Plot, folder: Path, *, within: float = 0.0) -> Outcome:
    """Tell a run from its order to its report, under a monkey. `within` some seconds; as the constants say, if 0."""
    world, scene = BRIEF if plot.world == "brief" else plot.world, SCENES[plot.scene]
    factor, usual = (FACTOR, WITHIN) if plot.scene == SMALL else (FACTOR_OF_SCENES, WITHIN_OF_SCENES)
    within = within or usual
    play = stage(
        folder, world=world, factor=factor, replicas=plot.replicas, scheduled=plot.scheduled, recipe=scene.recipe
    )
    async with play as house:
        await house.trouble(TROUBLES.get(plot.trouble, ()))
        monkey = Monkey(house, random.Random(f"monkey {plot.seed}"))
        began = time.time()
        seen: list[wire.Recorded] = []
        listening = asyncio.create_task(_listen(house, monkey, seen))
        if not plot.scheduled:
            order = commands.StartRun(pool=POOL, policy=scene.policy)
            await house.bus.append(wire.command_message(order, by="chaos"), id="order-1")
        raging = asyncio.create_task(monkey.rage())
        canceller = asyncio.create_task(_cancel(house, plot, seen))
        ended = await _until(lambda: _told(seen), within)
        raging.cancel()
        await asyncio.gather(raging, return_exceptions=True)
        await asyncio.sleep(AFTERMATH)
        for task in (listening, canceller):
            task.cancel()
        await asyncio.gather(listening, canceller, return_exceptions=True)
        wrong = [] if ended else [f"It did not end, and was not told, within {within:g} s.", *_holds(seen)]
        said = [one.fact for one in seen]
        cancelled = any(isinstance(fact, facts.RunCancelling) for fact in said)
        wrong += [*_amiss(said, cancelled), *harm.found(house.journal, scene.promise, said, cancelled=cancelled)]
        wrong += house.last_words()
        struck = [(blow.kind, blow.at) for blow in monkey.struck]
        return {
            "wrong": wrong,
            "ended": ended,
            "cancel": plot.cancel if cancelled else "",
            "scheduled": plot.scheduled,
            "trouble": plot.trouble,
            "scene": plot.scene,
            "took": round(time.time() - began, 1),
            "blows": [blow.kind for blow in monkey.struck],
            "recoveries": recoveries(struck, seen),
        }


async def _listen(house: Stage, monkey: Monkey, seen: list[wire.Recorded]) -> None:
    async with house.bus.follow(["rota.fact.>"], after=0) as stored_facts:
        async for stored in stored_facts:
            seen.append(wire.read_fact(stored))
            monkey.boundary.set()


async def _cancel(house: Stage, plot: Plot, seen: Sequence[wire.Recorded]) -> None:
    if not plot.cancel:
        return
    await _until(lambda: len(seen) >= plot.cancel_at, WITHIN)
    run = next((one.fact.run for one in seen if isinstance(one.fact, facts.RunRequested)), "")
    order = commands.CancelRun(pool=POOL, run=run, now=plot.cancel == "now")
    await house.bus.append(wire.command_message(order, by="chaos"), id="cancel-1")


async def _until(so: object, within: float) -> bool:
    """Look again and again until something is so, or the time is over."""
    assert callable(so)
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within):
            while not so():
                await asyncio.sleep(0.05)
            return True
    return False


def _told(seen: Sequence[wire.Recorded]) -> bool:
    return any(isinstance(one.fact, facts.ReportSent) and one.fact.occasion == "ended" for one in seen)


def _holds(seen: Sequence[wire.Recorded]) -> list[str]:
    return [f"Last was {one.fact!r}"[:800] for one in seen[-1:]]


def _amiss(said: Sequence[facts.Fact], cancelled: bool) -> list[str]:
    """What the facts say that should not be."""
    ends = [fact for fact in said if isinstance(fact, facts.RunEnded)]
    right = ("succeeded", "cancelled", "refused") if cancelled else ("succeeded",)
    wrong = [] if len(ends) == 1 else [f"The run ended {len(ends)} times."]
    wrong += [
        f"The run {end.outcome}: {end.sentence} {' '.join(end.warnings)}" for end in ends if end.outcome not in right
    ]
    wrong += [f"Rejected: {fact.because}" for fact in said if isinstance(fact, facts.MessageRejected)]
    wrong += [f"Held: {fact.because}" for fact in said if isinstance(fact, facts.RunHeld)]
    wrong += [f"Fault: {fact.because}" for fact in said if isinstance(fact, facts.StepFailed) and fact.code == "FAULT"]
    told = [fact.destination for fact in said if isinstance(fact, facts.ReportSent) and fact.occasion == "ended"]
    return wrong + [f"{name} was told {told.count(name)} times." for name in set(told) if told.count(name) > 1]
