"""Discs that keep a VM on its host, because no other host reaches them: taken out before the VM leaves, put back when
it is home, where policy lets Rota do so. Pure.

Such a VM comes home whatever the mode, since elsewhere nobody could put the disc back.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from services.planner import placement
from shared.domain import acts, facts
from shared.domain.model import VM, Disc, Host, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.run import StepState, Turn

Steps = tuple[facts.StepPlanned, ...]


def taken_out(vm: VM, policy: Policy) -> VM:
    """A VM as it is to be placed: without the discs that policy lets be taken out of its drives."""
    if not (policy.eject_discs and _bound_by(vm)):
        return vm
    kept = tuple(disc for disc in vm.discs if disc.shared)
    needed = {disk.sr for disk in vm.disks} | {disc.sr for disc in kept}
    gone = {disc.sr for disc in _bound_by(vm)} - needed
    return replace(vm, discs=kept, srs=tuple(sr for sr in vm.srs if sr not in gone))


def notes(snapshot: PoolSnapshot, host: Host, moves: Sequence[placement.Move]) -> Iterator[str]:
    """What is said beforehand of the discs that are taken out for a host's turn."""
    moved = {move.vm.uuid for move in moves}
    for vm in snapshot.resident(host.uuid):
        for disc in _bound_by(vm) if vm.uuid in moved else ():
            yield (
                f"The disc {disc.name!r} is taken out of the drive of {vm.name} before it leaves {host.name}, and put"
                " back when it is home (eject_discs = true)."
            )


def around_moves(steps: Steps, turn: str, snapshot: PoolSnapshot, host: Host) -> Steps:
    """A turn's steps with those that take discs out before a VM leaves, and put them back once it is home."""
    number = _last(steps)
    added: list[facts.StepPlanned] = []
    waits: dict[str, list[facts.Need]] = {}
    for vm in snapshot.resident(host.uuid):
        away = _move_of(steps, vm, "empty")
        for disc in _bound_by(vm) if away else ():
            assert away is not None
            eject = facts.StepPlanned(
                step=step_id(turn, number := number + 1),
                act=acts.EjectMedia(vm.named, Named(disc.uuid, disc.name), disc.drive, host.named),
                needs=_disabled_first(steps, away),
                why=f"Only {host.name} reaches the disc {disc.name!r} in the drive of {vm.name}.",
            )
            home = _move_of(steps, vm, "home")
            insert = facts.StepPlanned(
                step=step_id(turn, number := number + 1),
                act=acts.InsertMedia(vm.named, Named(disc.uuid, disc.name), disc.drive, host.named),
                needs=(facts.Need(step=(home or away).step, because=f"{vm.name} is home again"),),
                why=f"The disc {disc.name!r} is put back into the drive of {vm.name}.",
                if_it_fails="warn",
            )
            added += [eject, insert]
            waits.setdefault(away.step, []).append(
                facts.Need(step=eject.step, because="the disc that keeps it is out of its drive")
            )
    bound = (
        step.model_copy(update={"needs": (*step.needs, *waits[step.step])}) if step.step in waits else step
        for step in steps
    )
    return (*bound, *added)


def put_back(back: Steps, turn: Turn, first: int, enabled: str) -> Steps:
    """The steps that take a turn `back`, with those that put back the discs it has taken out. They are numbered from
    `first` on, and `enabled` is the one that enables the host."""
    number = first + len(back)
    added = []
    for step in turn.of_kind("eject_media"):
        if not isinstance(step.act, acts.EjectMedia) or not step.attempt or step.state is StepState.GAVE_UP:
            continue
        act = step.act
        home = next((one for one in back if _moves_home(one, act.vm)), None)
        plugs = (one for one in back if isinstance(one.act, acts.PlugPBD))
        added.append(
            facts.StepPlanned(
                step=step_id(turn.id, number),
                act=acts.InsertMedia(act.vm, act.disc, act.drive, act.host),
                needs=(
                    facts.Need(step=home.step if home else enabled, because=f"{act.vm.name} is home again"),
                    *(facts.Need(step=one.step, because=f"{act.disc.name} may lie there") for one in plugs),
                ),
                why=f"The disc {act.disc.name!r} is put back into the drive of {act.vm.name}.",
                if_it_fails="warn",
            )
        )
        number += 1
    return (*back, *added)


def debt(act: acts.InsertMedia) -> facts.Debt:
    """What is owed when a disc could not be put back."""
    return facts.Debt(
        setting=f"the disc {act.disc.name} of {act.vm.name}",
        condition=f"{act.vm.name} is on {act.host.name}",
        command=f"xe vm-cd-insert uuid={act.vm.uuid} cd-name='{act.disc.name}'",
    )


def _bound_by(vm: VM) -> tuple[Disc, ...]:
    return tuple(disc for disc in vm.discs if not disc.shared)


def _move_of(steps: Steps, vm: VM, purpose: str) -> facts.StepPlanned | None:
    for step in steps:
        if isinstance(step.act, acts.MigrateVM) and step.act.vm.uuid == vm.uuid and step.act.purpose == purpose:
            return step
    return None


def _moves_home(step: facts.StepPlanned, vm: Named) -> bool:
    return isinstance(step.act, acts.MigrateVM) and step.act.vm.uuid == vm.uuid


def _disabled_first(steps: Steps, away: facts.StepPlanned) -> tuple[facts.Need, ...]:
    """Nothing is taken out before the host is disabled, as nothing leaves it before."""
    disables = {step.step for step in steps if isinstance(step.act, acts.DisableHost)}
    return tuple(need for need in away.needs if need.step in disables)


def _last(steps: Steps) -> int:
    return max((int(step.step.rpartition("s")[2]) for step in steps), default=1)
