"""A plan on a terminal and as a page: hosts as lanes, VMs as bars, ways to do it side by side."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

from cli import plan_page, plan_view
from cli.planning import WhatIf
from shared.domain import facts
from shared.domain.names import Named
from tests.cli import story
from tests.cli.drawn import text_of

EVIL = "<script>alert(1)</script>\x1b[2J"
LOAD = facts.HostLoad(host=story.HOSTS[1], most=3 * 2**30, usable=4 * 2**30, at=600.0)


def forecast(**changed: object) -> facts.Forecast:
    """The story's plan with times: each turn a quarter of an hour, one after the other."""
    plan = story.forecast()
    turns = tuple(
        turn.model_copy(
            update={
                "begins": 900.0 * number,
                "ends": 900.0 * (number + 1),
                "upper": 1300.0,
                "moves": tuple(
                    move.model_copy(update={"times": tuple(900 * number + at for at in (60, 90, 800, 830))})
                    for move in turn.moves
                ),
                "parts": (
                    facts.ForecastPart(kind="empty", begins=900.0 * number, ends=900.0 * number + 300),
                    facts.ForecastPart(kind="reboot", begins=900.0 * number + 300, ends=900.0 * (number + 1)),
                ),
            }
        )
        for number, turn in enumerate(plan.turns)
    )
    more = {"upper": 4000.0, "basis": "From the last 3 turns.", "loads": (LOAD,), "tightest": story.HOSTS[1]}
    more |= {"ha_off": 2600.0, "ha_off_upper": 3900.0, "refused_from": 300.0, "refused_until": 4100.0}
    return plan.model_copy(update={"turns": turns, **more, **changed})


def made(plan: facts.Forecast, *compared: facts.Comparison) -> facts.ForecastMade:
    """The planner's answer."""
    return facts.ForecastMade(pool=story.POOL, run="p1", order=story.ORDER, forecast=plan, compared=compared)


def told(*compared: facts.Comparison) -> str:
    """What a terminal shows."""
    return "\n".join(text_of(one, width=150) for one in plan_view.shown(made(forecast(), *compared), story.START))


def test_a_plan_is_a_table_with_a_range_and_a_timeline() -> None:
    """Minutes of each turn, when it begins, and its lane over time."""
    lines = told().splitlines()
    table = next(line for line in lines if re.match(r" *2 +xcp-2 ", line))
    assert table.split()[:9] == ["2", "xcp-2", "0", "2", "4.0", "GiB", "15", "15", "22"]
    lane = next(line for line in lines if line.startswith("xcp-2  "))
    assert re.fullmatch(r"xcp-2  ·{21}▼+█+·+", lane)
    assert len(lane) == 7 + plan_view.WIDTH


def test_what_is_off_and_refused_meanwhile_is_told_with_times() -> None:
    """From when to when, by the clock, as if it began now."""
    said = told()
    assert "High availability is off for about 43 min, 65 min at the most." in said
    assert re.search(r"Begun now, snapshots and backups are refused from \d\d:\d\d to \d\d:\d\d at the latest\.", said)
    assert "The tightest host is xcp-2: VMs take 75 % of its memory at minute 10, 1.0 GiB are left." in said
    assert re.search(r"ends at about \d\d:\d\d, at \d\d:\d\d at the latest\. From the last 3 turns\.", said)


def test_ways_are_compared_in_one_table() -> None:
    """Moves, minutes, HA, the tightest host, and what stands in the way."""
    stop = facts.Blocker(sentence="VM db cannot leave xcp-1.")
    home = facts.Comparison(mode="home", max_away=1, moves=12, turns=3, seconds=2700, upper=4000, tightest=LOAD)
    two = facts.Comparison(mode="home", max_away=2, skip=("xcp-3",), moves=8, turns=2, blockers=(stop,), blocked_by=2)
    lines = told(home, two).splitlines()
    row = next(line for line in lines if "xcp-3" in line)
    assert row.split()[:5] == ["home", "2", "xcp-3", "2", "8"]
    assert row.rstrip().endswith("VM db cannot leave xcp-1. (and 1 more)")
    assert any("xcp-2 75 %" in line for line in lines)
    assert any(line.startswith("In full: mode home, 1 host away at once.") for line in lines)


def test_every_combination_is_tried_and_the_plan_as_it_is_beside_it() -> None:
    """Two modes and two numbers of hosts are four ways, and the pool's own policy the fifth."""
    ways = WhatIf(("home", "stay"), ("1", "25%"), ("h3",)).policies({"updates": False})
    assert len(ways) == 5
    assert ways[1] == {"updates": False, "mode": "home", "max_away": "25%", "skip": ["h3"]}
    assert ways[-1] == {"updates": False}
    assert WhatIf().policies({}) == [{}]


def test_a_page_is_whole_in_itself_and_escapes_what_a_pool_calls_itself() -> None:
    """No script, nothing from elsewhere, and the picture is well-formed."""
    plan = forecast()
    first = plan.turns[0].model_copy(
        update={"host": Named("host-1", EVIL), "moves": (plan.turns[0].moves[0].model_copy(
            update={"vm": Named("vm", EVIL)}),)}
    )  # fmt: skip
    plan = plan.model_copy(update={"turns": (first, *plan.turns[1:]), "pool_name": EVIL, "warnings": (EVIL,)})
    page = plan_page.page(made(plan), story.START)
    assert "<script" not in page
    assert "\x1b" not in page
    assert "http" not in page.replace('xmlns="http://www.w3.org/2000/svg"', "")
    assert "&lt;script&gt;" in page


def test_vms_are_bars_in_the_lane_of_the_host_they_are_guests_on() -> None:
    """Each from its leaving until it is home; two at once stand below each other."""
    picture = ET.fromstring(plan_page.svg(forecast(), story.START))  # noqa: S314 - our own
    bars = [one for one in picture.iter("{http://www.w3.org/2000/svg}rect") if one.get("class") == "vm"]
    assert len(bars) == 6
    assert len({(bar.get("x"), bar.get("y")) for bar in bars}) == 6
    assert {round(float(bar.get("width", "0"))) for bar in bars} == {round(770 / 2700 * 870)}


def test_a_plan_without_turns_is_a_sentence() -> None:
    """There is nothing to draw."""
    empty = forecast(turns=(), loads=(), tightest=None)
    assert text_of(plan_view.forecast(empty, story.START)).startswith(empty.sentence)
    assert "<svg" not in plan_page.page(made(empty), story.START)


def test_a_vm_that_is_stopped_is_named_with_cause_downtime_and_consent() -> None:
    """And one that waits for an approval says so."""
    plan = forecast()
    stop = facts.ForecastStop(
        vm=Named("v", "erp"), strategy="suspend", cause="local_disk", because="It has a disk.", seconds=600.0
    )
    stops = (stop, stop.model_copy(update={"vm": Named("w", "cad"), "strategy": "shutdown", "consent": "ops"}))
    first = plan.turns[0].model_copy(update={"stops": stops})
    shown = plan_view.stopped(plan.model_copy(update={"turns": (first, *plan.turns[1:])}))
    assert "erp is suspended" in shown[0]
    assert "once somebody has approved the plan. Why (local disk): It has a disk." in shown[0]
    assert "cad is shut down" in shown[1]
    assert "agreed to by ops" in shown[1]
