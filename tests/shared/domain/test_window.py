"""Windows: open and shut to the second, over midnight, through changes of clocks, around closed dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from shared.domain import window
from shared.domain.window import Window
from tests.shared.domain.test_cron import MOMENTS, ZONES, at

ROME = "Europe/Rome"
HOUR = 3600.0


def nightly(hours: float = 6.0, cron: str = "0 22 * * *", closed: Iterable[str] = (), zone: str = ROME) -> Window:
    """A window that opens at ten in the evening."""
    return Window.model_validate({"cron": cron, "zone": zone, "hours": hours, "closed": list(closed)})


def test_it_is_open_from_its_first_second_to_the_one_before_it_closes() -> None:
    """Over midnight."""
    night = nightly()
    assert not window.contains(night, at("2026-06-01T21:59:59", ROME))
    assert window.contains(night, at("2026-06-01T22:00", ROME))
    assert window.contains(night, at("2026-06-02T03:59:59", ROME))
    assert not window.contains(night, at("2026-06-02T04:00", ROME))


@pytest.mark.parametrize(
    ("evening", "opens", "closes"),
    [
        ("2026-03-28T22:00", "2026-03-28T21:00", "2026-03-29T03:00"),
        ("2026-10-24T22:00", "2026-10-24T20:00", "2026-10-25T02:00"),
    ],
)
def test_six_hours_are_six_hours_in_the_night_that_clocks_change(evening: str, opens: str, closes: str) -> None:
    """In spring it closes at five by the clock, in autumn at three; UTC knows."""
    (span,) = islice(window.openings(nightly(), at(evening, ROME)), 1)
    assert span == (at(opens), at(closes))
    assert span[1] - span[0] == 6 * HOUR


def test_a_leap_days_window_is_waited_for() -> None:
    """From 2026 the next is in 2028."""
    leap = Window(cron="0 1 29 2 *", hours=2)
    assert window.next_opening(leap, at("2026-05-05T05:00")) == at("2028-02-29T01:00")


def test_something_fits_that_ends_when_it_closes_and_not_a_second_later() -> None:
    """The upper end of an estimate is what is asked with."""
    night, now = nightly(), at("2026-06-02T02:00", ROME)
    assert window.fits(night, now, 2 * HOUR)
    assert not window.fits(night, now, 2 * HOUR + 1)
    assert not window.fits(night, at("2026-06-02T12:00", ROME), 1)
    assert not window.fits(night, at("2026-06-02T12:00", ROME), 0)


def test_openings_that_touch_are_one() -> None:
    """Each hour for an hour is always; what is as long as a week fits in it."""
    always = Window(cron="0 * * * *", hours=1)
    assert window.fits(always, at("2026-06-02T12:34"), 7 * 24 * HOUR)
    assert window.closes(always, at("2026-06-02T12:34"), within=50.0) == at("2026-06-02T12:34:50")


def test_on_a_closed_date_it_is_shut_and_the_evening_before_ends_at_midnight() -> None:
    """And what is left of a night after a closed date is open."""
    night = nightly(closed=["2026-12-24..2026-12-25", "2026-12-31"])
    assert list(islice(window.openings(night, at("2026-12-23T12:00", ROME)), 4)) == [
        (at("2026-12-23T22:00", ROME), at("2026-12-24T00:00", ROME)),
        (at("2026-12-26T00:00", ROME), at("2026-12-26T04:00", ROME)),
        (at("2026-12-26T22:00", ROME), at("2026-12-27T04:00", ROME)),
        (at("2026-12-27T22:00", ROME), at("2026-12-28T04:00", ROME)),
    ]
    assert not window.fits(night, at("2026-12-23T22:00", ROME), 3 * HOUR)
    assert window.next_fit(night, at("2026-12-23T22:00", ROME), 3 * HOUR) == at("2026-12-26T00:00", ROME)


def test_what_fits_into_no_window_is_told_as_such() -> None:
    """Seven hours never fit into six, and a window that is closed for good opens for nobody."""
    assert window.next_fit(nightly(), at("2026-06-02T12:00", ROME), 7 * HOUR) is None
    assert window.next_fit(nightly(), at("2026-06-02T12:00", ROME), 6 * HOUR) == at("2026-06-02T22:00", ROME)


def test_years_of_closed_dates_are_passed_over_at_once() -> None:
    """Without looking at each of their minutes."""
    closed = Window.model_validate({"cron": "* * * * *", "hours": 0.5, "closed": ["2026-01-01..2090-12-31"]})
    assert window.next_opening(closed, at("2026-06-01T00:00")) == at("2091-01-01T00:00")


def test_a_date_may_be_written_as_toml_has_it() -> None:
    """Quoted or not."""
    assert nightly(closed=["2026-12-24"]).closed == (window.Days(date(2026, 12, 24), date(2026, 12, 24)),)
    assert Window.model_validate({"cron": "0 1 * * *", "hours": 1, "closed": [date(2026, 12, 24)]}).closed


@pytest.mark.parametrize("closed", ["Christmas", "2026-12-25..2026-12-24", "2026-02-30", "2026-01-01..9999-12-31", ""])
def test_closed_dates_that_mean_nothing_are_refused(closed: str) -> None:
    """With how they are written."""
    with pytest.raises(ValidationError, match=r"is no (date|span)"):
        nightly(closed=[closed])


@pytest.mark.parametrize("hours", [0, -1, 169, float("nan"), float("inf")])
def test_a_duration_is_more_than_nothing_and_a_week_at_most(hours: float) -> None:
    """A slip of the pen is told when the settings are read."""
    with pytest.raises(ValidationError, match="hours"):
        nightly(hours)


WINDOWS = st.builds(
    nightly,
    hours=st.sampled_from((0.25, 1.0, 3.5, 6.0, 23.0, 24.0, 30.0)),
    cron=st.sampled_from(
        ("0 22 * * *", "30 2 * * *", "0 2 * * SUN#2", "*/20 * * * *", "0 0 L * *", "15 23 * * MON-FRI")
    ),
    closed=st.lists(
        st.builds(
            lambda day, days: f"{date(2026, 1, 1) + timedelta(day)}..{date(2026, 1, 1) + timedelta(day + days)}",
            st.integers(0, 1200),
            st.integers(0, 20),
        ),
        max_size=4,
    ),
    zone=st.sampled_from(ZONES),
)


@settings(max_examples=120, deadline=None)
@given(WINDOWS, MOMENTS, st.floats(0, 40 * HOUR))
def test_what_is_said_of_a_window_agrees_with_itself(what: Window, now: float, seconds: float) -> None:
    """Open means open next at once; what fits is inside throughout; what does not fit is cut off by a moment that is
    shut; on closed dates nothing is open."""
    opening = window.next_opening(what, now)
    assert window.contains(what, now) == (opening == now)
    assert opening is None or (opening >= now and window.contains(what, opening))
    closing = window.closes(what, now, within=max(seconds, 1.0))
    assert (closing is None) == (not window.contains(what, now))
    if seconds >= 1:
        assert window.fits(what, now, seconds) == (closing is not None and closing == now + seconds)
    if closing is not None:
        inside = [now + (closing - now) * share for share in (0.0, 0.1, 0.5, 0.9, 0.999)]
        assert all(window.contains(what, moment) for moment in inside)
        assert closing == now + max(seconds, 1.0) or not window.contains(what, closing)
    if window.contains(what, now):
        today = datetime.fromtimestamp(now, ZoneInfo(what.zone)).date()
        assert not any(days.first <= today <= days.last for days in what.closed)


@settings(max_examples=60, deadline=None)
@given(WINDOWS, MOMENTS, st.floats(60, 8 * HOUR))
def test_the_next_fit_is_a_moment_at_which_it_fits(what: Window, now: float, seconds: float) -> None:
    """And none of the openings before it would have done."""
    found = window.next_fit(what, now, seconds)
    if found is None:
        return
    assert window.fits(what, found, seconds)
    assert found == now or not window.fits(what, now, seconds)
    earlier = [max(begin, now) for begin, _ in islice(window.openings(what, now), 50) if max(begin, now) < found]
    assert not any(window.fits(what, moment, seconds) for moment in earlier)
