"""A host's toolstack: restarted so that what was installed runs, while its VMs run on.

A second restart does no harm, but a master's restart ends the session that asked for it: so what was running before is
noted in the pool, and who comes back sees that it is another.
"""

from __future__ import annotations

import json

from services.executor.work import Ended, Work, spoken
from shared.domain import acts
from shared.domain.errors import TryAgain
from shared.domain.names import Named
from shared.xapi import packages

BACK_PAUSE, BACK_PATIENCE = 5.0, 600.0
"""A toolstack that was told to restart is looked at so often, and for so long, in pool seconds."""


def key(host: Named) -> str:
    """The key of the note."""
    return f"rota:toolstack:{host.uuid}"


async def restart(act: acts.RestartToolstack, work: Work) -> Ended:
    """Restart it once, and wait until another one runs and the host is live."""
    before = await _noted(act.host, work)
    began = work.clock.now()
    look = await work.pool.host(act.host)
    if before is None:
        if look.agent_start_time is None:
            raise TryAgain(f"The toolstack of {act.host} is starting already.", after=15)
        before = look.agent_start_time
        await work.pool.mark(key(act.host), json.dumps({"run": work.place.run, "before": before}))
        await work.pool.restart_toolstack(act.host)
    while look.agent_start_time in (None, before) or not look.live:
        waited = work.clock.now() - began
        if waited > BACK_PATIENCE:
            await work.pool.mark(key(act.host), None)
            raise TryAgain(f"The toolstack of {act.host} has not restarted for {spoken(waited)}.", after=30)
        await work.say(0.5, f"The toolstack of {act.host} restarts, for {spoken(waited)} now.")
        await work.clock.sleep(BACK_PAUSE)
        look = await work.pool.host(act.host)
    await work.pool.mark(key(act.host), None)
    if packages.toolstack_is_stale(await work.pool.installed(act.host, packages.CEILING), look.versions):
        raise TryAgain(f"The toolstack of {act.host} was restarted and still is the old one.", after=30)
    return Ended(acts.Done(), f"The toolstack of {act.host} runs anew after {spoken(work.clock.now() - began)}.")


async def _noted(host: Named, work: Work) -> float | None:
    """When the toolstack was started that was told to restart, or None where none was."""
    text = (await work.pool.look()).settings.notes.get(key(host))
    if text is None:
        return None
    try:
        return float(json.loads(text)["before"])
    except (ValueError, KeyError, TypeError):
        return None
