"""How soon the planner answers: from a fact's stream time to the moment an executor has the next order.

`python -m bench.reaction [RUNS] [PLANNERS]` starts a real NATS server (file storage, synced always) and planners as
processes, plays the executors of RUNS pools of four hosts whose steps last 0.5 to 2 s, starts staggered, and prints
the milliseconds. The machine it ran on is printed with them.
"""

from __future__ import annotations

import asyncio
import os
import platform
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from pydantic import TypeAdapter

from shared.bus import embedded, jetstream, port, wire
from shared.domain import acts, commands, facts, messages
from shared.domain.model import PoolSettings, PoolSnapshot
from tests.services.planner.play import Play, host, pool, vm

HOSTS = ("athos", "porthos", "aramis", "dartagnan")
_SNAPSHOT = TypeAdapter(PoolSnapshot)


class Bench:
    """The executors of all pools, and what they measured. Lives for one measurement."""

    def __init__(self, bus: jetstream.JetStreamBus, runs: int) -> None:
        self.bus = bus
        self.plays = {f"p{n:03d}": Play(_world()) for n in range(runs)}
        self.said_at: dict[str, float] = {}
        self.milliseconds: list[float] = []
        self.random = {name: random.Random(name) for name in self.plays}
        self.tasks: set[asyncio.Task[None]] = set()

    async def execute(self) -> None:
        """Take orders until cancelled; each is done beside the others."""
        intake = port.Intake(wire.COMMANDS_STREAM, "executor", (wire.EXECUTOR_ORDERS,), ack_wait=30.0)
        async with self.bus.take(intake) as deliveries:
            async for delivery in deliveries:
                command = wire.read_step(delivery.message)
                self._measure(command, time.time())
                task = asyncio.create_task(self._do(delivery, command))
                self.tasks.add(task)
                task.add_done_callback(self.tasks.discard)

    def _measure(self, command: commands.DoStep, now: float) -> None:
        since = self.said_at.pop(command.pool, None)
        if since is not None:
            self.milliseconds.append((now - since) * 1000)

    async def _do(self, delivery: port.Delivery, command: commands.DoStep) -> None:
        play = self.plays[command.pool]
        await asyncio.sleep(self.random[command.pool].uniform(0.5, 2.0))
        result = play.carry_out(command)
        if isinstance(result, acts.SurveyTaken):
            data = _SNAPSHOT.dump_json(play.snapshots[result.snapshot])
            await self.bus.put_object(wire.SNAPSHOTS_BUCKET, result.snapshot, data)
        done = facts.StepSucceeded(
            pool=command.pool, run=command.run, step=command.step, attempt=command.attempt, result=result
        )
        await self._say(command, done, "done")
        await delivery.ack()
        if play.away:
            play.now = time.time()
            play.boot()
            seen = play.journal[-1][0]
            assert isinstance(seen, facts.HostCameBack)
            moved = seen.model_copy(
                update={"pool": command.pool, "boot_time": time.time() + 3600, "seen_at": time.time() + 1}
            )
            await self._say(command, moved, "back")

    async def _say(self, command: commands.DoStep, fact: facts.Fact, what: str) -> None:
        id = f"{command.run}.{command.step}.{command.attempt}.{what}"
        await self.bus.append(wire.fact_message(fact, source="executor", at=time.time(), id=id), id=id)
        stored = await self.bus.last(messages.fact_subject(fact))
        if stored is not None:
            self.said_at[command.pool] = stored.stored_at


def _world() -> PoolSnapshot:
    hosts = tuple(host(name, boot_time=1000.0) for name in HOSTS)
    return pool(hosts, [vm(f"{name}-{n}", name, 4) for name in HOSTS for n in (1, 2)], PoolSettings())


async def measure(runs: int, planners: int) -> Bench:
    """All runs from order to end; returns what was measured."""
    with tempfile.TemporaryDirectory() as folder:
        server = await embedded.start(Path(folder) / "nats")
        bus = await jetstream.connect(server.url, name="bench")
        await bus.ensure_streams()
        bench = Bench(bus, runs)
        config = Path(folder) / "rota.toml"
        lines = [f'[pool.{name}]\nurl = "http://127.0.0.1:1"\n' for name in bench.plays]
        config.write_text("\n".join(lines))
        environment = {**os.environ, "ROTA_CONFIG": str(config), "ROTA_NATS_URL": server.url}
        command = [sys.executable, "-m", "services.planner"]
        with open(Path(folder) / "log", "wb") as log:
            children = [subprocess.Popen(command, env=environment, stderr=log) for _ in range(planners)]
        executing = asyncio.create_task(bench.execute())
        try:
            await _all_runs(bench)
        finally:
            executing.cancel()
            for child in children:
                child.terminate()
            for child in children:
                child.wait(10)
            await bus.close()
            await server.stop()
    return bench


async def _all_runs(bench: Bench) -> None:
    for number, name in enumerate(bench.plays):
        await bench.bus.append(wire.command_message(commands.StartRun(pool=name), by="bench"), id=f"o{number}")
        await asyncio.sleep(0.15)
    ended = 0
    async with asyncio.timeout(600), bench.bus.follow(["rota.fact.run.*.*.run.run_ended"], after=0) as stored_facts:
        async for _ in stored_facts:
            ended += 1
            if ended == len(bench.plays):
                return


def main() -> None:
    """Measure and print."""
    given = [int(one) for one in sys.argv[1:3]]
    runs, planners = (*given, *(20, 1)[len(given) :])
    bench = asyncio.run(measure(runs, planners))
    took = sorted(bench.milliseconds)
    cuts = statistics.quantiles(took, n=100)
    print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    print(f"{runs} runs of {len(HOSTS)} hosts, {planners} planners, {len(took)} orders")
    print(f"p50 {cuts[49]:.1f} ms, p90 {cuts[89]:.1f} ms, p99 {cuts[98]:.1f} ms, longest {took[-1]:.1f} ms")


if __name__ == "__main__":
    main()
