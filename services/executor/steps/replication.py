"""Storage that is replicated between the hosts: waited for until it is whole, its packages and services."""

from __future__ import annotations

from services.executor.steps import updates
from services.executor.work import Ended, Work, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.model import Package
from shared.domain.names import Named
from shared.xapi import packages

LOOK_PAUSE = 30.0
"""Pool seconds between two looks at storage that resynchronises, which takes minutes."""


async def check(act: acts.CheckReplication, work: Work) -> Ended:
    """Changes nothing: the next host may go once every replica is where it belongs."""
    since = act.since or work.clock.now()
    while lacking := await _lacking(act, work):
        sr, because = lacking
        waited = work.clock.now() - since
        if waited > act.minutes * 60:
            raise GiveUp(
                f"The storage {sr} is not whole after {spoken(waited)}: {because}. No host goes away before it is; look"
                " at it (linstor resource list), then retry.",
                who_can_help="whoever looks after the storage",
                code="NOT_WHOLE",
            )
        left = spoken(act.minutes * 60 - waited)
        await work.say(0.0, f"Waiting for the storage {sr} to be whole, for {left} at most: {because}.")
        await work.clock.sleep(LOOK_PAUSE)
    names = " and ".join(sr.name for sr in act.srs)
    return Ended(acts.Done(), f"The storage {names} is whole.")


async def _lacking(act: acts.CheckReplication, work: Work) -> tuple[Named, str] | None:
    """The first storage that is not whole, with what it lacks."""
    for sr in act.srs:
        if because := await work.pool.replication(sr):
            return sr, because
    return None


async def install(act: acts.InstallPackage, work: Work) -> Ended:
    """One package, in the planned version, on a host whose VMs run."""
    began, name = work.clock.now(), act.package.name
    offered = next((one for one in await updates.offered_to(act.host, work) if one.name == name), None)
    if offered is None:
        return Ended(acts.Installed(), f"{name} is on {act.host} already, in the version that is offered.")
    wanted = packages.evr_of(act.package)
    if packages.evr_of(offered) != wanted:
        raise GiveUp(
            f"{act.host} is offered {name} {packages.evr_of(offered)} by now instead of {wanted}, so that its hosts"
            " would not be alike; nothing was installed. Cancel, and start again.",
            code="MORE_OFFERED",
        )
    await updates.below_the_ceiling(act.host, act.ceiling, (offered,), work)
    before = await work.pool.installed(act.host, [name])

    async def told(share: float) -> None:
        await work.say(share, f"Installing {name} on {act.host}: {share:.0%}.")

    await work.pool.install_package(act.host, name, told)
    await _confirm(act.host, offered, work)
    was = {name: packages.evr(name, before.get(name, ""))} if before.get(name) else {}
    took = spoken(work.clock.now() - began)
    return Ended(acts.Installed((offered,), was), f"Installed {name} {wanted} on {act.host} in {took}.")


async def _confirm(host: Named, wanted: Package, work: Work) -> None:
    if packages.missing((wanted,), await work.pool.installed(host, [wanted.name])):
        raise TryAgain(f"The updater of {host} says that it is done, and {wanted.name} is not installed.", after=60)


async def switch(act: acts.SwitchService, work: Work) -> Ended:
    """Doing it twice does no harm."""
    await work.pool.service(act.host, act.service, act.action)
    how = "was restarted" if act.action == "restart" else "was stopped, and starts again where it is to run"
    return Ended(acts.Done(), f"The service {act.service} of {act.host} {how}.")
