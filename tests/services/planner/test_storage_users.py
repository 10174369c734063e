"""VMs whose disks leave storage that goes away in a turn, and go home when it is there again: nobody but the storage
VMs is stopped, whatever happens meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from services.planner import forecasting
from shared.domain import acts, commands, facts
from shared.domain.model import Disc, Disk, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, Play, failed
from tests.services.planner.test_storage_moves import notes, older_is_refused
from tests.services.planner.test_storage_vms import changed, world
from tests.services.planner.test_strategies import forked, order_of, stops

ASIDE = Policy(owner="ops", chains={"storage_vm": ("migrate_with_storage", "shutdown")})
ONLY = Policy(owner="ops", chains={"storage_vm": ("migrate_with_storage",)})

USERS = ("shop", "wiki", "db", "till")


def roomy(free: int = 100, depots: int = 0) -> PoolSnapshot:
    """Two storage VMs and a third shared SR with so many GiB free; the depots have `depots` beside what lies there."""
    found = world()
    room = {"sr-nfs": free, "sr-a": depots, "sr-p": depots}
    srs = tuple(replace(sr, free=room.get(sr.uuid, 0) * GIB, size=0) for sr in found.srs)
    vms = []
    for one in found.vms:
        disks = tuple(Disk(f"d-{one.name}", "root", sr, 10 * GIB, shared=True, device="0", used=10 * GIB)
                      for sr in one.srs if one.name in USERS)  # fmt: skip
        vms.append(replace(one, disks=disks or one.disks))
    return replace(found, srs=srs, vms=tuple(vms))


def disks_of(found: PoolSnapshot) -> dict[str, str]:
    """The SR of every user's disk."""
    return {one.name: one.disks[0].sr for one in found.vms if one.name in USERS}


def moves_of(play: Play, name: str) -> list[acts.MigrateVM]:
    """What moved a VM, in order."""
    return [act for act in play.done if isinstance(act, acts.MigrateVM) and act.vm.name == name]


def test_the_plan_says_whose_disks_go_where_and_stops_only_the_storage_vms() -> None:
    """Those on the host in its turn leave with them; the others run on where they are. Another depot would have more
    room, and is taken last."""
    shown = forecasting.forecast(roomy(depots=500), ASIDE)
    assert shown.blockers == ()
    assert {name for name, *_ in stops(shown)} == {"filer-a", "filer-p"}
    along = {move.vm.name: move for turn in shown.turns for move in turn.moves if move.disks}
    assert {name: (move.source.name if move.source else "", move.disks[0].to.name, move.cause)
            for name, move in along.items()} == {
        "shop": ("", "NFS", "storage_vm"),
        "wiki": ("porthos", "NFS", "storage_vm"),
        "db": ("aramis", "NFS", "storage_vm"),
    }  # fmt: skip
    assert along["wiki"].to.name == "porthos"
    assert any(note.startswith("wiki run on where they are; 10.0 GiB of their disks go") for note in shown.notes)


def test_nobody_but_the_storage_vms_is_stopped_and_all_disks_end_at_home() -> None:
    """The play asserts that nothing is detached under a disk, and that disks go only where their host reaches."""
    before = roomy()
    play = Play(before, ASIDE).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert order_of(play) == ["-filer-a", "+filer-a", "-filer-p", "+filer-p"]
    assert disks_of(play.world) == disks_of(before)
    assert {one.name: one.host for one in play.world.vms} == {one.name: one.host for one in before.vms}
    assert notes(play) == []
    aside, home = [act for act in moves_of(play, "db") if act.disks]
    assert (aside.purpose, aside.away_from, aside.to) == ("room", home.to, home.to)
    order = [act for act in play.done if act in (aside, home) or (isinstance(act, (acts.UnplugPBD, acts.PlugPBD))
             and act.sr.uuid == "sr-p")]  # fmt: skip
    assert (order[0], order[-1]) == (aside, home)
    assert len(order) == 8


def test_no_turn_begins_while_disks_are_not_home() -> None:
    """However many may be away: another turn would move the VM whose disks are on their way."""
    play = Play(roomy(), ASIDE.model_copy(update={"max_away": 2})).start()
    while play.step():
        strays = [name for name, sr in disks_of(play.world).items() if sr == "sr-nfs" and name != "shop"]
        assert not strays or len([turn for turn in play.run.turns.values() if turn.host]) == 1
    assert play.run.outcome == "succeeded", play.run.sentence


def test_each_others_depot_will_do_where_there_is_no_third_storage() -> None:
    """Never the one that goes away."""
    before = roomy(free=0, depots=100)
    play = Play(before, ONLY).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert [act.disks[0].to.uuid for act in moves_of(play, "wiki") if act.disks] == ["sr-p", "sr-a"]
    assert disks_of(play.world) == disks_of(before)


def _disc(found: PoolSnapshot) -> PoolSnapshot:
    return changed(found, "wiki", discs=(Disc("iso", "setup.iso", "sr-a", "drive-wiki"),))


def _tracked(found: PoolSnapshot) -> PoolSnapshot:
    disks = next(one.disks for one in found.vms if one.name == "wiki")
    return changed(found, "wiki", disks=(replace(disks[0], cbt=True),))


@pytest.mark.parametrize(
    ("change", "policy", "because"),
    [
        (lambda one: roomy(free=15), ONLY, "'NFS' is 5.0 GiB short of what its disk 'root' takes"),
        (
            lambda one: one,
            ONLY.model_copy(update={"exclude_sr": ("NFS", "sr-p")}),
            "'NFS' is not to be touched (exclude_sr)",
        ),
        (lambda one: one, ONLY.model_copy(update={"mode": "stay"}), "only where they come home again"),
        (_tracked, ONLY, "changed blocks of its disk 'root' are tracked"),
        (_disc, ONLY, "the disc 'setup.iso' is in its drive, which goes away too"),
        (lambda one: changed(one, "wiki", memory=40 * GIB, memory_now=40 * GIB), ONLY, "to be there twice"),
        (lambda one: changed(one, "wiki", devices=("pci",)), ONLY, "XAPI would not move it while it runs"),
    ],
)
def test_what_cannot_leave_is_refused_with_the_reason(
    change: Callable[[PoolSnapshot], PoolSnapshot], policy: Policy, because: str
) -> None:
    """Before the start; room is counted over all of them."""
    shown = forecasting.forecast(change(roomy()), policy)
    assert any(because in stop.sentence for stop in shown.blockers), [stop.sentence for stop in shown.blockers]


def test_who_cannot_leave_is_stopped_where_the_chain_says_so_and_the_others_are_not() -> None:
    """Each VM for itself."""
    shown = forecasting.forecast(_tracked(roomy()), ASIDE)
    assert shown.blockers == ()
    assert {name for name, *_ in stops(shown)} == {"filer-a", "filer-p", "wiki"}


def test_a_vm_that_rota_needs_may_have_its_disks_moved() -> None:
    """It runs on; it is never stopped (conduct 9)."""
    found = replace(roomy(), needed_vms=("vm-wiki",))
    assert forecasting.forecast(found, ASIDE).blockers == ()
    shown = forecasting.forecast(replace(roomy(free=0), needed_vms=("vm-wiki",)), ASIDE)
    assert any("Rota needs wiki" in stop.sentence for stop in shown.blockers)


def test_at_most_three_copies_leave_one_host_at_once() -> None:
    """XAPI refuses a fourth."""
    before = roomy()
    wiki = next(one for one in before.vms if one.name == "wiki")
    more = tuple(replace(wiki, uuid=f"vm-wiki-{n}", name=f"wiki-{n}") for n in range(5))
    play = Play(replace(before, vms=(*before.vms, *more)), ASIDE).start()
    most = 0
    while play.step():
        ordered = (step.act for step in play.run.steps() if step.state.name == "ORDERED")
        copies = [act for act in ordered if isinstance(act, acts.MigrateVM) and act.disks]
        most = max(most, sum(act.away_from.name == "porthos" for act in copies))
    assert play.run.outcome == "succeeded", play.run.sentence
    assert most == 3


# --- bad luck ---------------------------------------------------------------------------------------------------------


def breaking(name: str, *purposes: str) -> Callable[[Play, commands.DoStep], facts.StepFact | None]:
    """Moves of a VM's disks fail for good."""

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        act = command.act
        hit = isinstance(act, acts.MigrateVM) and act.disks and act.vm.name == name and act.purpose in purposes
        return failed(command, f"The copy of a disk of {name} broke off.", code="MIRROR_FAILED") if hit else None

    return trouble


@pytest.mark.parametrize(("name", "purpose"), [("wiki", "room"), ("shop", "empty")])
def test_a_copy_that_breaks_off_holds_before_anything_is_detached(name: str, purpose: str) -> None:
    """The storage is served on; a cancel brings everything home."""
    before = roomy()
    play = Play(before, ASIDE, breaking(name, purpose)).start().play()
    assert play.run.hold
    assert "broke off" in play.run.hold.because
    assert not [act for act in play.done if isinstance(act, (acts.UnplugPBD, acts.Stop))]
    play.cancel(now=True)
    play.play()
    assert play.run.outcome == "cancelled"
    assert disks_of(play.world) == disks_of(before)
    assert notes(play) == []


def test_a_copy_that_breaks_off_by_policy_leaves_everything_as_it_was() -> None:
    """on_failure = cancel: nobody is asked."""
    before = roomy()
    policy = ASIDE.model_copy(update={"on_failure": "cancel"})
    play = Play(before, policy, breaking("wiki", "room")).start().play()
    assert play.run.outcome in ("cancelled", "failed")
    assert disks_of(play.world) == disks_of(before)
    assert all(one.enabled for one in play.world.hosts)


def test_disks_that_cannot_go_home_are_owed_with_the_command_and_go_later() -> None:
    """The run goes on; what is owed is noted in the pool and tried again."""
    broken, before = [True], roomy()
    hit = breaking("wiki", "home")

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        return hit(play, command) if broken[0] else None

    play = Play(before, ASIDE, trouble).start().play()
    assert play.run.outcome == "succeeded_with_warnings", play.run.sentence
    (owed,) = play.book.owed.values()
    assert owed.setting == "the disks of wiki"
    assert owed.command.startswith("xe vm-migrate uuid=vm-wiki host=porthos")
    assert notes(play) == ["rota:disks:vm-wiki"]
    broken[0] = False
    play.now += 7 * 3600
    play.play()
    assert play.book.owed == {}
    assert disks_of(play.world) == disks_of(before)
    assert {one.name: one.host for one in play.world.vms} == {one.name: one.host for one in before.vms}


def test_a_vm_that_could_not_take_its_disks_home_does_so_when_the_host_it_is_on_is_emptied() -> None:
    """And what was owed is paid."""
    before = roomy()
    play = Play(before, ASIDE, breaking("shop", "home")).start().play()
    assert "setting_owed" in play.names()
    assert play.book.owed == {}
    assert disks_of(play.world) == disks_of(before)
    assert notes(play) == []


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_at_any_moment_leaves_nothing_detached_and_no_disk_unnoticed(now: bool) -> None:
    """Both forms, after each fact and each act: every VM runs, all storage is attached, and every disk is at home, or
    owed (its home is older than the host it is on) and noted in the pool."""
    found = roomy()
    db = next(one for one in found.vms if one.name == "db")
    before = replace(found, vms=(*found.vms, replace(db, uuid="vm-till", name="till", host="host-porthos")))
    going, strayed, detached, owing = Play(before, ASIDE, older_is_refused).start(), 0, 0, 0
    while going.step():
        play = forked(going)
        if not play.run.open or not play.run.began_at:
            continue
        strayed += disks_of(play.world) != disks_of(before)
        detached += any(not {"sr-a", "sr-p"} <= {*one.attached} for one in play.world.hosts)
        play.cancel(now=now)
        over = play.play().run
        said = (going.sentences[-1], play.sentences[-3:])
        assert over.outcome, said
        assert all(one.power_state == "running" for one in play.world.vms), said
        assert all(one.enabled and {"sr-a", "sr-p"} <= {*one.attached} for one in play.world.hosts), said
        owed = {one.setting.removeprefix("the disks of ") for one in play.book.owed.values()}
        away = {name for name, sr in disks_of(play.world).items() if sr != disks_of(before)[name]}
        assert away == owed, said
        assert {f"rota:disks:vm-{name}" for name in away} == set(notes(play)), said
        assert owed <= ({"till"} if now else set()), said
        owing += len(owed)
    assert strayed > 20
    assert detached > 20
    assert bool(owing) is now
