"""Windows: nothing begins outside of one, what has begun is finished, and the run goes on in the next."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given as each
from hypothesis import settings
from hypothesis import strategies as st

from services.planner import orders
from shared.domain import acts, commands, facts, window
from shared.domain.policy import Policy
from shared.domain.run import RunState
from shared.domain.window import Window
from tests.services.planner.play import Play, failed, pool

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC).timestamp()
NIGHT = Window(cron="0 22 * * *", zone="UTC", hours=2)
ONE_TURN = Window(cron="0 22 * * *", zone="UTC", hours=0.4)


def _play(opening: Window = NIGHT, policy: Policy | None = None, **more: Any) -> Play:
    policy = policy or Policy(window="night")
    return Play(pool(), policy, now=NOON, windows={"night": opening}, **more)


def _said(play: Play, kind: type[facts.Fact]) -> list[tuple[Any, float]]:
    return [(fact, at) for fact, at in play.journal if isinstance(fact, kind)]


def _until(play: Play, state: RunState) -> Play:
    for _ in range(2000):
        if play.run.state is state or not play.step():
            return play
    raise AssertionError(state)


def test_a_run_waits_for_its_window_before_it_touches_anything() -> None:
    """Planned at noon it says until when it waits; the pool is as it was until ten."""
    play = _until(_play().start(), RunState.WAITING_FOR_WINDOW)

    assert "Mon 23 Nov 2026 22:00 (UTC)" in play.sentences[-1]
    assert play.world.settings.ha.enabled
    assert play.kinds() == ["survey"]

    for _ in range(3):
        play.step()
    assert play.kinds() == ["survey"]
    play.play()
    (began,) = _said(play, facts.RunBegan)
    assert began[1] == pytest.approx(NOON + 10 * 3600, abs=1)
    assert play.run.outcome == "succeeded"


def test_what_does_not_fit_any_more_begins_in_the_next_night() -> None:
    """A window of 24 minutes takes one turn, its upper estimate and all: three hosts, three nights."""
    play = _play(ONE_TURN).start().play()

    nights = [datetime.fromtimestamp(at, UTC).day for _, at in _said(play, facts.TurnBegun)]
    assert nights == [23, 24, 25]
    assert all(window.contains(ONE_TURN, at) for _, at in _said(play, facts.TurnBegun))
    assert play.run.outcome == "succeeded"


def test_ha_is_on_between_the_nights_and_off_in_each() -> None:
    """Switched on when the run begins to wait, off again before the next turn, on for good at the end."""
    play = _play(ONE_TURN).start().play()

    switched = [type(act).__name__ for act in play.done if getattr(act, "setting", "") == "ha"]
    assert switched == ["ChangePoolSetting", "RestorePoolSetting"] * 3
    assert play.world.settings.ha.enabled


def test_ha_may_be_left_off_between_the_nights() -> None:
    """As policy says."""
    play = _play(ONE_TURN, Policy(window="night", between_windows="leave")).start().play()

    assert [act.kind for act in play.done if getattr(act, "setting", "") == "ha"] == [
        "change_pool_setting",
        "restore_pool_setting",
    ]


def test_now_overrides_the_window_and_is_recorded() -> None:
    """Whoever orders it answers for it."""
    play = _play()
    play.order(commands.StartRun(pool="lab", now=True), orders.Given("order-1", "ann@desk"))
    play.play()

    ((requested, _),) = _said(play, facts.RunRequested)
    assert (requested.overrides_window, requested.by) == (True, "ann@desk")
    assert not _said(play, facts.RunWaiting)
    assert play.run.outcome == "succeeded"


def test_a_window_that_there_is_not_is_refused_with_those_there_are() -> None:
    """A slip of the pen must not mean at any time."""
    play = _play(policy=Policy())
    (refused,) = play.order(commands.StartRun(pool="lab", policy={"window": "nihgt"})).facts

    assert isinstance(refused, facts.RunRefused)
    assert "no window 'nihgt'" in refused.because
    assert "night" in refused.because


def test_a_turn_too_long_for_every_opening_is_refused_before_anything_is_touched() -> None:
    """Ten minutes a night will never do."""
    play = _play(Window(cron="0 22 * * *", zone="UTC", hours=0.1)).start().play()

    assert play.run.outcome == "refused"
    assert "fits into no opening" in play.run.sentence
    assert play.kinds() == ["survey"]


def test_a_run_that_waits_can_be_cancelled_and_puts_everything_back() -> None:
    """Between two nights, at noon."""
    play = _play(ONE_TURN).start()
    while len(_said(play, facts.RunWaiting)) < 2:
        play.step()
    play.cancel(now=False)
    play.play()

    assert play.run.outcome == "cancelled"
    assert len([act for act in play.done if isinstance(act, acts.RebootHost)]) == 1
    assert play.world.settings.ha.enabled


def _stuck(host: str) -> Any:
    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.EvacuateRest) and act.host.name == host:
            return failed(command, f"{host} does not let its VMs go.")
        return None

    return trouble


def test_a_hold_that_nobody_answers_ends_with_the_window() -> None:
    """Cancelled, by policy, when the window ends: what was under way goes back, and no other turn begins."""
    play = _play(trouble=_stuck("aramis")).start().play()

    assert _said(play, facts.RunHeld)
    ((cancelling, at),) = _said(play, facts.RunCancelling)
    assert (cancelling.by, cancelling.now) == ("policy", False)
    assert at == pytest.approx(NOON + 12 * 3600, abs=2)
    assert not any(isinstance(act, acts.RebootHost) and act.host.name == "porthos" for act in play.done)


def test_a_hold_stays_while_a_host_is_down() -> None:
    """Only a person can say what becomes of it."""
    play = _play(trouble=_stuck("aramis")).start()
    _until(play, RunState.HELD)
    play.say(facts.HostDown(pool="lab", host="host-porthos", name="porthos", seen_at=play.now))
    play.now = NOON + 20 * 3600
    play.play()

    assert play.run.state is RunState.HELD


def test_a_hold_that_somebody_looks_after_outlives_the_window() -> None:
    """With who it is in the journal; a second person is told who was first, and without a hold there is nothing to."""
    play = _play(trouble=_stuck("aramis")).start()
    seen = commands.AcknowledgeHold(pool="lab", run=play.run.id)
    (early,) = play.order(seen, orders.Given("early", "bob")).facts
    assert isinstance(early, facts.OrderAnswered)
    assert not early.taken
    _until(play, RunState.HELD)
    (first,) = play.order(seen, orders.Given("seen", "bob")).facts
    assert isinstance(first, facts.HoldAcknowledged)
    (second,) = play.order(seen, orders.Given("seen-too", "carol")).facts
    assert isinstance(second, facts.OrderAnswered)
    assert second.because == "bob looks after it already."
    play.now = NOON + 20 * 3600
    play.play()

    assert play.run.state is RunState.HELD
    play.cancel(now=True)
    assert play.play().run.outcome == "cancelled"


@settings(max_examples=40, deadline=None)
@each(
    st.integers(0, 23),
    st.sampled_from([0.5, 0.75, 1.0, 2.0, 3.5]),
    st.integers(0, 48),
    st.sampled_from([(), ("2026-11-24",), ("2026-11-24..2026-11-26",)]),
)
def test_no_turn_ever_begins_where_it_does_not_fit(hour: int, hours: float, later: int, closed: Sequence[str]) -> None:
    """Whatever the window and the hour of the order: each beginning lies in an opening, with room for its estimate."""
    opening = Window.model_validate(
        {"cron": f"0 {hour} * * *", "zone": "Europe/Rome", "hours": hours, "closed": closed}
    )
    play = _play(opening)
    play.now = NOON + later * 3600
    play.start().play()

    assert play.run.forecast is not None
    seconds = {turn.turn: turn.seconds for turn in play.run.forecast.turns}
    for begun, at in _said(play, facts.TurnBegun):
        assert window.fits(opening, at, seconds[begun.turn])
    assert play.run.outcome == "succeeded"
