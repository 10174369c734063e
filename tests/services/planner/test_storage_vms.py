"""VMs that serve storage to their own pool: known, shown, refused where they cannot be worked with, and their hosts'
turns, whose every boundary has a way back or a way on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from services.planner import claims, forecasting, orders, storage_vms
from shared.domain import acts, commands, facts
from shared.domain.model import SR, VM, Disc, Disk, PoolSnapshot, StorageVM
from shared.domain.names import Named
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, Play, failed, host, pool, vm
from tests.services.planner.test_strategies import forked, order_of, stops

SHUT = Policy(owner="ops", chains={"storage_vm": ("shutdown",)})
BLOCKED = {"clean_shutdown": "serves storage"}


def disk(sr: str, *, shared: bool = True) -> Disk:
    """A disk on an SR."""
    return Disk(f"disk-{sr}", f"disk on {sr}", sr, GIB, shared=shared)


def on(name: str, where: str, sr: str, **changes: Any) -> VM:
    """A VM with a disk on an SR."""
    return vm(name, where, srs=(sr,), disks=(disk(sr),), **changes)


def filer(name: str, where: str, **changes: Any) -> VM:
    """A storage VM, which its disk binds to its host."""
    local = f"sr-{where}"
    plain = vm(name, where, srs=(local,), disks=(disk(local, shared=False),), blocked_operations=BLOCKED)
    return replace(plain, **changes)


def world(*more: VM, **changes: Any) -> PoolSnapshot:
    """Athos and porthos carry a storage VM each; three VMs use what they serve, wherever they run."""
    names = ("athos", "porthos", "aramis")
    srs = ("sr-nfs", "sr-a", "sr-p")
    hosts = [host(name, attached=(*srs, f"sr-{name}")) for name in names]
    vms = (
        filer("filer-a", "athos"),
        filer("filer-p", "porthos"),
        vm("web", "athos"),
        on("shop", "athos", "sr-a"),
        on("wiki", "porthos", "sr-a"),
        on("db", "aramis", "sr-p"),
    )
    found = pool(hosts, (*vms, *more))
    local = (SR(f"sr-{name}", f"Local storage on {name}", "ext", False) for name in names)
    shared = (SR("sr-nfs", "NFS", "nfs", True), SR("sr-a", "Depot a", "nfs", True), SR("sr-p", "Depot p", "nfs", True))
    declared = (StorageVM("filer-a", "Depot a", "athos"), StorageVM("vm-filer-p", "sr-p", "host-porthos"))
    plain = replace(found, srs=(*shared, *local), storage_vms=declared)
    return replace(plain, **changes)


def changed(found: PoolSnapshot, name: str, **changes: Any) -> PoolSnapshot:
    """The same with one VM otherwise."""
    vms = tuple(replace(one, **changes) if one.name == name else one for one in found.vms)
    return replace(found, vms=vms)


# --- known and shown --------------------------------------------------------------------------------------------------


def test_the_chain_from_host_to_vms_is_shown_in_the_plan() -> None:
    """Who serves what to which hosts, who uses it, and who cannot be started meanwhile."""
    shown = forecasting.forecast(world(vm("old", None, srs=("sr-a",), disks=(disk("sr-a"),))), SHUT)
    assert shown.blockers == ()
    assert "filer-a on athos serves 'Depot a' to aramis, athos, porthos; shop, wiki have disks on it." in shown.notes
    assert "filer-p on porthos serves 'Depot p' to aramis, athos, porthos; db has disks on it." in shown.notes
    assert any(note.startswith("old cannot be started while athos is in its turn") for note in shown.notes)
    assert stops(shown) == [
        ("shop", "shutdown", "storage_vm", "ops"),
        ("wiki", "shutdown", "storage_vm", "ops"),
        ("filer-a", "shutdown", "storage_vm", "ops"),
        ("db", "shutdown", "storage_vm", "ops"),
        ("filer-p", "shutdown", "storage_vm", "ops"),
    ]
    wiki = next(one for one in shown.turns[0].stops if one.vm.name == "wiki")
    assert wiki.host == Named("host-porthos", "porthos")
    assert wiki.starts_on == Named("host-athos", "athos")


def test_a_storage_vm_is_known_by_its_tag_too() -> None:
    """With the SR's name or uuid; its owner's tag is his consent."""
    found = changed(world(storage_vms=()), "filer-a", tags=("rota:serves:Depot a",))
    (service,) = storage_vms.read(found).services
    assert (service.vm.name, service.sr.name, service.home.name) == ("filer-a", "Depot a", "athos")
    shown = forecasting.forecast(found, SHUT)
    assert ("filer-a", "shutdown", "storage_vm", "the owner of filer-a") in stops(shown)


@pytest.mark.parametrize(
    ("declared", "because"),
    [
        (StorageVM("filer-x", "Depot a", "athos"), "names a VM 'filer-x', and pool Lab has none of that name"),
        (StorageVM("filer-a", "Depot x", "athos"), "filer-a serves 'Depot x', and pool Lab has no SR of that name"),
        (StorageVM("filer-a", "Depot a", "milady"), "filer-a lives on 'milady', and there are athos, porthos, aramis"),
        (
            StorageVM("filer-a", "Depot a", "aramis"),
            "lives on aramis, and it runs on athos, which its disks bind it to",
        ),
    ],
)
def test_what_is_declared_and_not_so_is_refused_with_its_name(declared: StorageVM, because: str) -> None:
    """Before the start."""
    shown = forecasting.forecast(world(storage_vms=(declared,)), SHUT)
    assert any(because in stop.sentence for stop in shown.blockers), shown.blockers


def test_a_storage_vm_that_is_down_is_told() -> None:
    """Nothing of its chain can be judged; it is no matter to other hosts."""
    found = changed(world(), "filer-p", power_state="halted", host=None)
    shown = forecasting.forecast(found, SHUT)
    assert any(
        "filer-p, which serves 'Depot p' to this pool, is halted; start it" in s.sentence for s in shown.blockers
    )
    assert forecasting.forecast(found, SHUT.model_copy(update={"only": ("athos", "aramis")})).blockers == ()


def test_a_turn_is_held_whose_storage_vm_is_not_clear_any_more() -> None:
    """Its SR was given another name meanwhile: it is never stopped as if it served nobody."""
    chains = {"storage_vm": ("shutdown",), "local_disk": ("shutdown",)}
    play = Play(world(), Policy.model_validate({"owner": "ops", "chains": chains})).start()
    while not play.run.began_at:
        play.step()
    srs = tuple(replace(sr, name="Depot renamed") if sr.uuid == "sr-a" else sr for sr in play.world.srs)
    play.world = replace(play.world, srs=srs)
    play.play()
    assert play.run.hold
    assert "filer-a serves 'Depot a', and pool Lab has no SR of that name" in play.run.hold.because
    assert order_of(play) == []


def test_storage_vms_that_need_each_other_are_refused_with_the_circle() -> None:
    """Neither could be stopped first."""
    found = changed(world(), "filer-a", srs=("sr-athos", "sr-p"))
    found = changed(found, "filer-p", srs=("sr-porthos", "sr-a"))
    circles = [stop for stop in forecasting.forecast(found, SHUT).blockers if stop.code == "STORAGE_CIRCLE"]
    (circle,) = (stop.sentence for stop in circles)
    assert circle == (
        "Storage VMs need each other in a circle: filer-a has a disk on 'Depot p', which filer-p serves; filer-p has a"
        " disk on 'Depot a', which filer-a serves. None of them can be stopped first, so no host of theirs can be"
        " updated; move one of these disks to other storage."
    )


def test_a_storage_vm_on_anothers_storage_is_refused() -> None:
    """Two of them would be down together."""
    found = changed(world(), "filer-p", srs=("sr-porthos", "sr-a"))
    codes = {stop.code for stop in forecasting.forecast(found, SHUT).blockers}
    assert codes == {"STORAGE_VM_CHAIN"}


@pytest.mark.parametrize(
    ("change", "policy", "because"),
    [
        (lambda one: one, Policy(), "VM wiki on porthos uses 'disk on sr-a' on 'Depot a', which filer-a serves"),
        (lambda one: replace(one, needed_vms=("vm-wiki",)), SHUT, "Rota needs wiki"),
        (lambda one: replace(one, rota_vms=("vm-filer-a",)), SHUT, "Rota stands on it, or needs it"),
        (
            lambda one: changed(one, "filer-a", tools=False),
            SHUT,
            "filer-a serves 'Depot a' to this pool and cannot leave",
        ),
        (lambda one: changed(one, "filer-a", strategy="block"), SHUT, "its strategy is 'block'"),
        (
            lambda one: one,
            Policy(chains={"storage_vm": ("migrate_with_storage",)}),
            "it cannot take its disks along, because porthos reaches no SR for its disk 'disk on sr-a'",
        ),
        (lambda one: changed(one, "wiki", power_state="paused"), SHUT, "VM wiki on porthos is paused"),
        (
            lambda one: replace(one, settings=replace(one.settings, suspend_sr="sr-a")),
            Policy(chains={"storage_vm": ("suspend",)}),
            "'Depot a', where its memory would go, is itself away meanwhile",
        ),
    ],
)
def test_what_nobody_consented_to_or_cannot_be_is_refused_with_names(
    change: Callable[[PoolSnapshot], PoolSnapshot], policy: Policy, because: str
) -> None:
    """In the plan, before anything is touched."""
    shown = forecasting.forecast(change(world()), policy)
    assert any(because in stop.sentence for stop in shown.blockers), [stop.sentence for stop in shown.blockers]


def test_a_user_whose_home_falls_behind_and_finds_no_place_is_refused() -> None:
    """It would stay down until its own host is updated."""
    found = changed(world(), "wiki", memory=60 * GIB, memory_now=60 * GIB)
    stopped = [stop.sentence for stop in forecasting.forecast(found, SHUT).blockers]
    assert any("VM wiki on porthos would be down until porthos is updated" in one for one in stopped), stopped


def test_a_storage_vm_that_can_simply_move_serves_on() -> None:
    """Nothing is detached, and nobody stopped."""
    movable = {"srs": ("sr-nfs",), "disks": (disk("sr-nfs"),)}
    found = changed(changed(world(), "filer-a", **movable), "filer-p", **movable)
    shown = forecasting.forecast(found, Policy())
    assert shown.blockers == ()
    assert stops(shown) == []
    play = Play(found).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert "unplug_pbd" not in play.kinds()


# --- carried out ------------------------------------------------------------------------------------------------------


def as_before(play: Play) -> None:
    """Every VM runs at home, every host is enabled and has its storage: the pool is as it was."""
    begun = world()
    assert {one.name: (one.power_state, one.host) for one in play.world.vms} == {
        one.name: (one.power_state, one.host) for one in begun.vms
    }
    for one in play.world.hosts:
        before = begun.host(one.uuid)
        assert before is not None
        assert one.enabled
        assert sorted(one.attached) == sorted(before.attached), one.name


def test_the_hosts_of_storage_vms_have_their_turns_in_the_order_of_conduct_8() -> None:
    """Members let it go before the master and get it back after; the play itself asserts that nothing is detached
    under a user, and no server stopped under a host."""
    play = Play(world(), SHUT).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    as_before(play)
    assert order_of(play) == [
        "-shop", "-wiki", "-filer-a", "+filer-a", "+shop", "+wiki",
        "-db", "-filer-p", "+filer-p", "+db",
    ]  # fmt: skip
    pbds = [act for act in play.done if isinstance(act, (acts.UnplugPBD, acts.PlugPBD)) and act.sr.uuid == "sr-a"]
    assert [(act.kind, act.host.name) for act in pbds] == [
        ("unplug_pbd", "aramis"), ("unplug_pbd", "porthos"), ("unplug_pbd", "athos"),
        ("plug_pbd", "athos"), ("plug_pbd", "porthos"), ("plug_pbd", "aramis"),
    ]  # fmt: skip
    kinds = [act.kind for act in play.done]
    first = [kinds.index(kind) for kind in ("disable_host", "migrate_vm", "shutdown_vm", "check_unused", "unplug_pbd")]
    assert first == sorted(first)
    gate = next(act for act in play.done if isinstance(act, acts.CheckGate))
    assert "sr-a" not in {sr.uuid for sr in gate.attached}
    assert "sr-p" in {sr.uuid for sr in gate.attached}


def test_two_storage_hosts_are_never_away_together() -> None:
    """Nor does any turn begin while storage is detached, however many may be away."""
    play = Play(world(), SHUT.model_copy(update={"max_away": 2})).start()
    while play.step():
        detached = {sr for sr in ("sr-a", "sr-p") if any(sr not in one.attached for one in play.world.hosts)}
        assert len(detached) < 2
        if detached:
            assert len([turn for turn in play.run.turns.values() if turn.host]) == 1
    assert play.run.outcome == "succeeded", play.run.sentence
    as_before(play)


def test_the_plan_knows_that_such_a_turn_is_alone() -> None:
    """It is played through as it will be, though two may be away."""
    shown = forecasting.forecast(world(), SHUT.model_copy(update={"max_away": 2, "order": ("porthos",)}))
    athos, porthos, aramis = shown.turns
    enabled = [max(part.ends for part in turn.parts if part.kind == "check") for turn in (athos, porthos)]
    assert porthos.begins >= enabled[0]
    assert aramis.begins >= enabled[1]


def test_nobody_goes_home_to_an_older_host_where_versions_do_not_differ() -> None:
    """Packages that XAPI does not compare: its users start again where they were."""
    found = world()
    hosts = tuple(replace(one, updates=(replace((one.updates or ())[0], name="tzdata"),)) for one in found.hosts)
    shown = forecasting.forecast(replace(found, hosts=hosts), SHUT)
    assert [one.starts_on for turn in shown.turns for one in turn.stops] == [None] * 5


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_at_any_moment_gives_everything_back(now: bool) -> None:
    """Both forms, after each fact and each act: no VM down, no storage detached, no host disabled; and what is bound
    is at home. The way back or the way on is planned at every step boundary."""
    going, away = Play(world(), SHUT).start(), 0
    while going.step():
        play = forked(going)
        if not play.run.open or not play.run.began_at:
            continue
        away += any("sr-a" not in one.attached or "sr-p" not in one.attached for one in play.world.hosts)
        play.cancel(now=now)
        over = play.play().run
        said = going.sentences[-1]
        assert over.outcome, (said, play.sentences[-3:])
        assert all(one.power_state == "running" for one in play.world.vms), (said, over.sentence)
        for one in play.world.hosts:
            assert one.enabled, said
            assert {"sr-a", "sr-p"} <= {*one.attached}, (said, one.name)
        bound = [one for one in play.world.vms if one.name.startswith("filer")]
        assert all(one.host == over.homes[one.uuid].host.uuid for one in bound), said
        assert play.book.owed == {}, said
    assert away > 40


def reader(name: str, where: str) -> VM:
    """A VM with no more than a disc on Depot a."""
    disc = Disc("disc", "setup.iso", "sr-a", f"drive-{name}")
    return vm(name, where, srs=("sr-nfs", "sr-a"), disks=(disk("sr-nfs"),), discs=(disc,))


def test_a_disc_is_taken_out_where_policy_lets_it_and_put_back_when_its_storage_is_there() -> None:
    """Its VM runs on, on the host in its turn or elsewhere; without leave it is told how to eject it."""
    found = world(reader("setup-1", "athos"), reader("setup-2", "aramis"))
    refused = [stop.sentence for stop in forecasting.forecast(found, Policy()).blockers]
    assert any("eject it (xe vm-cd-eject uuid=vm-setup-2; eject_discs = true)" in one for one in refused)
    policy = SHUT.model_copy(update={"eject_discs": True})
    shown = forecasting.forecast(found, policy)
    assert "setup-2" not in {name for name, _, _, _ in stops(shown)}
    assert any("'setup.iso' is taken out of the drive of setup-2" in note for note in shown.notes)
    play = Play(found, policy).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert {one.name for one in play.world.vms if one.discs} == {"setup-1", "setup-2"}
    kinds = play.kinds()
    assert (
        kinds.index("eject_media") < kinds.index("unplug_pbd") < kinds.index("plug_pbd") < kinds.index("insert_media")
    )


@pytest.mark.parametrize("act", [acts.EjectMedia, acts.UnplugPBD, acts.PlugPBD])
def test_a_cancel_while_a_disc_is_out_puts_it_back(act: type[Any]) -> None:
    """When its storage is there again."""
    found = world(reader("setup-1", "athos"), reader("setup-2", "aramis"))
    play = Play(found, SHUT.model_copy(update={"eject_discs": True})).start()
    while not any(isinstance(one, act) for one in play.done):
        assert play.step()
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    assert {one.name for one in play.world.vms if one.discs} == {"setup-1", "setup-2"}
    assert all("sr-a" in one.attached for one in play.world.hosts)


# --- bad luck ---------------------------------------------------------------------------------------------------------


def deaf(kind: str, name: str, **more: Any) -> Callable[[Play, commands.DoStep], facts.StepFact | None]:
    """One kind of step fails for good, on one thing."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        what = getattr(act, "vm", None) if kind in ("shutdown_vm", "start_vm") else getattr(act, "host", None)
        if act.kind == kind and what is not None and what.name == name:
            return failed(command, f"{name} does not.", **more)
        return None

    return trouble


@pytest.mark.parametrize(
    ("kind", "name"),
    [("shutdown_vm", "filer-a"), ("unplug_pbd", "athos"), ("unplug_pbd", "porthos")],
)
@pytest.mark.parametrize("on_failure", ["hold", "cancel", "skip_host"])
def test_a_failure_after_something_was_detached_gives_the_storage_back_at_once(
    kind: str, name: str, on_failure: str
) -> None:
    """Its users do not wait for a person (conduct 8). It is the master's turn, so nobody else has one."""
    play = Play(world(), SHUT.model_copy(update={"on_failure": on_failure}), deaf(kind, name)).start().play()
    assert play.run.outcome == "failed", (play.run.state, play.run.sentence)
    as_before(play)
    assert play.book.owed == {}


@pytest.mark.parametrize("home", ["athos", "porthos", "aramis"])
def test_a_later_storage_host_that_fails_is_left_out_and_the_run_holds(home: str) -> None:
    """By the budget of failed hosts. A user whose host is older by then is started on an updated one."""
    found = changed(world(), "db", host=f"host-{home}")
    broken = deaf("unplug_pbd", "porthos")

    def second(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        return broken(play, command) if isinstance(act, acts.UnplugPBD) and act.sr.uuid == "sr-p" else None

    play = Play(found, SHUT.model_copy(update={"order": ("porthos",)}), second).start().play()
    assert play.run.hold, (play.run.state, play.sentences[-2:])
    assert "hosts have failed" in play.run.hold.because
    assert all("sr-p" in one.attached and one.enabled for one in play.world.hosts)
    assert all(one.power_state == "running" for one in play.world.vms)
    assert next(one for one in play.world.vms if one.name == "db").host == "host-athos"


@pytest.mark.parametrize("kind", ["shutdown_vm", "check_unused"])
def test_a_failure_before_anything_was_detached_holds_and_a_cancel_gives_everything_back(kind: str) -> None:
    """Its owner is asked; the storage is served on."""
    name = "wiki" if kind == "shutdown_vm" else "athos"
    play = Play(world(), SHUT, deaf(kind, name, who_can_help="its owner")).start().play()
    assert play.run.hold
    assert all("sr-a" in one.attached for one in play.world.hosts)
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    as_before(play)


def test_an_export_that_never_answers_holds_the_run_and_is_owed_after_a_cancel() -> None:
    """Storage and users, each with its command; all is tried again by itself, storage first."""
    broken = [True]

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if broken[0] and isinstance(act, acts.PlugPBD) and act.sr.uuid == "sr-a":
            return failed(command, "Depot a does not answer.", who_can_help="whoever looks after filer-a")
        lost = isinstance(act, acts.StartVM) and act.vm.name in ("shop", "wiki")
        return failed(command, "It finds no disk.") if broken[0] and lost else None

    play = Play(world(), SHUT, trouble).start().play()
    assert play.run.hold
    assert play.run.hold.who_can_help == "whoever looks after filer-a"
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    assert set(play.book.owed) == {
        "the storage Depot a on athos", "the storage Depot a on porthos", "the storage Depot a on aramis",
        "the start of shop", "the start of wiki",
    }  # fmt: skip
    commands_ = {owed.command for owed in play.book.owed.values()}
    assert "xe pbd-plug uuid=$(xe pbd-list sr-uuid=sr-a host-uuid=host-athos --minimal)" in commands_
    broken[0] = False
    play.now += 7 * 3600
    play.play()
    assert play.book.owed == {}
    assert all({"sr-a", "sr-p"} <= {*one.attached} for one in play.world.hosts)
    assert all(one.power_state == "running" for one in play.world.vms)


def test_one_pbd_that_does_not_plug_holds_the_run_and_can_be_left_out() -> None:
    """It is owed then; the others have their storage, and the run goes on."""
    play = Play(world(), SHUT, deaf("plug_pbd", "aramis")).start().play()
    assert play.run.hold
    assert play.run.hold.step
    assert {one.name for one in play.world.hosts if "sr-a" in one.attached} == {"athos", "porthos"}
    given = orders.Given("skip", "bob")
    play.order(commands.SkipStep(pool="lab", run=play.run.id, step=play.run.hold.step), given)
    play.step()
    play.play()
    assert "the storage Depot a on aramis" in {one.setting for one in play.run.owed}


def test_a_storage_vm_that_its_owner_stops_meanwhile_is_left_to_him() -> None:
    """It is not started again by a run; nothing is detached under its users."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.ShutdownVM) and act.serves:
            play._power(act.vm, "halted", None)
        if isinstance(act, acts.StartVM) and act.serves:
            return facts.StepSucceeded(
                pool="lab", run=command.run, step=command.step, attempt=command.attempt, result=acts.Started(gone=True)
            )
        if isinstance(act, acts.PlugPBD):
            return failed(command, "filer-a, which serves it, is halted; start it, then retry.")
        return None

    play = Play(world(), SHUT, trouble).start().play()
    assert play.run.hold
    assert "filer-a, which serves it, is halted" in play.run.hold.because


def test_undo_gives_back_what_is_noted_storage_first() -> None:
    """From the pool's own notes, though the journal is lost."""
    note = (
        '{"run": "r1", "vm": {"uuid": "vm-filer-a", "name": "filer-a"}}',
        '{"run": "r1", "home": "host-athos", "way": "shutdown", "serves": ["sr-a"]}',
        '{"run": "r1", "home": "host-athos", "way": "shutdown"}',
    )
    notes = {
        "rota:pbd:sr-a:host-porthos": note[0],
        "rota:pbd:sr-a:host-athos": note[0],
        "rota:vm:vm-filer-a": note[1],
        "rota:vm:vm-shop": note[2],
        "rota:host:host-athos": "{}",
    }
    found = changed(
        changed(world(), "filer-a", power_state="halted", host=None), "shop", power_state="halted", host=None
    )
    hosts = tuple(
        replace(one, attached=tuple(sr for sr in one.attached if sr != "sr-a"), enabled=one.name != "athos")
        if one.name in ("athos", "porthos")
        else one
        for one in found.hosts
    )
    found = replace(found, hosts=hosts, settings=replace(found.settings, notes=notes))
    restore, warnings = claims.undoing(found)
    assert warnings == []
    assert len(restore) == 5
    play = Play(found)
    for fact in orders.undo(play.book, orders.Given("undo", "ann")).facts:
        play.say(fact)
    play.play()
    assert play.run.outcome == "succeeded", play.run.sentence
    as_before(play)
