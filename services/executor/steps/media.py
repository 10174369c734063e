"""Discs taken out of the drives of VMs for a turn, and put back after it.

A note in the pool is written before a disc is taken out and goes when it is back: by it whoever looks knows that it
was this run that took it, and not the VM's owner.
"""

from __future__ import annotations

import json
from typing import Any

from services.executor.steps import noted
from services.executor.work import Ended, Work
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi.port import NotAnswered


async def eject(act: acts.EjectMedia, work: Work) -> Ended:
    """Whatever is in the drive by now, since it keeps the VM; an empty drive is left as its owner has it."""
    look = await work.pool.drive(act.drive)
    if look is None or look.disc is None:
        return Ended(acts.Done(already=True), f"No disc is in the drive of {act.vm}.")
    await work.pool.mark(noted.disc_key(act.drive), noted.disc_text(work.place.run, act.vm, act.host, look.disc))
    try:
        await work.pool.eject(act.drive, act.vm)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp):
        if not await _is_empty(act.drive, work):
            await work.pool.mark(noted.disc_key(act.drive), None)
            raise
    return Ended(acts.Done(), f"The disc {look.disc} is out of the drive of {act.vm}; it is put back later.")


async def insert(act: acts.InsertMedia, work: Work) -> Ended:
    """Put back, if a run took it out and nobody has put anything else in."""
    note = await _note(act.drive, work)
    if not note:
        return Ended(acts.Done(already=True), f"No run took a disc out of the drive of {act.vm}.")
    disc = Named(str(note.get("disc", act.disc.uuid)), str(note.get("name", act.disc.name)))
    look, vm = await work.pool.drive(act.drive), await work.pool.vm(act.vm)
    if look is None or vm is None:
        return await _left(act, f"The drive of {act.vm} is gone, and the disc {disc} with it.", work)
    if look.disc is not None:
        back = look.disc.uuid == disc.uuid
        said = f"The disc {disc} is back in the drive of {act.vm}."
        return await _left(act, said if back else f"Its owner has put {look.disc} into the drive of {act.vm}.", work)
    if vm.host is not None and vm.host.uuid != act.host.uuid:
        raise GiveUp(
            f"{act.vm} is on {vm.host}, which does not reach the disc {disc}; it is put back when the VM is on"
            f" {act.host} again.",
            code="NOT_HOME",
        )
    try:
        await work.pool.insert(act.drive, act.vm, disc)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp) as error:
        if error.code in ("UUID_INVALID", "HANDLE_INVALID"):
            return await _left(act, f"The disc {disc} was deleted meanwhile, so it is not put back.", work)
        if await _is_empty(act.drive, work):
            raise
    return await _left(act, f"The disc {disc} is back in the drive of {act.vm}.", work)


async def _left(act: acts.InsertMedia, sentence: str, work: Work) -> Ended:
    await work.pool.mark(noted.disc_key(act.drive), None)
    return Ended(acts.Done(), sentence)


async def _is_empty(drive: str, work: Work) -> bool:
    look = await work.pool.drive(drive)
    return look is not None and look.disc is None


async def _note(drive: str, work: Work) -> dict[str, Any]:
    text = (await work.pool.look()).settings.notes.get(noted.disc_key(drive), "")
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}
