"""What becomes of VMs that cannot simply move: chosen, consented to, stopped in order, started again whatever comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, get_args

import pytest

from services.planner import forecasting, orders, strategies
from shared.domain import acts, commands, facts
from shared.domain.model import SR, VM, Disk, PoolSnapshot
from shared.domain.policy import Cause, Policy
from tests.services.planner.play import GIB, Play, failed, host, pool, vm


def pinned(name: str, on: str, **changes: Any) -> VM:
    """A VM whose disk only its host reaches."""
    sr = f"sr-{on}"
    return vm(name, on, srs=(sr,), disks=(Disk("d", "data", sr, GIB, shared=False),), **changes)


def world(*vms: VM, hosts: int = 3, **changes: Any) -> PoolSnapshot:
    """A pool of some hosts with local storage each, one plain VM and those given."""
    names = ("athos", "porthos", "aramis")[:hosts]
    found = pool([host(name, attached=("sr-nfs", f"sr-{name}")) for name in names], (vm("web", "athos"), *vms))
    local = (SR(f"sr-{name}", f"Local storage on {name}", "ext", False) for name in names)
    srs = (SR("sr-nfs", "NFS", "nfs", True, free=500 * GIB), *local)
    return replace(found, srs=srs, settings=replace(found.settings, suspend_sr="sr-nfs"), **changes)


def stops(shown: facts.Forecast) -> list[tuple[str, str, str, str]]:
    """Name, strategy, cause and consent of every VM that a forecast stops."""
    return [(one.vm.name, one.strategy, one.cause, one.consent) for turn in shown.turns for one in turn.stops]


def test_every_cause_has_a_code() -> None:
    """A chain for a cause that nothing leads to would be ignored."""
    assert set(strategies.CAUSES.values()) == set(get_args(Cause))


@pytest.mark.parametrize(
    ("policy", "wish", "expected"),
    [
        ({}, "", None),
        ({"strategies": {"scratch": "shutdown"}}, "suspend", ("shutdown", "the pool's policy")),
        ({"strategies": {"vm-scratch": "suspend"}, "owner": "ops"}, "", ("suspend", "ops")),
        ({"strategies": {"night": "shutdown"}}, "", ("shutdown", "the pool's policy")),
        ({"chains": {"local_disk": ["suspend", "shutdown"]}}, "shutdown", ("shutdown", "the owner of scratch")),
        ({"chains": {"local_disk": ["migrate", "suspend"]}, "owner": "ops"}, "", ("suspend", "ops")),
        ({"chains": {"device": ["shutdown"]}}, "", None),
        ({"strategies": {"scratch": "ask"}}, "", ("suspend", "")),
    ],
)
def test_the_first_that_applies_is_chosen(policy: dict[str, Any], wish: str, expected: tuple[str, str] | None) -> None:
    """Policy by name, tag or uuid; the VM's own wish; the chain of the cause; else it blocks."""
    found = world(pinned("scratch", "porthos", strategy=wish, tags=("night",)))
    shown = forecasting.forecast(found, Policy.model_validate(policy))
    if expected is None:
        assert [stop.code for stop in shown.blockers] == ["VM_REQUIRES_SR"]
        return
    assert shown.blockers == ()
    assert stops(shown) == [("scratch", expected[0], "local_disk", expected[1])]
    (stop,) = (one for turn in shown.turns for one in turn.stops)
    assert stop.seconds > 300
    assert "scratch" in shown.sentence


def test_a_vm_that_can_move_is_moved_whatever_its_strategy_says() -> None:
    """A strategy is for VMs that cannot."""
    shown = forecasting.forecast(world(), Policy(strategies={"web": "shutdown"}))
    assert stops(shown) == []
    assert [move.vm.name for move in shown.turns[0].moves] == ["web"]


@pytest.mark.parametrize(
    ("changes", "strategy", "because"),
    [
        ({"devices": ("pci",)}, "suspend", "because of what binds it"),
        ({"tools": False}, "suspend", "without guest tools"),
        ({"tools": False}, "shutdown", "does not let it be switched off hard"),
        ({"memory_now": 900 * GIB, "memory": GIB}, "suspend", "has no room for 900.0 GiB"),
        ({"strategy": "vanish"}, "", "cannot carry out the strategy 'vanish'"),
    ],
)
def test_a_strategy_that_cannot_be_carried_out_is_told_with_its_reason(
    changes: dict[str, Any], strategy: str, because: str
) -> None:
    """In the plan, before anything is touched."""
    policy = Policy.model_validate({"strategies": {"scratch": strategy}} if strategy else {})
    shown = forecasting.forecast(world(replace(pinned("scratch", "porthos"), **changes)), policy)
    (stop,) = shown.blockers
    assert because in stop.sentence


def test_a_blocked_shutdown_needs_a_consent_of_its_own() -> None:
    """A chain does not lift an owner's block; to name the VM, in policy or in the order, does."""
    guarded = pinned("guarded", "porthos", blocked_operations={"clean_shutdown": "ask Anna"})
    by_chain = Policy(chains={"local_disk": ("shutdown",)})
    (stop,) = forecasting.forecast(world(guarded), by_chain).blockers
    assert "ask Anna" in stop.sentence
    assert forecasting.forecast(world(guarded), Policy(strategies={"guarded": "shutdown"})).blockers == ()
    given = strategies.Consents({"guarded": "ann@desk"})
    assert stops(forecasting.forecast(world(guarded), by_chain, consents=given)) == [
        ("guarded", "shutdown", "local_disk", "ann@desk")
    ]


def test_the_ground_rota_stands_on_is_never_stopped() -> None:
    """Neither its own VM nor those that it needs, whatever policy says."""
    for ground in ("rota_vms", "needed_vms"):
        found = replace(world(pinned("scratch", "porthos")), **{ground: ("vm-scratch",)})  # type: ignore[arg-type]
        (stop,) = forecasting.forecast(found, Policy(strategies={"scratch": "shutdown"})).blockers
        assert "Rota" in stop.sentence


def test_a_host_is_left_out_for_a_vms_sake_but_never_the_master() -> None:
    """It is noted in the plan; no member would be updated before the master."""
    policy = Policy(strategies={"scratch": "skip_host"})
    shown = forecasting.forecast(world(pinned("scratch", "porthos")), policy)
    assert [turn.host.name for turn in shown.turns] == ["athos", "aramis"]
    assert any("porthos is left out for the sake of scratch" in note for note in shown.notes)
    (stop,) = forecasting.forecast(world(pinned("scratch", "athos")), policy).blockers
    assert stop.code == "MASTER_LEFT_OUT"


def test_a_consent_changes_nothing_in_the_plan_that_was_agreed_to() -> None:
    """The digest is of what is done, not of who agreed."""
    found, policy = world(pinned("scratch", "porthos")), Policy(strategies={"scratch": "ask"})
    given = strategies.Consents({"scratch": "ann@desk"})
    assert forecasting.forecast(found, policy).digest == forecasting.forecast(found, policy, consents=given).digest


# --- carried out ------------------------------------------------------------------------------------------------------

SHUT = Policy(strategies={"scratch": "shutdown", "data": "suspend"})


def order_of(play: Play) -> list[str]:
    """The names of VMs as they were stopped (-) and started (+)."""
    signs = {"shutdown_vm": "-", "suspend_vm": "-", "start_vm": "+", "resume_vm": "+"}
    return [f"{signs[act.kind]}{act.vm.name}" for act in play.done if isinstance(act, (acts.Stop, acts.Start))]


def at_home(play: Play) -> bool:
    """Whether every VM runs where it lived."""
    return all(
        one.power_state == "running" and one.host == play.run.homes[one.uuid].host.uuid for one in play.world.vms
    )


def test_vms_are_stopped_last_and_started_first_in_their_order() -> None:
    """What can move has moved before anything is stopped; what starts later stops first."""
    first = pinned("data", "porthos", start_order=0, start_delay=30)
    then = pinned("scratch", "porthos", start_order=1)
    play = Play(world(first, then, vm("mail", "porthos")), SHUT).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert order_of(play) == ["-scratch", "-data", "+data", "+scratch"]
    assert at_home(play)
    kinds = play.kinds()
    assert (
        "migrate_vm" not in kinds[kinds.index("shutdown_vm") : kinds.index("reboot_host", kinds.index("shutdown_vm"))]
    )
    (resumed,) = (act for act in play.done if isinstance(act, acts.ResumeVM))
    assert resumed.settle == 30.0


def test_a_pool_of_one_host_is_updated() -> None:
    """Everything goes down and comes back, by the chain of that cause."""
    play = Play(world(vm("db", "athos"), hosts=1), Policy(chains={"one_host": ("suspend", "shutdown")})).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert sorted(order_of(play)) == ["+db", "+web", "-db", "-web"]
    assert at_home(play)


def test_an_order_gives_its_consent_with_the_name_of_who_gave_it() -> None:
    """To `ask` it is the answer."""
    play = Play(world(pinned("scratch", "porthos")), Policy(strategies={"scratch": "ask"}))
    play.order(commands.StartRun(pool="lab", consents=("scratch",)))
    play.play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert [act.consent for act in play.done if isinstance(act, acts.Stop)] == ["ann@desk"]


def test_who_is_to_be_asked_is_asked_with_the_plan() -> None:
    """Nothing is touched before somebody approved it, and the stop carries that."""
    play = Play(world(pinned("scratch", "porthos")), Policy(strategies={"scratch": "ask"})).start()
    while "approval_asked" not in play.names():
        assert play.step()
    assert play.kinds() == ["survey"]
    asked = next(fact for fact, _ in play.journal if isinstance(fact, facts.ApprovalAsked))
    assert "It stops scratch" in asked.sentence
    play.order(commands.ApproveRun(pool="lab", run=play.run.id, digest=asked.digest), orders.Given("yes", "bob@desk"))
    play.play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert [act.consent for act in play.done if isinstance(act, acts.Stop)] == ["bob@desk"]


def test_policy_may_ask_for_approval_of_any_stop_and_of_nothing_else() -> None:
    """A plan that stops nobody begins by itself; one that does is asked for, whoever consented before."""
    policy = Policy(approval="stops", chains={"local_disk": ("shutdown",)})
    free = Play(world(), policy).start().play()
    assert free.run.outcome == "succeeded"
    assert "approval_asked" not in free.names()

    play = Play(world(pinned("scratch", "porthos")), policy).start()
    asked = _until_asked(play)
    assert play.kinds() == ["survey"]
    assert asked.sentence.endswith(" It stops scratch.")
    play.order(commands.ApproveRun(pool="lab", run=play.run.id, digest=asked.digest), orders.Given("yes", "bob@desk"))
    play.play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert play.names().count("approval_asked") == 1


def test_a_stop_that_the_approved_plan_did_not_have_is_asked_for_before_its_turn() -> None:
    """Somebody started a VM with a local disk since."""
    policy = Policy(approval="stops", chains={"local_disk": ("shutdown",)})
    play = Play(world(), policy).start()
    while "disable_host" not in play.kinds("athos"):
        assert play.step()
    play.world = replace(play.world, vms=(*play.world.vms, pinned("late", "porthos")))
    asked = _until_asked(play)
    assert asked.host is not None
    assert (asked.host.name, asked.changes) == ("porthos", ("late is stopped, which the plan did not say.",))
    assert not any(isinstance(act, acts.Stop) for act in play.done)


def test_a_vm_that_wants_its_host_left_out_and_came_after_the_plan_holds_the_run_for_a_word() -> None:
    """The host is not touched; a person leaves it out, and the rest goes on."""
    play = Play(world(), Policy()).start()
    while "disable_host" not in play.kinds("athos"):
        assert play.step()
    late = pinned("late", "porthos", strategy="skip_host")
    play.world = replace(play.world, vms=(*play.world.vms, late))
    play.play()
    assert play.run.hold
    assert "porthos is to be left out for late, which came after the plan: skip the host, or move it" in (
        play.run.hold.because
    )
    assert "disable_host" not in play.kinds("porthos")
    (porthos,) = (one.named for one in play.world.hosts if one.name == "porthos")
    play.order(commands.SkipHost(pool="lab", run=play.run.id, host=porthos.name), orders.Given("skip", "bob"))
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), orders.Given("resume", "bob"))
    play.play()
    assert play.run.outcome in ("succeeded", "succeeded_with_warnings"), play.sentences[-3:]
    assert play.kinds().count("reboot_host") == 2
    assert "reboot_host" not in play.kinds("porthos")
    assert all(one.power_state == "running" for one in play.world.vms)


def _until_asked(play: Play) -> facts.ApprovalAsked:
    while "approval_asked" not in play.names():
        assert play.step(), play.sentences[-3:]
    return next(fact for fact, _ in play.journal if isinstance(fact, facts.ApprovalAsked))


def test_an_owner_who_stopped_his_vm_meanwhile_has_it_so() -> None:
    """It is not ours to start."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if isinstance(command.act, acts.ShutdownVM):
            play._power(command.act.vm, "halted", None)
        if isinstance(command.act, acts.StartVM):
            return facts.StepSucceeded(
                pool="lab", run=command.run, step=command.step, attempt=command.attempt, result=acts.Started(gone=True)
            )
        return None

    play = Play(world(pinned("scratch", "porthos")), SHUT, trouble).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert next(one for one in play.world.vms if one.name == "scratch").power_state == "halted"


def test_a_guest_that_does_not_shut_down_holds_the_run_and_a_cancel_takes_the_turn_back() -> None:
    """Nothing else was stopped for it, and everything goes home."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        deaf = isinstance(command.act, acts.ShutdownVM)
        return failed(command, "scratch does not listen.", who_can_help="the VM's owner") if deaf else None

    play = Play(world(pinned("scratch", "porthos")), SHUT, trouble).start().play()
    assert play.run.hold
    assert "does not listen" in play.run.hold.because
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    assert at_home(play)
    assert all(one.enabled for one in play.world.hosts)


def test_a_vm_that_does_not_start_holds_the_run_and_is_owed_after_a_cancel() -> None:
    """The others start all the same; the debt carries the command, and is tried again by itself."""
    broken = [True]

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        starts = isinstance(command.act, acts.StartVM)
        return failed(command, "scratch finds no GPU.") if broken[0] and starts else None

    found = world(pinned("scratch", "porthos"), pinned("data", "porthos"))
    play = Play(found, SHUT, trouble).start().play()
    assert play.run.hold
    assert "+data" in order_of(play)
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    (owed,) = play.book.owed.values()
    assert (owed.setting, owed.command) == ("the start of scratch", "xe vm-start uuid=vm-scratch on=porthos")
    broken[0] = False
    play.now += 7 * 3600
    play.play()
    assert play.book.owed == {}
    assert all(one.power_state == "running" for one in play.world.vms)


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_at_any_moment_leaves_no_vm_down(now: bool) -> None:
    """Both forms, after each fact and each act of a run with VMs that must be stopped on the first and a later host."""
    found = world(pinned("scratch", "athos"), pinned("data", "porthos"))
    going, downs = Play(found, SHUT).start(), 0
    while going.step():
        play = forked(going)
        if not play.run.open or not play.run.began_at:
            continue
        downs += any(one.power_state != "running" for one in play.world.vms)
        play.cancel(now=now)
        over = play.play().run
        assert over.outcome, play.sentences[-3:]
        assert all(one.power_state == "running" for one in play.world.vms), (going.sentences[-1], over.sentence)
        assert all(one.enabled for one in play.world.hosts), going.sentences[-1]
        bound = [one for one in play.world.vms if one.name in ("scratch", "data")]
        assert all(one.host == over.homes[one.uuid].host.uuid for one in bound), going.sentences[-1]
    assert downs > 20


def forked(play: Play) -> Play:
    """The same play, to go on by itself."""
    return replace(
        play,
        journal=[*play.journal],
        done=[*play.done],
        sentences=[*play.sentences],
        snapshots={**play.snapshots},
        away={**play.away},
    )
