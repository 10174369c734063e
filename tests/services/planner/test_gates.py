"""Gates: asked before and after the run and each turn; whoever says no holds the run, and a person answers."""

from __future__ import annotations

from typing import Any

import pytest

from services.planner import orders
from shared.domain import acts, commands, facts
from shared.domain.policy import Policy
from shared.domain.run import RunState
from shared.domain.window import Window
from tests.services.planner.play import Play, failed, host, pool, vm

ALL: dict[str, Any] = {
    "gates_before_run": ("change", "backups"),
    "gates_before_turn": ("load",),
    "gates_after_turn": ("alerts",),
    "gates_after_run": ("sla",),
}
NAMES = ("change", "backups", "load", "alerts", "sla")


DAY = {"day": Window(cron="0 0 * * *", hours=20)}


def _play(*says_no: str, **policy: Any) -> Play:
    """A run whose gates all say yes, but for those named here, which say no."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.AskGate) and act.gate in says_no:
            return failed(command, f"The gate {act.gate} says no.", again_after=60.0)
        return None

    return Play(pool(), Policy(**{**ALL, **policy}), trouble, gates=NAMES, windows=DAY).start()


def _order(play: Play, command: type[commands.RunCommand], **more: Any) -> facts.Fact:
    order = command.model_validate({"pool": "lab", "run": play.run.id, **more})
    return play.order(order, orders.Given(f"bob-{play.seq}", "bob")).facts[0]


def _line(play: Play) -> list[str]:
    """What was done, gates by their names, hosts' reboots by theirs."""
    said = []
    for act in play.done:
        if isinstance(act, acts.AskGate):
            said.append(act.gate)
        elif isinstance(act, acts.RebootHost):
            said.append(act.host.name)
    return said


def test_gates_are_asked_around_the_run_and_each_turn_in_their_order() -> None:
    """Before anything is changed, before and after each host, and when everything is put back."""
    play = _play().play()
    assert play.run.outcome == "succeeded"
    line = _line(play)
    turns = [line[first : first + 3] for first in range(2, len(line) - 1, 3)]
    assert (line[:2], line[-1]) == (["change", "backups"], "sla")
    assert turns[0] == ["load", "athos", "alerts"]
    assert sorted(turns[1:]) == [["load", "aramis", "alerts"], ["load", "porthos", "alerts"]]
    kinds = play.kinds()
    assert kinds[:3] == ["survey", "ask_gate", "ask_gate"]
    assert kinds[-2:] == ["release_pool", "ask_gate"]
    shown = play.run.forecast
    assert shown is not None
    assert "Asked before anything is changed: the gate change and the gate backups." in shown.notes


def test_a_gate_before_a_turn_is_asked_before_its_host_is_disabled() -> None:
    """And the one after it when its VMs are home."""
    play = _play().play()
    first = next(act.host for act in play.done if isinstance(act, acts.DisableHost))
    kinds = play.kinds(first.name)
    assert kinds[:2] == ["ask_gate", "disable_host"]
    assert kinds[-1] == "ask_gate"
    assert kinds.count("ask_gate") == 2


def test_a_no_before_the_run_changes_nothing_and_holds_it() -> None:
    """After as many tries as policy allows; a person's retry asks again, and his skip goes on without."""
    play = _play("backups", attempts=3).play()
    assert play.run.state is RunState.HELD
    assert play.kinds() == ["survey", "ask_gate"]
    assert play.run.hold is not None
    assert play.run.hold.because == "The gate backups says no. (tried 3 times)"

    step = play.run.hold.step
    assert isinstance(_order(play, commands.RetryStep, step=step), facts.StepRetried)
    play.play()
    assert play.run.state is RunState.HELD
    assert isinstance(_order(play, commands.SkipStep, step=step), facts.StepSkipped)
    assert play.play().run.outcome == "succeeded"


def test_a_run_that_a_gate_holds_back_can_be_cancelled_untouched() -> None:
    """Nothing was changed, so nothing is put back; only its end is told on the pool."""
    play = _play("change").play()
    play.cancel(now=True)
    assert play.play().run.outcome == "cancelled"
    assert set(play.kinds()) <= {"survey", "ask_gate", "release_pool", "post_message"}


@pytest.mark.parametrize(("on_failure", "outcome"), [("cancel", "failed"), ("hold", None)])
def test_a_no_before_a_turn_is_answered_by_policy(on_failure: str, outcome: str | None) -> None:
    """As any step that fails; its host stays as it is."""
    play = _play("load", on_failure=on_failure).play()
    assert play.run.outcome == outcome
    assert "disable_host" not in play.kinds()


def test_a_no_before_a_later_turn_may_leave_its_host_out() -> None:
    """Where policy says to go on with the next."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.AskGate) and act.gate == "load" and act.host and act.host.name == "porthos":
            return failed(command, "The load is high on porthos.", again_after=60.0)
        return None

    policy = Policy.model_validate({**ALL, "on_failure": "skip_host", "failure_budget": 3})
    play = Play(pool(), policy, trouble, gates=NAMES).start().play()
    assert play.run.outcome == "succeeded_with_warnings"
    assert "disable_host" not in play.kinds("porthos")
    assert "porthos is left out: The load is high on porthos. (tried 5 times)" in play.run.warnings


def test_no_turn_begins_before_the_gate_after_the_one_before_says_yes() -> None:
    """It holds the run; resumed, the gate is asked again."""
    play = _play("alerts").play()
    assert play.run.state is RunState.HELD
    assert _line(play) == ["change", "backups", "load", "athos"]
    play.trouble = None
    assert isinstance(_order(play, commands.ResumeRun), facts.RunResumed)
    assert play.play().run.outcome == "succeeded"


def test_a_no_after_a_turn_may_cancel_the_run() -> None:
    """No other turn begins, and what was changed is put back."""
    play = _play("alerts", on_failure="cancel").play()
    assert play.run.outcome == "failed"
    assert [word for word in _line(play) if word in ("athos", "porthos", "aramis")] == ["athos"]
    assert "release_pool" in play.kinds()
    assert any("alerts" in warning for warning in play.run.warnings)


def test_a_no_after_the_run_holds_it_when_everything_is_put_back() -> None:
    """HA is on again meanwhile; whoever skips the gate ends the run with a warning."""
    play = _play("sla").play()
    assert play.run.state is RunState.HELD
    assert play.world.settings.ha.enabled
    assert "rota:claim" not in play.world.settings.notes
    assert play.run.hold is not None
    _order(play, commands.SkipStep, step=play.run.hold.step)
    assert play.play().run.outcome == "succeeded_with_warnings"
    assert play.run.warnings[-1] == "Ask the gate sla after the run on Lab: Skipped by bob."


def test_a_cancel_ends_a_run_that_only_a_gate_after_it_holds() -> None:
    """Its hosts are done, so it is not called cancelled."""
    play = _play("sla").play()
    play.cancel(now=False)
    assert play.play().run.outcome == "succeeded_with_warnings"


def test_the_windows_end_ends_a_run_that_only_a_gate_after_it_holds() -> None:
    """Nobody answered all night."""
    play = _play("sla", window="day").play()
    assert play.run.outcome == "succeeded_with_warnings"
    assert "Nobody answered before the window ended." in play.run.warnings[-1]


def test_a_run_that_finds_nothing_to_do_asks_nobody() -> None:
    """It ends with its survey."""
    play = _play()
    play.world = pool([host(name, updates=()) for name in ("athos", "porthos", "aramis")])
    assert play.play().run.outcome == "succeeded"
    assert play.kinds() == ["survey"]


def test_a_turn_that_goes_back_asks_nobody_afterwards() -> None:
    """Its host was not changed."""
    play = _play()
    while "evacuate_rest" not in play.kinds():
        assert play.step()
    play.cancel(now=True)
    assert play.play().run.outcome == "cancelled"
    assert "alerts" not in _line(play)
    assert _line(play)[-1] == "sla"


def test_what_joins_a_turn_is_done_before_the_gate_after_it() -> None:
    """VMs that the sweep moved come home first."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if isinstance(command.act, acts.EvacuateRest) and command.act.host.name == "porthos":
            late = vm("late", "athos", 1)
            swept = acts.Swept((late.named,))
            play.world = pool(play.world.hosts, (*play.world.vms, late), play.world.settings)
            return facts.StepSucceeded(
                pool=command.pool, run=command.run, step=command.step, attempt=command.attempt, result=swept,
                sentence="Swept.",
            )  # fmt: skip
        return None

    play = Play(pool(), Policy.model_validate(ALL), trouble, gates=NAMES).start().play()
    home = next(n for n, act in enumerate(play.done) if isinstance(act, acts.MigrateVM) and act.vm.name == "late")
    asked = next(
        n for n, act in enumerate(play.done)
        if isinstance(act, acts.AskGate) and act.gate == "alerts" and act.host and act.host.name == "porthos"
    )  # fmt: skip
    assert home < asked


@pytest.mark.parametrize("field", list(ALL))
def test_a_gate_that_there_is_not_is_refused_with_those_there_are(field: str) -> None:
    """Before a run is anything."""
    play = Play(pool(), Policy.model_validate({field: ("bakcups",)}), gates=("backups",)).start()
    (refused,) = [fact for fact, _ in play.journal if isinstance(fact, facts.RunRefused)]
    assert refused.because == "There is no gate 'bakcups' in rota.toml (gates: backups)."
