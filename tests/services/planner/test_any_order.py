"""Duplicates, late comers and a second planner let loose on the core: every run ends, and nothing is done twice."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.planner import advance
from shared.domain import acts, commands, facts
from tests.services.planner.play import Play, failed, host, pool, vm

SMALL = pool((host("athos"), host("porthos")), (vm("a", "athos"), vm("b", "porthos")))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.randoms(use_true_random=False))
def test_a_run_ends_the_same_whatever_is_delivered_twice_or_late(random: object) -> None:
    """Old facts of executor and watcher come again at any moment; the pool is treated once."""
    draw = random.random  # type: ignore[attr-defined]
    pick = random.choice  # type: ignore[attr-defined]

    def sometimes_busy(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if command.attempt < 3 and draw() < 0.1:
            return failed(command, "The pool is busy.", again_after=5.0)
        return None

    play = Play(SMALL, trouble=sometimes_busy).start()
    for _ in range(1500):
        if not play.step():
            break
        if draw() < 0.3:
            again = [fact for fact, _ in play.journal if isinstance(fact, (facts.StepFact, facts.HostFact))]
            if again:
                play.say(pick(again))

    reboots = [act.host.name for act in play.done if isinstance(act, acts.RebootHost)]
    assert reboots == ["athos", "porthos"]
    assert play.run.outcome == "succeeded"
    assert {one.name: one.host for one in play.world.vms} == {"a": "host-athos", "b": "host-porthos"}


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 120))
def test_a_planner_that_starts_anywhere_decides_as_the_one_that_was_there(boundary: int) -> None:
    """The journal is the state: folding it afresh gives the very same book and decision."""
    play = Play(SMALL).start()
    for _ in range(boundary):
        play.step()

    fresh = Play(SMALL)
    for fact, at in play.journal:
        fresh.now = at
        fresh.say(fact)

    assert fresh.book == play.book
    assert advance.decide(fresh.book, play.now, play.snapshots) == advance.decide(play.book, play.now, play.snapshots)
