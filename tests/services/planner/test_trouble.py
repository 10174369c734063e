"""Trouble that the core finds its own way round: other destinations, hosts left out, a budget, another master."""

from __future__ import annotations

from dataclasses import replace

from services.planner import orders
from shared.domain import acts, commands, facts
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.run import RunState
from tests.services.planner.play import Play, Trouble, failed, host, pool, vm


def given(name: str = "bob") -> orders.Given:
    """An order of somebody."""
    return orders.Given(f"order-{name}", name)


def failing(kind: str, *hosts: str) -> Trouble:
    """An executor for whom one kind of step on some hosts never works."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        named = getattr(command.act, "host", None)
        if command.act.kind == kind and isinstance(named, Named) and named.name in hosts:
            return failed(command, f"{named.name} does not take it.")
        return None

    return trouble


def homes(play: Play) -> dict[str, str | None]:
    """Where each VM is."""
    return {one.name: one.host for one in play.world.vms}


def test_a_move_that_fails_is_planned_again_to_another_host() -> None:
    """porthos takes nothing any more: what was to go there goes to aramis, and comes home."""

    def full(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.to.name == "porthos" and act.purpose == "empty":
            return failed(command, f"porthos has no memory left for {act.vm.name}.", code="HOST_NOT_ENOUGH_FREE_MEMORY")
        return None

    before = pool()
    play = Play(before, trouble=full).start()
    while "turn_ended" not in play.names():
        play.step()

    assert homes(play) == {one.name: one.host for one in before.vms}
    assert {act.to.name for act in play.done if isinstance(act, acts.MigrateVM) and act.purpose == "empty"} == {
        "aramis"
    }
    assert play.kinds("athos").count("reboot_host") == 1


def test_the_sweep_waits_for_moves_that_were_planned_again() -> None:
    """No sweep, no install while a VM is still to leave."""
    tries = iter(range(1))

    def once(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "empty" and next(tries, None) is not None:
            return failed(command, f"{act.vm.name} does not move.")
        return None

    play = Play(pool(), trouble=once).start().play()
    kinds = play.kinds("athos")

    assert play.run.outcome == "succeeded"
    assert kinds.index("evacuate_rest") > max(n for n, kind in enumerate(kinds[: kinds.index("reboot_host")])
                                              if kind == "migrate_vm")  # fmt: skip


def test_a_vm_that_nobody_can_take_any_more_holds_the_run_with_what_is_missing() -> None:
    """Somebody filled the pool meanwhile: the hold names the VM and the MiB; with room again the run goes on."""
    hosts = (host("athos", 32), host("porthos", 32))
    filled = False

    def filler(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        nonlocal filled
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "empty" and act.vm.name == "web":
            if not filled:
                filled = True
                play.world = replace(play.world, vms=(*play.world.vms, vm("hog", "porthos", 24)))
            if any(one.name == "hog" for one in play.world.vms):
                return failed(command, "porthos has no memory left for web.")
        return None

    play = Play(pool(hosts, [vm("web", "athos", 8), vm("db", "porthos", 4)]), trouble=filler).start().play()
    assert play.run.hold is not None
    assert "VM web cannot leave athos: it needs 8192 MiB" in play.run.hold.because

    play.world = replace(play.world, vms=tuple(one for one in play.world.vms if one.name != "hog"))
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), given())
    play.play()
    assert play.run.outcome == "succeeded"
    assert homes(play) == {"web": "host-athos", "db": "host-porthos"}


def test_policy_skip_host_goes_on_with_the_next_and_says_so() -> None:
    """aramis cannot be emptied: it goes back, porthos has its turn, the run warns."""
    play = Play(pool(), Policy(on_failure="skip_host", failure_budget=2), failing("evacuate_rest", "aramis"))
    play.start().play()

    assert play.run.outcome == "succeeded_with_warnings"
    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos", "porthos"]
    assert any("aramis is left out" in warning for warning in play.run.warnings)
    assert all(one.enabled for one in play.world.hosts)


def test_the_budget_of_failures_holds_the_run() -> None:
    """One host may fail; then nothing new begins until a person says so."""
    play = Play(pool(), Policy(on_failure="skip_host"), failing("evacuate_rest", "aramis")).start().play()
    assert play.run.state is RunState.HELD
    assert play.run.hold is not None
    assert "1 hosts have failed" in play.run.hold.because

    play.order(commands.ResumeRun(pool="lab", run=play.run.id), given())
    assert play.play().run.outcome == "succeeded_with_warnings"


def test_a_failure_of_the_first_host_always_holds() -> None:
    """Whatever the policy: when the master fails no member is touched."""
    play = Play(pool(), Policy(on_failure="skip_host", failure_budget=9), failing("evacuate_rest", "athos"))
    play.start().play()

    assert play.run.state is RunState.HELD
    assert not play.kinds("aramis")


def test_a_person_leaves_a_host_out_before_its_turn() -> None:
    """It is not touched; the others are done."""
    play = Play(pool()).start()
    while "turn_begun" not in play.names():
        play.step()
    play.order(commands.SkipHost(pool="lab", run=play.run.id, host="aramis"), given())
    play.play()

    assert play.run.outcome == "succeeded_with_warnings"
    assert not play.kinds("aramis")


def test_a_person_leaves_a_host_out_while_it_is_emptied() -> None:
    """It goes back to work with its VMs; the next host begins."""
    before = pool()
    play = Play(before).start()
    while not any(isinstance(act, acts.MigrateVM) and act.away_from.name == "aramis" for act in play.done):
        play.step()
    play.order(commands.SkipHost(pool="lab", run=play.run.id, host="aramis"), given())
    play.play()

    assert homes(play) == {one.name: one.host for one in before.vms}
    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos", "porthos"]


def test_the_master_is_not_left_out_alone_nor_a_host_that_is_being_installed() -> None:
    """Each refusal says why."""
    play = Play(pool()).start()
    while "disable_host" not in play.kinds():
        play.step()
    play.order(commands.SkipHost(pool="lab", run=play.run.id, host="athos"), given())
    while "install_updates" not in play.kinds("aramis"):
        play.step()
    play.order(commands.SkipHost(pool="lab", run=play.run.id, host="aramis"), given("eve"))

    said = [fact.because for fact, _ in play.journal if isinstance(fact, facts.OrderAnswered)]
    assert "is the master" in said[0]
    assert "never interrupted" in said[1]
    assert play.play().run.outcome == "succeeded"


def test_another_master_holds_the_run_once() -> None:
    """Promoted by a person or by HA: the run waits for a word, then goes on with the master there is."""
    play = Play(pool()).start()
    while "turn_ended" not in play.names():
        play.step()
    changed = facts.MasterChanged(
        pool="lab", seen_at=play.now, host=Named("host-porthos", "porthos"), address="127.0.0.7"
    )
    play.say(changed)
    play.play()
    assert play.run.hold is not None
    assert "porthos is master now instead of athos" in play.run.hold.because

    play.world = replace(play.world, master="host-porthos")
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), given())
    assert play.play().run.outcome == "succeeded_with_warnings"


def test_whoever_is_master_now_is_the_ceiling_and_has_the_next_turn() -> None:
    """aramis is made master while athos is updated: its turn comes before that of porthos, which was planned first, and
    porthos is not installed above it; nor would athos have been."""
    play = Play(pool()).start()
    while "turn_planned" not in play.names():
        play.step()
    master = Named("host-aramis", "aramis")
    play.say(facts.MasterChanged(pool="lab", seen_at=play.now, host=master, address="127.0.0.6"))
    play.play()
    play.world = replace(play.world, master=master.uuid)
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), given())
    play.play()

    ceilings = [(act.host.name, act.ceiling) for act in play.done if isinstance(act, acts.InstallUpdates)]
    assert ceilings == [("athos", master), ("aramis", None), ("porthos", master)]
    assert [act.ceiling for act in play.done if isinstance(act, acts.ReadHost)] == [master, None, master]
    assert [fact.master for fact, _ in play.journal if isinstance(fact, facts.TurnBegun)] == [True, True, False]


def test_a_vm_that_may_not_go_home_to_an_older_host_is_named_before_and_after() -> None:
    """Cancelled while the second host is emptied onto the first, which is updated: the pool refuses the way home."""

    def refuses(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "home" and act.to.name == "aramis":
            return failed(command, f"{act.vm.name} could not be moved to aramis: versions differ.", again_after=None)
        return None

    play = Play(pool(), trouble=refuses).start()
    while not any(_leaves(act, "aramis") for act in play.done):
        play.step()
    play.cancel(now=True)
    (cancelling,) = [fact for fact, _ in play.journal if isinstance(fact, facts.RunCancelling)]
    play.play()

    gone = sorted(one.name for one in play.world.vms if one.name.startswith("aramis") and one.host != "host-aramis")
    assert gone
    assert f"{', '.join(gone)} went to hosts that are updated already" in cancelling.sentences[0]
    assert sorted(play.run.warnings) == [f"{name} could not be moved to aramis: versions differ." for name in gone]


def _leaves(act: acts.Act, host: str) -> bool:
    return isinstance(act, acts.MigrateVM) and act.purpose == "empty" and act.away_from.name == host


def test_policy_may_cancel_when_a_host_is_lost() -> None:
    """Nobody is asked: the turn under way is finished, no other begins, and what was changed is put back."""
    play = Play(pool(), Policy(on_host_lost="cancel")).start()
    while not any(_leaves(act, "athos") for act in play.done):
        play.step()
    play.say(facts.HostDown(pool="lab", host="host-porthos", name="porthos", seen_at=play.now))
    play.play()

    assert "host_lost" in play.names()
    assert "run_held" not in play.names()
    assert play.run.outcome == "failed"
    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos"]
    assert play.world.settings.ha.enabled
