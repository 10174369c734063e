"""The run as a picture: what stands where."""

from __future__ import annotations

from datetime import UTC
from zoneinfo import ZoneInfo

import pytest

from services.reporter import folding
from services.reporter.timeline import MOST_LINES, Timeline, cells, timeline
from shared.domain import acts, facts
from tests.services.reporter import story
from tests.services.reporter.story import Story


def picture(night: Story) -> Timeline:
    """The picture of a night."""
    drawn = timeline(folding.fold(night.pool, night.run, night.recorded()), UTC)
    assert drawn is not None
    return drawn


def test_hosts_are_lanes_in_the_order_of_their_turns() -> None:
    """The master on top."""
    lanes = picture(story.all_well()).lanes
    assert [(lane.host, lane.master) for lane in lanes] == [
        ("xcp-graz-1", True),
        ("xcp-graz-2", False),
        ("xcp-graz-3", False),
    ]


def test_bars_stay_inside_and_do_not_overlap() -> None:
    """Shares of the width, left to right."""
    for lane in picture(story.all_well()).lanes:
        edge = 0.0
        for bar in lane.bars:
            assert edge <= bar.left + 1e-9
            edge = bar.left + bar.width
            assert edge <= 1.0 + 1e-9


def test_only_one_host_is_away_at_a_time() -> None:
    """What the night's policy said is what the picture shows."""
    away = sorted(
        (bar.left, bar.left + bar.width)
        for lane in picture(story.all_well()).lanes
        for bar in lane.bars
        if bar.phase == "away"
    )
    assert len(away) == 3
    assert away[0][1] < away[1][0]
    assert away[1][1] < away[2][0]


def test_each_migration_is_a_line_between_two_lanes() -> None:
    """24 moves, none from a lane to itself."""
    lines = picture(story.all_well()).lines
    assert len(lines) == 24
    assert all(line.source != line.destination and line.left < line.right for line in lines)
    assert {line.purpose for line in lines} == {"empty", "home"}


def test_a_long_hold_takes_no_more_than_its_share() -> None:
    """An hour in which nothing happens must not squeeze the ten minutes in which all of it did."""
    drawn = picture(story.left_behind())
    (band,) = drawn.bands
    assert band.title == "Held for 1 h 5 min"
    assert band.width == pytest.approx(0.25 / 1.25, abs=0.01)
    assert all(not band.left < tick.left < band.left + band.width for tick in drawn.ticks)


def test_a_hold_under_way_reaches_the_edge() -> None:
    """It lasts until the last fact that was read."""
    night = story.held()
    night.pass_(300)
    night.say(
        facts.OrderAnswered(pool=night.pool, run=night.run, order="o", by="a", verb="v", taken=False, because=".")
    )
    (band,) = picture(night).bands
    assert band.left + band.width == pytest.approx(1.0)


def test_ticks_are_round_times_of_the_zone() -> None:
    """Five minutes apart, in the zone that is shown."""
    assert [tick.label for tick in picture(story.all_well()).ticks] == ["01:05", "01:10", "01:15", "01:20"]
    report = folding.fold(story.POOL, story.RUN, story.all_well().recorded())
    in_nepal = timeline(report, ZoneInfo("Asia/Kathmandu"))
    assert in_nepal is not None
    assert [tick.label for tick in in_nepal.ticks] == ["06:50", "06:55", "07:00", "07:05"]


def test_cells_make_up_the_whole_width() -> None:
    """The lane for mail programs that draw nothing: 100 percent, every part of the turn in it."""
    for lane in picture(story.all_well()).lanes:
        row = cells(lane)
        assert sum(cell.percent for cell in row) == 100
        assert {"emptying", "installing", "away", "returning"} <= {cell.phase for cell in row}


def test_nothing_is_drawn_before_anything_was_done() -> None:
    """An announcement has no timeline."""
    night = story.announced()
    assert timeline(folding.fold(night.pool, night.run, night.recorded()), UTC) is None


def test_a_blot_is_not_drawn() -> None:
    """Beyond a number of lines the rest is counted."""
    night = Story()
    night.requested()
    night.planned()
    night.began()
    night.turn_begun(0)
    for n in range(MOST_LINES + 5):
        move = acts.MigrateVM(story.VMS[0], story.HOSTS[1], story.HOSTS[0])
        night.done(story.planned("t01", 100 + n, move), 10.0, acts.Moved())
    drawn = picture(night)
    assert (len(drawn.lines), drawn.undrawn) == (MOST_LINES, 5)
