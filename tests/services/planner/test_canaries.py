"""After a run's first host a few guests go home first and are watched; who freezes stops the others."""

from __future__ import annotations

from shared.domain import acts, commands, facts
from shared.domain.policy import Policy
from shared.domain.run import RunState
from tests.services.planner.play import Play, failed, host, pool, vm


def crowd() -> Play:
    """Three hosts, the first with four VMs, one of them tagged by its owner."""
    vms = [vm(f"a{n}", "athos", n, tags=("rota:canary",) if n == 3 else ()) for n in (1, 2, 3, 4)]
    return Play(pool((host("athos"), host("porthos"), host("aramis")), [*vms, vm("p1", "porthos", 1)]))


def after_the_first_host(play: Play) -> list[acts.Act]:
    """What is done from the moment the first host is enabled until the next is disabled."""
    enabled = next(n for n, act in enumerate(play.done) if isinstance(act, acts.EnableHost))
    disabled = [n for n, act in enumerate(play.done) if isinstance(act, acts.DisableHost)]
    return play.done[enabled + 1 : disabled[1] if len(disabled) > 1 else None]


def test_the_canaries_go_home_first_and_are_watched_before_the_others_and_the_next_host() -> None:
    """Those that are tagged; only after the run's first host."""
    play = crowd().start().play()
    assert play.run.outcome == "succeeded"
    first, watched, *others = after_the_first_host(play)
    assert isinstance(first, acts.MigrateVM)
    assert (first.vm.name, first.purpose) == ("a3", "home")
    assert isinstance(watched, acts.WatchGuests)
    assert (watched.host, watched.vms, watched.minutes) == (host("athos").named, (vm("a3", "athos").named,), 3.0)
    assert watched.since > 10_000
    assert {act.kind for act in others} == {"migrate_vm", "survey"}
    assert [act.kind for act in play.done].count("watch_guests") == 1


def test_a_guest_that_froze_holds_the_run_and_nobody_follows_it() -> None:
    """No other guest goes home and no other host is emptied, until a person says so."""

    def frozen(_: Play, command: commands.DoStep) -> facts.StepFact | None:
        return failed(command, "a3 has not reported.") if command.act.kind == "watch_guests" else None

    play = crowd()
    play.trouble = frozen
    play.start().play()
    assert play.run.state is RunState.HELD
    assert play.run.hold is not None
    assert "a3 has not reported" in play.run.hold.because
    assert [act.kind for act in after_the_first_host(play)] == ["migrate_vm", "post_message"]


def test_nobody_is_watched_where_the_policy_says_so_or_nothing_is_updated() -> None:
    """No canaries, no time, or the same hypervisor as before."""
    for policy in (Policy(canaries=0), Policy(soak_minutes=0), Policy(updates=False)):
        play = Play(crowd().world, policy).start().play()
        assert play.run.outcome == "succeeded"
        assert "watch_guests" not in play.kinds()
