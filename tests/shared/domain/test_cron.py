"""Ticks of cron in a zone: through both changes of clocks, leap days, and however a span of time is cut."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from shared.domain import cron

ZONES = (
    "UTC", "Europe/Rome", "America/New_York", "America/Havana", "Australia/Lord_Howe", "Asia/Beirut",
    "Pacific/Apia", "Asia/Kathmandu", "America/Sao_Paulo", "Africa/Casablanca", "Antarctica/Troll",
)  # fmt: skip
FIELDS = (
    st.sampled_from(("0", "30", "59", "*/15", "*", "5,35")),
    st.sampled_from(("0", "1", "2", "2,3", "1-4", "23", "*", "*/6")),
    st.sampled_from(("*", "1", "29", "L", "10-20")),
    st.sampled_from(("*", "3", "10", "2,9")),
    st.sampled_from(("*", "SUN", "MON-FRI", "SUN#2", "5L")),
)
EXPRESSIONS = st.tuples(*FIELDS).map(" ".join)
YEAR_2026 = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
MOMENTS = st.floats(YEAR_2026, YEAR_2026 + 3 * 366 * 86400.0)


def at(text: str, zone: str = "UTC") -> float:
    """A local time as seconds since 1970; `~` at its end: the second time that clocks show it."""
    local = datetime.fromisoformat(text.rstrip("~")).replace(tzinfo=ZoneInfo(zone), fold=int(text.endswith("~")))
    return local.timestamp()


def utc(expression: str, zone: str, after: str, count: int) -> list[str]:
    """The next ticks after a local time, as UTC."""
    found = islice(cron.ticks(expression, zone, at(after, zone)), count)
    return [f"{datetime.fromtimestamp(one, UTC):%Y-%m-%dT%H:%M}" for one in found]


def test_a_fixed_hour_that_clocks_skip_comes_due_when_the_gap_ends() -> None:
    """29 March 2026, Rome: 02:30 is not; 03:00 summer time is 01:00 UTC."""
    assert utc("30 2 * * *", "Europe/Rome", "2026-03-28T00:00", 3) == [
        "2026-03-28T01:30",
        "2026-03-29T01:00",
        "2026-03-30T00:30",
    ]


def test_a_fixed_hour_that_clocks_repeat_comes_due_once() -> None:
    """25 October 2026, Rome: 02:30 is twice, and the first counts."""
    assert utc("30 2 * * *", "Europe/Rome", "2026-10-24T12:00", 2) == ["2026-10-25T00:30", "2026-10-26T01:30"]


@pytest.mark.parametrize("start", ["2026-10-25T02:10~", "2026-10-25T02:30~", "2026-10-25T02:50~"])
def test_who_starts_in_the_repeated_hour_does_not_get_it_again(start: str) -> None:
    """A scheduler that comes up between the two 02:30 would otherwise start a run twice."""
    assert utc("30 2 * * *", "Europe/Rome", start, 1) == ["2026-10-26T01:30"]


def test_what_is_meant_each_hour_goes_on_through_both_changes() -> None:
    """Intervals keep their length; nothing is doubled and nothing is left out."""
    for start in ("2026-03-28T20:00", "2026-10-24T20:00"):
        found = list(islice(cron.ticks("0 * * * *", "Europe/Rome", at(start, "Europe/Rome")), 12))
        assert {later - former for former, later in pairwise(found)} == {3600.0}


def test_a_leap_day_comes_every_four_years() -> None:
    """And 2100 has none."""
    assert utc("0 2 29 2 *", "UTC", "2026-01-01T00:00", 2) == ["2028-02-29T02:00", "2032-02-29T02:00"]
    assert utc("0 2 29 2 *", "UTC", "2096-03-01T00:00", 1) == ["2104-02-29T02:00"]


def test_the_second_sunday_and_the_last_day_can_be_said() -> None:
    """What owners of pools ask for."""
    assert utc("0 2 * * SUN#2", "UTC", "2026-12-01T00:00", 2) == ["2026-12-13T02:00", "2027-01-10T02:00"]
    assert utc("0 2 L * *", "UTC", "2026-02-01T00:00", 2) == ["2026-02-28T02:00", "2026-03-31T02:00"]


@settings(max_examples=150, deadline=None)
@given(EXPRESSIONS, st.sampled_from(ZONES), MOMENTS, st.floats(0, 1))
def test_however_a_span_is_cut_its_ticks_are_the_same(expression: str, zone: str, after: float, share: float) -> None:
    """What falls due between two moments falls due before or after a third, never twice and never not: a scheduler
    that is started anew goes on where the last one was."""
    through = list(islice(cron.ticks(expression, zone, after), 20))
    if not through:
        return
    middle = after + (through[-1] - after) * share
    again = [one for one in through if one <= middle]
    again += islice(cron.ticks(expression, zone, middle), 20 - len(again))
    assert again == through
    assert all(former < later for former, later in pairwise([after, *through]))


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(ZONES), st.integers(0, 23), st.sampled_from((0, 15, 30, 59)), MOMENTS)
def test_a_fixed_time_of_day_comes_due_once_on_every_date(zone: str, hour: int, minute: int, after: float) -> None:
    """In every zone, on days of 23, 24 and 25 hours."""
    found = islice(cron.ticks(f"{minute} {hour} * * *", zone, after), 370)
    dates = [datetime.fromtimestamp(one, ZoneInfo(zone)).date() for one in found]
    assert {(later - former).days for former, later in pairwise(dates)} == {1}


@settings(max_examples=150, deadline=None)
@given(st.lists(st.text("0123456789*/,-#L?WSUNMAR ", max_size=7), min_size=5, max_size=5).map(" ".join) | st.text())
def test_whatever_is_written_is_taken_or_refused_with_a_sentence(text: str) -> None:
    """Nothing else comes out of it, and what is taken can be asked for its next tick."""
    try:
        TypeAdapter(cron.Cron).validate_python(text)
    except ValidationError:
        return
    cron.next_tick(text, "UTC", YEAR_2026)


@pytest.mark.parametrize("zone", ["", "Europe", "Mars/Olympus", "../etc/passwd", "/etc/localtime", "x" * 5000])
def test_a_zone_that_is_not_known_is_refused(zone: str) -> None:
    """Also one that is a folder, a path, or far too long."""
    with pytest.raises(ValidationError, match="no time zone known here"):
        TypeAdapter(cron.Zone).validate_python(zone)


def test_six_fields_are_refused() -> None:
    """With seconds cron would no longer keep fixed hours through a change of clocks."""
    with pytest.raises(ValidationError, match="five fields"):
        TypeAdapter(cron.Cron).validate_python("0 30 2 * * *")
