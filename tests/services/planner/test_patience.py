"""How long things may take: by policy, by what was seen, and what is said of it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from services.planner import orders, projection
from shared.domain import acts, commands, facts
from shared.domain.policy import Policy
from shared.domain.run import RunState, Step, StepState
from tests.services.planner.play import Play, failed, pool

MINUTE = 60.0


def until(play: Play, kind: str) -> Step:
    """Play until a step of some kind is ordered; that step."""
    while not (found := [step for step in play.run.steps() if _ordered(step, kind)]):
        assert play.step()
    return found[0]


def _ordered(step: Step, kind: str) -> bool:
    return step.act.kind == kind and step.state is StepState.ORDERED


@pytest.mark.parametrize(
    ("kind", "policy", "minutes"),
    [
        ("disable_host", {"step_minutes": 7}, 7),
        ("install_updates", {"install_minutes": 33}, 33),
        ("migrate_vm", {"migration_minutes": 11}, 11),
        ("reboot_host", {"shutdown_minutes": 30, "step_minutes": 20}, 50),
        ("await_host", {"host_back_minutes": 25}, 25),
    ],
)
def test_each_kind_of_step_has_its_own_time(kind: str, policy: Mapping[str, Any], minutes: float) -> None:
    """From the order to `step_timed_out`, with nobody there to answer; clients are told since when and until when."""
    play = Play(pool(), Policy.model_validate({**policy, "migrations_per_source": 1})).start()
    step = until(play, kind)
    (told,) = [one for one in projection.summary(play.book, play.run, "").outstanding if one.step == step.id]
    play.now = told.until - 1
    assert "step_timed_out" not in play.names()
    assert (told.since, told.until) == (step.ordered_at, step.ordered_at + minutes * MINUTE)
    play.now = told.until + 1
    play.away.clear()
    play.step()

    assert play.names()[-1] == "step_timed_out"


def test_a_migration_that_gets_on_has_no_upper_end() -> None:
    """Ten hours of progress, each word within the minutes; then none any more."""
    play = Play(pool(), Policy(migration_minutes=10, migrations_per_source=1)).start()
    step = until(play, "migrate_vm")
    for number in range(100):
        play.now += 9 * MINUTE
        told = facts.StepProgressed(
            pool="lab", run=play.run.id, step=step.id, attempt=1, share=number / 100, sentence="It moves."
        )
        play.say(told)
        assert play.run.step(step.id) == until(play, "migrate_vm")
    assert "step_timed_out" not in play.names()
    play.now += 11 * MINUTE
    play.step()

    assert play.names()[-1] == "step_timed_out"


def test_a_host_that_booted_slowly_is_given_three_times_its_last_boot() -> None:
    """Forty minutes of memory test in the first run; the second waits two hours for it, and says why."""
    play = Play(pool()).start()
    until(play, "await_host")
    play.now += 35 * MINUTE
    play.play()
    assert play.run.outcome == "succeeded"
    assert play.book.boots["host-athos"] == pytest.approx(40 * MINUTE, abs=5)

    play.world = pool()
    play.order(commands.StartRun(pool="lab"), orders.Given("order-2", "bob"))
    wait = until(play, "await_host")

    assert wait.until - wait.ordered_at == pytest.approx(120 * MINUTE, abs=15)
    assert wait.because == "Waiting for athos to come back, for 2 h 0 min at most (its last boot took 40 min)."


def test_a_boot_that_a_person_had_to_help_is_no_measure() -> None:
    """Past its deadline and back at last: the next wait is as long as policy says."""
    play = Play(pool()).start()
    until(play, "await_host")
    (away,) = play.away
    play.away.clear()
    while play.run.state is not RunState.HELD:
        assert play.step()
    play.now += 600 * MINUTE
    play.away[away] = play.now
    play.boot()
    play.step()

    assert play.names()[-1] == "wait_over"
    assert "host-athos" not in play.book.boots


def test_what_is_tried_again_says_why_since_when_and_when() -> None:
    """The attempt, its cause and its wait are facts, and stand in the summary that `rota why` shows."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if command.act.kind == "disable_host":
            return failed(command, "athos is busy.", again_after=30.0)
        return None

    play = Play(pool(), trouble=trouble).start()
    until(play, "disable_host")
    play.step()
    (told,) = projection.summary(play.book, play.run, "").outstanding

    assert (told.kind, told.attempt, told.sentence) == ("disable_host", 2, "athos is busy; it is tried again.")
    assert (told.since, told.until) == (play.now, play.now + 30)


def test_nothing_is_tried_for_ever() -> None:
    """Five attempts, then a person is asked with the cause and how often it was tried."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        return failed(command, "athos is busy.", again_after=30.0) if command.act.kind == "disable_host" else None

    play = Play(pool(), trouble=trouble).start().play()

    assert play.run.hold is not None
    assert play.run.hold.because == "athos is busy. (tried 5 times)"
    assert play.names().count("step_failed") == 5


def test_a_reboot_is_told_how_long_its_host_may_take_to_go_down() -> None:
    """The executor waits so long, and no longer."""
    play = Play(pool(), Policy(shutdown_minutes=17)).start()
    reboot = until(play, "reboot_host")

    assert isinstance(reboot.act, acts.RebootHost)
    assert reboot.act.shutdown_minutes == 17
