"""Several pools at night: so many runs at once, in an order, whoever decides and however old what he knows."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from services.planner import advance, orders, queueing
from services.planner.queueing import Crowd
from shared.domain import commands, facts
from shared.domain.book import Book
from shared.domain.model import PoolSettings
from shared.domain.policy import Policy
from shared.domain.run import RunState
from shared.domain.window import Window
from tests.services.planner.play import Play, failed, host, pool, vm

WINDOWS = {"day": Window(cron="0 0 * * *", hours=23)}
State = tuple[int, Mapping[str, Book]]
"""What a planner knows: the last sequence of any run's fact, and each pool's book."""


class Night:
    """Several pools, each with a run, on one journal. What was known before is kept, for planners who lag behind."""

    def __init__(self, at_once: int, order: tuple[str, ...] = (), **policies: Mapping[str, Any]) -> None:
        self.at_once, self.order = at_once, order
        self.seq = self.runs = 0
        self.now = 10_000.0
        self.plays: dict[str, Play] = {}
        self.began: list[str] = []
        self.known: list[State] = []
        for name, policy in policies.items():
            world = pool((host("athos"), host("porthos")), (vm("a", "athos"), vm("b", "porthos")), PoolSettings())
            play = Play(world, Policy.model_validate({"canaries": 0, **policy}), windows=WINDOWS, book=Book(name))
            self.plays[name] = play
            self.now += 10
            self._turn_to(play)
            play.order(commands.StartRun(pool=name), orders.Given(f"order-{name}", "ann"))
            self._turned(play, runs=True)
        del self.known[:-1]

    def _turn_to(self, play: Play) -> None:
        play.seq, play.now = self.seq, self.now

    def _turned(self, play: Play, *, runs: bool) -> None:
        self.seq, self.now = play.seq, max(self.now, play.now)
        if runs:
            self.runs = self.seq
        self.known.append((self.runs, {name: one.book for name, one in self.plays.items()}))

    def decide(self, name: str, lag: int = 0) -> advance.Decision:
        """What a planner says that is so many facts behind."""
        runs, books = self.known[max(-len(self.known), -1 - lag)]
        crowd = Crowd(self.at_once, self.order, tuple(books.values()), runs)
        return advance.decide(books[name], self.now, self.plays[name].snapshots, crowd)

    def carry(self, name: str, lag: int = 0) -> bool:
        """A planner decides and writes, if its guard holds; the pool does what is ordered. False: nothing happened."""
        play, decision = self.plays[name], self.decide(name, lag)
        self._turn_to(play)
        if decision.facts:
            holds = play.book.after == decision.after if decision.among is None else self.runs == decision.among
            if not holds:
                return False
            for fact in decision.facts:
                play.say(fact)
                if isinstance(fact, facts.RunBegan):
                    self.began.append(name)
            self._turned(play, runs=True)
        elif decision.orders and lag == 0:
            play.do(decision.orders[0])
            self._turned(play, runs=False)
        elif play.away and lag == 0:
            play.boot()
            self._turned(play, runs=False)
        else:
            return False
        assert not self.at_once or sum(queueing.under_way(one.run) for one in self.plays.values()) <= self.at_once
        return True

    def to_the_end(self) -> None:
        """Each pool in turn, until nothing more happens."""
        moved = True
        while moved:
            moved = sum(self.carry(name) for name in self.plays) > 0

    def outcomes(self) -> set[str | None]:
        """How the runs ended."""
        return {play.run.outcome for play in self.plays.values()}


@settings(max_examples=8, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 2))
def test_never_more_runs_than_allowed_whoever_decides_with_what_he_knows(chance: random.Random, at_once: int) -> None:
    """Planners that lag behind write nothing that the limit forbids, and every run comes to its end."""
    night = Night(at_once, lab={}, dev={"window": "day"}, prod={})
    for _ in range(150):
        night.carry(chance.choice([*night.plays]), lag=chance.choice([0, 0, 0, 1, 2, 5, 20]))
    night.to_the_end()
    assert night.outcomes() == {"succeeded"}


def test_of_those_that_wait_the_first_in_the_order_begins_first() -> None:
    """The others as they were asked for; each says whom it waits for."""
    night = Night(1, ("prod", "dev"), lab={}, edge={}, dev={}, prod={})
    while not all(play.run.state is RunState.PLANNED for play in night.plays.values()):
        for name in [name for name, play in night.plays.items() if play.run.state is not RunState.PLANNED]:
            assert night.carry(name)
    assert night.decide("lab").sentence == (
        "Waiting for others, because no more than one run may be under way at once: dev and prod go first."
    )
    assert night.decide("lab").orders == ()
    night.to_the_end()
    assert night.began == ["prod", "dev", "lab", "edge"]


def test_one_that_waits_for_people_or_for_its_window_keeps_nobody_waiting() -> None:
    """However far in front it stands."""
    night = Night(1, ("prod", "dev"), prod={"approval": "plan"}, dev={"window": "day"}, lab={})
    night.now = 23.5 * 3600
    night.to_the_end()
    assert night.plays["prod"].run.state is RunState.AWAITING_APPROVAL
    assert night.plays["dev"].run.state is RunState.WAITING_FOR_WINDOW
    assert night.plays["lab"].run.outcome == "succeeded"
    night.now = 25 * 3600
    night.to_the_end()
    assert night.plays["dev"].run.outcome == "succeeded"


def test_a_run_that_is_held_counts() -> None:
    """Where something went wrong nothing more is begun in silence; the next says whom it waits for."""
    night = Night(1, lab={}, dev={})
    night.plays["lab"].trouble = lambda play, order: (
        failed(order, "It does not go.") if order.act.kind == "disable_host" else None
    )
    night.to_the_end()
    assert night.plays["lab"].run.state is RunState.HELD
    assert "lab is being updated" in night.decide("dev").sentence
    assert night.plays["dev"].run.state is RunState.PLANNED


def test_a_run_that_waits_for_others_can_be_cancelled() -> None:
    """Untouched."""
    night = Night(1, lab={}, dev={})
    night.plays["lab"].trouble = lambda play, order: (
        failed(order, "It does not go.") if order.act.kind == "disable_host" else None
    )
    night.to_the_end()
    dev = night.plays["dev"]
    night._turn_to(dev)
    dev.order(commands.CancelRun(pool="dev", run=dev.run.id), orders.Given("stop", "bob"))
    night._turned(dev, runs=True)
    night.to_the_end()
    assert dev.run.outcome == "cancelled"
    assert "claim_pool" not in dev.kinds()


def test_without_a_limit_nobody_waits() -> None:
    """And the guard is the pool's own."""
    night = Night(0, lab={}, dev={})
    found = {night.decide(name).among for name in night.plays}
    assert found == {None}
    assert queueing.no_room(night.plays["lab"].run, queueing.ALONE, night.now) == ""
