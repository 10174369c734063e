"""Bandwidth as a fluid: shared fairly, worked out again when a flow begins or ends, exact in time."""

from __future__ import annotations

import pytest

from simulator.clock import Clock, ManualDrive
from simulator.flows import Flow, Flows
from simulator.processes import Group, Scheduler


class Basin:
    """Flows on a clock turned by hand, and the second each ended."""

    def __init__(self, **widths: float) -> None:
        self.clock = Clock(ManualDrive())
        self.scheduler = Scheduler(self.clock)
        self.group = Group(self.scheduler, "basin")
        self.flows = Flows(self.clock)
        self.flows.widths = dict(widths)
        self.ended: dict[str, float] = {}

    def pour(self, name: str, pipes: tuple[str, ...], size: float, ceiling: float = float("inf")) -> None:
        self.group.spawn(self._watch(name, self.flows.begin(pipes, size, ceiling)))

    async def _watch(self, name: str, flow: Flow) -> None:
        while not flow.over:
            await flow.progressed.wait(self.scheduler)
        self.ended[name] = self.clock.seconds()


def test_one_flow_takes_its_size_over_the_width() -> None:
    """1,000 bytes through 100 a second take 10 s."""
    basin = Basin(a=100)
    basin.pour("one", ("a",), 1000)
    basin.clock.turn(60)
    assert basin.ended == {"one": pytest.approx(10.0, abs=1e-9)}


def test_two_flows_share_and_the_second_speeds_up_when_the_first_is_over() -> None:
    """500 and 1,000 bytes through 100 a second: 10 s for the first, 15 for the second."""
    basin = Basin(a=100)
    basin.pour("small", ("a",), 500)
    basin.pour("large", ("a",), 1000)
    basin.clock.turn(60)
    assert basin.ended == {"small": pytest.approx(10.0, abs=1e-9), "large": pytest.approx(15.0, abs=1e-9)}


def test_a_flow_that_begins_later_slows_the_first_down_from_then_on() -> None:
    """Half is through when the second begins, the rest takes twice as long."""
    basin = Basin(a=100)
    basin.pour("one", ("a",), 1000)
    basin.clock.turn(5)
    basin.pour("two", ("a",), 1000)
    basin.clock.turn(60)
    assert basin.ended == {"one": pytest.approx(15.0, abs=1e-9), "two": pytest.approx(20.0, abs=1e-9)}


def test_what_a_ceiling_leaves_goes_to_the_others() -> None:
    """Of 100 a second one flow may take 20, so the other gets 80."""
    basin = Basin(a=100)
    basin.pour("slow", ("a",), 200, ceiling=20)
    basin.pour("fast", ("a",), 800)
    basin.clock.turn(60)
    assert basin.ended == {"slow": pytest.approx(10.0, abs=1e-9), "fast": pytest.approx(10.0, abs=1e-9)}


def test_directions_are_pipes_of_their_own() -> None:
    """What goes out does not slow what comes in."""
    basin = Basin(**{"h1 out": 100, "h1 in": 100, "h2 out": 100, "h2 in": 100})
    basin.pour("there", ("h1 out", "h2 in"), 1000)
    basin.pour("back", ("h2 out", "h1 in"), 1000)
    basin.clock.turn(60)
    assert basin.ended == {"there": pytest.approx(10.0, abs=1e-9), "back": pytest.approx(10.0, abs=1e-9)}


def test_nothing_to_carry_is_carried_at_once() -> None:
    """0 bytes take no time."""
    basin = Basin(a=100)
    basin.pour("empty", ("a",), 0)
    basin.clock.turn(1)
    assert basin.ended == {"empty": 0.0}
