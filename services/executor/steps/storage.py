"""VMs moved with their disks, or their disks under them, within the pool (`VM.migrate_send`).

A note in the pool says where the disks live, from before the first move until they are there again: by it whoever has
nothing but the pool can bring them home. XAPI is asked whether it would (`VM.assert_can_migrate`) before each move. A
move that fails leaves the VM and its disks where they were: xapi takes its copies away (xen-api xapi_vm_migrate.ml).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from services.executor.steps import noted, vms
from services.executor.work import Ended, Work, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.domain.storage import DiskMove
from shared.xapi.port import DiskLook, NotAnswered, VMLook

GIB = 1024**3


async def migrate(act: acts.MigrateVM, work: Work) -> Ended:
    """A VM's move, with its disks where the act names some."""
    return await (send(act, work) if act.disks else vms.migrate(act, work))


async def send(act: acts.MigrateVM, work: Work) -> Ended:
    """Move a VM with its disks. What its owner stopped, deleted or moved meanwhile is left so; but disks that are away
    go home even from under a VM that is down."""
    if act.instead_of:
        await work.pool.give_up(work.place.run, act.instead_of, vms.nothing_to_tell)
    vm, disks = await vms.at_rest(act.vm, work), await work.pool.disks(act.vm)
    if (ended := await _settled(act, vm, disks, work)) is not None:
        return ended
    if vm is not None and vm.power_state not in vms.OFF:
        vms.movable(act, vm)
    await _write(act, disks, work)
    try:
        return await _sent(act, vm, disks, work)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp):
        if (ended := await _settled(act, await work.pool.vm(act.vm), await work.pool.disks(act.vm), work)) is not None:
            return ended
        await _tidy(act, work)
        raise


async def _sent(act: acts.MigrateVM, vm: VMLook | None, before: Sequence[DiskLook], work: Work) -> Ended:
    srs = {disk.device: disk.to for disk in act.disks}
    size = _to_copy(before, srs)
    await _room(act, before, work)
    await work.pool.may_send(act.vm, act.to, srs, act.network)
    copying = f"{size / GIB:.1f} GiB of disks"

    async def told(share: float) -> None:
        await work.say(share, f"Moving {act.vm} with {copying} from {act.away_from} to {act.to}: {share:.0%}.")

    began = work.clock.now()
    await work.pool.send(act.vm, act.to, srs, act.network, told)
    after, disks = await work.pool.vm(act.vm), await work.pool.disks(act.vm)
    off = after is not None and after.power_state in vms.OFF
    there = off or (after is not None and after.host is not None and after.host.uuid == act.to.uuid)
    if after is not None and there and _on(disks, act.disks):
        await _tidy(act, work)
        took = spoken(work.clock.now() - began)
        down = ", which its owner has stopped," if off else ""
        sentence = f"Moved {act.vm}{down} with {copying} from {act.away_from} to {act.to} in {took}."
        return Ended(acts.Moved(copied=size), sentence)
    raise TryAgain(
        f"The pool says that {act.vm} was moved to {act.to} with its disks, and it is not so; it is looked at again.",
        after=15,
    )


def _to_copy(disks: Sequence[DiskLook], srs: Mapping[str, Named]) -> int:
    """Bytes of disks that are not where they are to be."""
    return sum(disk.used for disk in disks if disk.device in srs and disk.sr.uuid != srs[disk.device].uuid)


async def _room(act: acts.MigrateVM, disks: Sequence[DiskLook], work: Work) -> None:
    """Raises by how much an SR is short; as planned, but room may have gone since."""
    here = {disk.device: disk.sr.uuid for disk in disks}
    needed: dict[Named, int] = {}
    for disk in act.disks:
        if here.get(disk.device, disk.to.uuid) != disk.to.uuid:
            needed[disk.to] = needed.get(disk.to, 0) + disk.size
    for sr, size in needed.items():
        free = await work.pool.free_on(sr)
        if free is not None and free < size:
            raise TryAgain(
                f"{act.vm} cannot take its disks to {act.to}: {sr.name!r} is {(size - free) / GIB:.1f} GiB short of the"
                f" {size / GIB:.1f} GiB that they take.",
                after=60,
                code="SR_FULL",
            )


async def _settled(act: acts.MigrateVM, vm: VMLook | None, disks: Sequence[DiskLook], work: Work) -> Ended | None:
    """The end of a move that needs nothing more to be done, or None."""
    if vm is None:
        await work.pool.mark(noted.disks_key(act.vm), None)
        return Ended(acts.Moved(gone=True), f"{act.vm} was deleted meanwhile, so there is nothing to move.")
    there = _on(disks, act.disks)
    if vm.power_state in vms.OFF:
        if act.purpose == "home" and not there:
            return None
        await _tidy(act, work)
        return Ended(acts.Moved(gone=True), f"{act.vm} was {vms.STOPPED[vm.power_state]} meanwhile, so it stays.")
    if vm.host is None or (vm.host.uuid == act.away_from.uuid and act.away_from != act.to):
        return None
    if vm.host.uuid != act.to.uuid:
        await _tidy(act, work)
        return Ended(acts.Moved(gone=True), f"{act.vm} was moved to {vm.host} meanwhile by somebody else.")
    if not there:
        return None
    await _tidy(act, work)
    copied = sum(disk.used for disk in disks if disk.device in {one.device for one in act.disks}) if work.again else 0
    return Ended(acts.Moved(already=not work.again, copied=copied), f"{act.vm} is on {act.to} with its disks.")


def _on(disks: Sequence[DiskLook], wanted: Sequence[DiskMove]) -> bool:
    """Whether every disk that is still there is on its SR."""
    here = {disk.device: disk.sr.uuid for disk in disks}
    return all(here.get(disk.device, disk.to.uuid) == disk.to.uuid for disk in wanted)


# --- the note in the pool ---------------------------------------------------------------------------------------------


async def _write(act: acts.MigrateVM, disks: Sequence[DiskLook], work: Work) -> None:
    """Where the disks live now, before they go; a note that stands there already knows better."""
    if act.purpose == "home" or await _note(act.vm, work):
        return
    going = {disk.device for disk in act.disks}
    homes = {disk.device: disk.sr for disk in disks if disk.device in going}
    text = noted.disks_text(work.place.run, act.vm, act.away_from, homes, work.clock.now())
    await work.pool.mark(noted.disks_key(act.vm), text)


async def _tidy(act: acts.MigrateVM, work: Work) -> None:
    """The note goes once every disk is where it lives."""
    homes = (await _note(act.vm, work)).get("disks", {})
    here = {disk.device: disk.sr.uuid for disk in await work.pool.disks(act.vm)}
    if homes and all(here.get(device, sr) == sr for device, sr in homes.items()):
        await work.pool.mark(noted.disks_key(act.vm), None)


async def _note(vm: Named, work: Work) -> dict[str, Any]:
    text = (await work.pool.look()).settings.notes.get(noted.disks_key(vm), "")
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) and isinstance(read.get("disks", {}), dict) else {}
