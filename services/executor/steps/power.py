"""VMs that are stopped for their host's turn and started after it.

A note in the pool is written before a VM is stopped and goes when it runs again: by it whoever looks knows that it was
this run that stopped it, and not its owner. Blocks of its shutdown are lifted for the moment only.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Literal

from services.executor.steps import noted
from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi.port import NotAnswered, VMLook

Way = Literal["suspend", "shutdown"]

LIFTED: Mapping[Way, tuple[str, ...]] = {
    "shutdown": ("clean_shutdown", "shutdown", "hard_shutdown"),
    "suspend": ("suspend",),
}
"""The keys of blocked_operations that a stop may lift; never those of migration (conduct 11)."""

DOWN: Mapping[Way, str] = {"shutdown": "halted", "suspend": "suspended"}


async def shut_down(act: acts.ShutdownVM, work: Work) -> Ended:
    """The guest is asked to shut down; past its time it is switched off hard where policy says so."""
    if (ended := await _before(act, "shutdown", work)) is not None:
        return ended
    await _serves_nobody(act, work)
    lifted = await _lift(act, "shutdown", work)
    try:
        hard = await _asked_to_go(act, work)
    except GiveUp:
        if await _is(act.vm, "running", work):
            await work.pool.mark(noted.vm_key(act.vm), None)
        raise
    finally:
        await _put_back(act.vm, lifted, work)
    await _see_down(act.vm, "shutdown", work)
    how = "was switched off" if hard else "has shut down"
    return Ended(acts.Stopped(hard=hard), f"{act.vm} {how}; it is started on {act.host} again when that is back.")


async def suspend(act: acts.SuspendVM, work: Work) -> Ended:
    """Its memory is written to its suspend SR."""
    if (ended := await _before(act, "suspend", work)) is not None:
        return ended
    lifted = await _lift(act, "suspend", work)

    async def told(share: float) -> None:
        await work.say(share, f"Suspending {act.vm}: {share:.0%}.")

    try:
        await work.pool.suspend(act.vm, told)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp):
        if not await _is(act.vm, "suspended", work):
            raise
    finally:
        await _put_back(act.vm, lifted, work)
    await _see_down(act.vm, "suspend", work)
    return Ended(acts.Stopped(), f"{act.vm} is suspended; it is resumed on {act.host} when that is back.")


async def start(act: acts.StartVM, work: Work) -> Ended:
    """Started on its home, if it is down because a run stopped it."""

    async def begin() -> None:
        await work.pool.start(act.vm, act.host)

    return await _bring_back(act, "halted", begin, work)


async def resume(act: acts.ResumeVM, work: Work) -> Ended:
    """Resumed on its home, if it is suspended because a run suspended it."""

    async def told(share: float) -> None:
        await work.say(share, f"Resuming {act.vm}: {share:.0%}.")

    async def begin() -> None:
        await work.pool.resume(act.vm, act.host, told)

    return await _bring_back(act, "suspended", begin, work)


# --- stopping ---------------------------------------------------------------------------------------------------------


async def _before(act: acts.Stop, way: Way, work: Work) -> Ended | None:
    """The end of a stop that needs nothing more to be done, or None; then the note stands in the pool."""
    if work.ground.holds(act.vm):
        raise GiveUp(f"Rota stands on {act.vm}, or needs it, so it is never stopped.", code="GROUND")
    note = await _note(act.vm, work)
    ours = note.get("run") == work.place.run
    look = await work.pool.vm(act.vm)
    if look is None:
        return await _left(act.vm, "was deleted meanwhile", work, ours=ours)
    if look.power_state in ("halted", "suspended"):
        if ours and look.power_state == DOWN[way]:
            await _put_back(act.vm, note.get("lifted", {}), work)
            return Ended(acts.Stopped(), f"{act.vm} is {look.power_state}.")
        return await _left(act.vm, f"was {look.power_state} by its owner meanwhile", work, ours=ours)
    if look.host is not None and look.host.uuid != act.host.uuid:
        return await _left(act.vm, f"was moved to {look.host} by somebody meanwhile", work, ours=ours)
    if look.power_state != "running":
        raise TryAgain(f"{act.vm} is {look.power_state}, so it is not stopped yet; unpause it.", after=30)
    if not ours:
        await _write(act, way, {}, work)
    return None


async def _serves_nobody(act: acts.ShutdownVM, work: Work) -> None:
    """A storage VM is asked to go only when no host has its storage attached: else hosts would hang, and VMs lose their
    disks (conduct 8)."""
    for sr in act.serves:
        look = await work.pool.sr(sr)
        if look is not None and look.attached:
            names = listed([host.name for host in look.attached])
            raise TryAgain(f"{act.vm} is not shut down: {sr}, which it serves, is attached to {names} again.", after=60)


async def _left(vm: Named, why: str, work: Work, *, ours: bool) -> Ended:
    if ours:
        await work.pool.mark(noted.vm_key(vm), None)
    return Ended(acts.Stopped(gone=True), f"{vm} {why}, so it is left as it is.")


async def _lift(act: acts.Stop, way: Way, work: Work) -> Mapping[str, str]:
    """Lift the blocks that stand in the way, each noted before, with the consent that the act carries."""
    blocked = await work.pool.blocks(act.vm)
    keys = [key for key in LIFTED[way] if key in blocked]
    before = (await _note(act.vm, work)).get("lifted", {})
    if not keys:
        return dict(before)
    if not act.lift:
        raise GiveUp(
            f"The owner of {act.vm} has blocked {keys[0]} ({blocked[keys[0]]}); have him lift it, or name the VM in"
            " strategies, which is a consent to lift it.",
            who_can_help="the VM's owner",
            code="OPERATION_BLOCKED",
        )
    lifted = {**before, **{key: blocked[key] for key in keys}}
    await _write(act, way, lifted, work)
    for key in keys:
        await work.pool.lift(act.vm, key)
    return lifted


async def _put_back(vm: Named, lifted: Mapping[str, str], work: Work) -> None:
    """Blocks that were lifted stand again; one that somebody set meanwhile is left as he set it."""
    for key, text in lifted.items():
        await work.pool.block(vm, key, text)


async def _asked_to_go(act: acts.ShutdownVM, work: Work) -> bool:
    """Whether it had to be switched off hard."""

    async def told(share: float) -> None:
        await work.say(share, f"{act.vm} is shutting down.")

    try:
        async with asyncio.timeout(work.clock.machine_seconds(act.minutes * 60)):
            await work.pool.shut_down(act.vm, told)
    except TimeoutError:
        why = f"{act.vm} has not shut down within {spoken(act.minutes * 60)}"
        await work.pool.give_up(work.place.run, work.place.step, _nothing_to_tell)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp) as error:
        if error.code not in UNWILLING:
            if await _is(act.vm, "halted", work):
                return False
            raise
        why = error.because.rstrip(".")
    else:
        return False
    if await _is(act.vm, "halted", work):
        return False
    if not act.hard:
        raise GiveUp(
            f"{why}; shut it down in its console, then retry, or let it be switched off hard (hard_shutdown = true).",
            who_can_help="the VM's owner",
            code="VM_DID_NOT_SHUT_DOWN",
        )
    await work.pool.switch_off(act.vm)
    return True


async def _nothing_to_tell(share: float) -> None:
    """How far a shutdown is that was given up tells nothing."""


async def _see_down(vm: Named, way: Way, work: Work) -> None:
    look = await work.pool.vm(vm)
    if look is not None and look.power_state not in ("halted", "suspended"):
        raise TryAgain(f"{vm} was to be down, and is {look.power_state}.", after=15)


async def _is(vm: Named, state: str, work: Work) -> bool:
    look = await work.pool.vm(vm)
    return look is None or look.power_state == state


# --- starting ---------------------------------------------------------------------------------------------------------


async def _bring_back(act: acts.Start, down: str, begin: Any, work: Work) -> Ended:
    note = await _note(act.vm, work)
    look = await work.pool.vm(act.vm)
    if not note and not work.again:
        return Ended(acts.Started(gone=True), f"{act.vm} was not stopped by a run, so it is left as its owner has it.")
    if look is None:
        return await _not_ours(act, "was deleted meanwhile", note, work)
    if look.power_state not in (down, "running"):
        return await _not_ours(act, f"is {look.power_state} by its owner's doing", note, work)
    if look.power_state == down:
        if not note:
            return Ended(acts.Started(gone=True), f"{act.vm} is {down} by its owner's doing, and left so.")
        try:
            await begin()
        except NotAnswered:
            raise
        except (TryAgain, GiveUp):
            if not await _is(act.vm, "running", work):
                raise
    after = await work.pool.vm(act.vm)
    if after is not None and after.power_state != "running":
        raise TryAgain(f"{act.vm} was started on {act.host}, and is {after.power_state}.", after=15)
    return await _runs(act, note, after, work)


async def _runs(act: acts.Start, note: Mapping[str, Any], look: VMLook | None, work: Work) -> Ended:
    """It runs: the note goes, and who starts after it may."""
    down = max(0.0, work.clock.now() - float(note["at"])) if "at" in note else 0.0
    await _put_back(act.vm, note.get("lifted", {}), work)
    await _wait(act, work)
    await work.pool.mark(noted.vm_key(act.vm), None)
    elsewhere = look is not None and look.host is not None and look.host.uuid != act.host.uuid
    where = f"on {look.host}, where somebody started it" if look is not None and elsewhere else f"on {act.host}"
    return Ended(acts.Started(down, gone=elsewhere), f"{act.vm} runs {where}; it was down for {spoken(down)}.")


async def _wait(act: acts.Start, work: Work) -> None:
    if act.settle:
        await work.say(1.0, f"{act.vm} runs; what starts after it waits {spoken(act.settle)}.")
        await work.clock.sleep(act.settle)


async def _not_ours(act: acts.Start, why: str, note: Mapping[str, Any], work: Work) -> Ended:
    if why != "was deleted meanwhile":
        await _put_back(act.vm, note.get("lifted", {}), work)
    await work.pool.mark(noted.vm_key(act.vm), None)
    return Ended(acts.Started(gone=True), f"{act.vm} {why}, so it is left as it is.")


# --- the note ---------------------------------------------------------------------------------------------------------


async def _note(vm: Named, work: Work) -> dict[str, Any]:
    text = (await work.pool.look()).settings.notes.get(noted.vm_key(vm), "")
    try:
        read = json.loads(text or "{}")
    except ValueError:
        return {}
    return read if isinstance(read, dict) else {}


async def _write(act: acts.Stop, way: Way, lifted: Mapping[str, str], work: Work) -> None:
    at = (await _note(act.vm, work)).get("at") if lifted else None
    serves = [sr.uuid for sr in act.serves] if isinstance(act, acts.ShutdownVM) else []
    home = act.back_on or act.host
    text = noted.vm_text(work.place.run, act.vm, home, way, at or work.clock.now(), lifted, act.consent, serves)
    await work.pool.mark(noted.vm_key(act.vm), text)


UNWILLING = frozenset({"VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT", "VM_SHUTDOWN_TIMEOUT", "VM_LACKS_FEATURE"})
"""What XAPI says of a guest that does not take part in its shutdown."""
