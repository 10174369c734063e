"""The verbs about schedules on a real bus, answered by a real scheduler."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import structlog

from cli.exits import Stop
from services.scheduler import loop
from shared import settings
from shared.bus import jetstream
from shared.clock import Clock
from shared.service import Context
from tests.cli.conftest import Ground, Rota

TOML = """
[pool.lab]
url = "https://192.0.2.10"
[pool.prod]
url = "https://192.0.2.20"
tags = ["night"]
[schedule.filed]
cron = "0 2 * * SUN#2"
zone = "Europe/Rome"
pools = ["lab"]
missed = "run_late"
"""


@contextlib.asynccontextmanager
async def scheduler(ground: Ground) -> AsyncIterator[None]:
    """A scheduler with the settings of this folder, while entered."""
    file = ground.folder / "rota.toml"
    file.write_text(TOML)
    bus = await jetstream.connect(ground.url, name="scheduler", within=5)
    log = structlog.stdlib.get_logger()
    context = Context("scheduler", "scheduler", settings.read(file, {}), Clock(), bus, log)
    task = asyncio.ensure_future(loop.serve(context))
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await bus.close()


async def test_a_schedule_is_set_listed_looked_at_and_removed(ground: Ground, rota: Rota) -> None:
    """As a person would, and each verb says what became of it."""
    async with scheduler(ground):
        added = await rota("schedule", "add", "nightly", "30 2 * * *", "--zone", "Europe/Rome", "--tag", "night",
                           "--late", "2", "--policy", "updates=false")  # fmt: skip
        listed, document = await rota("schedules"), (await rota("schedules", "--json")).document
        ticks = (await rota("schedule", "next", "nightly", "--count", "3", "--json")).document["ticks"]
        shown = await rota("schedule", "next", "filed")
        removed = await rota("schedule", "remove", "nightly")
        left = (await rota("schedules", "--json")).document
    assert (added.code, removed.code, listed.code, shown.code) == (0, 0, 0, 0)
    assert added.err.startswith("Schedule nightly updates prod, next on ")
    filed, nightly = document["schedules"]
    assert (filed["schedule"], filed["by"], filed["updates"]) == ("filed", "rota.toml", ["lab"])
    assert (nightly["updates"], nightly["missed"], nightly["late_hours"]) == (["prod"], "run_late", 2.0)
    assert nightly["policy"] == {"updates": False}
    assert "@" in nightly["by"]
    assert nightly["next"] == ticks[0]
    assert len(ticks) == 3
    assert "up to 4 h late" in listed.out
    assert listed.out.index("filed") < listed.out.index("nightly")
    assert shown.out.count("Sun ") == shown.out.count("02:00 (Europe/Rome)") == 5
    assert [one["schedule"] for one in left["schedules"]] == ["filed"]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("add", "nightly", "at two", "--pool", "lab"), 4, "has not the five fields of cron"),
        (
            ("add", "nightly", "0 2 * * *", "--pool", "lob"),
            4,
            "There is no pool 'lob' in rota.toml (pools: lab, prod).",
        ),
        (("add", "filed", "0 2 * * *", "--pool", "lab"), 4, "stands in rota.toml, which counts; change it there"),
        (("add", "nightly", "0 2 * * *", "--pool", "lab", "--policy", "x"), 2, "is not key=value"),
        (("remove", "filed"), 4, "stands in rota.toml"),
        (("remove", "other"), 4, "There is no schedule 'other' that an order has set"),
        (("next", "other"), 2, "There is no schedule 'other'; `rota schedules` lists them."),
    ],
)
async def test_what_cannot_be_done_is_told(
    ground: Ground, rota: Rota, words: tuple[str, ...], code: int, sentence: str
) -> None:
    """The scheduler's sentence is the command line's."""
    async with scheduler(ground):
        said = await rota("schedule", *words)
    assert said.code == code
    assert sentence in said.err


async def test_an_order_that_no_scheduler_takes_says_so(ground: Ground) -> None:
    """It names the service that is missing."""
    from cli import client, schedules

    command = schedules.delete_command("nightly")
    async with client.connected() as connected:
        with pytest.raises(Stop, match=r"no scheduler took it within 0\.3 s"):
            await client.ask(connected, command, say=print, taken_within=0.3)


async def test_without_a_schedule_the_list_says_how_to_set_one(ground: Ground, rota: Rota) -> None:
    """Nothing is no fault."""
    said = await rota("schedules")
    assert (said.code, said.err) == (0, "There is no schedule; `rota schedule add` sets one.\n")
