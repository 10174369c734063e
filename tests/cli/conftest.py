"""A real bus on loopback for the verbs, and a planner that answers as a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli import main
from shared.bus import embedded, jetstream, port, wire
from shared.domain import commands, facts
from shared.domain.errors import Unreadable
from shared.domain.summary import RunSummary
from tests.cli import story

Answer = Callable[[commands.Command, str], Iterable[facts.Fact]]


@dataclass
class Ground:
    """A bus with Rota's streams, and what a test does on it."""

    url: str
    bus: jetstream.JetStreamBus
    folder: Path
    server: embedded.EmbeddedServer
    written: int = 0

    async def write(self, *told: facts.Fact) -> None:
        """Store facts, as services would."""
        for fact in told:
            self.written += 1
            id = f"test-{self.written}"
            await self.bus.append(wire.fact_message(fact, source="test", at=story.START + self.written, id=id), id=id)

    async def publish(self, summary: RunSummary) -> None:
        """Put a summary where clients look, whatever stood there."""
        key = f"{summary.pool}.{summary.run}"
        held = await self.bus.get(wire.RUNS_BUCKET, key)
        data = summary.model_dump_json().encode()
        await self.bus.put(wire.RUNS_BUCKET, key, data, revision=held[1] if held else 0)

    @contextlib.asynccontextmanager
    async def planner(self, answer: Answer) -> AsyncIterator[list[port.Message]]:
        """Answer orders while entered; gives the orders that came."""
        came: list[port.Message] = []

        async def work() -> None:
            intake = port.Intake(wire.COMMANDS_STREAM, "planner", (wire.PLANNER_ORDERS,))
            async with self.bus.take(intake) as deliveries:
                async for delivery in deliveries:
                    came.append(delivery.message)
                    with contextlib.suppress(Unreadable):
                        await self.write(*answer(wire.read_command(delivery.message), order_of(delivery)))
                    await delivery.ack()

        task = asyncio.ensure_future(work())
        try:
            yield came
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def order_of(delivery: port.Delivery) -> str:
    """The id of a person's order."""
    return wire.order_id(delivery.message, stream=wire.COMMANDS_STREAM, seq=delivery.token.seq)


@pytest.fixture
async def ground(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Ground]:
    """A bus of its own, found by ROTA_NATS_URL from an empty folder."""
    server = await embedded.start(tmp_path / "nats")
    bus = await jetstream.connect(server.url, name="test", within=5)
    await bus.ensure_streams()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for name in ("ROTA_CONFIG", "ROTA_DATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ROTA_NATS_URL", server.url)
    yield Ground(server.url, bus, tmp_path / "here", server)
    await bus.close()
    await server.stop()


@dataclass(frozen=True)
class Said:
    """What a process of `rota` left behind."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


Rota = Callable[..., Awaitable[Said]]


@pytest.fixture
def rota() -> Rota:
    """Run `rota` with arguments in a thread of this process, as its entry point would, and wait for its end."""

    def run(arguments: tuple[str, ...]) -> Said:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as left:
            main.app(list(arguments), prog_name="rota")
        return Said(int(left.value.code or 0), out.getvalue(), err.getvalue())

    async def call(*arguments: str) -> Said:
        return await asyncio.wait_for(asyncio.to_thread(run, arguments), 30)

    return call
