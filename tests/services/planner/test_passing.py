"""What passes by itself is looked at again before somebody is woken: a toolstack that restarts just then."""

from __future__ import annotations

from shared.domain import commands, facts
from shared.domain.run import RunState
from tests.services.planner.play import Play, host, pool, vm

TWO = pool((host("athos"), host("porthos")), (vm("a", "athos"), vm("b", "porthos")))


def _disabled(play: Play, *, until_survey: int) -> None:
    """From the run's second survey on, the first turn's, athos is disabled, up to a survey."""
    surveys = 0

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        nonlocal surveys
        if command.act.kind == "survey":
            surveys += 1
            hosts = [one.named for one in play.world.hosts if one.name == "athos"]
            play._change(hosts[0], enabled=not 2 <= surveys < until_survey)
        return None

    play.trouble = trouble


def _offline(play: Play, *, until_survey: int) -> None:
    """At the run's very first survey porthos is not live, up to a survey."""
    surveys = 0

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        nonlocal surveys
        if command.act.kind == "survey":
            surveys += 1
            hosts = [one.named for one in play.world.hosts if one.name == "porthos"]
            play._change(hosts[0], live=surveys >= until_survey)
        return None

    play.trouble = trouble


def test_a_toolstack_that_restarts_at_the_first_survey_refuses_nothing() -> None:
    """A schedule's order comes at that moment: the pool is surveyed again, and the run begins."""
    play = Play(TWO)
    _offline(play, until_survey=3)

    play.start().play()

    assert play.run.outcome == "succeeded"
    assert play.kinds().count("survey") == 5
    assert play.names().index("steps_reopened") < play.names().index("run_planned")


def test_a_host_that_is_off_refuses_the_run_in_two_minutes() -> None:
    """It does not pass by itself: refused with its name, nothing changed; what is waited for is said meanwhile."""
    play = Play(TWO)
    _offline(play, until_survey=1000)

    play.start().play()

    assert play.run.outcome == "refused"
    assert "porthos is not live" in play.run.sentence
    assert 120 <= play.now - play.run.requested_at < 180
    assert any("looked at again before somebody is asked" in said for said in play.sentences)
    assert set(play.kinds()) == {"survey"}


def test_a_host_that_is_disabled_for_a_moment_holds_nothing() -> None:
    """The pool is surveyed again and the turn goes its way."""
    play = Play(TWO)
    _disabled(play, until_survey=4)

    play.start().play()

    assert play.run.outcome == "succeeded"
    assert "run_held" not in play.names()
    reopened = [fact for fact, _ in play.journal if isinstance(fact, facts.StepsReopened)]
    assert sum("disabled" in fact.because for fact in reopened) == 2


def test_a_host_that_stays_disabled_holds_the_run_in_minutes() -> None:
    """Somebody disabled it; a person is asked three minutes after the turn's beginning, and not each time."""
    play = Play(TWO)
    _disabled(play, until_survey=1000)

    play.start().play()

    assert play.run.state is RunState.HELD
    assert play.run.hold is not None
    assert "athos was disabled by somebody" in play.run.hold.because
    assert 180 <= play.now - next(iter(play.run.turns.values())).begun_at < 400
    assert play.names().count("run_held") == 1
