"""What falls due between two moments: started, stood for, or missed, and never twice."""

from __future__ import annotations

from itertools import takewhile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from services.scheduler import agenda
from services.scheduler.agenda import Mark
from shared.domain import commands, cron
from shared.domain.schedule import InForce, Schedule
from tests.shared.domain.test_cron import EXPRESSIONS, MOMENTS, ZONES, at

HOUR = 3600.0
SKIP = Schedule(cron="0 2 * * *", zone="Europe/Rome", pools=("lab",))
LATE = SKIP.model_copy(update={"missed": "run_late"})
TWO = at("2026-06-10T02:00", "Europe/Rome")
DAY = 24 * HOUR


def test_a_tick_starts_a_run_when_it_comes() -> None:
    """And nothing does a second before."""
    assert agenda.due(SKIP, TWO - DAY, TWO - 1) is None
    assert agenda.due(SKIP, TWO - DAY, TWO) == agenda.Due(TWO, (), TWO)


@pytest.mark.parametrize(
    ("schedule", "late", "starts"),
    [(SKIP, 600.0, True), (SKIP, 601.0, False), (LATE, 4 * HOUR, True), (LATE, 4 * HOUR + 1, False)],
)
def test_how_late_a_tick_may_start_is_what_the_schedule_says(schedule: Schedule, late: float, starts: bool) -> None:
    """Ten minutes where it skips, for a restart of everything; its hours where it runs late."""
    due = agenda.due(schedule, TWO - DAY, TWO + late)
    assert due is not None
    assert (due.start, due.missed) == ((TWO, ()) if starts else (None, (TWO,)))


def test_of_several_missed_ticks_the_last_stands_for_all() -> None:
    """After a week down one run starts, and the six others are told."""
    due = agenda.due(LATE, TWO - 7 * DAY, TWO + HOUR)
    assert due == agenda.Due(TWO, tuple(TWO - days * DAY for days in range(6, 0, -1)), TWO)
    sentence = agenda.missed_sentence(LATE, due.missed[-1], len(due.missed), due.start)
    assert "6 ticks up to that of Tue 09 Jun 2026 02:00 (Europe/Rome)" in sentence
    assert "the next one, of Wed 10 Jun 2026 02:00 (Europe/Rome), stands for it." in sentence


def test_a_new_schedule_starts_nothing_for_the_past() -> None:
    """One of rota.toml counts from when it is first seen, one of an order from when that was taken up."""
    assert agenda.beginning(None, InForce("a", SKIP, "rota.toml"), TWO + 60).through == TWO + 60
    assert agenda.beginning(None, InForce("a", SKIP, "ann", since=TWO - 60), TWO + 60).through == TWO - 60


def test_a_schedule_with_another_cron_starts_nothing_for_ticks_it_never_had() -> None:
    """Weekly on Monday, changed on Wednesday to daily: Tuesday and Wednesday were not missed."""
    mark = Mark(through=TWO - 2 * DAY, cron="0 2 * * MON", zone="Europe/Rome")
    assert agenda.beginning(mark, InForce("a", LATE, "rota.toml"), TWO + HOUR).through == TWO + HOUR


def test_a_schedule_set_again_starts_nothing_for_the_time_without_it() -> None:
    """It was deleted for a month, and comes back with the same cron."""
    mark = Mark(through=TWO - 30 * DAY, cron=LATE.cron, zone=LATE.zone)
    assert agenda.beginning(mark, InForce("a", LATE, "ann", since=TWO + 60), TWO + HOUR).through == TWO + 60


def test_a_mark_goes_on_where_the_last_scheduler_left_off() -> None:
    """Which is what makes a tick missed while nobody was there known at all."""
    mark = Mark(through=TWO - DAY, cron=SKIP.cron, zone=SKIP.zone)
    assert agenda.beginning(mark, InForce("a", SKIP, "rota.toml"), TWO + HOUR) == mark


def test_a_clock_that_was_years_ahead_does_not_silence_a_schedule() -> None:
    """The mark it left is not believed."""
    mark = Mark(through=TWO + 3650 * DAY, cron=SKIP.cron, zone=SKIP.zone)
    assert agenda.beginning(mark, InForce("a", SKIP, "rota.toml"), TWO).through == TWO


def test_an_order_has_one_id_whoever_gives_it_and_one_for_each_pool_and_tick() -> None:
    """In UTC, so that both hours that clocks show twice have their own."""
    first, second = at("2026-10-25T02:30", "Europe/Rome"), at("2026-10-25T02:30~", "Europe/Rome")
    assert agenda.order_id("monthly", "lab", first) == "schedule.monthly.lab.20261025T0030Z"
    ids = {
        agenda.order_id(*one) for one in (("a", "x", first), ("a", "x", second), ("a", "y", first), ("b", "x", first))
    }
    assert len(ids) == 4


def test_an_order_says_why_it_was_given_by_whom_and_until_when_it_counts() -> None:
    """So that a planner that was away until nine does not start at nine what was for two."""
    one = InForce("nightly", SKIP.model_copy(update={"policy": {"updates": False}}), "ann@desk", since=1.0)
    order = agenda.order(one, "lab", TWO)
    assert isinstance(order, commands.StartRun)
    assert (order.pool, order.policy, order.now) == ("lab", {"updates": False}, False)
    assert order.reason == "Schedule nightly, due Wed 10 Jun 2026 02:00 (Europe/Rome)."
    assert order.not_after == TWO + agenda.ON_TIME
    late = agenda.order(InForce("n", LATE, "rota.toml"), "lab", TWO)
    assert isinstance(late, commands.StartRun)
    assert late.not_after == TWO + 4 * HOUR
    assert agenda.ordered_by(one) == "schedule nightly (set by ann@desk)"
    assert agenda.ordered_by(InForce("n", LATE, "rota.toml")) == "schedule n (in rota.toml)"


@settings(max_examples=150, deadline=None)
@given(
    EXPRESSIONS,
    st.sampled_from(ZONES),
    MOMENTS,
    st.lists(st.floats(0.001, 40), min_size=1, max_size=6),
    st.sampled_from((("skip", 4.0), ("run_late", 0.5), ("run_late", 30.0))),
)
def test_every_tick_is_started_or_counted_as_missed_exactly_once(
    expression: str, zone: str, begin: float, hours: list[float], missed: tuple[str, float]
) -> None:
    """Whenever a scheduler looks, and however long none did: none is lost, none doubled, and none starts too late."""
    schedule = Schedule.model_validate(
        {"cron": expression, "zone": zone, "pools": ["lab"], "missed": missed[0], "late_hours": missed[1]}
    )
    through, now, started, counted = begin, begin, [], 0
    for span in hours:
        now += span * HOUR
        found = agenda.due(schedule, through, now)
        if found is None:
            continue
        assert through < found.through <= now
        through = found.through
        counted += len(found.missed)
        if found.start is not None:
            assert now <= agenda.not_after(schedule, found.start)
            started.append(found.start)
    everything = list(takewhile(lambda tick: tick <= now, cron.ticks(expression, zone, begin)))
    assert len(started) == len(set(started))
    assert set(started) <= set(everything)
    assert len(started) + counted == len(everything)


def test_a_schedule_may_only_have_people_told() -> None:
    """Then the order is for a forecast, and it says so."""
    one = InForce("weekly", SKIP.model_copy(update={"does": "tell", "policy": {"updates": True}}), "rota.toml")
    order = agenda.order(one, "lab", TWO)
    assert isinstance(order, commands.PlanPool)
    assert (order.pool, order.policy, order.tell) == ("lab", {"updates": True}, True)
    assert agenda.set_sentence(one, ["lab"], TWO).startswith("Schedule weekly tells what waits to be installed on lab")
