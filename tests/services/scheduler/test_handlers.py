"""Orders that set and delete schedules: taken once, refused with a sentence, and never lost by a kill."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from shared.bus import port, wire
from shared.domain import commands, facts
from tests.services.scheduler.stage import Stage, play

SET = commands.SetSchedule(schedule="nightly", cron="30 2 * * *", zone="Europe/Rome", pools=("lab",))
BEGIN = "2026-06-09T12:00"


def test_a_schedule_that_was_set_starts_runs_until_it_is_deleted() -> None:
    """Each order is answered by a fact with its id, and what is in force changes at once."""

    async def scene(stage: Stage) -> None:
        await stage.order(SET, "set-1")
        (told,) = await stage.said(facts.ScheduleSet)
        await stage.until("2026-06-11T12:00")
        await stage.order(commands.DeleteSchedule(schedule="nightly"), "delete-1", by="bob")
        (deleted,) = await stage.said(facts.ScheduleDeleted)
        await stage.until("2026-06-14T12:00")
        assert isinstance(told, facts.ScheduleSet)
        assert (told.order, told.by, told.schedule) == ("set-1", "ann@desk", "nightly")
        assert told.sentence == "Schedule nightly updates lab, next on Wed 10 Jun 2026 02:30 (Europe/Rome)."
        assert isinstance(deleted, facts.ScheduleDeleted)
        assert (deleted.order, deleted.by) == ("delete-1", "bob")
        assert [order[-14:-6] for order, _ in stage.orders] == ["20260610", "20260611"]
        assert stage.missed() == []

    play(scene, begin=BEGIN)


def test_a_schedule_that_is_replaced_counts_as_it_is_now() -> None:
    """Another hour, other pools, for every scheduler there is."""

    async def scene(stage: Stage) -> None:
        await stage.order(SET, "set-1")
        await stage.until("2026-06-09T18:00")
        await stage.order(SET.model_copy(update={"cron": "0 4 * * *", "pools": (), "tags": ("night",)}), "set-2")
        await stage.until("2026-06-10T12:00")
        assert [order for order, _ in stage.orders] == [f"schedule.nightly.{p}.20260610T0200Z" for p in ("prod", "web")]
        assert stage.missed() == []

    play(scene, begin=BEGIN, staff=("one", "two"))


def test_a_schedule_outlives_every_scheduler() -> None:
    """It stands in the bucket, not in a process and not in facts that end after 90 days."""

    async def scene(stage: Stage) -> None:
        await stage.order(SET)
        await stage.said(facts.ScheduleSet)
        await stage.kill("scheduler")
        stage.scheduler("next")
        await stage.until("2026-06-10T12:00")
        assert len(stage.orders) == 1

    play(scene, begin=BEGIN)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"cron": "at two"}, "has not the five fields of cron"),
        ({"cron": "0 25 * * *"}, "Bad hour"),
        ({"zone": "Mars/Olympus"}, "no time zone known here"),
        ({"pools": ("lob",)}, "There is no pool 'lob' in rota.toml (pools: lab, prod, web)."),
        ({"pools": (), "tags": ("nihgt",)}, "No pool in rota.toml has the tag 'nihgt' (tags: night)."),
        ({"pools": ()}, "it names no pool"),
        ({"missed": "sometimes"}, "'skip' or 'run_late'"),
        ({"late_hours": -1.0}, "greater than 0"),
        ({"policy": {"max_awya": 1}}, "max_awya"),
        ({"policy": {"window": "nihgt"}}, "There is no window 'nihgt' in rota.toml (windows: none)."),
        ({"policy": {"gates_after_run": ["sla"]}}, "There is no gate 'sla' in rota.toml (gates: none)."),
        ({"policy": {"install": "pool_first"}}, "asks for install = 'pool_first', which Rota cannot do"),
        ({"policy": {"strategies": {f"vm{n}": "block" for n in range(5000)}}}, "too large"),
        ({"schedule": "Nightly Run"}, "cannot be a schedule's key"),
        ({"schedule": "filed"}, "stands in rota.toml, which counts; change it there"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_its_sentence(change: dict[str, Any], words: str) -> None:
    """Nothing is stored, and the queue is empty."""

    async def scene(stage: Stage) -> None:
        await stage.order(SET.model_copy(update=change), "set-1")
        (refused,) = await stage.said(facts.OrderRefused)
        assert isinstance(refused, facts.OrderRefused)
        assert (refused.order, refused.verb) == ("set-1", "set_schedule")
        assert words in refused.because
        assert await stage.bus.keys(wire.SCHEDULES_BUCKET) == ["mark.filed"]
        await asyncio.sleep(1)
        assert stage.server.orders("rota.command.scheduler.>") == []

    play(scene, begin=BEGIN, schedules={"filed": {"cron": "0 2 * * *", "pools": ["lab"]}})


@pytest.mark.parametrize("key", ["filed", "unknown", "lab.>"])
def test_what_no_order_has_set_no_order_deletes(key: str) -> None:
    """What stands in the file is taken out of the file."""

    async def scene(stage: Stage) -> None:
        await stage.order(commands.DeleteSchedule(schedule=key))
        (refused,) = await stage.said(facts.OrderRefused)
        assert isinstance(refused, facts.OrderRefused)
        assert key in refused.because

    play(scene, begin=BEGIN, schedules={"filed": {"cron": "0 2 * * *", "pools": ["lab"]}})


@pytest.mark.parametrize(
    ("subject", "data", "words"),
    [
        ("set_schedule", b'{"schedule": "a", "crn": "0 2 * * *"}', "set_schedule cannot be read"),
        ("set_schedule", b"{", "not JSON"),
        ("sing", b"{}", "There is no order 'sing'; the orders are set_schedule, delete_schedule."),
    ],
)
def test_an_order_that_cannot_be_read_is_told_and_taken_off_the_queue(subject: str, data: bytes, words: str) -> None:
    """Poison becomes two facts, for its sender and for everybody."""

    async def scene(stage: Stage) -> None:
        await stage.bus.append(port.Message(f"rota.command.scheduler.{subject}", data), id="bad-1")
        (refused,) = await stage.said(facts.OrderRefused)
        (rejected,) = await stage.said(facts.MessageRejected)
        assert isinstance(refused, facts.OrderRefused)
        assert isinstance(rejected, facts.MessageRejected)
        assert (refused.order, rejected.service) == ("bad-1", "scheduler")
        assert words in refused.because
        await asyncio.sleep(1)
        assert stage.server.orders("rota.command.scheduler.>") == []

    play(scene, begin=BEGIN)


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("operation", ["put", "append"])
def test_a_scheduler_killed_over_an_order_is_followed_by_one_that_answers_it(operation: str, when: str) -> None:
    """Before and after the schedule is stored, before and after the fact: set once, told, and in force."""

    async def scene(stage: Stage) -> None:
        bus = stage.buses["scheduler"]

        async def die(done: str, subject: str) -> None:
            if done == operation and ("schedule.nightly" in subject or "schedule_set" in subject):
                bus.drop()
                raise port.BusClosed("killed")

        setattr(bus, when, die)
        await stage.order(SET, "set-1")
        await asyncio.sleep(5)
        await stage.kill("scheduler")
        stage.scheduler("next")
        await stage.until("2026-06-10T12:00")
        told = [fact for fact in stage.journal() if isinstance(fact, facts.ScheduleSet)]
        assert [fact.order for fact in told] == ["set-1"]
        assert [order for order, _ in stage.orders] == ["schedule.nightly.lab.20260610T0030Z"]

    play(scene, begin=BEGIN)


def test_an_order_that_is_delivered_late_undoes_no_later_one() -> None:
    """Ann's order was in the hands of a scheduler that died; Bob's was taken meanwhile. Bob's counts."""

    async def scene(stage: Stage) -> None:
        first = stage.buses["one"]

        async def die(operation: str, subject: str) -> None:
            if operation == "put" and subject.endswith("schedule.nightly"):
                first.drop()
                raise port.BusClosed("killed")

        first.before = die
        await stage.order(SET, "set-1")
        await asyncio.sleep(1)
        await stage.kill("one")
        stage.scheduler("two")
        await asyncio.sleep(1)
        await stage.order(SET.model_copy(update={"cron": "0 4 * * *"}), "set-2", by="bob")
        await stage.said(facts.ScheduleSet)
        (refused,) = await stage.said(facts.OrderRefused)
        assert isinstance(refused, facts.OrderRefused)
        assert refused.order == "set-1"
        assert refused.because == "Schedule nightly was set or deleted by bob after this order was given; that counts."
        await stage.until("2026-06-10T12:00")
        assert [order for order, _ in stage.orders] == ["schedule.nightly.lab.20260610T0200Z"]

    play(scene, begin=BEGIN, staff=("one",))


def test_two_orders_at_once_are_both_answered_and_one_of_them_stands() -> None:
    """Two schedulers take one each; compare-and-set makes one of them judge again."""

    async def scene(stage: Stage) -> None:
        other = SET.model_copy(update={"cron": "0 4 * * *"})
        await asyncio.gather(stage.order(SET, "set-1"), stage.order(other, "set-2"))
        await stage.until("2026-06-10T12:00")
        answered = {fact.order for fact in stage.journal() if isinstance(fact, (facts.ScheduleSet, facts.OrderRefused))}
        assert answered == {"set-1", "set-2"}
        assert len(stage.orders) == 1

    play(scene, begin=BEGIN, staff=("one", "two"))


def test_a_schedule_set_and_deleted_and_set_again_misses_nothing_of_the_time_without_it() -> None:
    """Late starts are for ticks that it had."""

    async def scene(stage: Stage) -> None:
        late = SET.model_copy(update={"missed": "run_late", "late_hours": 100.0})
        await stage.order(late, "set-1")
        await stage.until("2026-06-09T13:00")
        await stage.order(commands.DeleteSchedule(schedule="nightly"), "delete-1")
        await stage.until("2026-06-12T13:00")
        await stage.order(late, "set-2")
        await stage.until("2026-06-13T12:00")
        assert [order for order, _ in stage.orders] == ["schedule.nightly.lab.20260613T0030Z"]
        assert stage.missed() == []

    play(scene, begin=BEGIN)


def test_a_stored_schedule_names_its_order() -> None:
    """Any client can read what stands in the bucket and find who set it."""

    async def scene(stage: Stage) -> None:
        await stage.order(SET, "set-1")
        await stage.said(facts.ScheduleSet)
        held = await stage.bus.get(wire.SCHEDULES_BUCKET, "schedule.nightly")
        assert held is not None
        assert b'"order":"set-1","by":"ann@desk"' in held[0]

    play(scene, begin=BEGIN)
