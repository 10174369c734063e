"""The survey: the whole pool read once and stored for the planner."""

from __future__ import annotations

import hashlib

from pydantic import TypeAdapter

from services.executor import ground
from services.executor.work import Ended, Work, listed
from shared.domain import acts
from shared.domain.model import PoolSnapshot


async def survey(act: acts.Survey, work: Work) -> Ended:
    """Changes nothing. The snapshot is JSON of a PoolSnapshot; its name holds run, step and attempt."""
    read = await work.pool.survey(updates=act.updates, at=work.clock.now(), of=act.hosts)
    pool = ground.stood_on(read, work.ground)
    data = TypeAdapter(PoolSnapshot).dump_json(pool)
    name = str(work.place)
    await work.keep(name, data)
    result = acts.SurveyTaken(name, hashlib.sha256(data).hexdigest()[:16], len(pool.hosts), len(pool.vms))
    return Ended(result, _sentence(act, pool) + _unknown(pool, work))


def _unknown(pool: PoolSnapshot, work: Work) -> str:
    names = ground.strangers(pool, work.ground)
    return f" It has no {listed(list(names))}, which rota_vms, needed_vms or replicated name." if names else ""


def _sentence(act: acts.Survey, pool: PoolSnapshot) -> str:
    waiting = [host.name for host in pool.hosts if host.updates]
    count = ", ".join(waiting) or "none of those asked" if act.hosts else len(waiting)
    told = f", updates waiting on {count}" if act.updates else ""
    return f"Surveyed {act.pool_name or pool.name}: {len(pool.hosts)} hosts{told}, {len(pool.vms)} VMs."
