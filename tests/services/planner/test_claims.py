"""What stands in the pool itself: a claim that keeps another Rota out, and notes from which a run undoes."""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from services.planner import orders
from shared.domain import acts, commands, facts
from shared.domain.model import HA, PoolSettings, PoolSnapshot
from shared.domain.run import RunState
from tests.services.planner.play import GIVEN, Play, failed, pool

HA_ON = HA(True, ("sr-nfs",), {"timeout": "60"}, 1)
NOTES = {
    "rota:claim": json.dumps({"run": "rdeadbeef", "pool": "lab", "by": "eve@elsewhere"}),
    "rota:ha": json.dumps({"run": "rdeadbeef", "before": asdict(HA_ON), "undo": "xe pool-ha-enable"}),
    "rota:auto_poweron": json.dumps({"run": "rdeadbeef", "before": "true", "undo": "xe …"}),
    "rota:host:host-porthos": json.dumps({"run": "rdeadbeef", "host": "porthos", "undo": "xe host-enable"}),
}


def left_behind(**notes: str) -> PoolSnapshot:
    """A pool that a Rota of another bus left in the middle of a run."""
    found = pool(settings=PoolSettings(auto_poweron="false", notes={**NOTES, **notes}))
    hosts = tuple(replace(one, enabled=one.name != "porthos") for one in found.hosts)
    return replace(found, hosts=hosts)


def undone(play: Play) -> Play:
    """The order to undo, carried out."""
    answer = orders.undo(play.book, GIVEN)
    for fact in answer.facts:
        play.say(fact)
    return play.play()


def test_a_pool_that_another_rota_claims_is_refused_with_its_holder() -> None:
    """Before anything is changed: who has it, and what to do if he is gone."""
    play = Play(left_behind()).start().play()

    assert (play.run.outcome, play.kinds()) == ("refused", ["survey"])
    assert "run rdeadbeef, ordered by eve@elsewhere" in play.run.sentence
    assert "rota undo" in play.run.sentence


def test_undo_puts_back_what_is_noted_with_an_empty_journal() -> None:
    """HA as it was, auto_poweron, the host that was disabled; the claim is gone last."""
    play = undone(Play(left_behind()))

    assert play.run.outcome == "succeeded"
    assert play.world.settings.ha == HA_ON
    assert play.world.settings.auto_poweron == "true"
    assert all(one.enabled for one in play.world.hosts)
    assert play.kinds()[-1] == "release_pool"
    assert "rota:claim" not in play.world.settings.notes


def test_undo_of_a_pool_that_nobody_touched_says_so() -> None:
    """No note, no claim: nothing is done."""
    play = undone(Play(pool()))

    assert (play.run.outcome, play.kinds()) == ("succeeded", ["survey"])
    assert "nothing to undo" in play.run.sentence


def test_a_note_that_cannot_be_read_is_named_and_the_others_are_undone() -> None:
    """A person is told which key to look after."""
    play = undone(Play(left_behind(**{"rota:ha": "{}"})))

    assert play.run.outcome == "succeeded_with_warnings"
    assert any("rota:ha" in warning for warning in play.run.warnings)
    assert play.world.settings.auto_poweron == "true"


def test_a_claim_that_a_run_of_our_own_left_is_replaced() -> None:
    """The journal knows that run and that it is over, so nobody else can be at work."""
    play = Play(pool()).start().play()
    claim = json.dumps({"by": "ann@desk", "pool": "lab", "run": play.run.id}, sort_keys=True)
    hosts = tuple(replace(one, updates=pool().hosts[0].updates) for one in play.world.hosts)
    settings = replace(play.world.settings, notes={"rota:claim": claim})
    play.world = replace(play.world, hosts=hosts, settings=settings)
    play.order(commands.StartRun(pool="lab"), orders.Given("order-2", "bob"))
    play.play()

    assert play.run.outcome == "succeeded"


def test_a_run_claims_first_and_lets_go_last() -> None:
    """Nothing is changed before the claim stands, and nothing after it is gone."""
    play = Play(pool()).start().play()
    changing = [kind for kind in play.kinds() if kind != "survey"]

    assert changing[0] == "claim_pool"
    assert changing[-1] == "release_pool"


def test_the_database_is_kept_before_the_first_turn_and_before_the_masters_reboot() -> None:
    """Twice: once the settings are as they stay, and as the last act before the master goes."""
    play = Play(pool()).start().play()
    kinds = play.kinds()

    assert kinds.count("dump_database") == 2
    assert kinds.index("dump_database") < kinds.index("disable_host")
    assert kinds[kinds.index("reboot_host") - 1] == "dump_database"


def test_a_dump_that_fails_is_a_warning() -> None:
    """It makes a bad night better; it does not stop a good one."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        dumping = isinstance(command.act, acts.DumpDatabase)
        return failed(command, "The pool gives no copy of its database.") if dumping else None

    play = Play(pool(), trouble=trouble).start().play()

    assert play.run.outcome is not None
    assert play.run.state is RunState.ENDED
    assert play.run.outcome.startswith("succeeded")
