"""pool: HA, workload balancing, its database, a new master (xen-api ocaml/xapi/xapi_pool.ml)."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from simulator import ha, succession
from simulator.calls.context import Context
from simulator.failure import Failure


async def enable_ha(ctx: Context, heartbeat_srs: list[str], configuration: dict[str, str]) -> None:
    await alone(ctx, "ha_enable", ha.enable(ctx.site, heartbeat_srs, configuration))


async def disable_ha(ctx: Context) -> None:
    await alone(ctx, "ha_disable", ha.disable(ctx.site))


async def alone(ctx: Context, operation: str, act: Coroutine[Any, Any, None]) -> None:
    """One of the pool's own operations: they exclude one another and nobody waits in a queue."""
    site = ctx.site
    for other in site.pool_record["current_operations"].values():
        act.close()
        raise Failure(IN_PROGRESS[other])
    site.world.change("pool", site.pool, current_operations={ctx.task: operation})
    try:
        await act
    finally:
        site.world.change("pool", site.pool, current_operations={})


async def designate_new_master(ctx: Context, host: str) -> None:
    """Another host becomes master; every xapi restarts."""
    ctx.reach(host)
    await alone(ctx, "designate_new_master", succession.designate(ctx.site, host))


async def sync_database(ctx: Context) -> None:
    """Every member gets a copy of the database as it is; while the upgrade flag is set it is a dummy."""
    await ctx.site.scheduler.sleep(1.0)
    succession.back_up(ctx.site)


def ha_failover_plan_exists(ctx: Context, n: int) -> bool:
    return ha.plan_exists(ctx.site, n)


def ha_compute_max_host_failures_to_tolerate(ctx: Context) -> int:
    site = ctx.site
    return max((n for n in range(len(site.machines)) if ha.plan_exists(site, n)), default=0)


def ha_prevent_restarts_for(ctx: Context, seconds: int) -> None:
    """Accepted; the simulated HA restarts nothing behind a client's back in that time anyway."""


def get_license_state(ctx: Context, self: str) -> dict[str, str]:
    return {"edition": ctx.site.world.record("host", ctx.site.master.ref)["edition"], "expiry": "never"}


def has_extension(ctx: Context, self: str, name: str) -> bool:
    return False


def retrieve_wlb_recommendations(ctx: Context) -> dict[str, list[str]]:
    if not ctx.site.pool_record["wlb_enabled"]:
        raise Failure("WLB_DISABLED")
    return {}


def emergency_transition_to_master(ctx: Context) -> None:
    """A member makes itself master, out of its own copy of the database."""
    succession.promote(ctx.site, ctx.machine)


def recover_slaves(ctx: Context) -> list[str]:
    return succession.recover(ctx.site)


IN_PROGRESS = {
    "ha_enable": "HA_ENABLE_IN_PROGRESS",
    "ha_disable": "HA_DISABLE_IN_PROGRESS",
    "designate_new_master": "DESIGNATE_NEW_MASTER_IN_PROGRESS",
    "sync_updates": "SYNC_UPDATES_IN_PROGRESS",
    "apply_updates": "APPLY_UPDATES_IN_PROGRESS",
}
CALLS = {
    "pool.enable_ha": enable_ha,
    "pool.disable_ha": disable_ha,
    "pool.designate_new_master": designate_new_master,
    "pool.sync_database": sync_database,
    "pool.ha_failover_plan_exists": ha_failover_plan_exists,
    "pool.ha_compute_max_host_failures_to_tolerate": ha_compute_max_host_failures_to_tolerate,
    "pool.ha_prevent_restarts_for": ha_prevent_restarts_for,
    "pool.get_license_state": get_license_state,
    "pool.has_extension": has_extension,
    "pool.retrieve_wlb_recommendations": retrieve_wlb_recommendations,
    "pool.emergency_transition_to_master": emergency_transition_to_master,
    "pool.recover_slaves": recover_slaves,
}
