"""Messages on the pool: at the begin, at each hold, at the end, and never in anybody's way."""

from __future__ import annotations

from shared.domain import acts, commands, facts
from shared.domain.run import RunState
from tests.services.planner.play import Play, failed, pool
from tests.services.planner.test_trouble import failing, given


def messages(play: Play) -> list[tuple[str, str]]:
    """What was said on the pool, in order."""
    return [(act.about, act.text) for act in play.done if isinstance(act, acts.PostMessage)]


def resume(play: Play) -> None:
    """A person lets the run go on."""
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), given())


def test_the_begin_and_the_end_of_a_run_are_said_on_the_pool() -> None:
    """Who disabled the hosts, and that it is over; before the first host is disabled, and before the pool is let go."""
    play = Play(pool()).start().play()
    (began, first), (ended, last) = messages(play)
    assert (began, ended) == ("began", "ended")
    assert "ann@desk" in first
    assert ": athos, " in first
    assert last == "Rota's run is over: 3 of 3 hosts are updated."
    kinds = play.kinds()
    assert kinds.index("post_message") < kinds.index("disable_host")
    assert kinds[-2:] == ["post_message", "release_pool"]


def test_each_hold_is_said_once() -> None:
    """Held twice for one reason: two messages, with the reason."""
    play = Play(pool(), trouble=failing("install_updates", "porthos")).start().play()
    assert play.run.state is RunState.HELD
    resume(play)
    play.play()
    assert play.run.state is RunState.HELD
    told = [text for about, text in messages(play) if about == "held"]
    assert len(told) == 2
    assert all("porthos does not take it" in text for text in told)


def test_a_message_that_cannot_be_left_stops_nothing() -> None:
    """Neither the run nor a hold nor its end; and it makes no success a warning."""

    def refuses(_: Play, command: commands.DoStep) -> facts.StepFact | None:
        return failed(command, "The pool takes no messages.") if command.act.kind == "post_message" else None

    play = Play(pool(), trouble=refuses).start().play()
    assert play.run.outcome == "succeeded"
    assert play.run.warnings == ()
    assert messages(play) == []


def test_nothing_is_said_of_a_run_that_began_nothing() -> None:
    """A run that somebody cancels at once leaves no message."""
    play = Play(pool()).start()
    while "run_planned" not in play.names():
        play.step()
    play.cancel(now=True)
    play.play()
    assert not play.run.open
    assert messages(play) == []
