"""Where clients find a run's report: all forms, the newest, without secrets, and without hindering any word."""

from __future__ import annotations

import json
from datetime import UTC

from services.reporter import folding
from services.reporter.rendering import Renderer
from services.reporter.shelf import ObjectShelf
from services.reporter.telling import Teller
from shared.bus import port, wire
from shared.domain import facts
from shared.settings import Settings
from tests.services.reporter import evil, story
from tests.services.reporter.bench import Bench
from tests.services.reporter.story import Story

FORMS = ("html", "txt", "csv", "json")


def kept(bench: Bench, form: str, night: Story) -> str:
    """What lies there, empty where nothing does."""
    name = wire.report_object(night.pool, night.run, form)
    return bench.server.objects(wire.SNAPSHOTS_BUCKET).get(name, b"").decode()


async def test_a_run_s_report_lies_in_the_store_in_four_forms_though_nobody_is_told() -> None:
    """No destination at all: `rota report` has it none the less, and nothing is recorded of it."""
    bench, night = Bench(), story.all_well()
    async with bench.reporter(settings=Settings()):
        await bench.put(night.messages())
        await bench.until(lambda: '"outcome": "succeeded"' in kept(bench, "json", night))
    assert kept(bench, "html", night).startswith("<!doctype html>")
    assert "All 3 hosts are updated" in kept(bench, "txt", night)
    assert kept(bench, "csv", night).startswith("pool,run,what,")
    assert json.loads(kept(bench, "json", night))["updated"] == 3
    assert bench.facts(facts.ReportSent) == []


async def test_an_older_report_does_not_take_the_place_of_a_newer_one() -> None:
    """A hold's that is put there late, by another reporter."""
    bench, night = Bench(), story.left_behind()
    recorded = night.recorded()
    shelf = ObjectShelf(bench.client(), Renderer(UTC))
    await shelf(folding.fold(night.pool, night.run, recorded))
    await shelf(folding.fold(night.pool, night.run, recorded[:20]))
    assert json.loads(kept(bench, "json", night))["outcome"] == "cancelled"


async def test_what_lies_there_unreadable_is_written_anew() -> None:
    """Half a report of a crash, or somebody's own."""
    bench, night = Bench(), story.announced()
    place = wire.report_object(night.pool, night.run, "json")
    for there in (b"{", b"[]", b"\xff"):
        bench.server.objects(wire.SNAPSHOTS_BUCKET)[place] = there
        await ObjectShelf(bench.client(), Renderer(UTC))(folding.fold(night.pool, night.run, night.recorded()))
        assert json.loads(kept(bench, "json", night))["state"] == "planned"


async def test_a_store_that_refuses_stops_no_word() -> None:
    """The mail goes out, the store is only logged."""
    from services.reporter import spoken
    from services.reporter.occasions import occasion
    from services.reporter.telling import Recipient
    from tests.services.reporter.bench import EVERYTHING, Spy, context

    async def refuses(report: object) -> None:
        raise port.BusRefused("full")

    bench, spy, night = Bench(), Spy(), story.announced()
    await bench.put(night.messages())
    given = context(bench.client())
    told = (Recipient(spy, EVERYTHING),)
    teller = Teller(given.bus, given.clock, told, UTC, spoken.hiding([]), given.log, keep=refuses)
    stored = [wire.read_fact(one) for one in bench.server.facts()]
    for one in stored:
        if (found := occasion(one)) is not None:
            await teller.tell(found)
    assert spy.told == ["announced"]


async def test_no_secret_lies_in_the_store() -> None:
    """A VM that is called like a password."""
    bench, night = Bench(), evil.left_behind()
    settings = Settings.model_validate({"pool": {"lab": {"url": "https://192.0.2.1"}}})
    from pydantic import SecretStr

    access = settings.pool["lab"].model_copy(update={"password": SecretStr(evil.PASSWORD)})
    settings = settings.model_copy(update={"pool": {"lab": access}})
    async with bench.reporter(settings=settings):
        await bench.put(night.messages())
        await bench.until(lambda: '"outcome": "cancelled"' in kept(bench, "json", night))
    for form in FORMS:
        assert kept(bench, form, night)
        assert evil.PASSWORD not in kept(bench, form, night)
        assert evil.SCRIPT not in kept(bench, "html", night)
