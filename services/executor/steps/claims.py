"""The pool as a whole, before anything is changed on it: claimed for a run, let go after it, its database kept.

A claim stands in the pool's own other_config, where another Rota on another bus, or a person with `xe`, finds it.
"""

from __future__ import annotations

from services.executor.work import Ended, Work
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain

CLAIM = "rota:claim"


async def claim(act: acts.ClaimPool, work: Work) -> Ended:
    """The pool is this run's. Another's claim is never overwritten; of two who claim at once the pool takes one."""
    found = await _found(work)
    if found == act.claim:
        return Ended(acts.Done(already=not work.again), "The pool is claimed for this run.")
    if found and found != act.replaces:
        raise _taken(found)
    if found:
        await work.pool.mark(CLAIM, None)
    await work.pool.note(CLAIM, act.claim)
    standing = await _found(work)
    if not standing:
        raise TryAgain("The pool was claimed for this run, and the claim does not stand there.", after=10)
    if standing != act.claim:
        raise _taken(standing)
    return Ended(acts.Done(), "The pool is claimed for this run.")


async def release(act: acts.ReleasePool, work: Work) -> Ended:
    """This run's claim is gone; another's stays."""
    if await _found(work) != act.claim:
        return Ended(acts.Done(already=not work.again), "The pool is not claimed for this run any more.")
    await work.pool.mark(CLAIM, None)
    if await _found(work) == act.claim:
        raise TryAgain("The pool was let go, and the claim still stands there.", after=10)
    return Ended(acts.Done(), "The pool is let go.")


async def dump(act: acts.DumpDatabase, work: Work) -> Ended:
    """A copy of the pool's database is kept. While the upgrade flag is set XAPI hands out a dummy (xen-api
    pool_db_backup.ml): none is kept then, and one that was taken while the flag came is thrown away."""
    name = act.pool_name or "the pool"
    if await _is_dummy(work):
        return Ended(acts.Dumped(), f"No copy of the database of {name} is kept: while hosts differ it is a dummy.")
    data = await work.pool.database()
    if await _is_dummy(work):
        return Ended(acts.Dumped(), f"No copy of the database of {name} is kept: hosts began to differ meanwhile.")
    kept = f"{work.place}.xmldb"
    await work.keep(kept, data)
    return Ended(acts.Dumped(kept, len(data)), f"Kept a copy of the database of {name}, {len(data) / 2**20:.1f} MiB.")


async def _found(work: Work) -> str:
    return (await work.pool.look()).settings.notes.get(CLAIM, "")


async def _is_dummy(work: Work) -> bool:
    return (await work.pool.look()).settings.rolling_upgrade_in_progress


def _taken(text: str) -> GiveUp:
    return GiveUp(
        f"The pool is claimed by another run ({text[:200]}), so nothing is changed on it; if that Rota is gone,"
        " `rota undo` puts back what it changed and frees the pool.",
        code="POOL_CLAIMED",
    )
