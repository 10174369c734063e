"""Two scheduler processes on a real bus, killed while ticks come each second: none is lost and none doubled."""

from __future__ import annotations

import asyncio
import calendar
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from shared.bus import embedded, jetstream, port, wire
from shared.domain import commands, facts, names
from shared.domain.acts import Survey
from shared.domain.policy import Policy
from tests.e2e.conftest import LONG, end, environment

FACTOR = 60.0
"""A minute of pool time is a second here, so `* * * * *` is a tick a second."""
TICKS = 8
KILLS = 4


async def _take(bus: port.Bus, came: list[str]) -> None:
    """A planner's stand-in: every order is taken, and answered once."""
    intake = port.Intake(wire.COMMANDS_STREAM, "planner", (wire.PLANNER_ORDERS,))
    async with bus.take(intake) as deliveries:
        async for delivery in deliveries:
            command = wire.read_command(delivery.message)
            assert isinstance(command, commands.StartRun)
            order = wire.order_id(delivery.message, stream=wire.COMMANDS_STREAM, seq=delivery.token.seq)
            came.append(order)
            run = names.run_id(command.pool, order)
            survey = facts.StepPlanned(step="t00-s000", act=Survey(), why="Look.")
            fact = facts.RunRequested(pool="lab", run=run, order=order, by="x", policy=Policy(), survey=survey)
            await bus.append(wire.fact_message(fact, source="planner", at=time.time(), id=run), id=run)
            await delivery.ack()


def _begin(folder: Path, url: str) -> subprocess.Popen[bytes]:
    told = environment(ROTA_CONFIG=str(folder / "rota.toml"), ROTA_NATS_URL=url)
    with (folder / "scheduler.log").open("ab") as log:
        return subprocess.Popen([sys.executable, "-m", "services.scheduler"], env=told, stderr=log)


async def _until(came: list[str], count: int) -> None:
    async with asyncio.timeout(LONG):
        while len(set(came)) < count:
            await asyncio.sleep(0.05)


async def test_no_tick_is_lost_or_doubled_while_schedulers_are_killed(tmp_path: Path) -> None:
    """SIGKILL at whatever moment, one of two at a time: each minute of pool time has its one order, or is counted in a
    fact as missed; and the other one goes on."""
    (tmp_path / "rota.toml").write_text(
        f"[clock]\nfactor = {FACTOR}\norigin = {time.time()}\n"
        '[pool.lab]\nurl = "https://127.0.0.1:1"\n[schedule.each]\ncron = "* * * * *"\npools = ["lab"]\n'
    )
    chance, came = random.Random(7), list[str]()
    server = await embedded.start(tmp_path / "nats")
    bus = await jetstream.connect(server.url, name="test", within=5)
    await bus.ensure_streams()
    taking = asyncio.ensure_future(_take(bus, came))
    processes = [_begin(tmp_path, server.url) for _ in range(2)]
    try:
        await _until(came, 2)
        for number in range(KILLS):
            await asyncio.sleep(chance.uniform(0.5, 1.5))
            processes[number % 2].kill()
            processes[number % 2].wait()
            processes[number % 2] = _begin(tmp_path, server.url)
        await _until(came, TICKS)
        codes = [end(process) for process in processes]
        missed = [
            fact
            async for stored in bus.read(["rota.fact.schedule.>"])
            if isinstance(fact := wire.read_fact(stored).fact, facts.TickMissed)
        ]
    finally:
        for process in processes:
            end(process)
        taking.cancel()
        await asyncio.gather(taking, return_exceptions=True)
        await bus.close()
        await server.stop()
    assert codes == [0, 0], (tmp_path / "scheduler.log").read_text()
    assert {order: count for order, count in Counter(came).items() if count > 1} == {}
    minutes = sorted(_minute(order) for order in came)
    assert len(minutes) + sum(fact.ticks for fact in missed) == minutes[-1] - minutes[0] + 1


def _minute(order: str) -> int:
    """The tick in an order's id, in minutes since 1970."""
    return calendar.timegm(time.strptime(order.rpartition(".")[2], "%Y%m%dT%H%MZ")) // 60
