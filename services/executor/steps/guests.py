"""Guests: watched after the first of them went home, because XAPI calls a frozen guest running (conduct 22)."""

from __future__ import annotations

from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp
from shared.domain.names import Named
from shared.xapi.port import GuestLook

LOOK_PAUSE = 30.0
"""Pool seconds between two looks; tools report about once a minute (xe-guest-utilities)."""

SILENT = "GUEST_SILENT"


async def watch(act: acts.WatchGuests, work: Work) -> Ended:
    """Each guest must have reported again by the end of the time. One that its owner stopped, deleted or moved on
    meanwhile is not watched any more; one that never reported cannot be."""
    first = {vm.uuid: await work.pool.guest(vm) for vm in act.vms}
    watched = {vm: look for vm in act.vms if (look := first[vm.uuid]) is not None and _here(look, act.host)}
    began, wanted = work.clock.now(), act.minutes * 60
    heard = frozenset[Named]()
    while watched and (left := began + wanted - work.clock.now()) > 0:
        names = listed([vm.name for vm in watched])
        await work.say(1 - left / wanted, f"Watching {names} on {act.host}, for {spoken(left)} yet.")
        await work.clock.sleep(min(LOOK_PAUSE, left))
        now = {vm: await work.pool.guest(vm) for vm in watched}
        watched = {vm: watched[vm] for vm, look in now.items() if look is not None and _here(look, act.host)}
        heard |= {vm for vm, before in watched.items() if reported_since(before, now[vm])}
    if silent := [vm.name for vm in watched if vm not in heard]:
        raise GiveUp(
            f"{listed(silent)} came to {act.host} and has not reported for {spoken(wanted)} since, though the pool says"
            " that it runs; look at its console before other guests go there.",
            who_can_help="the owners of these VMs",
            code=SILENT,
        )
    told = f"{listed([vm.name for vm in watched])} reported" if watched else "None of them is there any more"
    return Ended(acts.Done(), f"{told} after {spoken(wanted)} on {act.host}.")


def reported_since(before: GuestLook, now: GuestLook | None) -> bool:
    """Whether a guest's tools reported after it was first looked at. Both times are by one host's clock."""
    if now is None or now.reported_at is None:
        return False
    return before.reported_at is None or now.reported_at > before.reported_at


def _here(look: GuestLook, host: Named) -> bool:
    return look.power_state == "running" and look.host is not None and look.host.uuid == host.uuid
