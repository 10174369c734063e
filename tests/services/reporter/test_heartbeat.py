"""A run's heartbeat at a real receiver: at its start, while it goes, at its end; harmless when nobody answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest
import structlog
from aiohttp import web

from services.reporter import heartbeat
from services.reporter.heartbeat import Pulse, address
from shared.bus import port, wire
from shared.clock import Clock
from shared.domain import facts
from shared.settings import HeartbeatDestination, Settings
from tests.services.reporter import bench as bench_
from tests.services.reporter import story
from tests.services.reporter.bench import Bench
from tests.services.reporter.story import Story


@dataclass
class Listener:
    """Keeps the paths it is called at, and answers as told, 200 when it was told nothing."""

    answers: list[int] = field(default_factory=list)
    hold: asyncio.Event | None = None
    paths: list[str] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    async def hear(self, request: web.Request) -> web.Response:
        self.paths.append(request.path)
        self.bodies.append(await request.text())
        if self.hold is not None:
            await self.hold.wait()
        return web.Response(status=self.answers.pop(0) if self.answers else 200)


@contextlib.asynccontextmanager
async def listening(listener: Listener) -> AsyncIterator[str]:
    """A listener's address."""
    application = web.Application()
    application.router.add_post("/{tail:.*}", listener.hear)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/ping/secret-uuid"
    finally:
        await runner.cleanup()


def settings(url: str, **more: object) -> Settings:
    """One heartbeat."""
    return Settings.model_validate({"heartbeat": {"lab": {"url": url, "every_minutes": 0.002, **more}}})


def beginning(night: Story) -> list[port.Message]:
    """The night up to where it begins."""
    return night.messages()[:8]


async def test_a_run_beats_at_its_start_while_it_goes_and_at_its_end() -> None:
    """Start is said again and again; the end comes last, with its sentence, and nothing after it."""
    bench, listener, night = Bench(), Listener(), story.all_well()
    async with listening(listener) as url, bench.reporter(settings=settings(url)):
        await bench.put(beginning(night))
        await bench.until(lambda: listener.paths.count("/ping/secret-uuid/start") >= 3)
        await bench.put(night.messages())
        await bench.until(lambda: listener.paths[-1] == "/ping/secret-uuid")
        heard = len(listener.paths)
        await bench.quiet()
        assert len(listener.paths) == heard
    assert set(listener.paths[:-1]) == {"/ping/secret-uuid/start"}
    assert "All 3 hosts of lab are updated" in listener.bodies[-1]


@pytest.mark.parametrize("outcome", ["failed", "cancelled", "refused"])
async def test_a_run_that_does_not_end_well_fails(outcome: str) -> None:
    """The pool is not as its owner wanted it."""
    bench, listener, night = Bench(), Listener(), story.announced()
    night.ended(outcome, "It ended so.")
    async with listening(listener) as url, bench.reporter(settings=settings(url)):
        await bench.put(night.messages())
        await bench.until(lambda: "/ping/secret-uuid/fail" in listener.paths)
    assert listener.bodies[-1] == "It ended so."


async def test_beats_go_on_when_the_reporter_dies() -> None:
    """The beginning stays in the queue until the run is over; another reporter takes it up."""
    bench, listener, night = Bench(), Listener(), story.all_well()
    async with listening(listener) as url:
        dying = bench.client("dying")
        async with bench.reporter(settings=settings(url), bus=dying):
            await bench.put(beginning(night))
            await bench.until(lambda: len(listener.paths) >= 1)
            dying.drop()
        heard = len(listener.paths)
        async with bench.reporter(settings=settings(url)):
            await bench.until(lambda: len(listener.paths) > heard)


async def test_an_end_that_is_not_taken_is_said_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A failing listener is asked again, and hinders no report."""
    monkeypatch.setattr(heartbeat, "AGAIN", 0.05)
    bench, listener, night = Bench(), Listener(answers=[500, 503, 404]), story.all_well()
    async with listening(listener) as url, bench.reporter(settings=settings(url)):
        await bench.put(night.messages()[-1:])
        await bench.until(lambda: listener.paths == ["/ping/secret-uuid"] * 4)
    assert bench.facts(facts.MessageRejected) == []


async def test_a_listener_that_hangs_stops_no_word(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reports go out meanwhile, and a stop does not wait for it."""
    monkeypatch.setattr(heartbeat, "ALTOGETHER", 0.5)
    bench, listener, night = Bench(), Listener(hold=asyncio.Event()), story.all_well()
    async with listening(listener) as url:
        wanted = settings(url).model_copy(update={"reports": tmp_path})
        async with bench.reporter(settings=wanted):
            await bench.put(night.messages())
            await bench.until(lambda: ("file", "ended") in bench.sent())
        assert listener.hold is not None
        listener.hold.set()


async def test_other_pools_and_runs_that_only_pay_do_not_beat() -> None:
    """A run on one of its pools that does something does."""
    bench, listener, night = Bench(), Listener(), story.all_well()
    at, by, requested = night.said[0]
    paying = Story(run="r-pay")
    paying.said = [(at, by, requested.model_copy(update={"run": "r-pay", "purpose": "pay"}))]
    async with listening(listener) as url, bench.reporter(settings=settings(url, pools=["other"])):
        await bench.put(night.messages())
        await bench.quiet()
    assert listener.paths == []
    bench = Bench()
    async with listening(listener) as url, bench.reporter(settings=settings(url)):
        await bench.put(paying.messages())
        await bench.quiet()
    assert listener.paths == []


async def test_an_end_of_yesterday_is_not_told() -> None:
    """Whoever listens has raised the alarm by then; a heartbeat that is set up late does not shout."""
    bench, listener, night = Bench(), Listener(), story.all_well()
    await bench.put(night.messages())
    ahead = Clock(machine=lambda: bench.server.now() + 86_400)
    async with listening(listener) as url, bench.reporter(settings=settings(url), clock=ahead):
        await bench.quiet()
    assert listener.paths == []


async def test_the_address_is_not_logged() -> None:
    """Its path is the secret by which anybody could call."""
    said: list[Any] = []

    def keep(logger: object, name: str, event: MutableMapping[str, Any]) -> str:
        said.append(dict(event))
        raise structlog.DropEvent

    given = bench_.context(Bench().client())
    given = type(given)(
        given.name,
        given.instance,
        given.settings,
        given.clock,
        given.bus,
        structlog.wrap_logger(None, processors=[keep]),
    )
    wanted = HeartbeatDestination(url="http://127.0.0.1:1/ping/secret-uuid")
    async with aiohttp.ClientSession() as session:
        pulse = Pulse("lab", wanted, given, session)
        stored = wire.Recorded(story.all_well().recorded()[-1].fact, 1.0, "planner", 1, given.clock.machine())
        assert await pulse.work(stored) == heartbeat.AGAIN
    assert "127.0.0.1" in str(said)
    assert "secret" not in str(said)


@pytest.mark.parametrize(
    ("beat", "where"),
    [("start", "https://x/p/start?a=b"), ("end", "https://x/p/?a=b"), ("fail", "https://x/p/fail?a=b")],
)
def test_suffixes_stand_behind_the_path(beat: heartbeat.Beat, where: str) -> None:
    """Before any query."""
    assert address("https://x/p/?a=b", beat) == where
