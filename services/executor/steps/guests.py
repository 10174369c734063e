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
    """Each guest must have reported since the order by the end of the time. One that its owner stopped, deleted or
    moved on meanwhile is not watched any more."""
    since, wanted = act.since or work.clock.now(), act.minutes * 60
    ahead = await work.pool.servertime(act.host) - work.clock.now()
    while (left := since + wanted - work.clock.now()) > 0:
        names = listed([vm.name for vm in act.vms])
        await work.say(1 - left / wanted, f"Watching {names} on {act.host}, for {spoken(left)} yet.")
        await work.clock.sleep(min(LOOK_PAUSE, left))
    looks = [await work.pool.guest(vm) for vm in act.vms]
    watched = [look for look in looks if look is not None and _here(look, act.host)]
    if silent := [look.named.name for look in watched if not reported_since(look, since + ahead)]:
        raise GiveUp(
            f"{listed(silent)} came to {act.host} and has not reported for {spoken(wanted)} since, though the pool says"
            " that it runs; look at its console before other guests go there.",
            who_can_help="the owners of these VMs",
            code=SILENT,
        )
    told = f"{listed([look.named.name for look in watched])} reported" if watched else "None of them is there any more"
    return Ended(acts.Done(), f"{told} after {spoken(wanted)} on {act.host}.")


def reported_since(look: GuestLook, moment: float) -> bool:
    """Whether a guest's tools have reported after a moment, both by its host's clock."""
    return look.reported_at is not None and look.reported_at > moment


def _here(look: GuestLook, host: Named) -> bool:
    return look.power_state == "running" and look.host is not None and look.host.uuid == host.uuid
