"""Discs that keep a VM on its host: offered to be taken out, taken out, and put back whatever comes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar

import pytest

from services.planner import claims, forecasting
from shared.domain import acts, commands, facts
from shared.domain.model import SR, VM, Disc, Disk, PoolSnapshot
from shared.domain.names import Named
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, Play, failed, host, pool, vm

EJECT = Policy(eject_discs=True)
SETUP = Disc("iso-1", "setup.iso", "iso-porthos", "drive-1", shared=False)


class WithDrives(Play):
    """A play whose VMs have drives. `out` are the discs that were taken out, by drive."""

    out: ClassVar[dict[str, Disc]] = {}

    def _drive(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, (acts.EjectMedia, acts.InsertMedia))
        (there,) = (one for one in self.world.vms if one.uuid == act.vm.uuid)
        discs = tuple(one for one in there.discs if one.drive != act.drive)
        srs = tuple(sr for sr in there.srs if sr != "iso-porthos")
        if isinstance(act, acts.InsertMedia):
            assert there.host == act.host.uuid, "a disc was put back where nobody reaches it"
            discs, srs = (*discs, SETUP), (*srs, "iso-porthos")
        self.world = replace(
            self.world,
            vms=tuple(replace(one, discs=discs, srs=srs) if one == there else one for one in self.world.vms),
        )
        return acts.Done()

    def _move(self, act: acts.MigrateVM) -> None:
        (there,) = (one for one in self.world.vms if one.uuid == act.vm.uuid)
        assert not there.discs, f"{there.name} was moved with a disc in its drive"
        super()._move(act)

    _DOES: ClassVar[Any] = {**Play._DOES, "eject_media": _drive, "insert_media": _drive}


def world(*vms: VM) -> PoolSnapshot:
    """Three hosts; fresh on porthos has a disc of porthos's own storage in its drive."""
    hosts = [host(name, attached=("sr-nfs", f"iso-{name}")) for name in ("athos", "porthos", "aramis")]
    fresh = vm("fresh", "porthos", srs=("sr-nfs", "iso-porthos"), discs=(SETUP,))
    found = pool(hosts, (vm("web", "athos"), fresh, vm("db", "porthos"), *vms))
    isos = (SR(f"iso-{one.name}", f"ISOs of {one.name}", "iso", False, holds="iso") for one in hosts)
    return replace(found, srs=(*found.srs, *isos))


def discs_of(play: Play) -> tuple[Disc, ...]:
    """What is in the drive of fresh."""
    return next(one for one in play.world.vms if one.name == "fresh").discs


def test_a_disc_that_keeps_a_vm_is_offered_to_be_taken_out() -> None:
    """By the blocker; with leave there is none, and the plan says what is done."""
    (stop,) = forecasting.forecast(world(), Policy()).blockers
    assert stop.sentence.endswith("let Rota do so and put it back when the VM is home (eject_discs = true).")
    shown = forecasting.forecast(world(), EJECT)
    assert shown.blockers == ()
    assert "The disc 'setup.iso' is taken out of the drive of fresh before it leaves porthos" in " ".join(shown.notes)
    assert {move.vm.name for turn in shown.turns for move in turn.moves} == {"web", "fresh", "db"}


def test_a_disk_on_the_same_storage_still_keeps_it() -> None:
    """Only the disc goes."""
    found = world()
    disk = Disk("d", "data", "iso-porthos", GIB, shared=False)
    vms = tuple(replace(one, disks=(disk,)) if one.name == "fresh" else one for one in found.vms)
    assert [stop.code for stop in forecasting.forecast(replace(found, vms=vms), EJECT).blockers] == ["VM_REQUIRES_SR"]


def test_it_is_out_before_the_vm_leaves_and_back_when_it_is_home() -> None:
    """After its host was disabled."""
    play = WithDrives(world(), EJECT).start().play()
    assert play.run.outcome == "succeeded", play.run.sentence
    assert discs_of(play) == (SETUP,)
    kinds = [
        act.kind
        for act in play.done
        if act.kind.endswith("_media") or getattr(act, "vm", None) == Named("vm-fresh", "fresh")
    ]
    assert kinds == ["eject_media", "migrate_vm", "migrate_vm", "insert_media"]
    porthos = play.kinds("porthos")
    assert porthos.index("disable_host") < porthos.index("eject_media") < porthos.index("reboot_host")


@pytest.mark.parametrize("now", [False, True])
def test_a_cancel_at_any_moment_puts_it_back(now: bool) -> None:
    """Both forms, after each fact and each act."""
    going, outs = WithDrives(world(), EJECT).start(), 0
    while going.step():
        play = replace(
            going,
            journal=[*going.journal],
            done=[*going.done],
            sentences=[*going.sentences],
            snapshots={**going.snapshots},
            away={**going.away},
        )
        if not play.run.open or not play.run.began_at:
            continue
        outs += not discs_of(play)
        play.cancel(now=now)
        play.play()
        assert play.run.outcome, play.sentences[-3:]
        assert discs_of(play) == (SETUP,), (going.sentences[-1], play.run.sentence)
        assert all(one.enabled for one in play.world.hosts)
    assert outs > 10


def test_a_disc_that_cannot_be_put_back_is_owed_with_its_command() -> None:
    """The run goes on and warns; it is tried again by itself."""
    broken = [True]

    def trouble(play: Play, command: commands.DoStep) -> facts.StepFact | None:
        inserts = isinstance(command.act, acts.InsertMedia)
        return failed(command, "fresh is on athos.") if broken[0] and inserts else None

    play = WithDrives(world(), EJECT, trouble).start().play()
    assert play.run.outcome == "succeeded_with_warnings"
    (owed,) = play.book.owed.values()
    assert (owed.setting, owed.command) == (
        "the disc setup.iso of fresh",
        "xe vm-cd-insert uuid=vm-fresh cd-name='setup.iso'",
    )
    broken[0] = False
    play.now += 7 * 3600
    play.play()
    assert play.book.owed == {}
    assert discs_of(play) == (SETUP,)


def test_undo_puts_it_back_from_the_note_in_the_pool_alone() -> None:
    """Whoever has nothing but the pool."""
    note = '{"disc": "iso-1", "home": "host-porthos", "name": "setup.iso", "run": "r", "vm": "vm-fresh"}'
    found = world()
    found = replace(found, settings=replace(found.settings, notes={"rota:disc:drive-1": note}))
    assert claims.undoing(found) == (
        [
            acts.InsertMedia(
                Named("vm-fresh", "fresh"), Named("iso-1", "setup.iso"), "drive-1", Named("host-porthos", "porthos")
            )
        ],
        [],
    )
