"""The core carried out on a pool that is only a value: a run from order to end, and what may go wrong on the way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.planner import advance, forecasting, orders
from shared.domain import acts, commands, facts
from shared.domain.model import HA, PoolSettings
from shared.domain.policy import Policy
from shared.domain.run import RunState
from tests.services.planner.play import GIB, NEW, UPDATES, Play, failed, host, pool, vm


def homes(play: Play) -> dict[str, str | None]:
    """Where each VM is."""
    return {one.name: one.host for one in play.world.vms}


def test_a_run_updates_every_host_master_first_and_brings_every_vm_home() -> None:
    """From order to end: master first, each host rebooted once, two moves a VM, everything put back."""
    before = pool()
    play = Play(before).start().play()

    assert play.run.outcome == "succeeded"
    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos", "aramis", "porthos"]
    assert homes(play) == {one.name: one.host for one in before.vms}
    assert play.kinds().count("migrate_vm") == 2 * len(before.vms)
    assert all(one.enabled and one.versions == NEW and not one.updates for one in play.world.hosts)
    assert play.world.settings == before.settings


def test_a_turn_goes_in_its_order() -> None:
    """Survey, disable, empty, sweep, install, note, reboot, gate, enable, home, and the first guests are watched."""
    play = Play(pool()).start().play()

    order = list(dict.fromkeys(play.kinds("athos")))
    assert order == [
        "disable_host",
        "migrate_vm",
        "evacuate_rest",
        "install_updates",
        "read_host",
        "reboot_host",
        "check_gate",
        "enable_host",
        "watch_guests",
    ]
    assert play.kinds("athos")[-3:] == ["migrate_vm", "migrate_vm", "watch_guests"]


def test_a_turns_own_look_asks_its_host_alone_for_updates() -> None:
    """The run's first look asks every host; looking for updates takes each of them up to a minute."""
    play = Play(pool()).start().play()
    looks = [tuple(host.name for host in act.hosts) for act in play.done if isinstance(act, acts.Survey)]
    assert [*dict.fromkeys(looks)] == [(), ("athos",), ("aramis",), ("porthos",)]


def test_settings_are_changed_before_the_first_turn_and_put_back_after_the_last() -> None:
    """HA and auto_poweron frame the run; auto_poweron waits until the last boot has settled."""
    play = Play(pool()).start().play()

    kinds = play.kinds()
    assert kinds[1:5] == ["claim_pool", "change_pool_setting", "change_pool_setting", "dump_database"]
    assert kinds[-4:] == ["restore_pool_setting", "restore_pool_setting", "post_message", "release_pool"]
    back = [at for fact, at in play.journal if isinstance(fact, facts.WaitOver)]
    restored = [
        at
        for fact, at in play.journal
        if isinstance(fact, facts.StepOrdered)
        and isinstance(fact.act, acts.RestorePoolSetting)
        and fact.act.setting == "auto_poweron"
    ]
    assert restored[0] - back[-1] >= 300


def test_the_homes_are_in_the_journal_before_anything_is_changed() -> None:
    """Where VMs live is noted before the first touch."""
    names = Play(pool()).start().play().names()

    assert names.index("homes_noted") < names.index("run_began") < names.index("turn_begun")


def test_a_member_is_never_installed_above_its_master() -> None:
    """The master has no ceiling; every member has the master as one."""
    play = Play(pool()).start().play()

    ceilings = {act.host.name: act.ceiling for act in play.done if isinstance(act, acts.InstallUpdates)}
    assert ceilings["athos"] is None
    assert {one.name for one in (ceilings["porthos"], ceilings["aramis"]) if one} == {"athos"}


def test_hosts_with_nothing_to_do_are_left_alone() -> None:
    """A host without updates has no turn."""
    play = Play(pool([host("athos"), host("porthos", updates=()), host("aramis")])).start().play()

    assert [act.host.name for act in play.done if isinstance(act, acts.RebootHost)] == ["athos", "aramis"]


def test_a_pool_with_nothing_to_do_ends_at_once_and_is_not_touched() -> None:
    """No update anywhere: a run of one survey."""
    play = Play(pool([host("athos", updates=()), host("porthos", updates=())])).start().play()

    assert (play.run.outcome, play.kinds()) == ("succeeded", ["survey"])
    assert "Nothing to do" in play.run.sentence


def test_a_vm_on_local_storage_is_named_before_anything_starts() -> None:
    """A forgotten local disk refuses the run with the VM, the host, the storage and the fix."""
    hosts = (host("athos", attached=("sr-nfs", "sr-local")), host("porthos"))
    play = Play(pool(hosts, [vm("db", "athos", srs=("sr-nfs", "sr-local"))])).start().play()

    assert (play.run.outcome, play.kinds()) == ("refused", ["survey"])
    assert "VM db cannot leave athos" in play.run.sentence
    assert "Local storage" in play.run.sentence


def test_a_pool_without_room_says_how_much_is_missing() -> None:
    """The sentence says which VM and how many MiB."""
    hosts = (host("athos", 32), host("porthos", 32))
    play = Play(pool(hosts, [vm("big", "athos", 20), vm("web", "porthos", 16)])).start().play()

    assert play.run.outcome == "refused"
    assert "VM big cannot leave athos: it needs 20480 MiB and the roomiest host is 6144 MiB short" in play.run.sentence


def test_a_second_run_is_refused_with_the_name_of_the_first() -> None:
    """One run at a time has the pool."""
    play = Play(pool()).start()
    answer = play.order(commands.StartRun(pool="lab"), orders.Given("order-2", "bob"))

    (refused,) = answer.facts
    assert isinstance(refused, facts.RunRefused)
    assert play.run.id in refused.because
    assert "ann@desk" in refused.because


def test_an_order_delivered_twice_starts_nothing_new() -> None:
    """The run's id is made from the order's, so a redelivery finds it."""
    play = Play(pool()).start()

    assert play.order(commands.StartRun(pool="lab")).facts == ()


def test_a_survey_that_fails_refuses_the_run_and_frees_the_pool() -> None:
    """Wrong credentials: one sentence, nothing changed."""

    def wrong(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        return failed(command, "Pool lab refuses the password of root; mend it in rota.toml.")

    play = Play(pool(), trouble=wrong).start().play()

    assert (play.run.outcome, play.book.open) == ("refused", None)
    assert "refuses the password" in play.run.sentence


def test_a_step_that_fails_for_a_while_is_tried_again() -> None:
    """Three failures with a back-off, then it goes."""
    count = iter(range(3))

    def busy(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if command.act.kind == "install_updates" and next(count, None) is not None:
            return failed(command, "The updater of athos is busy.", again_after=10.0)
        return None

    play = Play(pool(), trouble=busy).start().play()

    assert play.run.outcome == "succeeded"
    assert play.names().count("step_failed") == 3


def test_a_step_that_keeps_failing_holds_the_run_and_a_person_lets_it_go_on() -> None:
    """Five attempts, a hold with the sentence, a resume, and the run ends as it would have."""
    mended = False

    def stuck(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if command.act.kind == "install_updates" and not mended:
            return failed(command, "The mirror of athos does not answer.", again_after=10.0)
        return None

    play = Play(pool(), trouble=stuck).start().play()
    assert play.run.state is RunState.HELD
    assert play.run.hold is not None
    assert "mirror of athos" in play.run.hold.because

    mended = True
    play.order(commands.ResumeRun(pool="lab", run=play.run.id), orders.Given("go", "bob"))
    play.play()
    assert play.run.outcome == "succeeded"


def test_a_held_step_can_be_skipped_by_a_person() -> None:
    """Skip answers for one step; the run goes on."""

    def stuck(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if isinstance(command.act, acts.CheckGate) and command.act.host.name == "athos":
            return failed(command, "Storage NFS does not plug on athos.")
        return None

    play = Play(pool(), trouble=stuck).start().play()
    assert play.run.hold is not None
    assert play.run.hold.step is not None
    skip = commands.SkipStep(pool="lab", run=play.run.id, step=play.run.hold.step)
    play.order(skip, orders.Given("skip", "bob"))
    play.play()

    assert play.run.outcome in ("succeeded", "succeeded_with_warnings")


def test_a_vm_that_cannot_go_home_is_a_warning_and_is_named() -> None:
    """The host is patched all the same; the report says which VM is not home."""

    def no_room(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "home" and act.vm.name == "athos-1":
            return failed(command, "athos-1 cannot go home to athos: not enough memory.", code="HOST_NOT_ENOUGH")
        return None

    play = Play(pool(), trouble=no_room).start().play()

    assert play.run.outcome == "succeeded_with_warnings"
    assert any("athos-1 cannot go home" in warning for warning in play.run.warnings)
    assert [one.name for one in play.run.stranded.values()] == ["athos-1"]


def test_a_vm_that_could_not_go_home_goes_straight_home_when_its_parking_host_is_emptied() -> None:
    """Parked on a host whose turn comes, it goes home and not to a third host."""
    tries = iter(range(1))

    def once(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "home" and next(tries, None) is not None:
            return failed(command, f"{act.vm.name} cannot go home now.")
        return None

    before = pool()
    play = Play(before, trouble=once).start().play()

    assert homes(play) == {one.name: one.host for one in before.vms}


def test_the_fence_sends_a_turn_back_to_disable_and_sweep() -> None:
    """A VM appeared before the reboot: disable and sweep again, then reboot; the newcomer goes home too."""
    came = iter(range(1))

    def newcomer(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        if command.act.kind == "reboot_host" and next(came, None) is not None:
            late = vm("late", "athos", 2)
            play.world = replace(play.world, vms=(*play.world.vms, late))
            return failed(command, "VM late is on athos.", go_back_to="disable_host")
        return None

    play = Play(pool(), trouble=newcomer).start().play()

    assert play.run.outcome == "succeeded"
    assert play.kinds("athos").count("disable_host") == 2
    assert play.kinds("athos").count("install_updates") == 1
    assert homes(play)["late"] == "host-athos"


def test_a_host_that_never_comes_back_holds_the_run_at_its_deadline() -> None:
    """No member is touched while the master is away; after 45 minutes a person is asked."""
    play = Play(pool()).start()
    while not play.away:
        play.step()
    play.away.clear()
    play.play()

    assert play.run.state is RunState.HELD
    assert play.run.hold is not None
    assert "athos has not come back" in play.run.hold.because
    assert not play.kinds("porthos")


def test_a_host_that_is_lost_stops_the_next_turn() -> None:
    """A host that dies by itself is known, named, and nothing new begins."""
    play = Play(pool()).start()
    while "turn_ended" not in play.names():
        play.step()
    lost = facts.HostDown(pool="lab", host="host-porthos", name="porthos", seen_at=play.now)
    play.say(lost)
    play.play()

    assert play.run.state is RunState.HELD
    assert "host_lost" in play.names()
    assert "reboot_host" not in play.kinds("aramis")


def test_a_restore_that_is_refused_is_owed_and_paid_by_the_next_run() -> None:
    """HA cannot be switched on now: cause, condition, command; the next run puts it back."""

    def refused(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.RestorePoolSetting) and act.setting == "ha":
            debt = facts.Debt(setting="ha", condition="all hosts run one version", command="xe pool-ha-enable")
            return failed(command, "HA cannot be switched on: versions differ.", debt=debt)
        return None

    play = Play(pool(), trouble=refused).start().play()
    assert play.run.outcome == "succeeded_with_warnings"
    assert play.book.owed["ha"].command == "xe pool-ha-enable"
    assert not play.world.settings.ha.enabled

    play.trouble = None
    hosts = tuple(replace(one, updates=UPDATES) for one in play.world.hosts)
    play.world = replace(play.world, hosts=hosts)
    play.order(commands.StartRun(pool="lab"), orders.Given("order-2", "ann"))
    play.play()
    assert play.world.settings.ha == HA(True, ("sr-nfs",), {}, 1)
    assert not play.book.owed
    assert "setting_paid" in play.names()


def test_what_is_owed_is_tried_again_by_itself_and_paid() -> None:
    """Nobody starts another run: six hours later it is tried, and once more, until the pool takes it."""
    tries = iter(range(2))

    def refused(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.RestorePoolSetting) and act.setting == "ha" and next(tries, None) is not None:
            debt = facts.Debt(setting="ha", condition="all hosts run one version", command="xe pool-ha-enable")
            return failed(command, "HA cannot be switched on: versions differ.", debt=debt)
        return None

    play = Play(pool(), trouble=refused).start().play()
    first = play.run
    assert first.outcome == "succeeded_with_warnings"

    while play.book.owed:
        decision = advance.decide(play.book, play.now, play.snapshots)
        assert decision.wake_at is not None
        play.now = decision.wake_at
        play.play()
    assert play.world.settings.ha == HA(True, ("sr-nfs",), {}, 1)
    assert (play.run.purpose, play.run.outcome, play.run.sentence) == ("pay", "succeeded", "What was owed is paid.")
    assert play.now - first.ended_at >= 12 * 3600


def test_what_is_owed_is_tried_again_when_a_host_comes_back() -> None:
    """Two minutes after it."""
    mended = False

    def refused(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.RestorePoolSetting) and act.setting == "ha" and not mended:
            return failed(command, "HA cannot be switched on: porthos is down.")
        return None

    play = Play(pool(), trouble=refused).start().play()
    mended = True
    play.now += 600
    back = facts.HostCameBack(
        pool="lab", host="host-porthos", name="porthos", seen_at=play.now, boot_time=1.0, agent_start_time=1.0,
        servertime=1.0,
    )  # fmt: skip
    play.say(back)
    assert advance.decide(play.book, play.now, play.snapshots).wake_at == play.now + 120

    play.now += 121
    play.play()
    assert not play.book.owed


def test_a_vm_that_its_owner_moved_has_a_new_home() -> None:
    """A move that no order explains is a fact of life: home is where it was put."""
    moved = False

    def owner(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        nonlocal moved
        if command.step == "t02-s001" and not moved:
            moved = True
            vms = tuple(replace(one, host="host-aramis") if one.name == "athos-1" else one for one in play.world.vms)
            play.world = replace(play.world, vms=vms)
        return None

    play = Play(pool(), trouble=owner).start().play()

    assert play.run.outcome == "succeeded"
    assert homes(play)["athos-1"] == "host-aramis"


@pytest.mark.parametrize("now", [False, True], ids=["after this turn", "now"])
@pytest.mark.parametrize("boundary", range(0, 97, 2))
def test_a_cancel_at_any_boundary_leaves_no_host_disabled_and_no_vm_away(boundary: int, now: bool) -> None:
    """Whenever it comes, and in both forms: hosts enabled, VMs home, settings put back, none half updated."""
    before = pool()
    play = Play(before).start()
    for _ in range(boundary):
        play.step()
    play.cancel(now=now)
    play.play()

    finished = all(not one.updates for one in play.world.hosts)
    assert play.run.outcome == "cancelled" or (finished and play.run.outcome == "succeeded")
    assert all(one.enabled for one in play.world.hosts)
    assert homes(play) == {one.name: one.host for one in before.vms}
    assert play.world.settings == before.settings
    assert all((not one.updates) == (one.versions == NEW) for one in play.world.hosts)


def test_a_cancel_says_for_each_host_what_it_means() -> None:
    """The answer comes at once and names the hosts."""
    play = Play(pool()).start()
    while "install_updates" not in play.kinds():
        play.step()
    play.cancel(now=True)

    assert play.run.cancel is not None
    assert "athos is being updated, which is never interrupted" in play.run.cancel.sentences[0]
    assert "aramis, porthos stay as they are" in play.run.cancel.sentences[1]


def test_policy_cancel_turns_back_when_emptying_fails() -> None:
    """on_failure = cancel: the turn goes back, and the run has failed."""

    def stuck(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.purpose == "empty" and act.vm.name == "athos-2":
            return failed(command, "athos-2 cannot be moved.")
        return None

    before = pool()
    play = Play(before, Policy(on_failure="cancel"), stuck).start().play()

    assert play.run.outcome == "failed"
    assert homes(play) == {one.name: one.host for one in before.vms}
    assert all(one.enabled for one in play.world.hosts)


def test_a_paused_run_orders_nothing_until_it_is_resumed() -> None:
    """Pause lets what is under way end, and no more."""
    play = Play(pool()).start()
    while "disable_host" not in play.kinds():
        play.step()
    play.order(commands.PauseRun(pool="lab", run=play.run.id), orders.Given("p", "bob"))
    play.play()
    paused_at = len(play.done)
    assert play.run.state is RunState.PAUSED

    play.order(commands.ResumeRun(pool="lab", run=play.run.id), orders.Given("r", "bob"))
    play.play()
    assert len(play.done) > paused_at
    assert play.run.outcome == "succeeded"


def test_a_cancelled_run_that_is_paused_waits_to_be_resumed_before_it_finishes() -> None:
    """That it finishes is said once, and not again and again to a run that stands still."""
    play = Play(pool()).start()
    while "change_pool_setting" not in play.kinds():
        play.step()
    play.cancel(now=False)
    play.order(commands.PauseRun(pool="lab", run=play.run.id), orders.Given("p", "bob"))
    play.play()
    assert play.run.state is RunState.PAUSED
    assert "run_finishing" not in play.names()

    play.order(commands.ResumeRun(pool="lab", run=play.run.id), orders.Given("r", "bob"))
    play.play()
    assert play.names().count("run_finishing") == 1
    assert play.run.outcome == "cancelled"


@pytest.mark.parametrize(
    ("policy", "at_once"),
    [({}, 3), ({"migrations_per_source": 9}, 4), ({"migrations_per_pool": 2}, 2), ({"migrations_per_pool": 9}, 3)],
)
def test_migrations_at_once_are_bounded_per_source_destination_and_pool(policy: dict[str, int], at_once: int) -> None:
    """Three from one host, four into one; in the whole pool as many as that allows, unless policy says fewer."""
    vms = [vm(f"a{n}", "athos", 1) for n in range(10)]
    play = Play(pool((host("athos"), host("porthos")), vms), Policy.model_validate(policy)).start()
    most = 0
    while play.step():
        going = [
            order.act
            for order in advance.outstanding(play.run)
            if isinstance(order.act, acts.MigrateVM) and order.act.purpose == "empty"
        ]
        most = max(most, len(going))

    assert most == at_once


def test_every_waiting_has_a_sentence() -> None:
    """Whenever nothing is written, the decision says what is waited for."""
    play = Play(pool(settings=PoolSettings())).start()
    while play.book.open:
        decision = advance.decide(play.book, play.now, play.snapshots)
        assert decision.sentence
        assert "OpaqueRef" not in decision.sentence
        play.step()


def test_a_decision_carries_the_sequence_it_was_made_from() -> None:
    """The guard is the book's own number, whatever was folded since."""
    play = Play(pool()).start()
    decision = advance.decide(play.book, play.now, play.snapshots)
    made_from = play.book.after
    play.step()

    assert decision.after == made_from < play.book.after


def test_guests_are_not_squeezed_unless_the_owner_says_so() -> None:
    """A placement that needs ballooning is refused, and taken with squeeze."""
    hosts = (host("athos", 34), host("porthos", 34))
    vms = [vm("a", "athos", 8, memory_now=24 * GIB), vm("b", "porthos", 8, memory_now=24 * GIB)]
    assert Play(pool(hosts, vms)).start().play().run.outcome == "refused"

    squeezed = Play(pool(hosts, vms), Policy(squeeze=True)).start().play()
    assert squeezed.run.outcome == "succeeded_with_warnings"
    assert "may be squeezed" in squeezed.run.warnings[0]


def test_what_a_policy_asks_and_rota_cannot_do_is_refused() -> None:
    """Never ignored: the sentence names the field."""
    play = Play(pool())
    answer = play.order(commands.StartRun(pool="lab", policy={"install": "pool_first"}))

    (refused,) = answer.facts
    assert isinstance(refused, facts.RunRefused)
    assert "install" in refused.because


def test_a_plan_that_is_no_longer_the_one_agreed_to_is_refused() -> None:
    """The digest of another forecast refuses the run before anything is changed; the right one starts it."""
    right = forecasting.forecast(pool(), Policy()).digest
    for digest, outcome in (("0" * 16, "refused"), (right, "succeeded")):
        play = Play(pool())
        play.order(commands.StartRun(pool="lab", digest=digest))
        play.play()

        assert play.run.outcome == outcome


def test_a_client_may_hold_a_run_with_a_reason() -> None:
    """A disk that is full: nothing new begins until somebody resumes."""
    play = Play(pool()).start()
    while "disable_host" not in play.kinds():
        play.step()
    hold = commands.HoldRun(pool="lab", run=play.run.id, because="The disk of rota-data is full.")
    play.order(hold, orders.Given("h", "rota up"))
    play.play()
    assert play.run.hold is not None
    assert play.run.hold.because == "The disk of rota-data is full."

    play.order(commands.ResumeRun(pool="lab", run=play.run.id), orders.Given("r", "bob"))
    assert play.play().run.outcome == "succeeded"


def test_a_policy_field_that_there_is_not_is_named_with_those_there_are() -> None:
    """A slip of the pen is told, not ignored."""
    (refused,) = Play(pool()).order(commands.StartRun(pool="lab", policy={"max_awy": 1})).facts

    assert isinstance(refused, facts.RunRefused)
    assert "no field 'max_awy'" in refused.because
    assert "max_away" in refused.because
