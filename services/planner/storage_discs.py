"""Discs, in drives of VMs that have no disk there, from storage that goes away in a turn: taken out before it goes and
put back when it is there again, where policy lets Rota do so (eject_discs). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from services.planner import storage_vms
from shared.domain import acts, facts
from shared.domain.model import VM, Disc, Host, PoolSnapshot
from shared.domain.names import Named, step_id

Steps = tuple[facts.StepPlanned, ...]


def around_storage(steps: Steps, turn: str, snapshot: PoolSnapshot, host: Host, going: storage_vms.Going) -> Steps:
    """A turn's steps with those that take discs out before their SR is seen to be unused, and put them back once it is
    attached to every host again and their VM is home."""
    number = max((int(step.step.rpartition("s")[2]) for step in steps), default=1)
    disabled = next((step.step for step in steps if isinstance(step.act, acts.DisableHost)), "")
    added: list[facts.StepPlanned] = []
    out: dict[str, list[facts.Need]] = {}
    for vm, disc in going.discs:
        named = Named(disc.uuid, disc.name)
        eject = facts.StepPlanned(
            step=step_id(turn, number := number + 1),
            act=acts.EjectMedia(vm.named, named, disc.drive, _where(steps, snapshot, vm, host).named),
            needs=(facts.Need(step=disabled, because=f"{host.name} takes no new VMs"),),
            why=f"The disc {disc.name!r} of {vm.name} lies on {snapshot.sr_name(disc.sr)!r}, which goes away.",
        )
        insert = facts.StepPlanned(
            step=step_id(turn, number := number + 1),
            act=acts.InsertMedia(vm.named, named, disc.drive, _where(steps, snapshot, vm, host).named),
            needs=_there_again(steps, snapshot, vm, disc),
            why=f"The disc {disc.name!r} is put back into the drive of {vm.name}.",
            if_it_fails="warn",
        )
        added += [eject, insert]
        out.setdefault(disc.sr, []).append(facts.Need(step=eject.step, because=f"the disc in {vm.name} is out"))
    bound = (
        step.model_copy(update={"needs": (*step.needs, *out.get(step.act.sr.uuid, ()))})
        if isinstance(step.act, acts.CheckUnused)
        else step
        for step in steps
    )
    return (*bound, *added)


def notes(snapshot: PoolSnapshot, host: Host, going: storage_vms.Going) -> Iterator[str]:
    """What is said beforehand of these discs."""
    for vm, disc in going.discs:
        yield (
            f"The disc {disc.name!r} is taken out of the drive of {vm.name} before {snapshot.sr_name(disc.sr)!r} goes"
            f" away with {host.name}, and put back when it is there again (eject_discs = true)."
        )


def _there_again(steps: Steps, snapshot: PoolSnapshot, vm: VM, disc: Disc) -> tuple[facts.Need, ...]:
    name = snapshot.sr_name(disc.sr)
    plugs = (step for step in steps if isinstance(step.act, acts.PlugPBD) and step.act.sr.uuid == disc.sr)
    moves = (step for step in steps if isinstance(step.act, acts.MigrateVM) and step.act.vm.uuid == vm.uuid)
    return (
        *(facts.Need(step=step.step, because=f"{name} is there") for step in plugs),
        *(facts.Need(step=step.step, because=f"{vm.name} is where it stays") for step in moves),
    )


def _where(steps: Steps, snapshot: PoolSnapshot, vm: VM, host: Host) -> Host:
    """Where a VM is at the end of a turn."""
    moves = [step.act.to.uuid for step in steps if isinstance(step.act, acts.MigrateVM) and step.act.vm.uuid == vm.uuid]
    return snapshot.host(moves[-1] if moves else vm.host or "") or host
