"""What is told without a run: updates that are available, and ticks that nobody was there for."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC

import pytest
from pydantic import TypeAdapter

from services.reporter import envelope, occasions, wording
from services.reporter.letter import Letter
from services.reporter.rendering import Renderer
from shared.bus import wire
from shared.domain import facts
from shared.domain.model import Package, PoolSnapshot
from shared.settings import Destination, PoolAccess, Settings
from tests.services.planner.play import host, pool
from tests.services.reporter import story
from tests.services.reporter.bench import Bench, Spy
from tests.shared.domain.examples import FORECAST

AT = story.MIDNIGHT
EVIL = '<script>alert(1)</script>"\r\nBcc: all@example.org'


def made(*, tell: bool = True, **changes: object) -> facts.ForecastMade:
    """A forecast that a schedule asked for."""
    forecast = FORECAST.model_copy(update=changes)
    return facts.ForecastMade(
        pool="lab", run="f1", order="o", forecast=forecast, snapshot="lab/f1", by="schedule weekly", tell=tell
    )


def surveyed(*packages: Package) -> PoolSnapshot:
    """Two hosts that wait for the same packages, and one that nothing waits for."""
    hosts = (host("athos", updates=packages), host("porthos", updates=packages[:1]), host("aramis", updates=()))
    return pool(hosts)


def told(fact: facts.Fact, snapshot: PoolSnapshot | None = None) -> Letter:
    """The letter of a fact."""
    occasion = occasions.occasion(wire.Recorded(fact, AT, "planner", 7, AT), {"lab", "prod"})
    assert occasion is not None
    return wording.letter(occasion, None, UTC, snapshot)


def test_available_updates_are_told_with_hosts_changelogs_and_advisories() -> None:
    """The subject says how many, where, and whether it is about security; what closes an advisory comes first."""
    letter = told(made(), surveyed(*reversed(story.PACKAGES)))
    assert letter.subject == "[Rota] lab: 4 updates are available on 2 hosts, 4 security advisories"
    first, *_ = letter.points
    assert first.text == "They close CVE-2026-1234, CVE-2026-2001, XSA-470 and XSA-471."
    assert [point.command for point in letter.points if point.command] == ["rota plan lab", "rota start lab"]
    (section,) = letter.sections
    assert section.lines[0].startswith("kernel 4.19.322-1.xcpng8.3 (athos): CVE-2026-2001: net: fix a race")
    assert section.lines[-1] == "xapi-core 26.1.3-1.6.xcpng8.3 (athos): Do not lose a PBD at boot"
    text = Renderer(UTC).mail(letter).text
    assert "Fix XSA-470 • Fix XSA-471" in " ".join(text.split())


def test_updates_of_a_pool_that_was_forgotten_are_told_without_changelogs() -> None:
    """The forecast itself names the packages."""
    letter = told(made(), None)
    assert letter.subject == "[Rota] lab: 1 update is available on 1 host, 1 security advisory"


def test_what_stands_in_the_way_is_told_and_no_start_is_offered() -> None:
    """Nobody is told to type what will be refused."""
    letter = told(made(blockers=(facts.Blocker(sentence="db1 cannot leave xcp-1."),)), surveyed(*story.PACKAGES))
    assert "In the way of an update: db1 cannot leave xcp-1." in [point.text for point in letter.points]
    assert "rota start lab" not in [point.command for point in letter.points]


def test_a_pool_that_could_not_be_looked_at_is_told_too() -> None:
    """Silence would be taken for: nothing waits."""
    failed = facts.ForecastFailed(pool="lab", run="f1", order="o", because="The pool is away.", tell=True)
    assert told(failed).subject == "[Rota] lab: nobody knows whether updates are available"


@pytest.mark.parametrize(
    "fact",
    [
        made(tell=False),
        made(turns=()),
        facts.ForecastFailed(pool="lab", run="f1", order="o", because="The pool is away."),
    ],
)
def test_forecasts_that_people_wait_for_and_empty_ones_are_no_occasion(fact: facts.Fact) -> None:
    """Whoever asked sees the answer himself; that nothing waits is no news."""
    assert occasions.occasion(wire.Recorded(fact, AT, "planner", 7, AT), {"lab"}) is None


def test_packages_cannot_break_out_of_a_letter() -> None:
    """Names and changelogs come from a repository and may hold anything."""
    letter = told(made(), surveyed(Package(EVIL, EVIL, EVIL, EVIL, f"* {EVIL}")))
    mail = Renderer(UTC).mail(letter)
    assert "<script>" not in mail.html
    assert "&lt;script&gt;" in mail.html
    assert "\nBcc:" not in mail.text
    assert "\n" not in letter.subject


def test_a_post_has_every_package_and_stays_within_its_size() -> None:
    """Machines get changelogs too, as long as they fit."""
    body = json.loads(envelope.body(told(made(), surveyed(*story.PACKAGES))))
    assert [one["package"]["name"] for one in body["updates"]][:2] == ["kernel", "xen-hypervisor"]
    assert body["updates"][1]["advisories"] == ["CVE-2026-1234", "XSA-470", "XSA-471"]
    many = tuple(replace(story.PACKAGES[0], name=f"package-{n}", changelog="long " * 400) for n in range(600))
    assert len(envelope.body(told(made(), surveyed(*many)))) <= envelope.LARGEST


def missed(*pools: str) -> facts.TickMissed:
    """A tick that nobody was there for."""
    return facts.TickMissed(schedule="nightly", tick=AT, ticks=2, pools=pools, because="No scheduler was at work.")


def test_a_missed_tick_is_told_with_its_schedule_and_pools() -> None:
    """And with the verb that says when it comes due next."""
    letter = told(missed("lab", "prod"))
    assert letter.subject == "[Rota] lab and prod: schedule nightly started nothing"
    assert [point.command for point in letter.points] == ["rota schedule next nightly"]


@pytest.mark.parametrize(("pools", "hears"), [((), True), (("prod",), True), (("web",), False)])
def test_a_missed_tick_concerns_the_destinations_of_its_pools(pools: tuple[str, ...], hears: bool) -> None:
    """Of several pools one is enough."""
    occasion = occasions.occasion(wire.Recorded(missed("lab", "prod"), AT, "scheduler", 7, AT), {"lab", "prod", "web"})
    assert occasion is not None
    assert occasions.concerns(Destination(pools=pools), occasion) is hears


async def test_the_reporter_reads_the_changelogs_of_what_it_tells() -> None:
    """From the snapshot that the forecast was made from; and tells it once."""
    bench, spy = Bench(), Spy()
    bus = bench.client("executor")
    data = TypeAdapter(PoolSnapshot).dump_json(surveyed(*story.PACKAGES))
    await bus.put_object(wire.SNAPSHOTS_BUCKET, "lab/f1", data)
    settings = Settings(pool={"lab": PoolAccess(url="https://192.0.2.1")})
    async with bench.reporter([spy], settings=settings, wishes=Destination(pools=("lab",))):
        await bench.put([wire.fact_message(made(), source="planner", at=AT, id="f1")])
        await bench.until(lambda: bool(bench.sent()))
    assert bench.sent() == [("spy", "updates")]
    assert "XSA-470" in spy.got[0].letter.points[0].text
