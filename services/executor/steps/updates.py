"""Packages: installed on an empty host, never above the master's, and believed installed only when seen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from services.executor.steps import noted
from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.model import Package
from shared.domain.names import Named
from shared.domain.offers import advisories
from shared.xapi import packages

BUSY = "UPDATER_BUSY"
BUSY_PAUSE = 30.0
BUSY_PATIENCE = 3600.0
"""A busy updater is asked again so often, and for so long, in pool seconds: after the master's toolstack restarted in
the middle of an installation only the updater's lock still tells that yum is at work."""

KEPT_TEXT, KEPT_TEXTS = 1500, 200_000
"""Characters of a package's changelog, and of all of them, that the fact of an installation keeps; the survey has
them in full."""

KEPT_ADVISORIES = 500


async def install(act: acts.InstallUpdates, work: Work) -> Ended:
    """Install what is offered. An installation that is under way, ours or not, is waited for before it is looked."""
    began = work.clock.now()
    offered = await offered_to(act.host, work)
    if not offered:
        return Ended(acts.Installed(), f"Nothing is left to install on {act.host}.")
    await below_the_ceiling(act.host, act.ceiling, offered, work)

    async def told(share: float) -> None:
        await work.say(share, f"Installing {len(offered)} packages on {act.host}: {share:.0%}.")

    _only(act, offered)
    _apart(act, offered)
    before = await work.pool.installed(act.host, [package.name for package in offered])
    await work.say(0.0, f"Installing {len(offered)} packages on {act.host}.")
    servertime = await work.pool.servertime(act.host)
    await work.pool.mark(noted.installed_key(act.host), noted.installed_text(work.place.run, act.host, servertime))
    await work.pool.install(act.host, told)
    await _confirm(act.host, offered, work)
    took = spoken(work.clock.now() - began)
    return Ended(_installed(offered, before), f"Installed {len(offered)} packages on {act.host} in {took}.")


async def offered_to(host: Named, work: Work) -> tuple[Package, ...]:
    """What a host is offered once nobody installs there any more."""
    began = work.clock.now()
    while True:
        await work.pool.install_over(host)
        try:
            return await work.pool.offered(host)
        except TryAgain as error:
            if error.code != BUSY or work.clock.now() - began > BUSY_PATIENCE:
                raise
        waited = spoken(work.clock.now() - began)
        await work.say(0.0, f"Waiting for the updater of {host}, which is busy, for {waited} now.")
        await work.clock.sleep(BUSY_PAUSE)


def _only(act: acts.InstallUpdates, offered: tuple[Package, ...]) -> None:
    """On a host whose VMs run nothing is installed that was not planned: it may need a reboot."""
    if act.only and (more := [package.name for package in offered if package.name not in act.only]):
        raise GiveUp(
            f"{act.host} is offered {listed(more)} by now, which may need a reboot; nothing was installed, because its"
            " VMs run. Cancel, and start again.",
            code="MORE_OFFERED",
        )


def _apart(act: acts.InstallUpdates, offered: tuple[Package, ...]) -> None:
    """What must be the same on all hosts is not installed on one alone."""
    if found := [package.name for package in offered if package.name in act.apart]:
        raise GiveUp(
            f"{act.host} is offered {listed(found)} by now, which must be on all hosts before any is rebooted; nothing"
            " was installed. Skip this step, so that the host comes back as it is, cancel, and start again.",
            code="MORE_OFFERED",
        )


async def below_the_ceiling(host: Named, master: Named | None, offered: tuple[Package, ...], work: Work) -> None:
    """Conduct 5: a member newer than its master (None on the master itself) does not join its pool again."""
    if master is None:
        return
    has = await work.pool.installed(master, [package.name for package in offered])
    if too_new := packages.above(offered, has):
        names = listed([f"{package.name} {packages.evr_of(package)}" for package in too_new])
        raise GiveUp(
            f"{host} is offered {names}, which is newer than its master {master} has; nothing was installed,"
            f" because a member newer than its master does not join again. Update {master} first.",
            code="ABOVE_THE_MASTER",
        )


async def _confirm(host: Named, wanted: tuple[Package, ...], work: Work) -> None:
    """What was offered is installed, and nothing is left: an updater that says so is not believed."""
    left = await work.pool.offered(host)
    has = await work.pool.installed(host, [package.name for package in wanted])
    if missing := packages.missing(wanted, has):
        names = listed([package.name for package in missing])
        raise TryAgain(f"The updater of {host} says that it is done, and {names} is not installed.", after=60)
    if left:
        names = listed([package.name for package in left])
        raise TryAgain(f"{host} was updated, and is offered {names} now; the repository has changed.", after=30)


def _installed(offered: tuple[Package, ...], before: Mapping[str, str]) -> acts.Installed:
    """What was installed, with what stood there before; an installation that was taken over knows that in part."""
    were = {one.name: packages.evr(one.name, before.get(one.name, "")) for one in offered}
    changed = {one.name: were[one.name] for one in offered if were[one.name] not in ("", packages.evr_of(one))}
    kept = min(KEPT_TEXT, KEPT_TEXTS // max(1, len(offered)))
    short = tuple(replace(one, description=one.description[:200], changelog=one.changelog[:kept]) for one in offered)
    return acts.Installed(short, changed, advisories(offered)[:KEPT_ADVISORIES])
