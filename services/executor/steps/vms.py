"""VMs: moved one by one to where the planner wants them, and swept from a host when some appeared meanwhile."""

from __future__ import annotations

from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi.port import NotAnswered, VMLook

OFF = ("halted", "suspended")

MOVE_PATIENCE = 3600.0
"""Pool seconds that somebody else's move of a VM is waited for."""


async def migrate(act: acts.MigrateVM, work: Work) -> Ended:
    """Move a running VM. One that its owner stopped, deleted or moved elsewhere meanwhile is a fact of life."""
    if act.instead_of:
        await work.pool.give_up(work.place.run, act.instead_of, nothing_to_tell)
    before = await at_rest(act.vm, work)
    if (settled := _settled(act, before, work)) is not None:
        return settled
    movable(act, before)

    async def told(share: float) -> None:
        await work.say(share, f"Moving {act.vm} from {act.away_from} to {act.to}: {share:.0%}.")

    began = work.clock.now()
    try:
        await work.pool.move(act.vm, act.to, act.network, told)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp):
        if (settled := _settled(act, await work.pool.vm(act.vm), work)) is not None:
            return settled
        raise
    after = await work.pool.vm(act.vm)
    if after is not None and after.host is not None and after.host.uuid == act.to.uuid:
        took = spoken(work.clock.now() - began)
        return Ended(acts.Moved(), f"Moved {act.vm} from {act.away_from} to {act.to} in {took}.")
    if (settled := _settled(act, after, work)) is not None:
        return settled
    raise TryAgain(f"The pool says that {act.vm} was moved to {act.to}, and it still is on {act.away_from}.", after=15)


async def sweep(act: acts.EvacuateRest, work: Work) -> Ended:
    """See that a host is empty; what appeared there meanwhile the pool moves itself."""
    found = (await work.pool.host(act.host)).residents
    for vm in found:
        if vm.moving:
            await at_rest(vm.named, work)
            found = (await work.pool.host(act.host)).residents
    if not found:
        return Ended(acts.Swept(), f"No VM is left on {act.host}.")
    names = listed([vm.named.name for vm in found])

    async def told(share: float) -> None:
        await work.say(share, f"Moving {names} off {act.host}: {share:.0%}.")

    try:
        await work.pool.evacuate(act.host, act.network, told)
    except NotAnswered:
        raise
    except (TryAgain, GiveUp):
        if (await work.pool.host(act.host)).residents:
            raise
    if left := (await work.pool.host(act.host)).residents:
        raise TryAgain(f"{listed([vm.named.name for vm in left])} did not leave {act.host}.", after=15)
    return Ended(acts.Swept(tuple(vm.named for vm in found)), f"The pool moved {names} off {act.host}.")


async def nothing_to_tell(share: float) -> None:
    """How far a move is that was given up tells nothing of this one."""


async def at_rest(vm: Named, work: Work) -> VMLook | None:
    """A VM once it is not on its way: a move that somebody began, or that outlived its task, is waited for."""
    look = await work.pool.vm(vm)
    if look is None or not look.moving:
        return look
    await work.say(0.0, f"{vm} is on its way already; that is waited for.")
    if not await work.pool.come_to_rest(vm, MOVE_PATIENCE):
        raise TryAgain(f"{vm} is on its way for {spoken(MOVE_PATIENCE)} and does not arrive.", after=60)
    return await work.pool.vm(vm)


def _settled(act: acts.MigrateVM, vm: VMLook | None, work: Work) -> Ended | None:
    """The end of a move that needs nothing more to be done, or None."""
    if vm is None:
        return Ended(acts.Moved(gone=True), f"{act.vm} was deleted meanwhile, so there is nothing to move.")
    if vm.power_state in OFF:
        return Ended(acts.Moved(gone=True), f"{act.vm} was {STOPPED[vm.power_state]} meanwhile, so it stays.")
    if vm.host is None or vm.host.uuid == act.away_from.uuid:
        return None
    if vm.host.uuid == act.to.uuid:
        return Ended(acts.Moved(already=not work.again), f"{act.vm} is on {act.to}.")
    return Ended(acts.Moved(gone=True), f"{act.vm} was moved to {vm.host} meanwhile by somebody else.")


def movable(act: acts.MigrateVM, vm: VMLook | None) -> None:
    """Raises why a VM cannot be moved as it is."""
    if vm is None or vm.host is None:
        raise TryAgain(f"{act.vm} runs and the pool does not say where; it may be starting.", after=10)
    if vm.power_state == "paused":
        raise GiveUp(
            f"{act.vm} is paused on {act.away_from}, and a paused VM cannot be moved; unpause it or shut it down.",
            who_can_help="the VM's owner",
            code="VM_BAD_POWER_STATE",
        )


STOPPED = {"halted": "shut down", "suspended": "suspended"}
