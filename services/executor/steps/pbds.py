"""Storage that a VM of the pool serves: seen to be unused, detached from each host, attached again.

A note in the pool is written before a PBD is unplugged and goes when it is plugged again: by it whoever looks knows
that it was a run that detached it, and not its owner (PBD.plug and unplug: xen-api xapi_pbd.ml).
"""

from __future__ import annotations

import json
from typing import Any

from services.executor.steps import noted
from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi.port import NotAnswered, SRLook

LOOK_PAUSE = 30.0
"""Pool seconds between two looks at a backup that holds a disk."""

PLUG_PAUSE = 15.0
"""Pool seconds after which an SR that could not be attached is tried again."""


async def check_unused(act: acts.CheckUnused, work: Work) -> Ended:
    """Nothing is detached before this: no VM has a disk of the SR, no backup holds one, and no VM but the one that
    serves it is on its host."""
    began = work.clock.now()
    while True:
        look = await work.pool.sr(act.sr)
        if look is None:
            return Ended(acts.Done(already=True), f"{act.sr} was taken out of the pool meanwhile.")
        if used := [use for use in look.uses if not use.control_domain]:
            names = listed([f"{use.vm} (its disk {use.disk})" for use in used])
            raise TryAgain(f"{act.sr} is in use by {names}; stop it, or move its disk away.", after=60)
        others = [vm.named.name for vm in (await work.pool.host(act.host)).residents if vm.named.uuid != act.vm.uuid]
        if others:
            raise TryAgain(f"{listed(others)} came to {act.host} meanwhile; move it away or stop it.", after=60)
        if not look.uses and not look.operations:
            return Ended(acts.Done(), f"Nothing uses {act.sr} any more, and only {act.vm} is left on {act.host}.")
        await _wait_for_others(act, look, work, began)


async def _wait_for_others(act: acts.CheckUnused, look: SRLook, work: Work, began: float) -> None:
    """A backup, or what else somebody does with the disks, is waited for (conduct 11)."""
    what = listed([f"the disk {use.disk} at {use.vm}" for use in look.uses] or list(look.operations))
    waited = work.clock.now() - began
    if waited > act.backup_minutes * 60:
        raise GiveUp(
            f"Somebody works with {act.sr} ({what}) for {spoken(waited)}, so it is not detached; see that it ends, then"
            " retry.",
            who_can_help="whoever makes the backups",
            code="BACKUP",
        )
    await work.say(0.0, f"{act.sr} is not detached while others work with it ({what}), for {spoken(waited)} now.")
    await work.clock.sleep(LOOK_PAUSE)


async def unplug(act: acts.UnplugPBD, work: Work) -> Ended:
    """Detach an SR from a host. One that somebody detached before is left to him."""
    key = noted.pbd_key(act.sr, act.host)
    attached, note = await _standing(act.sr, act.host, work)
    if attached is None:
        return Ended(acts.Done(already=True), f"{act.host} has no {act.sr} any more; its owner took it away.")
    if not attached:
        ours = note.get("run") == work.place.run
        said = "" if ours else " by somebody else, and left so"
        return Ended(acts.Done(already=not ours), f"{act.sr} is detached from {act.host}{said}.")
    await work.pool.mark(key, noted.pbd_text(work.place.run, act.sr, act.host, act.vm))
    try:
        await work.pool.unplug(act.host, act.sr)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp) as error:
        if (await _standing(act.sr, act.host, work))[0]:
            raise await _still_used(act, error, work) from error
    if (await _standing(act.sr, act.host, work))[0]:
        raise TryAgain(f"{act.sr} was detached from {act.host} and is attached again.", after=15)
    return Ended(acts.Done(), f"{act.sr} is detached from {act.host}.")


async def _still_used(act: acts.UnplugPBD, error: TryAgain | GiveUp, work: Work) -> TryAgain | GiveUp:
    """The same error, with the names of what still uses the SR where that is why."""
    if error.code != "VDI_IN_USE":
        return error
    look = await work.pool.sr(act.sr)
    names = listed([f"{use.vm} (its disk {use.disk})" for use in look.uses]) if look else "none"
    return TryAgain(f"{act.sr} cannot be detached from {act.host}: {names} still uses it.", after=60, code=error.code)


async def plug(act: acts.PlugPBD, work: Work) -> Ended:
    """Attach it again, if a run detached it, however long its export takes to answer within its time."""
    key = noted.pbd_key(act.sr, act.host)
    attached, note = await _standing(act.sr, act.host, work)
    if attached is None:
        await work.pool.mark(key, None)
        return Ended(acts.Done(already=True), f"{act.host} has no {act.sr} any more; its owner took it away.")
    if not attached and not note:
        return Ended(acts.Done(already=True), f"{act.sr} was not detached from {act.host} by a run, so it is left so.")
    began = work.clock.now()
    while not attached:
        try:
            await work.pool.plug(act.host, act.sr)
        except NotAnswered:
            raise
        except (TryAgain, GiveUp) as error:
            await _once_more(act, error, work, began)
        attached, _ = await _standing(act.sr, act.host, work)
    await work.pool.mark(key, None)
    return Ended(acts.Done(), f"{act.sr} is attached to {act.host}.")


async def _once_more(act: acts.PlugPBD, error: TryAgain | GiveUp, work: Work, began: float) -> None:
    """Wait, or give up with what the server of the SR is at."""
    waited = work.clock.now() - began
    if waited <= act.minutes * 60:
        await work.say(0.0, f"{error.because} It is tried again, for {spoken(waited)} now.")
        await work.clock.sleep(PLUG_PAUSE)
        return
    vm = await work.pool.vm(act.vm)
    if vm is None:
        server = f"{act.vm}, which served it, was deleted; attach it by hand once something else serves it."
    elif vm.power_state != "running":
        server = f"{act.vm}, which serves it, is {vm.power_state}; start it, then retry."
    else:
        server = f"{act.vm}, which serves it, runs on {vm.host}; see that its export answers, then retry."
    raise GiveUp(
        f"{act.sr} could not be attached to {act.host} for {spoken(waited)}: {error.because} {server}",
        who_can_help=f"whoever looks after {act.vm}",
        code="NOT_SERVED",
    ) from error


async def _standing(sr: Named, host: Named, work: Work) -> tuple[bool | None, dict[str, Any]]:
    """Whether an SR is attached to a host (None: it has no PBD there), and what is noted of it."""
    attached = (await work.pool.host(host)).storage.get(sr.uuid)
    text = (await work.pool.look()).settings.notes.get(noted.pbd_key(sr, host), "")
    try:
        read = json.loads(text or "{}")
    except ValueError:
        read = {}
    return attached, read if isinstance(read, dict) else {}
