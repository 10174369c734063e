"""Schedulers in months that pass in a second: each tick starts one run, whoever dies, and however many there are."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from services.scheduler import agenda
from shared.bus import memory, port, wire
from shared.domain import commands, facts
from tests.services.scheduler.stage import Stage, play, settings_with
from tests.shared.domain.test_cron import at

NIGHTLY: dict[str, Any] = {"cron": "30 2 * * *", "zone": "Europe/Rome", "pools": ["lab"]}
LATE = {**NIGHTLY, "missed": "run_late", "late_hours": 5.0}
TICK = "schedule.nightly.lab.20260610T0030Z"
"""The order of 02:30 in Rome on 10 June 2026."""


def test_a_month_of_nights_with_the_change_of_clocks_starts_a_run_each_night() -> None:
    """October 2026 in Rome: 31 orders, each within a second of its tick, the repeated hour's once."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-10-31T23:00")
        assert len({order for order, _ in stage.orders}) == len(stage.orders) == 31
        ticks = [at(f"2026-10-{day:02d}T02:30", "Europe/Rome") for day in range(1, 32)]
        late = [taken - tick for taken, tick in zip(stage.taken_at, ticks, strict=True)]
        assert 0 <= min(late) <= max(late) < 1.0
        assert stage.missed() == []

    play(scene, begin="2026-09-30T12:00", schedules={"nightly": NIGHTLY})


def test_a_monthly_schedule_by_tag_updates_each_pool_that_has_it() -> None:
    """The second Sunday of two months, on two pools, with what the order says of its schedule."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-02-09T00:00")
        assert [order for order, _ in stage.orders] == [
            f"schedule.monthly.{pool}.{day}T0100Z" for day in ("20260111", "20260208") for pool in ("prod", "web")
        ]
        _, command = stage.orders[0]
        assert command.policy == {"updates": False}
        assert command.reason == "Schedule monthly, due Sun 11 Jan 2026 02:00 (Europe/Rome)."

    monthly = {"cron": "0 2 * * SUN#2", "zone": "Europe/Rome", "tags": ["night"], "policy": {"updates": False}}
    play(scene, begin="2026-01-10T00:00", schedules={"monthly": monthly})


def test_three_schedulers_give_one_order_a_night() -> None:
    """Nobody takes the orders here, so each that was stored is counted; the ids alone make them one."""

    async def scene(stage: Stage) -> None:
        await stage.kill("planner")
        await stage.until("2026-06-16T12:00")
        assert sorted(stage.waiting()) == [f"schedule.nightly.lab.202606{day}T0030Z" for day in range(10, 17)]
        assert stage.missed() == []

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY}, staff=("one", "two", "three"))


OPERATIONS = [(when, number) for number in range(1, 6) for when in ("before", "after")]


@pytest.mark.parametrize(("back_after", "missed"), [(5.0, "skip"), (300.0, "skip"), (3 * 3600.0, "run_late")])
@pytest.mark.parametrize(("when", "number"), OPERATIONS)
def test_a_scheduler_killed_at_the_tick_is_followed_by_one_that_starts_one_run(
    when: str, number: int, back_after: float, missed: str
) -> None:
    """Killed before or after each thing it does on the bus at the tick; the next comes up while the bus still knows
    the message id, when it no longer does, and hours later. One run each time, and nothing is said to be missed."""

    async def scene(stage: Stage) -> None:
        bus = stage.buses["scheduler"]
        await stage.until("2026-06-10T02:29:59")
        _die_at(bus, when, number)
        await asyncio.sleep(2.0)
        await stage.kill("scheduler")
        await asyncio.sleep(back_after)
        stage.scheduler("next")
        await stage.until("2026-06-11T01:00")
        assert [order for order, _ in stage.orders] == [TICK]
        assert stage.waiting() == []
        assert stage.missed() == []

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": {**NIGHTLY, "missed": missed, "late_hours": 5.0}})


@pytest.mark.parametrize(("when", "number"), OPERATIONS)
def test_a_tick_that_a_killed_scheduler_gave_is_not_said_to_be_missed(when: str, number: int) -> None:
    """Back after three hours, where the schedule skips: either the run was started, or its tick is told as missed."""

    async def scene(stage: Stage) -> None:
        bus = stage.buses["scheduler"]
        await stage.until("2026-06-10T02:29:59")
        _die_at(bus, when, number)
        await asyncio.sleep(2.0)
        await stage.kill("scheduler")
        await asyncio.sleep(3 * 3600.0)
        stage.scheduler("next")
        await stage.until("2026-06-10T12:00")
        assert [order for order, _ in stage.orders] in ([], [TICK])
        assert len(stage.orders) + len(stage.missed()) == 1

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})


def test_a_weekend_without_a_scheduler_is_skipped_and_told() -> None:
    """One fact for the three nights, with the pools that were not updated; Tuesday's run starts as ever."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-12T12:00")
        await stage.kill("scheduler")
        await stage.until("2026-06-15T09:00")
        stage.scheduler("next")
        await stage.until("2026-06-16T09:00")
        assert [order[-14:-6] for order, _ in stage.orders] == ["20260610", "20260611", "20260612", "20260616"]
        (missed,) = stage.missed()
        assert (missed.ticks, missed.pools) == (3, ("lab",))
        assert missed.tick == at("2026-06-15T02:30", "Europe/Rome")
        assert missed.because.endswith("within 10 min; the schedule says to skip it.")

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})


@pytest.mark.parametrize(("back", "started"), [("07:29", True), ("07:31", False)])
def test_a_missed_tick_runs_late_within_its_hours(back: str, started: bool) -> None:
    """Five hours: at 07:29 it starts, at 07:31 it is told."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-09T13:00")
        await stage.kill("scheduler")
        await stage.until(f"2026-06-10T{back}")
        stage.scheduler("next")
        await asyncio.sleep(60)
        assert [order for order, _ in stage.orders] == ([TICK] if started else [])
        assert [missed.because.endswith("more than 5 h ago.") for missed in stage.missed()] == (
            [] if started else [True]
        )
        if started:
            assert stage.orders[0][1].not_after == at("2026-06-10T07:30", "Europe/Rome")

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": LATE})


@pytest.mark.parametrize("away_from", ["02:00", "02:30:00"])
def test_a_bus_that_is_away_over_the_tick_starts_nothing_at_nine(away_from: str) -> None:
    """What could not be given in time is not given late: it is told as missed when the bus is back."""

    async def scene(stage: Stage) -> None:
        await stage.until(f"2026-06-10T{away_from}")
        stage.server.stop()
        await stage.until("2026-06-10T09:00")
        stage.server.start()
        await stage.until("2026-06-10T10:00")
        assert stage.orders == []
        assert [missed.tick for missed in stage.missed()] == [at("2026-06-10T02:30", "Europe/Rome")]

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})


def test_a_bus_that_is_away_for_minutes_only_makes_it_later() -> None:
    """It is still on time."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-10T02:00")
        stage.server.stop()
        await stage.until("2026-06-10T02:38")
        stage.server.start()
        await stage.until("2026-06-10T03:00")
        assert [order for order, _ in stage.orders] == [TICK]
        assert stage.missed() == []

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})


def test_a_schedule_whose_cron_was_changed_in_the_file_misses_nothing_it_never_had() -> None:
    """Weekly until Wednesday, then daily and late if need be: Tuesday was not missed."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-10T12:00")
        await stage.kill("scheduler")
        stage.scheduler("next", settings_with({"nightly": {**LATE, "late_hours": 100}}))
        await stage.until("2026-06-11T12:00")
        assert [order[-14:] for order, _ in stage.orders] == ["20260611T0030Z"]
        assert stage.missed() == []

    play(scene, begin="2026-06-08T12:00", schedules={"nightly": {**NIGHTLY, "cron": "30 2 * * MON"}})


def test_a_schedule_that_was_out_of_the_file_for_a_while_misses_nothing_of_it() -> None:
    """It counts from when it is there again."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-10T12:00")
        await stage.kill("scheduler")
        stage.scheduler("without", settings_with({}))
        await stage.until("2026-06-12T12:00")
        await stage.kill("without")
        stage.scheduler("next")
        await stage.until("2026-06-13T12:00")
        assert [order[-14:] for order, _ in stage.orders] == ["20260610T0030Z", "20260613T0030Z"]
        assert stage.missed() == []

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": LATE})


def test_what_somebody_wrote_over_in_the_bucket_stops_no_other_schedule() -> None:
    """A mark and a schedule that cannot be read are passed over, and the service lives."""

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-09T13:00")
        held = await stage.bus.get(wire.SCHEDULES_BUCKET, wire.mark_key("broken"))
        assert held is not None
        await stage.bus.put(wire.SCHEDULES_BUCKET, wire.mark_key("broken"), b"\xff", revision=held[1])
        await stage.bus.put(wire.SCHEDULES_BUCKET, wire.schedule_key("other"), b"[]", revision=0)
        await stage.until("2026-06-11T12:00")
        assert [order for order, _ in stage.orders].count("schedule.nightly.lab.20260611T0030Z") == 1
        assert [order for order, _ in stage.orders].count("schedule.broken.lab.20260611T0000Z") == 1

    broken = {**NIGHTLY, "cron": "0 2 * * *"}
    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY, "broken": broken})


def test_a_clock_that_jumps_over_the_tick_is_noticed_within_minutes() -> None:
    """A machine that slept: no timer rings for the time in which it did."""

    async def scene(stage: Stage) -> None:
        slept = 0.0
        machine = stage.clock.machine
        object.__setattr__(stage.clock, "machine", lambda: machine() + slept)
        await asyncio.sleep(3600)
        slept = at("2026-06-10T02:35", "Europe/Rome") - machine()
        await asyncio.sleep(250)
        assert [order for order, _ in stage.orders] == [TICK]

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})


def test_a_tag_that_no_pool_has_any_longer_is_told_at_each_tick() -> None:
    """Set when there was one; silence would look like success."""

    async def scene(stage: Stage) -> None:
        await stage.order(commands.SetSchedule(schedule="night", cron="0 2 * * *", tags=("night",)))
        await stage.said(facts.ScheduleSet)
        await stage.kill("scheduler")
        stage.settings = stage.settings.model_copy(update={"pool": {"lab": stage.settings.pool["lab"]}})
        stage.scheduler("next")
        await stage.until("2026-06-11T12:00")
        assert [(one.schedule, one.pools) for one in stage.missed()] == [("night", ())] * 2
        assert stage.missed()[0].because == "Schedule night updates no pool: none in rota.toml has the tag night."

    play(scene, begin="2026-06-09T12:00")


def _die_at(bus: memory.MemoryBus, when: str, number: int) -> None:
    """From now on the n-th thing that is done on a line is its last: before it was done, or after."""
    done = 0

    async def count(operation: str, subject: str) -> None:
        nonlocal done
        done += 1
        if done == number:
            bus.drop()
            raise port.BusClosed("killed")

    setattr(bus, when, count)


def test_killing_it_at_each_of_those_places_kills_it_at_its_order_and_at_its_mark() -> None:
    """The two tests above would prove nothing if the places were elsewhere."""
    places: list[str] = []

    async def scene(stage: Stage) -> None:
        await stage.until("2026-06-10T02:29:59")

        async def note(operation: str, subject: str) -> None:
            places.append(f"{operation} {subject}")

        stage.buses["scheduler"].before = note
        await asyncio.sleep(2.0)

    play(scene, begin="2026-06-09T12:00", schedules={"nightly": NIGHTLY})
    assert len(places) == max(number for _, number in OPERATIONS)
    assert places[-2:] == ["append rota.command.planner.start_run", "put ROTA_SCHEDULES/mark.nightly"]
    assert agenda.ON_TIME > 300.0
