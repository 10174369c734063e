"""VMs that take their disks along: where they go, what is short, what never goes, and home again whatever comes."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from services.planner import claims, forecasting, orders, storage_moves
from shared.domain import acts, commands, facts
from shared.domain.model import SR, VM, Disk, Package, PoolSettings, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, Play, Trouble, failed, host, pool, vm
from tests.services.planner.test_strategies import at_home, forked

ALONG = Policy(chains={"local_disk": ("migrate_with_storage",)})


def local(name: str, on: str, gib: int = 20, **changes: Any) -> VM:
    """A VM with one disk on its host's own SR."""
    disk = Disk("d-" + name, "root", f"sr-{on}", gib * GIB, shared=False, device="0", used=gib * GIB)
    return replace(vm(name, on, srs=(f"sr-{on}",)), disks=(replace(disk, **changes),))


def world(
    *vms: VM, hosts: tuple[str, ...] = ("athos", "porthos"), free: int = 100, **srs: dict[str, Any]
) -> PoolSnapshot:
    """Hosts with a local SR each and an ISO library; keywords change an SR."""
    there = [host(name, attached=(f"sr-{name}", "sr-iso")) for name in hosts]
    found = [SR(f"sr-{name}", f"Local storage on {name}", "ext", False, free * GIB, size=100 * GIB) for name in hosts]
    isos = SR("sr-iso", "ISO library", "iso", True, None, "iso")
    found = [replace(sr, **srs.get(sr.uuid.removeprefix("sr-"), {})) for sr in (*found, isos)]
    snapshot = pool(there, vms, PoolSettings(auto_poweron="true"))
    return replace(snapshot, srs=tuple(found))


def sent(shown: facts.Forecast) -> dict[str, tuple[str, str]]:
    """For each VM that takes its disks along the host and SR it goes to."""
    return {
        move.vm.name: (move.to.name, move.disks[0].to.name) for turn in shown.turns for move in turn.moves if move.disks
    }


# --- the plan ---------------------------------------------------------------------------------------------------------


def test_a_vm_takes_its_disks_along_only_where_policy_says_so() -> None:
    """The plan has the host, the SR, the cause and the bytes; without a word it blocks."""
    found = world(local("db", "athos"), local("web", "porthos"))
    assert [stop.code for stop in forecasting.forecast(found, Policy()).blockers] == ["VM_REQUIRES_SR"] * 2
    shown = forecasting.forecast(found, ALONG)
    assert shown.blockers == ()
    assert sent(shown) == {
        "db": ("porthos", "Local storage on porthos"),
        "web": ("athos", "Local storage on athos"),
    }
    move = shown.turns[0].moves[0]
    assert (move.cause, storage_moves.size(move.disks)) == ("local_disk", 20 * GIB)
    assert "only athos reaches" in move.because
    assert shown.turns[0].stops == ()


def test_the_time_of_the_copy_is_from_policy_or_from_what_was_measured() -> None:
    """20 GiB there and back at 100 MiB/s unless told otherwise."""
    found = world(local("db", "athos"))
    slow, fast = (
        forecasting.forecast(found, ALONG.model_copy(update={"disk_mib_per_second": rate})).seconds
        for rate in (None, 1000.0)
    )
    assert slow - fast == pytest.approx(2 * (20 * 1024 / 100 - 20 * 1024 / 1000), abs=2)


@pytest.mark.parametrize(
    ("changes", "srs", "because"),
    [
        ({}, {"porthos": {"free": 10 * GIB}}, "'Local storage on porthos' is 15.0 GiB short"),
        ({}, {"porthos": {"type": "lvm", "free": 22 * GIB}, "athos": {}}, "is 3.0 GiB short"),
        ({"used": 8 * GIB, "snapshots": 1}, {"porthos": {"type": "lvm"}}, None),
        ({"size": 60 * GIB, "used": 8 * GIB, "snapshots": 1}, {"porthos": {"type": "lvm"}}, "is 25.0 GiB short"),
        ({"cbt": True}, {}, "changed blocks of its disk 'root' are tracked"),
        ({"on_boot": "reset"}, {}, "is reset at each boot"),
        ({"size": 3000 * GIB, "used": GIB}, {"porthos": {"type": "nfs"}}, "no disk of more than 2040 GiB"),
        ({}, {"porthos": {"migrates": False}}, "cannot take part in storage migration"),
    ],
)
def test_what_keeps_a_disk_is_told_with_its_vm_and_sr(
    changes: dict[str, Any], srs: dict[str, Any], because: str | None
) -> None:
    """Before the start, with what is short; a disk takes its whole size on a thick SR, its snapshots theirs too."""
    shown = forecasting.forecast(world(local("db", "athos", **changes), **srs), ALONG)
    if because is None:
        assert shown.blockers == ()
        return
    (stop,) = shown.blockers
    assert "VM db cannot leave athos" in stop.sentence
    assert because in stop.sentence


def test_room_is_counted_over_all_moves_of_a_plan() -> None:
    """Each fits by itself; together one has no room, and is told."""
    shown = forecasting.forecast(world(local("a", "athos", 50), local("b", "athos", 50)), ALONG)
    (stop,) = shown.blockers
    assert "is 5.0 GiB short" in stop.sentence
    assert "VM b" in stop.sentence
    three = world(local("a", "athos", 50), local("b", "athos", 50), hosts=("athos", "porthos", "aramis"))
    shown = forecasting.forecast(three, ALONG)
    assert shown.blockers == ()
    assert {to for to, _ in sent(shown).values()} == {"porthos", "aramis"}


def test_an_sr_not_to_touch_is_never_a_target() -> None:
    """By name, tag or uuid; and whatever lies there stays there."""
    shared = SR("sr-off", "Off-site", "nfs", True, 900 * GIB, size=1000 * GIB, tags=("backup",))

    def reaching(one: PoolSnapshot) -> PoolSnapshot:
        hosts = tuple(replace(host_, attached=(*host_.attached, "sr-off")) for host_ in one.hosts)
        return replace(one, hosts=hosts, srs=(*one.srs, shared))

    found = reaching(world(local("db", "athos")))
    assert sent(forecasting.forecast(found, ALONG)) == {"db": ("porthos", "Off-site")}
    for key in ("Off-site", "backup", "sr-off"):
        policy = ALONG.model_copy(update={"exclude_sr": (key,)})
        assert sent(forecasting.forecast(found, policy)) == {"db": ("porthos", "Local storage on porthos")}
    policy = ALONG.model_copy(update={"exclude_sr": ("sr-athos",)})
    (stop,) = forecasting.forecast(found, policy).blockers
    assert "'Local storage on athos', which is not to be touched" in stop.sentence


def test_vms_with_disks_on_such_an_sr_only_move_compute_or_stay() -> None:
    """As policy says; a VM that stays has the strategies of its cause."""
    nfs = SR("sr-nfs", "Backup NFS", "nfs", True, 900 * GIB, size=1000 * GIB)
    base = pool([host("athos"), host("porthos")], [replace(vm("db", "athos"), disks=(Disk("d", "x", "sr-nfs", GIB),))])
    base = replace(base, srs=(nfs,))
    shown = forecasting.forecast(base, Policy(exclude_sr=("Backup NFS",)))
    assert [(move.vm.name, move.disks) for move in shown.turns[0].moves] == [("db", ())]
    block = Policy(exclude_sr=("Backup NFS",), excluded_vms="block")
    (stop,) = forecasting.forecast(base, block).blockers
    assert (stop.code, "db" in stop.sentence, "Backup NFS" in stop.sentence) == ("EXCLUDED_SR", True, True)
    shut = block.model_copy(update={"chains": {"excluded_sr": ("shutdown",)}})
    assert [one.vm.name for one in forecasting.forecast(base, shut).turns[0].stops] == ["db"]


def test_no_memory_is_suspended_to_an_sr_not_to_touch() -> None:
    """A suspended VM's memory is a disk too."""
    found = world(local("db", "athos"))
    found = replace(found, settings=replace(found.settings, suspend_sr="sr-athos"))
    policy = Policy(chains={"local_disk": ("suspend",)}, exclude_sr=("sr-athos",))
    (stop,) = forecasting.forecast(found, policy).blockers
    assert "where its memory would go, is not to be touched" in stop.sentence


def test_the_chain_goes_on_where_disks_cannot() -> None:
    """No room: shut down instead, as the owner's chain says, and only then."""
    policy = Policy(chains={"local_disk": ("migrate_with_storage", "shutdown", "block")})
    shown = forecasting.forecast(world(local("db", "athos"), porthos={"free": GIB}), policy)
    assert [stop.vm.name for turn in shown.turns for stop in turn.stops] == ["db"]
    shown = forecasting.forecast(world(local("db", "athos")), policy)
    assert [stop.vm.name for turn in shown.turns for stop in turn.stops] == []
    assert "db" in sent(shown)


def test_the_ground_rota_stands_on_may_take_its_disks_along_and_no_more() -> None:
    """It runs on, so it may; the rest of a chain is not for it."""
    policy = Policy(chains={"local_disk": ("migrate_with_storage", "shutdown")})
    found = replace(world(local("bus", "athos")), rota_vms=("vm-bus",))
    assert "bus" in sent(forecasting.forecast(found, policy))
    tight = replace(world(local("bus", "athos"), porthos={"free": GIB}), rota_vms=("vm-bus",))
    (stop,) = forecasting.forecast(tight, policy).blockers
    assert "Rota itself runs in bus" in stop.sentence


def test_what_xapi_does_not_offer_is_not_planned() -> None:
    """Its own answer about the VM is law."""
    (stop,) = forecasting.forecast(world(replace(local("db", "athos"), sendable=False)), ALONG).blockers
    assert "XAPI does not offer" in stop.sentence


def test_the_plan_says_which_moves_come_before_which_reboot() -> None:
    """While versions differ disks go to hosts that are not older only."""
    shown = forecasting.forecast(world(local("db", "athos"), local("web", "porthos")), ALONG)
    first, second, rule = (one for one in shown.notes if "GiB" in one or "not older" in one)
    assert first.startswith("db take 20.0 GiB of disks along before athos is rebooted")
    assert "before porthos is rebooted" in second
    assert "from an updated one to updated ones" in rule


def test_the_plan_does_not_speak_of_versions_where_they_will_not_differ() -> None:
    """The updates have nothing that XAPI compares between hosts, and all of these are alike."""
    found = world(local("db", "athos"))
    kernels = tuple(replace(one, updates=(Package("kernel", "4.19.19"),)) for one in found.hosts)
    shown = forecasting.forecast(replace(found, hosts=kernels), ALONG)
    assert any("GiB of disks along before athos is rebooted" in one for one in shown.notes)
    assert not any("not older" in one for one in shown.notes)


# --- carried out ------------------------------------------------------------------------------------------------------


def pool_of(hosts: int = 2) -> PoolSnapshot:
    """Every VM on its host's own SR."""
    names = ("athos", "porthos", "aramis")[:hosts]
    return world(*(local(f"{name}-{number}", name, 10) for name in names for number in (1, 2)), hosts=names)


def disks_at_home(play: Play, before: PoolSnapshot) -> bool:
    """Whether every disk is on the SR it was on."""
    homes = {one.uuid: one for one in before.vms}
    return all([disk.sr for disk in one.disks] == [disk.sr for disk in homes[one.uuid].disks] for one in play.world.vms)


def notes(play: Play) -> list[str]:
    """What stands in the pool about disks."""
    return [key for key in play.world.settings.notes if key.startswith(storage_moves.NOTE)]


@pytest.mark.parametrize("hosts", [2, 3])
def test_a_pool_of_local_storage_is_updated_and_every_disk_comes_home(hosts: int) -> None:
    """No VM stops, no note is left, and the copies are measured."""
    before = pool_of(hosts)
    play = Play(before, ALONG).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert at_home(play)
    assert disks_at_home(play, before)
    assert notes(play) == []
    moves = [act for act in play.done if isinstance(act, acts.MigrateVM)]
    assert len(moves) == 2 * len(before.vms)
    assert all(act.disks for act in moves)
    assert len(play.book.history.disk_rates) == hosts
    assert play.book.history.rates == ()


def test_no_more_than_three_vms_take_their_disks_from_one_host_at_once() -> None:
    """XAPI refuses a fourth, whatever policy lets compute do."""
    found = world(*(local(f"vm{number}", "athos", 5) for number in range(6)))
    policy = ALONG.model_copy(update={"migrations_per_source": 10, "migrations_per_destination": 10})
    play, most = Play(found, policy).start(), 0
    while play.step():
        going = [s for s in play.run.steps() if s.state.name == "ORDERED" and isinstance(s.act, acts.MigrateVM)]
        most = max(most, len(going))
    assert play.run.outcome == "succeeded", play.run.sentence
    assert most == 3


def breaking(vm_name: str, *purposes: str, times: int = 99) -> Trouble:
    """Moves of a VM fail so often, for good."""
    left = [times]

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        if isinstance(act, acts.MigrateVM) and act.vm.name == vm_name and act.purpose in purposes and left[0]:
            left[0] -= 1
            return failed(command, f"The copy of a disk of {vm_name} broke off.", code="MIRROR_FAILED")
        return None

    return trouble


def test_a_move_that_breaks_off_is_planned_elsewhere() -> None:
    """Another host has room."""
    before = pool_of(3)
    play = Play(before, ALONG, breaking("athos-1", "empty", times=1)).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    went = [act.to.name for act in play.done if isinstance(act, acts.MigrateVM) and act.vm.name == "athos-1"]
    assert len(went) == 2
    assert disks_at_home(play, before)


def test_a_move_that_breaks_off_for_good_falls_back_to_the_chain_or_holds() -> None:
    """Shut down by policy; without that a person is asked, and a cancel gives everything back."""
    before = pool_of(2)
    policy = Policy(chains={"local_disk": ("migrate_with_storage", "shutdown")}, owner="ops")
    play = Play(before, policy, breaking("athos-1", "empty")).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert [act.vm.name for act in play.done if isinstance(act, acts.Stop)] == ["athos-1"]
    assert at_home(play)

    play = Play(before, ALONG, breaking("athos-1", "empty")).start().play()
    assert play.run.hold
    assert "broke off" in play.run.hold.because
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    assert at_home(play)
    assert disks_at_home(play, before)


def test_disks_that_cannot_go_home_are_owed_and_brought_home_later() -> None:
    """With the command and a note in the pool; nothing is lost, and it is tried again by itself."""
    broken = [True]
    hit = breaking("porthos-1", "home")

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        return hit(play, command) if broken[0] else None

    before = pool_of(2)
    play = Play(before, ALONG, trouble).start().play()
    assert play.run.outcome == "succeeded_with_warnings", play.run.sentence
    (owed,) = play.book.owed.values()
    assert owed.setting == "the disks of porthos-1"
    assert owed.command.startswith("xe vm-migrate uuid=vm-porthos-1 host=porthos")
    assert notes(play) == ["rota:disks:vm-porthos-1"]
    broken[0] = False
    play.now += 7 * 3600
    play.play()
    assert play.book.owed == {}
    assert disks_at_home(play, before)
    assert notes(play) == []


def test_disks_that_could_not_go_home_go_there_when_the_host_they_are_on_is_emptied() -> None:
    """And what was owed is paid."""
    before = pool_of(2)
    play = Play(before, ALONG, breaking("athos-1", "home", times=1)).start().play()
    assert "setting_owed" in play.names()
    assert play.book.owed == {}
    assert disks_at_home(play, before)
    assert notes(play) == []


def test_undo_brings_home_what_is_noted() -> None:
    """By a Rota that has nothing but the pool."""
    away = replace(local("db", "athos"), host="host-porthos", srs=("sr-porthos",))
    away = replace(away, disks=(replace(away.disks[0], sr="sr-porthos"),))
    note = json.dumps({"home": "host-athos", "disks": {"0": "sr-athos"}})
    found = world(away)
    found = replace(found, settings=replace(found.settings, notes={"rota:disks:vm-db": note}))
    restore, warnings = claims.undoing(found)
    assert warnings == []
    (act,) = restore
    assert isinstance(act, acts.MigrateVM)
    assert (act.to.name, act.away_from.name, act.disks[0].to.uuid) == ("athos", "porthos", "sr-athos")
    play = Play(found)
    for fact in orders.undo(play.book, orders.Given("undo", "ann")).facts:
        play.say(fact)
    play.play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert (play.world.vms[0].host, play.world.vms[0].disks[0].sr, notes(play)) == ("host-athos", "sr-athos", [])


@pytest.mark.parametrize("when", ["before", "away"])
def test_a_vm_that_is_deleted_meanwhile_stops_nobody(when: str) -> None:
    """Before it leaves, or while its disks are away."""
    before = pool_of(2)

    def gone(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        at = "empty" if when == "before" else "home"
        if isinstance(act, acts.MigrateVM) and (act.vm.name, act.purpose) == ("athos-1", at):
            play.world = replace(play.world, vms=tuple(one for one in play.world.vms if one.name != "athos-1"))
        return None

    play = Play(before, ALONG, gone).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert disks_at_home(play, before)


@pytest.mark.parametrize(("now", "mode"), [(False, "home"), (True, "home"), (True, "stay")])
def test_a_cancel_at_any_moment_loses_no_disk(now: bool, mode: str) -> None:
    """Both forms, after each fact and each act: every VM runs, and every disk is at home, or owed where its home is
    older than the host it is on, and noted in the pool."""
    before = pool_of(2)
    going, away = Play(before, ALONG.model_copy(update={"mode": mode}), older_is_refused).start(), 0
    while going.step():
        play = forked(going)
        if not play.run.open or not play.run.began_at:
            continue
        away += not disks_at_home(play, before)
        play.cancel(now=now)
        over = play.play().run
        assert over.outcome, play.sentences[-3:]
        assert all(one.power_state == "running" for one in play.world.vms)
        assert all(one.enabled for one in play.world.hosts), going.sentences[-1]
        owed = {one.setting.removeprefix("the disks of ") for one in play.book.owed.values()}
        homes = {one.uuid: one.disks[0].sr for one in before.vms}
        strays = {one.name for one in play.world.vms if one.disks[0].sr != homes[one.uuid]}
        assert strays == owed, (going.sentences[-1], over.sentence)
        assert {f"rota:disks:vm-{name}" for name in strays} == set(notes(play))
    assert away > 20


def older_is_refused(play: Play, command: commands.DoStep) -> facts.StepFact | None:
    """XAPI refuses to send disks to an older host."""
    act = command.act
    if not isinstance(act, acts.MigrateVM) or not act.disks:
        return None
    where = next(one.host for one in play.world.vms if one.uuid == act.vm.uuid)
    source, target = play.world.host(where or ""), play.world.host(act.to.uuid)
    assert source is not None
    assert target is not None
    if target.versions.xapi_build < source.versions.xapi_build:
        because = f"{act.vm.name} may not go to {act.to}: the pool does not allow it while its hosts differ."
        return failed(command, because, code="NOT_SUPPORTED_DURING_UPGRADE")
    return None
