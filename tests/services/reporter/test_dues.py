"""A hold told again until it is answered, a debt when it has stood or is paid: by the journal alone, whoever tells."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from services.reporter import desk, dues, occasions, outcomes, spoken
from services.reporter.occasions import Occasion
from services.reporter.outcomes import NOT_TRIED, Outcome
from shared.bus import port, wire
from shared.clock import Clock
from shared.domain import acts, facts
from shared.domain.errors import TryAgain
from shared.settings import Destination, Settings
from tests.services.reporter import bench as bench_
from tests.services.reporter import story
from tests.services.reporter.bench import Bench, Spy
from tests.services.reporter.channels import post
from tests.services.reporter.story import Story

SENT = Outcome(sent=True)
HELD = Occasion("held", "lab", "r1", 9, 1000.0, 1000.0, facts.RunHeld(pool="lab", run="r1", because="No."))
OWED = Occasion(
    "owed", "lab", "r1", 9, 0.0, 0.0,
    facts.SettingOwed(
        pool="lab", run="r1", step="t99-s001", setting="ha", because="A host is down.", condition="All hosts are up",
        command="xe pool-ha-enable", act=acts.RestorePoolSetting("ha"),
    ),
)  # fmt: skip


def due(occasion: Occasion, after: float, stand: Mapping[int, Outcome] = {}, *, is_open: bool = True) -> dues.Due:
    """What is due so many seconds after the occasion."""
    wishes = Destination(again_minutes=60, owed_hours=24)
    return dues.due(wishes, occasion, lambda again: stand.get(again, NOT_TRIED), occasion.at + after, is_open=is_open)


# --- values -----------------------------------------------------------------------------------------------------------


def test_a_hold_is_told_at_once_and_looked_at_again() -> None:
    """After the hour that its destination asks for."""
    assert due(HELD, 1.0) == dues.Due(0, 3599.0)
    assert due(HELD, 60.0, {0: SENT}) == dues.Due(None, 3540.0)


@pytest.mark.parametrize(("after", "again"), [(3600.0, 60), (7199.0, 60), (7200.0, 120), (36_000.0, 600)])
def test_an_unanswered_hold_is_told_again(after: float, again: int) -> None:
    """Once for each hour; hours in which nobody was there to tell are not made up for."""
    assert due(HELD, after, {0: SENT}).now == again
    assert due(HELD, after, {0: SENT, again: SENT}).now is None


def test_the_first_word_comes_before_any_reminder() -> None:
    """However late."""
    assert due(HELD, 36_000.0).now == 0


def test_an_answered_hold_is_told_but_not_again() -> None:
    """The word may be late, and is then the only one."""
    assert due(HELD, 36_000.0, is_open=False) == dues.Due(0)
    assert due(HELD, 36_000.0, {0: SENT}, is_open=False) == dues.NOTHING


def test_a_debt_is_told_once_when_it_has_stood_a_day() -> None:
    """Not before, and not when it was paid meanwhile."""
    day = 86_400.0
    assert due(OWED, 1.0) == dues.Due(None, day - 1.0)
    assert due(OWED, day).now == 24 * 60
    assert due(OWED, 2 * day, {1440: SENT}) == dues.NOTHING
    assert due(OWED, day, is_open=False) == dues.NOTHING


@pytest.mark.parametrize("occasion", [HELD, OWED])
def test_nought_is_never_again(occasion: Occasion) -> None:
    """Who wants no reminders is sent none."""
    wishes = Destination(again_minutes=0, owed_hours=0)
    later = dues.due(wishes, occasion, lambda again: SENT, 1e6, is_open=True)
    assert later == dues.NOTHING


def test_each_word_has_its_own_outcome() -> None:
    """What became of a reminder says nothing of the first word."""

    def said(again: int) -> facts.ReportSent:
        return facts.ReportSent(
            pool="lab", run="r1", occasion="held", destination="spy", about=9, again=again, reference="x"
        )

    recorded = [wire.Recorded(said(60), 1.0, "reporter", 10, 1.0)]
    assert outcomes.outcomes(recorded, 9) == {}
    assert outcomes.outcomes(recorded, 9, 60)["spy"].sent


# --- on the bus -------------------------------------------------------------------------------------------------------


def wishing(**wishes: int) -> Destination:
    """A destination that hears of everything."""
    return bench_.EVERYTHING.model_copy(update={"occasions": (*bench_.EVERYTHING.occasions, "owed", "paid"), **wishes})


def fast(bench: Bench, since: float, factor: float) -> Clock:
    """Pool time that stands at `since` now and passes so many times faster."""
    begun = bench.server.now()
    machine = bench.server.now
    return Clock(factor, (since - factor * begun) / (1 - factor), machine)


async def test_a_hold_is_told_again_until_somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each reminder is a fact of its own and says how long it has been; the answer ends it."""
    monkeypatch.setattr("services.reporter.telling.LOOK", 0.01)
    bench, spy, night = Bench(), Spy(), story.held()
    clock = fast(bench, night.at, 3600.0)
    async with bench.reporter([spy], clock=clock, wishes=wishing(again_minutes=10)):
        await bench.put(night.messages())
        await bench.until(lambda: spy.told.count("held") >= 3)
        await bench.put([resumed(night)])
        await bench.quiet(0.8)
        told = spy.told.count("held")
        await bench.quiet(0.6)
        assert spy.told.count("held") == told
    words = [parcel.letter for parcel in spy.got if parcel.letter.occasion.name == "held"]
    assert words[0].occasion.again == 0
    assert all(word.occasion.again % 10 == 0 for word in words)
    assert len({word.occasion.id for word in words}) == len(words)
    assert f"HELD for {spoken.duration(60.0 * words[1].occasion.again)}," in words[1].subject
    recorded = [fact.again for fact in bench.facts(facts.ReportSent) if fact.occasion == "held"]
    assert recorded == [word.occasion.again for word in words]


def resumed(night: Story) -> port.Message:
    """Anna answers."""
    fact = facts.RunResumed(pool=night.pool, run=night.run, by="anna")
    return wire.fact_message(fact, source="planner", at=night.at + 10_000, id="resumed")


def test_a_hold_that_somebody_looks_after_is_not_told_again() -> None:
    """It stays held, and its first word still goes out where it has not yet."""

    def recorded(fact: facts.Fact, seq: int) -> wire.Recorded:
        return wire.Recorded(fact, 1000.0, "planner", seq, 1000.0)

    before = [recorded(HELD.fact, HELD.seq)]
    assert dues.is_open(HELD, before, ())
    seen = facts.HoldAcknowledged(pool="lab", run="r1", by="anna")
    assert not dues.is_open(HELD, [*before, recorded(seen, 10)], ())


async def test_two_reporters_remind_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """And one that takes over goes on where the journal stands."""
    monkeypatch.setattr("services.reporter.telling.LOOK", 0.01)
    bench, one, other, night = Bench(), Spy(), Spy(), story.held()
    clock, wishes = fast(bench, night.at, 3600.0), wishing(again_minutes=20)
    async with bench.reporter([other], bus=bench.client("b"), clock=clock, wishes=wishes):
        async with bench.reporter([one], bus=bench.client("a"), clock=clock, wishes=wishes):
            await bench.put(night.messages())
            await bench.until(lambda: (one.told + other.told).count("held") >= 2)
        first = (one.told + other.told).count("held")
        await bench.until(lambda: other.told.count("held") + one.told.count("held") > first)
    ids = [parcel.letter.occasion.id for spy in (one, other) for parcel in spy.got]
    assert len(set(ids)) == len(ids)


async def test_a_reminder_that_fails_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a number of tries of its own; the first word is not repeated for it."""
    monkeypatch.setattr("services.reporter.telling.LOOK", 0.01)
    bench, night = Bench(), story.held()
    first = len([one for one in night.recorded() if occasions.occasion(one)])
    spy = Spy(answers=[*[None] * first, TryAgain("451", after=0.0)])
    async with bench.reporter([spy], clock=fast(bench, night.at, 3600.0), wishes=wishing(again_minutes=10)):
        await bench.put(night.messages())
        await bench.until(lambda: any(fact.again for fact in bench.facts(facts.ReportSent)))
    (failed,) = bench.facts(facts.ReportFailed)
    assert failed.again > 0
    assert failed.attempt == 1
    assert bench.sent().count(("spy", "announced")) == 1


async def test_a_fault_after_many_reminders_is_only_one_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    """A hold is delivered anew for each reminder; that is no failure, and it is not put aside for it."""
    monkeypatch.setattr("services.reporter.telling.LOOK", 0.01)
    monkeypatch.setattr(desk, "AFTER_FAULT", 0.02)
    bench, night = Bench(), story.held()
    first = len([one for one in night.recorded() if occasions.occasion(one)])
    spy = Spy(answers=[*[None] * (first + desk.TRIES), ZeroDivisionError("our own fault")])
    async with bench.reporter([spy], clock=fast(bench, night.at, 3600.0), wishes=wishing(again_minutes=5)):
        await bench.put(night.messages())
        await bench.until(lambda: spy.told.count("held") > desk.TRIES + 3)
    assert bench.facts(facts.MessageRejected) == []


def debts(*told: facts.Fact) -> Story:
    """A run whose facts these are, an hour apart."""
    night = Story()
    night.requested()
    for fact in told:
        night.pass_(3600.0)
        night.say(fact)
    return night


def owed(run: str = story.RUN) -> facts.SettingOwed:
    """High availability is owed."""
    fact = OWED.fact
    assert isinstance(fact, facts.SettingOwed)
    return fact.model_copy(update={"run": run})


def paid(run: str = story.RUN) -> facts.SettingPaid:
    """And put back."""
    return facts.SettingPaid(pool="lab", run=run, step="t99-s001", setting="ha")


ENDED = facts.RunEnded(pool="lab", run=story.RUN, outcome="succeeded_with_warnings", sentence="Done.")


async def told_of(night: Story, at: float) -> Spy:
    """What somebody hears of a night's debts when it is read at a moment of pool time."""
    bench, spy = Bench(), Spy()
    clock = Clock(2.0, 2 * bench.server.now() - at, bench.server.now)
    await bench.put(night.messages())
    wishes = wishing(owed_hours=24).model_copy(update={"occasions": ("owed", "paid")})
    async with bench.reporter([spy], clock=clock, wishes=wishes):
        await bench.quiet()
    return spy


async def test_what_is_still_owed_after_a_day_is_told_with_its_command() -> None:
    """Once; before the day is over, or when it is paid, nobody is."""
    night = debts(owed(), ENDED)
    spy = await told_of(night, night.at + 90_000)
    (parcel,) = spy.got
    assert parcel.letter.subject == "[Rota] lab: high availability is still owed after 1 d"
    assert parcel.letter.points[0].command == "xe pool-ha-enable"
    assert (await told_of(night, night.at)).got == []


async def test_a_debt_that_is_paid_after_its_run_is_told_as_paid() -> None:
    """And never as still owed."""
    night = debts(owed(), ENDED, paid("r-other"))
    (parcel,) = (await told_of(night, night.at + 90_000)).got
    assert parcel.letter.subject == "[Rota] lab: high availability is no longer owed"
    assert parcel.letter.tone == "good"


async def test_a_debt_that_is_paid_within_its_run_is_nobody_s_business() -> None:
    """Nobody was ever told of it."""
    night = debts(owed(), paid(), ENDED)
    assert (await told_of(night, night.at + 90_000)).got == []


async def test_a_debt_that_is_owed_again_is_still_the_same() -> None:
    """Each further try to pay says so anew; one word is enough."""
    night = debts(owed(), ENDED, owed("r-pay-1"), owed("r-pay-2"))
    assert (await told_of(night, night.at + 90_000)).told == ["owed"]


async def test_the_runs_that_try_to_pay_are_not_told() -> None:
    """They come every six hours and end with what everybody knows."""
    night = story.all_well()
    at, by, requested = night.said[0]
    night.said[0] = (at, by, requested.model_copy(update={"purpose": "pay"}))
    bench, spy = Bench(), Spy()
    async with bench.reporter([spy]):
        await bench.put(night.messages())
        await bench.until(lambda: spy.told.count("host_done") == 3)
        await bench.quiet()
    assert set(spy.told) == {"host_done"}


async def test_a_message_rejected_once_is_mailed_once() -> None:
    """However often its fact is delivered, and by a real server."""
    bench, postman = Bench(), post.Postman()
    fact = facts.MessageRejected(
        rejected_subject="rota.command.planner.start_run", seq=1, because="No.", service="planner"
    )
    message = wire.fact_message(fact, source="planner", at=1.0, id="x")
    async with post.serving(postman) as smtp:
        settings = Settings.model_validate({"mail": {"ops": post.destination(smtp).model_dump(exclude={"password"})}})
        for _ in range(2):
            async with bench.reporter(settings=settings):
                await bench.put([message])
                await bench.until(lambda: bench.sent() == [("mail.ops", "rejected")])
                await bench.quiet()
    assert len(postman.mails) == 1
