"""The planner on a bus: orders in, facts and orders out, alone, in twos, and after its own death."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from services.planner.following import Journal
from shared.bus import port, wire
from shared.domain import acts, commands, facts, names
from shared.domain.model import PoolSettings
from tests.services.planner.cast import Cast
from tests.services.planner.play import Play, host, pool, vm

SMALL = pool((host("athos"), host("porthos")), (vm("a", "athos"), vm("b", "porthos")), PoolSettings())


def rebooted(cast: Cast) -> list[str]:
    """The hosts that were rebooted, in order."""
    return [act.host.name for act in cast.play.done if isinstance(act, acts.RebootHost)]


async def test_an_order_becomes_a_run_that_ends() -> None:
    """From the order on the bus to run_ended, with a summary that clients can read."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        run = await cast.order(commands.StartRun(pool="lab"))
        ended = await cast.until("run_ended")

        assert isinstance(ended, facts.RunEnded)
        assert (ended.outcome, rebooted(cast)) == ("succeeded", ["athos", "porthos"])
        async with asyncio.timeout(5):
            while (await cast.summary(run))["outcome"] != "succeeded":
                await asyncio.sleep(0.01)


async def test_two_planners_decide_as_one() -> None:
    """Each reboot is ordered once, and the run has one beginning and one end."""
    cast = Cast(Play(SMALL))
    async with cast.going(planners=2):
        await cast.order(commands.StartRun(pool="lab"))
        await cast.until("run_ended")
        journal = await cast.journal()

    ordered = [fact for fact in journal if isinstance(fact, facts.StepOrdered)]
    assert len({(fact.step, fact.attempt) for fact in ordered}) == len(ordered)
    assert rebooted(cast) == ["athos", "porthos"]
    assert sum(isinstance(fact, facts.RunEnded) for fact in journal) == 1


async def test_a_planner_that_dies_is_followed_by_one_that_goes_on() -> None:
    """The first is cancelled in the middle of the run; a new one, knowing nothing, brings it to its end."""
    cast = Cast(Play(SMALL))
    async with cast.going() as (first,):
        await cast.order(commands.StartRun(pool="lab"))
        await cast.until("turn_planned")
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        async with cast.going():
            ended = await cast.until("run_ended")

    assert isinstance(ended, facts.RunEnded)
    assert (ended.outcome, rebooted(cast)) == ("succeeded", ["athos", "porthos"])


async def test_a_second_start_is_refused_with_the_name_of_the_first() -> None:
    """The answer is a fact that carries the second order's id."""
    cast = Cast(Play(SMALL, trouble=lambda play, command: None))
    async with cast.going():
        first = await cast.order(commands.StartRun(pool="lab"))
        await cast.until("run_requested")
        await cast.order(commands.StartRun(pool="lab"), id="order-2", by="bob")
        refused = await cast.until("run_refused")

    assert isinstance(refused, facts.RunRefused)
    assert refused.order == "order-2"
    assert first in refused.because


async def test_an_order_that_is_taken_up_too_late_starts_nothing() -> None:
    """A schedule's order of two in the morning waited for a planner until nine: refused, under its own id."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        await cast.order(commands.StartRun(pool="lab", not_after=cast.clock.now() - 1))
        refused = await cast.until("run_refused")
        await cast.order(commands.StartRun(pool="lab", not_after=cast.clock.now() + 3600), id="order-2")
        requested = await cast.until("run_requested")

    assert isinstance(refused, facts.RunRefused)
    assert refused.order == "order-1"
    assert "no planner was there in time" in refused.because
    assert isinstance(requested, facts.RunRequested)
    assert requested.order == "order-2"


async def test_an_unknown_pool_is_refused_with_the_pools_there_are() -> None:
    """No usable pool: the refusal is a system fact."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        await cast.order(commands.StartRun(pool="lba"))
        refused = await cast.until("order_refused")

    assert isinstance(refused, facts.OrderRefused)
    assert refused.because == "There is no pool 'lba' in rota.toml (pools: lab); add it, or mend the name."


async def test_a_name_that_is_no_token_is_refused() -> None:
    """It could not even stand in a subject."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        await cast.order(commands.StartRun(pool="lab.>"))
        refused = await cast.until("order_refused")

    assert isinstance(refused, facts.OrderRefused)
    assert "cannot be a pool's key" in refused.because


async def test_a_malformed_order_is_answered_recorded_and_gone() -> None:
    """Poison is loud: a refusal for its sender, a rejected message for everybody, and the queue is empty."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        message = port.Message("rota.command.planner.start_run", b'{"pool": "lab", "polcy": {}}')
        await cast.bus.append(message, id="bad-1")
        rejected = await cast.until("message_rejected")
        refused = await cast.until("order_refused")
        async with asyncio.timeout(5):
            while await cast.bus.orders_outstanding("rota.command.>"):
                await asyncio.sleep(0.01)

    assert isinstance(rejected, facts.MessageRejected)
    assert isinstance(refused, facts.OrderRefused)
    assert refused.order == "bad-1"
    assert "polcy" in refused.because


async def test_a_forged_fact_changes_nothing_and_is_told() -> None:
    """A fact on another run's subject is rejected; the run goes on under the right guard."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        await cast.order(commands.StartRun(pool="lab"))
        await cast.until("turn_planned")
        honest = facts.RunEnded(pool="lab", run="r00000000", outcome="failed", sentence="forged")
        message = wire.fact_message(honest, source="planner", at=cast.clock.now(), id="x")
        forged = port.Message("rota.fact.run.lab.rffffffff.run.run_ended", message.data)
        await cast.bus.append(forged, id="forged")
        await cast.until("message_rejected")
        async with asyncio.timeout(20):
            while len(rebooted(cast)) < 2:
                await asyncio.sleep(0.01)


async def test_a_forecast_is_made_and_nothing_is_changed() -> None:
    """plan_pool: a survey, a forecast, no run."""
    cast = Cast(Play(SMALL))
    async with cast.going(planners=2):
        await cast.order(commands.PlanPool(pool="lab"), id="plan-1")
        made = await cast.until("forecast_made")
        journal = await cast.journal()

    assert isinstance(made, facts.ForecastMade)
    assert [turn.host.name for turn in made.forecast.turns] == ["athos", "porthos"]
    assert cast.play.kinds() == ["survey"]
    assert sum(isinstance(fact, facts.ForecastMade) for fact in journal) == 1


async def test_an_order_that_was_lost_is_sent_again() -> None:
    """The fact is written first; an order that nobody has is made again from it."""
    cast = Cast(Play(SMALL))
    lost = 0

    async def lose(operation: str, subject: str) -> None:
        nonlocal lost
        if operation == "send_order" and "disable_host" in subject and lost < 1:
            lost += 1
            raise port.OutcomeUnknown

    context = cast.context("planner-0")
    bus = context.bus
    bus.before = lose  # type: ignore[attr-defined]
    cast.context = lambda name: context  # type: ignore[method-assign]
    async with cast.going():
        await cast.order(commands.StartRun(pool="lab"))
        ended = await cast.until("run_ended")

    assert isinstance(ended, facts.RunEnded)
    assert (ended.outcome, lost) == ("succeeded", 1)


async def test_how_long_a_host_took_to_boot_outlives_its_run_and_every_planner() -> None:
    """The next run's planner waits three times as long for it where that is more than policy says."""
    cast = Cast(Play(SMALL))
    async with cast.going():
        await cast.order(commands.StartRun(pool="lab"))
        await cast.until("run_ended")

    journal = Journal(cast.context("another"), lambda pool: None)
    await journal.read()

    assert set(journal.book("lab").boots) == {"host-athos", "host-porthos"}
    assert journal.book("lab").open is None


BODY: dict[str, Any] = {
    "specversion": "1.0",
    "id": "x",
    "source": "rota/planner",
    "type": "rota.run.run_ended",
    "time": "2026-11-26T00:00:00+00:00",
    "data": {"pool": "lab", "run": "", "outcome": "failed", "sentence": "Forged."},
}
BAD: tuple[tuple[str, Any, str], ...] = (
    ("not JSON", b"{", "is not JSON"),
    ("no object", [], "is not a JSON object"),
    ("a later version of the envelope", {**BODY, "specversion": "2.0"}, "is not a fact this version of Rota knows"),
    ("a fact of a later version", {**BODY, "type": "rota.run.run_moved"}, "is a newer Rota on this bus?"),
    ("fields missing", {**BODY, "data": {"pool": "lab"}}, "cannot be read: run: Field required"),
    ("no time", {**BODY, "time": "noon", "data": {**BODY["data"], "run": "r1"}}, "has no usable time"),
    ("too large", b"x" * (wire.LARGEST + 1), "at most 900000 are read"),
    ("for another run", {**BODY, "data": {**BODY["data"], "run": "r1"}}, "was put on a wrong subject"),
)


async def test_facts_that_nobody_can_read_are_each_told_once_and_stop_nothing() -> None:
    """In the middle of a run, on its own subjects, met by two planners and by one that comes later; facts of attempts
    long past, told again and backwards, change nothing. The run ends as it would have."""
    cast = Cast(Play(SMALL))
    async with cast.going(planners=2):
        run = await cast.order(commands.StartRun(pool="lab"))
        await cast.until("turn_planned")
        subject = f"rota.fact.run.lab.{run}.run.run_ended"
        for name, body, _ in BAD:
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            await cast.bus.append(port.Message(subject, data), id=name)
        stored = [one async for one in cast.bus.read((wire.run_filter("lab", run),))]
        old = [one for one in stored if b"step_succeeded" in one.data or b"step_failed" in one.data]
        for number, one in enumerate(reversed(old)):
            await cast.bus.append(port.Message(one.subject, one.data), id=f"again-{number}")
        ended = await cast.until("run_ended", within=30)
    later = Journal(cast.context("later"), lambda pool: None)
    await later.read()

    told = [wire.read_fact(stored).fact for stored in cast.server.facts(facts.MessageRejected.subject)]
    because = [fact.because for fact in told if isinstance(fact, facts.MessageRejected)]
    assert isinstance(ended, facts.RunEnded)
    assert (ended.outcome, rebooted(cast)) == ("succeeded", ["athos", "porthos"])
    assert len(because) == len(BAD)
    assert all(any(words in said for said in because) for _, _, words in BAD)


async def test_a_forged_end_ends_no_run_for_a_planner_that_starts() -> None:
    """Only a fact that can be read ends a run; what lies on its subject does not, and is told."""
    cast = Cast(Play(SMALL).start())
    requested, at = cast.play.journal[0]
    assert isinstance(requested, facts.RunRequested)
    await cast.bus.append(wire.fact_message(requested, source="planner", at=at, id="1"), id="1")
    await cast.bus.append(port.Message(f"rota.fact.run.lab.{requested.run}.run.run_ended", b"{}"), id="2")

    journal = Journal(cast.context("planner"), lambda pool: None)
    await journal.read()

    open_run = journal.book("lab").open
    assert open_run is not None
    assert open_run.id == requested.run
    assert len(cast.server.facts(facts.MessageRejected.subject)) == 1


async def test_every_verb_given_while_no_planner_is_there_takes_effect_when_one_returns() -> None:
    """Pause, resume, cancel, skip, retry and skip-step wait on the bus, and each is answered, in its order."""
    cast = Cast(Play(SMALL))
    run = names.run_id("lab", "order-1")
    told: dict[str, commands.RunCommand] = {
        "pause": commands.PauseRun(pool="lab", run=run),
        "resume": commands.ResumeRun(pool="lab", run=run),
        "skip": commands.SkipHost(pool="lab", run=run, host="nobody"),
        "retry": commands.RetryStep(pool="lab", run=run, step="t01-s099"),
        "skip-step": commands.SkipStep(pool="lab", run=run, step="t01-s099"),
        "cancel": commands.CancelRun(pool="lab", run=run),
    }
    await cast.order(commands.StartRun(pool="lab"))
    for id, command in told.items():
        await cast.order(command, id=id)
    async with cast.going():
        ended = await cast.until("run_ended")
        journal = await cast.journal()

    answered = [getattr(fact, "order", "") for fact in journal if not isinstance(fact, facts.RunRequested)]
    assert set(told) <= set(answered)
    assert isinstance(ended, facts.RunEnded)
    assert ended.outcome == "cancelled"
