"""The reboot and its fence: what is read before it, looked at immediately before the call, and seen after it.

No host is rebooted with a VM on it, none twice by one order, and none on doubt (conduct 1 and 2).
"""

from __future__ import annotations

import contextlib

from services.executor.work import Ended, GoBack, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi import packages
from shared.xapi.port import HostLook, NotAnswered

SAME_BOOT = 60.0
"""Two boot_times that differ by less are the same boot: xapi works them out again at each start (conduct 1)."""

SETTLE = 30.0
"""Pool seconds within which a host whose reboot somebody asked for is seen to go down: XAPI does it after 10."""

BUSY_PAUSE = 30.0
"""Pool seconds between two looks at a host on which others are at work."""


async def read_host(act: acts.ReadHost, work: Work) -> Ended:
    """What the fence will compare with. A host that is newer than its master is never rebooted (conduct 5)."""
    look = await work.pool.host(act.host)
    if look.boot_time is None:
        raise TryAgain(f"{act.host} does not say when it was booted; its toolstack is starting.", after=10)
    servertime = await work.pool.servertime(act.host)
    installed = await work.pool.installed(act.host, packages.CEILING)
    if act.ceiling is not None:
        _below(
            act.host, act.ceiling, packages.higher(installed, await work.pool.installed(act.ceiling, packages.CEILING))
        )
    noted = acts.HostNoted(look.boot_time, servertime, look.versions, installed)
    return Ended(noted, f"Noted when {act.host} was booted and what it has installed.")


async def reboot(act: acts.RebootHost, work: Work) -> Ended:
    """Reboot a host once; returns when it has been seen to go down."""
    if act.noted is None:
        raise GiveUp(f"The order to reboot {act.host} does not say what was noted of it, so it is not rebooted.")
    look = await work.pool.host(act.host)
    if work.again:
        # Somebody may have called: XAPI has said yes and the host goes down in 10 s, or it is just coming back and its
        # boot_time is not written yet (Pool.hello makes it live, dbsync comes later). Wait, then look again.
        await work.say(0.0, f"Looking whether {act.host} is going down already.")
        if await work.pool.gone_down(look, SETTLE):
            await _without_doubt(act.host, act.noted, work)
            return Ended(acts.Done(already=True), f"{act.host} is going down.")
        look = await work.pool.host(act.host)
    if _rebooted(act.host, look, act.noted):
        return Ended(acts.Done(already=True), f"{act.host} has been rebooted already.")
    if not look.live:
        if work.again:
            return Ended(acts.Done(already=True), f"{act.host} is down.")
        raise TryAgain(f"{act.host} is not live, so it is not rebooted.", after=30)
    if work.again and look.storage and not any(look.storage.values()):
        raise TryAgain(f"{act.host} has no storage attached: it goes down or starts, so it is not rebooted.", after=15)
    look = await _when_clear(act, work)
    began = work.clock.now()
    await work.pool.reboot(act.host)
    await work.say(0.5, f"{act.host} will go down in a moment.")
    patience = act.shutdown_minutes * 60  # its own script may empty it first (conduct 23)
    if not await work.pool.gone_down(look, patience):
        raise GiveUp(
            f"{act.host} took the order to reboot and has not gone down for {spoken(patience)}; it is not rebooted"
            " a second time. Look at its console."
        )
    return Ended(acts.Done(), f"{act.host} goes down for its reboot after {spoken(work.clock.now() - began)}.")


async def _without_doubt(host: Named, noted: acts.HostNoted, work: Work) -> None:
    """A host that went down may be up again: then its boot_time must be one that leaves no doubt (see `_rebooted`)."""
    with contextlib.suppress(NotAnswered):
        look = await work.pool.host(host)
        if look.live and look.boot_time is not None:
            _rebooted(host, look, noted)


def _rebooted(host: Named, look: HostLook, noted: acts.HostNoted) -> bool:
    """Whether it was booted after it was noted. Raises GiveUp when its clock was moved, and nobody can tell."""
    if look.boot_time is None:
        raise TryAgain(f"{host} does not say when it was booted; its toolstack is starting.", after=10)
    later = look.boot_time - noted.boot_time
    if abs(later) < SAME_BOOT:
        return False
    if later > 0 and look.boot_time > noted.servertime:
        return True
    raise GiveUp(
        f"{host} says that it was booted at another time than was noted, and its clock was moved meanwhile, so nobody"
        " can tell whether it was rebooted; it is not rebooted on doubt. Look at it, then retry or skip the step.",
        code="CLOCK_MOVED",
    )


async def _when_clear(act: acts.RebootHost, work: Work) -> HostLook:
    """The look with which the host is rebooted: disabled, empty and idle. What others do there is waited for, a backup
    above all, which a reboot would kill (conduct 11)."""
    began = work.clock.now()
    while True:
        disks = await work.pool.control_domain_disks(act.host)
        look = await work.pool.host(act.host)
        _clear(look)
        busy = [
            *look.tasks_of_others,
            *(f"the export of {vm}" for vm in look.exports),
            *(f"the disk {disk} at its control domain" for disk in disks),
        ]
        if not busy:
            return look
        waited, what = work.clock.now() - began, listed(busy)
        if waited > act.backup_minutes * 60:
            raise GiveUp(
                f"Somebody else is at work on {act.host} ({what}) for {spoken(waited)}, so it is not rebooted; see that"
                " it ends, then retry.",
                who_can_help="whoever makes the backups",
                code="BACKUP",
            )
        left = spoken(act.backup_minutes * 60 - waited)
        await work.say(0.0, f"{act.host} is not rebooted while others work on it ({what}), for {left} at most.")
        await work.clock.sleep(BUSY_PAUSE)


def _clear(look: HostLook) -> None:
    """Conduct 2, all of one reading. Raises GoBack to disabling and emptying it."""
    host, on_it = look.named, [*look.residents, *look.arriving]
    if look.enabled:
        raise GoBack(f"{host} is enabled again, so it is not rebooted; it is disabled and emptied once more.", to=BACK)
    if on_it:
        names = listed([vm.named.name for vm in on_it])
        raise GoBack(f"{names} came to {host} meanwhile, so it is not rebooted; it is emptied once more.", to=BACK)


def _below(host: Named, ceiling: Named, higher: tuple[str, ...]) -> None:
    if higher:
        raise GiveUp(
            f"{host} has newer packages than its master {ceiling} ({listed(list(higher))}), and would not join its pool"
            f" again; never reboot it before {ceiling} is updated.",
            code="ABOVE_THE_MASTER",
        )


BACK = "disable_host"
