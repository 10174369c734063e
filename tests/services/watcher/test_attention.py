"""Which pools have a run and which hosts are away, from the planner's facts."""

from __future__ import annotations

from services.watcher import attention
from services.watcher.attention import Attention
from shared.domain import acts, facts
from shared.domain.names import Named
from shared.domain.policy import Policy

H1 = Named("11111111-0000", "h1")
RUN = {"pool": "lab", "run": "r1"}


def requested(run: str = "r1") -> facts.RunRequested:
    """A run was ordered."""
    survey = facts.StepPlanned(step="t00-s001", act=acts.Survey())
    return facts.RunRequested(pool="lab", run=run, order="o", by="me", policy=Policy(), survey=survey)


def ordered(act: acts.Act, step: str = "t01-s009") -> facts.StepOrdered:
    """A step was ordered."""
    return facts.StepOrdered(**RUN, step=step, attempt=1, act=act)


def after(*many: facts.Fact) -> Attention:
    """What is known after these facts."""
    return attention.fold_all(Attention(), many)


def test_a_pool_has_a_run_from_its_request_to_its_end() -> None:
    """An end of another run changes nothing."""
    ended = facts.RunEnded(pool="lab", run="r1", outcome="succeeded", sentence="")
    other = facts.RunEnded(pool="lab", run="r0", outcome="refused", sentence="")
    assert after(requested()).has_run("lab")
    assert after(requested(), other).has_run("lab")
    assert not after(requested(), ended).has_run("lab")
    assert not after(requested()).has_run("elsewhere")


def test_a_host_is_away_from_its_reboots_order_until_its_wait_is_over() -> None:
    """Only a reboot takes it away; the wait of another turn does not bring it back."""
    reboot = ordered(acts.RebootHost(H1))
    assert not after(ordered(acts.DisableHost(H1))).is_away(H1.uuid)
    assert after(reboot).is_away(H1.uuid)
    assert after(reboot, facts.WaitOver(pool="lab", run="r1", step="t02-s010", because="")).is_away(H1.uuid)
    assert not after(reboot, facts.WaitOver(pool="lab", run="r1", step="t01-s010", because="")).is_away(H1.uuid)


def test_no_host_is_away_once_its_turn_or_its_run_has_ended() -> None:
    """However the turn ended."""
    reboot = ordered(acts.RebootHost(H1))
    turn = facts.TurnEnded(pool="lab", run="r1", turn="t01", host=H1, outcome="failed", sentence="")
    run = facts.RunEnded(pool="lab", run="r1", outcome="failed", sentence="")
    assert not after(requested(), reboot, turn).is_away(H1.uuid)
    assert not after(requested(), reboot, run).is_away(H1.uuid)


def test_facts_that_say_nothing_here_change_nothing() -> None:
    """The very same value comes back, so that nobody is woken."""
    known = after(requested())
    assert attention.fold(known, facts.RunBegan(**RUN, sentence="")) is known
