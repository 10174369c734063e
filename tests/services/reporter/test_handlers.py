"""The reporter on a bus: each occasion told once to each who wants it, whatever dies, stalls or refuses meanwhile."""

from __future__ import annotations

import asyncio
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from services.reporter import desk, handlers, outcomes, telling
from shared.bus import port, wire
from shared.clock import Clock
from shared.domain import facts
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import Settings
from tests.services.reporter import story
from tests.services.reporter.bench import ACK_WAIT, Bench, Spy
from tests.services.reporter.channels import post
from tests.services.reporter.channels.test_webhook import Receiver, receiving

NIGHT = ["announced", "started", "host_done", "host_done", "host_done", "ended"]


def rejected(n: int, because: str = "It is not JSON.") -> port.Message:
    """A fact that a message was rejected."""
    fact = facts.MessageRejected(
        rejected_subject="rota.command.planner.start_run", seq=n, because=because, service="planner"
    )
    return wire.fact_message(fact, source="planner", at=story.MIDNIGHT, id=f"rejected-{n}")


# --- the path ---------------------------------------------------------------------------------------------------------


async def test_a_night_is_told_by_mail_webhook_and_file(tmp_path: Path) -> None:
    """Everything real but the bus: a mail server, a receiver, a folder; each outcome is a fact about its occasion."""
    bench, postman, receiver = Bench(), post.Postman(), Receiver()
    async with post.serving(postman) as smtp, receiving(receiver) as url:
        settings = Settings.model_validate(
            {
                "mail": {"ops": post.destination(smtp).model_dump(exclude={"password"})},
                "webhook": {"chat": {"url": url, "occasions": ["ended"]}},
                "reports": tmp_path / "reports",
            }
        )
        async with bench.reporter(settings=settings):
            await bench.put(story.all_well().messages())
            await bench.until(lambda: len(bench.sent()) == 5)
    assert [postman.read(n)["X-Rota-Occasion"] for n in range(len(postman.mails))] == ["announced", "started", "ended"]
    assert len(receiver.got) == 1
    assert set(bench.sent()) == {
        ("mail.ops", "announced"),
        ("mail.ops", "started"),
        ("mail.ops", "ended"),
        ("webhook.chat", "ended"),
        ("file", "ended"),
    }
    page = tmp_path / "reports" / f"lab-{story.RUN}.html"
    assert next(fact.reference for fact in bench.facts(facts.ReportSent) if fact.destination == "file") == str(page)
    end = next(stored for stored in bench.server.facts() if stored.subject.endswith(".run_ended"))
    assert {fact.about for fact in bench.facts(facts.ReportSent) if fact.occasion == "ended"} == {end.seq}


async def test_occasions_come_in_order_and_once() -> None:
    """One destination hears of a run as it went, and nothing is delivered again after it was told."""
    bench, spy = Bench(), Spy()
    async with bench.reporter([spy]):
        await bench.put(story.all_well().messages())
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
        await bench.quiet()
    assert spy.told == NIGHT


async def test_news_that_is_slow_to_read_is_not_overtaken() -> None:
    """The first occasion's reading stalls; the later ones wait for it."""
    bench, spy = Bench(), Spy()
    reads = 0

    async def stall(operation: str, subject: str) -> None:
        nonlocal reads
        if operation == "read":
            reads += 1
            await asyncio.sleep(0.15 if reads == 1 else 0)

    await bench.put(story.all_well().messages())
    async with bench.reporter([spy], bus=bench.client(before=stall)):
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
    assert spy.told == NIGHT


async def test_a_letter_is_of_the_moment_of_its_occasion() -> None:
    """Told late, the announcement still announces: a copy of it must say the same."""
    bench, spy = Bench(), Spy()
    await bench.put(story.all_well().messages())
    async with bench.reporter([spy]):
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
    announced = spy.got[0].letter
    assert announced.subject.endswith("is planned, about 40 min")
    assert announced.report is not None
    assert (announced.report.state, announced.report.updated) == ("planned", 0)
    assert spy.got[0].latest is not None
    assert spy.got[0].latest.outcome == "succeeded"


async def test_a_run_held_twice_is_told_twice() -> None:
    """Each fact is an occasion of its own."""
    bench, spy = Bench(), Spy()
    night = story.held()
    night.pass_(60)
    night.say(facts.RunResumed(pool=night.pool, run=night.run, by="anna"))
    night.pass_(60)
    night.say(facts.RunHeld(pool=night.pool, run=night.run, because="And again."))
    async with bench.reporter([spy]):
        await bench.put(night.messages())
        await bench.until(lambda: bench.sent().count(("spy", "held")) == 2)
    assert [parcel.letter.sentence for parcel in spy.got if parcel.letter.occasion.name == "held"][1] == "And again."


async def test_refusals_without_a_run_are_told() -> None:
    """A refused order and a rejected message, on the subject that stands for no run."""
    bench, spy = Bench(), Spy()
    refused = facts.OrderRefused(
        order="o1", by="anna", verb="start_run", pool="typo", because="There is no pool 'typo'."
    )
    async with bench.reporter([spy]):
        await bench.put([wire.fact_message(refused, source="planner", at=1.0, id="x"), rejected(1)])
        await bench.until(lambda: len(bench.sent()) == 2)
    assert [stored.subject for stored in bench.server.facts("rota.fact.report.>")] == [
        "rota.fact.report.none.none.report_sent"
    ] * 2


# --- kills ------------------------------------------------------------------------------------------------------------


async def test_killed_between_sending_and_recording_the_same_mail_goes_out_again(tmp_path: Path) -> None:
    """SMTP gives no better than at least once: the copy is the same to the byte, so that it is known for one."""
    bench, postman = Bench(), post.Postman()

    async def die(operation: str, subject: str) -> None:
        if operation == "append" and subject.endswith("report_sent"):
            dying.drop()
            raise port.BusClosed("killed")

    dying = bench.client("dying", before=die)
    async with post.serving(postman) as smtp:
        settings = Settings.model_validate({"mail": {"ops": post.destination(smtp).model_dump(exclude={"password"})}})
        await bench.put(story.announced().messages())
        async with bench.reporter(settings=settings, bus=dying):
            await bench.until(lambda: len(postman.mails) == 1)
        assert bench.sent() == []
        async with bench.reporter(settings=settings):
            await bench.until(lambda: bench.sent() == [("mail.ops", "announced")])
    assert len(postman.mails) == 2
    assert postman.mails[0] == postman.mails[1]


async def test_killed_between_recording_and_ack_nothing_goes_out_again() -> None:
    """What the journal says was told is not told again."""
    bench, spy = Bench(), Spy()

    async def die(operation: str, subject: str) -> None:
        if operation == "append" and subject.endswith("report_sent"):
            dying.drop()

    dying = bench.client("dying", after=die)
    await bench.put(story.announced().messages())
    async with bench.reporter([spy], bus=dying):
        await bench.until(lambda: len(bench.sent()) == 1)
    async with bench.reporter([spy]):
        await bench.quiet()
    assert spy.told == ["announced"]
    assert bench.sent() == [("spy", "announced")]


async def test_two_reporters_share_the_work() -> None:
    """One durable consumer: each occasion goes to one of them."""
    bench, one, other = Bench(), Spy(), Spy()
    async with bench.reporter([one], bus=bench.client("a")), bench.reporter([other], bus=bench.client("b")):
        await bench.put(story.all_well().messages())
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
        await bench.quiet()
    assert sorted(one.told + other.told) == sorted(NIGHT)


async def test_what_is_being_told_is_not_given_to_another_reporter() -> None:
    """A slow destination is kept alive by heartbeats: three times ack_wait pass, and nobody else is given it."""
    bench, gate = Bench(), asyncio.Event()
    one, other = Spy(gate=gate), Spy(gate=gate)
    async with bench.reporter([one], bus=bench.client("a")), bench.reporter([other], bus=bench.client("b")):
        await bench.put(story.announced().messages())
        await bench.until(lambda: one.began.is_set() or other.began.is_set())
        await bench.quiet(3 * ACK_WAIT)
        gate.set()
        await bench.until(lambda: len(bench.sent()) == 1)
    assert one.told + other.told == ["announced"]


async def test_a_second_delivery_of_what_is_in_hand_starts_nothing() -> None:
    """The line was cut longer than ack_wait, so the bus gives it again; it is told once and acked."""
    bench, spy = Bench(), Spy(gate=asyncio.Event())
    bus = bench.client()
    async with bench.reporter([spy], bus=bus):
        await bench.put(story.announced().messages())
        await asyncio.wait_for(spy.began.wait(), 5)
        bus.cut()
        await asyncio.sleep(1.5 * ACK_WAIT)
        bus.mend()
        await bench.quiet()
        assert spy.gate is not None
        spy.gate.set()
        await bench.until(lambda: len(bench.sent()) == 1)
        await bench.quiet()
    assert spy.told == ["announced"]


async def test_a_server_that_restarts_loses_and_doubles_nothing() -> None:
    """It goes away while something is being told; afterwards all is told once."""
    bench, spy = Bench(), Spy(gate=asyncio.Event())
    async with bench.reporter([spy]):
        await bench.put(story.announced().messages())
        await asyncio.wait_for(spy.began.wait(), 5)
        bench.server.stop()
        assert spy.gate is not None
        spy.gate.set()
        await asyncio.sleep(0.05)
        bench.server.start()
        await bench.until(lambda: len(bench.sent()) == 1)
        await bench.quiet()
    assert spy.told == ["announced"]


async def test_a_stop_lets_what_is_being_told_come_to_its_end() -> None:
    """A calm stop leaves nothing half told."""
    bench, spy = Bench(), Spy(gate=asyncio.Event())
    await bench.put(story.announced().messages())
    async with bench.reporter([spy]) as given:
        await asyncio.wait_for(spy.began.wait(), 5)
        given.stop.set()
        await asyncio.sleep(0.05)
        assert spy.gate is not None
        spy.gate.set()
    assert bench.sent() == [("spy", "announced")]


# --- failures ---------------------------------------------------------------------------------------------------------


async def test_only_the_destination_that_failed_is_told_again() -> None:
    """And each failure is a fact, with its number and when it is tried again."""
    bench, good = Bench(), Spy("good")
    bad = Spy("bad", [TryAgain("451 later", after=0.0), TryAgain("451 later", after=0.0)])
    async with bench.reporter([good, bad]):
        await bench.put(story.announced().messages())
        await bench.until(lambda: len(bench.sent()) == 2)
        await bench.quiet()
    assert (good.told, bad.told) == (["announced"], ["announced"] * 3)
    failed = bench.facts(facts.ReportFailed)
    assert [(one.destination, one.attempt, one.again_after) for one in failed] == [("bad", 1, 0.05), ("bad", 2, 0.05)]
    assert next(one for one in bench.facts(facts.ReportSent) if one.destination == "bad").attempt == 3


async def test_a_refusal_for_ever_is_recorded_and_not_repeated() -> None:
    """One fact without a next time; later mails of the run say that somebody could not be told."""
    bench, spy, bad = Bench(), Spy("good"), Spy("bad", [GiveUp("550 no such user")])
    async with bench.reporter([spy, bad]):
        await bench.put(story.all_well().messages())
        await bench.until(lambda: ("good", "ended") in bench.sent())
        await bench.quiet()
    (failed,) = bench.facts(facts.ReportFailed)
    assert (failed.destination, failed.again_after, failed.because) == ("bad", None, "550 no such user")
    assert bad.told == NIGHT


async def test_a_destination_that_hangs_stops_nobody_else() -> None:
    """The others hear of the whole night meanwhile, and what hangs is kept alive, not started twice."""
    bench, good, hanging = Bench(), Spy("good"), Spy("hanging", gate=asyncio.Event())
    async with bench.reporter([good, hanging]):
        await bench.put(story.all_well().messages())
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
        await bench.quiet()
        assert hanging.told == ["announced"]
        assert hanging.gate is not None
        hanging.gate.set()
        await bench.until(lambda: len(bench.sent()) == 2 * len(NIGHT))
    assert (good.told, hanging.told) == (NIGHT, NIGHT)


async def test_a_closed_door_is_not_knocked_at_by_everybody() -> None:
    """While a destination rests after a failure, other news for it waits without a try and without a word."""
    bench, bad = Bench(), Spy("bad", [TryAgain("down", after=0.0)] * 9)
    async with bench.reporter([bad], backoff=lambda outcome, failure, now: 30.0):
        await bench.put(story.announced().messages())
        await bench.until(lambda: len(bench.facts(facts.ReportFailed)) == 1)
        await bench.put([rejected(n) for n in range(5)])
        await bench.quiet()
    assert bad.told == ["announced"]
    assert len(bench.facts(facts.ReportFailed)) == 1


async def test_a_flood_does_not_swallow_what_is_only_tried_again() -> None:
    """A rejection that needs many tries counts once."""
    bench = Bench()
    bad = Spy("bad", [TryAgain("down", after=0.0)] * (telling.REJECTIONS_AN_HOUR + 5))
    async with bench.reporter([bad], backoff=lambda outcome, failure, now: 0.01):
        await bench.put([rejected(1)])
        await bench.until(lambda: bench.sent() == [("bad", "rejected")])


async def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a day of failures the last one says that there is no next time."""
    bench, bad = Bench(), Spy("bad", [TryAgain("down", after=0.0)] * 3)
    monkeypatch.setattr(outcomes, "PATIENCE", -1.0)
    monkeypatch.setattr(outcomes, "FIRST_WAIT", 0.01)
    async with bench.reporter([bad], backoff=outcomes.wait):
        await bench.put(story.announced().messages())
        await bench.until(lambda: len(bench.facts(facts.ReportFailed)) == 2)
        await bench.quiet()
    assert [one.again_after for one in bench.facts(facts.ReportFailed)] == [0.01, None]


async def test_news_of_last_week_is_not_told() -> None:
    """A reporter that was away for eight days does not flood anybody."""
    bench, spy = Bench(), Spy()
    await bench.put(story.announced().messages())
    ahead = Clock(machine=lambda: bench.server.now() + 8 * 86_400)
    async with bench.reporter([spy], clock=ahead):
        await bench.quiet()
    assert spy.told == []


async def test_a_flood_of_rejections_does_not_fill_a_mailbox() -> None:
    """Twenty in an hour are told; the rest stands in the journal."""
    bench, spy = Bench(), Spy()
    async with bench.reporter([spy]):
        await bench.put([rejected(n) for n in range(30)])
        await bench.until(lambda: len(bench.sent()) == telling.REJECTIONS_AN_HOUR)
        await bench.quiet()
    assert len(spy.told) == telling.REJECTIONS_AN_HOUR


# --- what cannot be told ----------------------------------------------------------------------------------------------


async def test_an_unreadable_fact_becomes_a_rejection_that_is_told() -> None:
    """It is named, taken off the queue, and people hear of it."""
    bench, spy = Bench(), Spy()
    async with bench.reporter([spy]):
        await bench.put([port.Message("rota.fact.run.lab.r1.run.run_ended", b"not json at all")])
        await bench.until(lambda: len(bench.sent()) == 1)
        await bench.quiet()
    (fact,) = bench.facts(facts.MessageRejected)
    assert (fact.service, fact.rejected_subject) == ("reporter", "rota.fact.run.lab.r1.run.run_ended")
    assert fact.excerpt == "not json at all"
    assert spy.told == ["rejected"]


async def test_an_unreadable_rejection_begets_no_other() -> None:
    """Else one bad byte would fill the journal."""
    bench, spy = Bench(), Spy()
    async with bench.reporter([spy]):
        await bench.put([port.Message(facts.MessageRejected.subject, b"{}"), rejected(1)])
        await bench.until(lambda: len(bench.sent()) == 1)
        await bench.quiet()
    assert len(bench.server.facts(facts.MessageRejected.subject)) == 2


async def test_an_unreadable_fact_inside_a_run_is_said_and_passed_over() -> None:
    """A newer Rota's fact must not keep this one from telling."""
    bench, spy = Bench(), Spy()
    messages = story.all_well().messages()
    messages.insert(
        5, port.Message(f"rota.fact.run.lab.{story.RUN}.run.run_blessed", b'{"type": "rota.run.run_blessed"}')
    )
    async with bench.reporter([spy]):
        await bench.put(messages)
        await bench.until(lambda: len(bench.sent()) == len(NIGHT))
    assert any("1 fact of this run could not be read" in point.text for point in spy.got[-1].letter.points)


async def test_a_fault_of_our_own_is_put_aside_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other destinations are told; after some tries the fact leaves the queue and becomes a rejection."""
    monkeypatch.setattr(desk, "AFTER_FAULT", 0.02)
    bench, good = Bench(), Spy("good")
    broken = Spy("broken", [ZeroDivisionError("our own fault")] * desk.TRIES)
    async with bench.reporter([good, broken]):
        await bench.put(story.announced().messages())
        await bench.until(lambda: ("broken", "rejected") in bench.sent())
        await bench.quiet()
    assert good.told == ["announced", "rejected"]
    assert broken.told == ["announced"] * desk.TRIES + ["rejected"]
    (fact,) = bench.facts(facts.MessageRejected)
    assert "ZeroDivisionError: our own fault" in fact.because


async def test_secrets_stand_in_nothing_that_is_told_or_recorded() -> None:
    """A pool's password that some sentence carries along reaches neither letters nor our own facts."""
    bench, spy = Bench(), Spy(answers=[TryAgain("535 pool-password-1 is wrong", after=0.0)])
    night = story.announced()
    night.say(facts.RunHeld(pool=night.pool, run=night.run, because="root:pool-password-1 was refused."))
    async with bench.reporter([spy], secrets=["pool-password-1"]):
        await bench.put(night.messages())
        await bench.put([port.Message("rota.fact.run.lab.r1.run.run_ended", b"pool-password-1")])
        await bench.until(lambda: len(bench.sent()) == 3)
    for parcel in spy.got:
        held_back = (
            parcel.letter.subject,
            parcel.letter.points,
            parcel.letter.sections,
            parcel.letter.report,
            parcel.latest,
        )
        assert "pool-password-1" not in repr(held_back)
    own = [stored.data for stored in bench.server.facts("rota.fact.report.>")]
    own += [stored.data for stored in bench.server.facts(facts.MessageRejected.subject)]
    assert not any(b"pool-password-1" in data for data in own)


def test_the_zone_is_tz_s_or_the_machine_s_or_utc(tmp_path: Path) -> None:
    """A name that is none, or a machine without a zone, is no reason to fail."""
    nowhere = tmp_path / "nothing"
    assert handlers.local_zone({"TZ": "Europe/Vienna"}, nowhere) == ZoneInfo("Europe/Vienna")
    assert handlers.local_zone({"TZ": "no such place"}, nowhere) == UTC
    assert handlers.local_zone({"TZ": "../../etc/passwd"}, nowhere) == UTC
    assert handlers.local_zone({}, nowhere) == UTC
