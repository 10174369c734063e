"""Approvals: of the plan, of each turn, of what turned out otherwise; by one or two persons, in time or not."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.planner import orders
from shared.domain import acts, commands, facts
from shared.domain.policy import Policy
from shared.domain.run import RunState
from tests.services.planner.play import Play, pool, vm


def _asked(play: Play) -> facts.ApprovalAsked:
    """The play, until something is asked for; what that is."""
    for _ in range(2000):
        if play.run.state is RunState.AWAITING_APPROVAL:
            return next(fact for fact, _ in reversed(play.journal) if isinstance(fact, facts.ApprovalAsked))
        assert play.step(), play.sentences[-3:]
    raise AssertionError("nothing was asked for")


def _say(play: Play, by: str, command: type[commands.RunCommand] = commands.ApproveRun, **more: Any) -> facts.Fact:
    order = command.model_validate({"pool": "lab", "run": play.run.id, **more})
    return play.order(order, orders.Given(f"{by}-{play.seq}", by)).facts[0]


def _play(**policy: Any) -> Play:
    return Play(pool(), Policy(**policy)).start()


def test_a_plan_is_not_begun_before_somebody_approves_it() -> None:
    """Asked with its digest; nothing on the pool is touched meanwhile."""
    play = _play(approval="plan")
    asked = _asked(play)
    assert play.run.forecast is not None
    assert (asked.about, asked.digest) == ("plan", play.run.forecast.digest)
    assert play.kinds() == ["survey"]

    _say(play, "bob")
    play.play()
    assert play.run.outcome == "succeeded"
    assert [fact.by for fact, _ in play.journal if isinstance(fact, facts.RunApproved)] == [("bob",)]


def test_two_persons_are_two_persons() -> None:
    """The same one twice is one."""
    play = _play(approval="plan", approvers=2)
    _asked(play)
    _say(play, "bob")
    again = _say(play, "bob")
    assert isinstance(again, facts.OrderAnswered)
    assert "another person" in again.because
    assert play.run.state is RunState.AWAITING_APPROVAL

    _say(play, "carol")
    assert play.play().run.outcome == "succeeded"


def test_another_digest_is_another_plan() -> None:
    """Whoever approves what is not asked for is told so."""
    play = _play(approval="plan")
    _asked(play)
    answer = _say(play, "bob", digest="0123456789abcdef")

    assert isinstance(answer, facts.OrderAnswered)
    assert not answer.taken
    assert play.run.state is RunState.AWAITING_APPROVAL


def test_what_is_refused_before_the_start_is_over() -> None:
    """With who said no, and why."""
    play = _play(approval="plan")
    _asked(play)
    _say(play, "bob", commands.RejectRun, because="Not before Friday.")
    play.play()

    assert play.run.outcome == "refused"
    assert play.run.sentence == "bob did not approve it: Not before Friday."
    assert play.kinds() == ["survey"]


def test_what_nobody_approves_in_time_is_over() -> None:
    """After the minutes that policy gives."""
    play = _play(approval="plan", approval_minutes=90)
    asked = _asked(play)
    play.play()

    assert play.run.outcome == "refused"
    assert play.run.ended_at == pytest.approx(asked.until, abs=1)
    assert play.kinds() == ["survey"]


def test_one_of_two_in_time_is_not_enough() -> None:
    """Who did approve is recorded, and nothing on the pool was touched."""
    play = _play(approval="plan", approvers=2, approval_minutes=90)
    _asked(play)
    assert isinstance(_say(play, "bob"), facts.ApprovalGiven)
    play.play()

    assert play.run.outcome == "refused"
    assert play.run.sentence == "Not enough people approved in time."
    assert play.kinds() == ["survey"]


def test_each_turn_is_asked_for_and_one_that_is_refused_ends_the_run() -> None:
    """athos by its name; aramis is not approved: what was done stays done, everything is put back."""
    play = _play(approval="turn")
    asked = _asked(play)
    assert asked.host is not None
    assert asked.host.name == "athos"
    wrong = _say(play, "bob", host="porthos")
    assert isinstance(wrong, facts.OrderAnswered)
    assert not wrong.taken
    _say(play, "bob", host="athos")

    asked = _asked(play)
    assert asked.host is not None
    assert asked.host.name == "aramis"
    _say(play, "bob", commands.RejectRun)
    play.play()

    assert play.run.outcome == "cancelled"
    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos"]
    assert play.world.settings.ha.enabled


def test_a_turn_that_came_out_otherwise_is_asked_for_again_with_what_is_different() -> None:
    """A VM was started on aramis after the plan was approved: nothing there is touched before somebody agrees."""
    play = _play(approval="plan")
    _asked(play)
    _say(play, "bob")
    while not any(isinstance(fact, facts.TurnBegun) and fact.host.name == "aramis" for fact, _ in play.journal):
        play.step()
    play.world = replace(play.world, vms=(*play.world.vms, vm("late", "aramis", 2)))

    asked = _asked(play)
    assert asked.host is not None
    assert asked.host.name == "aramis"
    assert any("late" in change for change in asked.changes)
    assert "disable_host" not in play.kinds("aramis")

    _say(play, "carol")
    assert play.play().run.outcome == "succeeded"


def test_a_run_that_asks_can_be_cancelled() -> None:
    """As any other."""
    play = _play(approval="turn")
    _asked(play)
    play.cancel(now=True)

    assert play.play().run.outcome == "cancelled"


def test_an_approval_that_nobody_asked_for_is_answered() -> None:
    """Never silence."""
    play = _play()
    answer = _say(play, "bob")

    assert isinstance(answer, facts.OrderAnswered)
    assert "asks for no approval" in answer.because
