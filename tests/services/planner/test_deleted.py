"""VMs that their owners delete in the middle of a run: nobody else is worse off for it, wherever the run stands."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.domain import acts, commands, facts
from shared.domain.policy import Policy
from tests.services.planner.play import Play, failed
from tests.services.planner.test_storage_vms import SHUT, world
from tests.services.planner.test_strategies import forked

ASIDE = Policy(owner="ops", chains={"storage_vm": ("migrate_with_storage", "shutdown")})
FILERS = {"filer-a": "sr-a", "filer-p": "sr-p"}


def delete(play: Play, name: str) -> None:
    """Its owner deletes a VM, whatever it is at."""
    play.world = replace(play.world, vms=tuple(one for one in play.world.vms if one.name != name))


def unserved(play: Play, command: commands.DoStep) -> facts.StepFact | None:
    """What the executor says of an SR whose server was deleted, and of who cannot start without it."""
    act = command.act
    if isinstance(act, acts.StartVM):
        home = next(one for one in play.world.hosts if one.uuid == act.host.uuid)
        user = next((one for one in play.world.vms if one.uuid == act.vm.uuid), None)
        return failed(command, "It finds no disk.") if user and not {*user.srs} <= {*home.attached} else None
    if isinstance(act, acts.PlugPBD) and act.vm.name not in {one.name for one in play.world.vms}:
        return failed(command, f"{act.vm}, which served it, was deleted; attach it by hand.", code="NOT_SERVED")
    return None


@pytest.mark.parametrize(("name", "policy"), [("web", SHUT), ("shop", SHUT), ("shop", ASIDE), ("wiki", ASIDE)])
def test_a_vm_that_is_deleted_at_any_moment_stops_nobody(name: str, policy: Policy) -> None:
    """One that moves, one that uses what goes away on the host in its turn, and one on another host: after each fact
    and each act. Every host is updated, and everybody else is as before."""
    going = Play(world(), policy).start()
    while going.step():
        if not going.run.open or not going.run.began_at:
            continue
        play = forked(going)
        delete(play, name)
        over = play.play().run
        said = (going.sentences[-1], over.sentence)
        assert over.outcome in ("succeeded", "succeeded_with_warnings"), said
        assert all(one.power_state == "running" for one in play.world.vms), said
        assert all(one.enabled and {"sr-a", "sr-p"} <= {*one.attached} for one in play.world.hosts), said
        assert play.book.owed == {}, said


@pytest.mark.parametrize("name", FILERS)
def test_a_storage_vm_that_is_deleted_at_any_moment_is_told_and_nobody_else_is_harmed(name: str) -> None:
    """Once its SR is detached nobody can attach it: the run holds with the SR and the VM by name; cancelled, what hangs
    on it is owed. Before and after, or in the other's turn, the run has its end."""
    going, held = Play(world(), SHUT, unserved).start(), 0
    while going.step():
        if not going.run.open or not going.run.began_at:
            continue
        play = forked(going)
        delete(play, name)
        play.play()
        said = going.sentences[-1]
        if play.run.hold:
            held += 1
            assert name in play.run.hold.because, (said, play.run.hold.because)
            play.cancel(now=True)
            play.play()
        assert play.run.outcome, (said, play.sentences[-3:])
        assert all(one.enabled for one in play.world.hosts), said
        other = next(sr for filer, sr in FILERS.items() if filer != name)
        assert all(other in one.attached for one in play.world.hosts), said
        lost = {one.name for one in play.world.hosts if FILERS[name] not in one.attached}
        owed = set(play.book.owed)
        assert {f"the storage Depot {name[-1]} on {one}" for one in lost} <= owed, (said, lost, owed)
        down = {one.name for one in play.world.vms if one.power_state != "running"}
        assert {f"the start of {one}" for one in down} <= owed, (said, down, owed)
        assert not down or lost, said
    assert held > 10
