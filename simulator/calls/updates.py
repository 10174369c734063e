"""pool.sync_updates, host.apply_updates and what belongs to them (xen-api ocaml/xapi/repository.ml, xapi_host.ml)."""

from __future__ import annotations

from simulator import repository
from simulator.calls.context import Context
from simulator.calls.pool import alone
from simulator.failure import Failure
from simulator.faulttable import take
from simulator.machine import Machine
from simulator.site import Site

SYNCHRONISING = 20.0
PENDING = {"RebootHost": "reboot_host", "RestartToolstack": "restart_toolstack"}


async def sync_updates(
    ctx: Context,
    self: str,
    force: bool,
    token: str = "",
    token_id: str = "",
    username: str = "",
    password: str = "",
) -> str:
    """Fetches what the repositories offer; its hash. A pool without repositories is refused."""
    site = ctx.site
    site.world.record("pool", self)
    if not site.pool_record.get("repositories"):
        raise Failure("NO_REPOSITORIES_CONFIGURED")
    await alone(ctx, "sync_updates", site.scheduler.sleep(SYNCHRONISING))
    site.synced_hash = repository.hash_of(site)
    site.world.change("pool", self, last_update_sync=site.today())
    for machine in site.machines.values():
        site.world.change("host", machine.ref, latest_synced_updates_applied="no" if machine.waiting() else "yes")
    return site.synced_hash


def check_update_readiness(ctx: Context, self: str, requires_reboot: bool) -> list[list[str]]:
    """What stands in the way of updating the pool, each as code and parameters."""
    site = ctx.site
    wrong = [["HA_IS_ENABLED"]] if site.pool_record["ha_enabled"] else []
    return wrong + [["HOST_OFFLINE", host] for host in site.machines if not site.is_live(host)]


async def apply_updates(ctx: Context, self: str, hash: str) -> list[list[str]]:
    """Installs what was synchronised on one host, which it disables itself; warnings, none here."""
    site = ctx.site
    machine = ctx.reach(self)
    check(site, machine, hash)
    must = repository.guidance(machine.waiting())
    if "RebootHost" in must and site.guests(self):
        raise Failure("HOST_EVACUATION_IS_REQUIRED", self)
    machine.user_disabled = True
    site.set_enabled(machine, False, "call")
    await alone(ctx, "apply_updates", install(site, machine, must))
    return []


def check(site: Site, machine: Machine, hash: str) -> None:
    if site.pool_record["ha_enabled"]:
        raise Failure("HA_IS_ENABLED")
    if not site.synced_hash or hash != site.synced_hash:
        raise Failure("UPDATEINFO_HASH_MISMATCH")
    if site.world.record("host", machine.ref)["pending_guidances"]:
        raise Failure("HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", machine.ref)


async def install(site: Site, machine: Machine, must: list[str]) -> None:
    packages = machine.waiting()
    fails = take(site, "install_fails", host=machine.name)
    await site.scheduler.sleep(machine.install_seconds * (0.3 if fails else 1.0))
    outcome = "failed" if fails else "success"
    site.journal.write("install", host=machine.name, packages=[one.name for one in packages], outcome=outcome)
    if fails:
        raise Failure("APPLY_UPDATES_FAILED", machine.ref)
    machine.install(packages)
    site.world.change(
        "host",
        machine.ref,
        pending_guidances=[PENDING[one] for one in must],
        last_software_update=site.today(),
        last_update_hash=site.synced_hash,
        latest_synced_updates_applied="yes",
    )


CALLS = {
    "pool.sync_updates": sync_updates,
    "pool.check_update_readiness": check_update_readiness,
    "host.apply_updates": apply_updates,
}
