"""Hosts: disabled before they are emptied, checked and repaired after their reboot, enabled again."""

from __future__ import annotations

from collections.abc import Sequence

from services.executor.steps import noted
from services.executor.work import Ended, Work, listed, spoken
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.xapi import packages
from shared.xapi.port import NotAnswered

BOOTING_PAUSE = 5.0
BOOTING_PATIENCE = 900.0
"""A host that says HOST_STILL_BOOTING is asked again so often, and for so long, in pool seconds."""

PLUG_PAUSE = 15.0
PLUG_PATIENCE = 600.0
"""An SR that cannot be attached is tried again so often, and for so long: an NFS server may be slow to come back."""


async def disable(act: acts.DisableHost, work: Work) -> Ended:
    """No VM may start there any more. A host that is disabled is disabled again, so that it stays so over a restart
    of its toolstack where its XAPI knows how."""
    before = await work.pool.host(act.host)
    if before.enabled:
        await work.pool.mark(noted.host_key(act.host), noted.host_text(work.place.run, act.host))
    await work.pool.mark_host(act.host, noted.RUN, work.place.run)
    await work.pool.disable(act.host)
    if before.enabled and (await work.pool.host(act.host)).enabled:
        raise TryAgain(f"{act.host} was disabled and is enabled again.", after=10)
    already = not before.enabled and not work.again
    return Ended(acts.Done(already=already), f"{act.host} is disabled: no VM starts there.")


async def enable(act: acts.EnableHost, work: Work) -> Ended:
    """Again and again while its toolstack still starts."""
    if (await work.pool.host(act.host)).enabled:
        await _forget(act.host, work)
        return Ended(acts.Done(already=not work.again), f"{act.host} is enabled.")
    began = work.clock.now()
    while True:
        try:
            await work.pool.enable(act.host)
            break
        except TryAgain as error:
            waited = work.clock.now() - began
            if error.code != "HOST_STILL_BOOTING" or waited > BOOTING_PATIENCE:
                raise
        await work.say(0.0, f"{act.host} is still starting, for {spoken(waited)} now.")
        await work.clock.sleep(BOOTING_PAUSE)
    if not (await work.pool.host(act.host)).enabled:
        raise TryAgain(f"{act.host} was enabled and is disabled again.", after=10)
    await _forget(act.host, work)
    return Ended(acts.Done(), f"{act.host} is enabled: it takes VMs again.")


async def _forget(host: Named, work: Work) -> None:
    """What was noted of a host in its turn is taken away."""
    await work.pool.mark(noted.host_key(host), None)
    await work.pool.mark_host(host, noted.RUN, None)


async def check_gate(act: acts.CheckGate, work: Work) -> Ended:
    """Before VMs come back: the SRs that were attached are, no update is left, and what is installed is what runs."""
    repaired = await _attach(act, work)
    now = await work.pool.host(act.host)
    if act.updates:
        expected = {(package.name, packages.evr_of(package)) for package in act.expected}
        left = await work.pool.offered(act.host)
        if same := [one for one in left if (one.name, packages.evr_of(one)) in expected]:
            names = listed([package.name for package in same])
            raise GiveUp(f"{act.host} was updated and rebooted, and is still offered {names}.")
        if left:
            names = listed([package.name for package in left])
            repaired.append(
                f"{act.host} is offered {names} by now; that was published since and waits for the next run."
            )
        has = await work.pool.installed(act.host, packages.CEILING)
        if wrong := packages.not_running(has, now.versions):
            raise GiveUp(f"{act.host} was rebooted, and {' and '.join(wrong)}; look at its boot loader.")
        await work.pool.mark(noted.installed_key(act.host), None)
    told = f" after {len(repaired)} repairs" if repaired else ""
    return Ended(
        acts.Checked(tuple(repaired), now.versions), f"{act.host} has its storage and what was installed{told}."
    )


async def _attach(act: acts.CheckGate, work: Work) -> list[str]:
    """Attach what was attached before, each again and again until the patience ends. Sentences of what was repaired."""
    repaired: list[str] = []
    began = work.clock.now()
    while missing := await _detached(act.host, act.attached, work):
        failed = await _plug_each(act.host, missing, work, repaired)
        if failed is None:
            continue
        waited = work.clock.now() - began
        if waited > PLUG_PATIENCE:
            raise failed
        await work.say(0.0, f"{failed.because} It is tried again, for {spoken(waited)} now.")
        await work.clock.sleep(PLUG_PAUSE)
    return repaired


async def _plug_each(
    host: Named, missing: Sequence[Named], work: Work, repaired: list[str]
) -> TryAgain | GiveUp | None:
    failed: TryAgain | GiveUp | None = None
    for sr in missing:
        try:
            await work.pool.plug(host, sr)
            repaired.append(f"Attached {sr} to {host} again.")
        except NotAnswered:
            raise
        except (TryAgain, GiveUp) as error:
            failed = error
    return failed


async def _detached(host: Named, wanted: Sequence[Named], work: Work) -> list[Named]:
    """What is wanted and not attached. An SR that the host has no PBD for any more was taken away by its owner."""
    storage = (await work.pool.host(host)).storage
    return [sr for sr in wanted if not storage.get(sr.uuid, True)]
