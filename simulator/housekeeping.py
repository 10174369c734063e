"""What the master's xapi does by itself every half minute: the upgrade flag, liveness, old tasks and sessions.

Periods and limits: xen-api ocaml/xapi/db_gc.ml, db_gc_util.ml, xapi_globs.ml.
"""

from __future__ import annotations

from simulator import placement
from simulator.site import Site, refresh_host
from simulator.values import NEVER, unix_of

PERIOD = 30.0
ASSUMED_DEAD = 600.0
TASK_KEPT, TASK_PATIENCE, TASKS_MOST = 3900.0, 86400.0, 200
SESSION_IDLE, SESSIONS_ROOT, SESSIONS_ORIGINATOR = 86400.0, 400, 500
FLAG = "rolling_upgrade_in_progress"


async def every_half_minute(site: Site) -> None:
    """The loop that runs while the master's xapi does."""
    while True:
        await site.scheduler.sleep(PERIOD)
        watch_versions(site)
        watch_liveness(site)
        drop_old_tasks(site)
        drop_old_sessions(site)
        site.flushed_generation = site.world.generation


def watch_versions(site: Site) -> None:
    """Sets the upgrade flag while some host differs from the master in what counts, and takes it away after."""
    differ = any(not placement.same_release(site, site.master.ref, host) for host in site.machines)
    told = site.pool_record["other_config"]
    if differ == (FLAG in told):
        return
    if differ:
        site.world.change("pool", site.pool, other_config={**told, FLAG: "true"})
    else:
        site.world.change("pool", site.pool, other_config={key: one for key, one in told.items() if key != FLAG})
    site.journal.write(
        "xapi", setting=f"other_config.{FLAG}", before=None if differ else "true", value="true" if differ else None
    )
    for host in site.machines:
        refresh_host(site, host)
    site.settled.fire()


def watch_liveness(site: Site) -> None:
    """A host that was silent for ten minutes counts as dead; with HA its live set knows sooner."""
    patience = 60.0 if site.pool_record["ha_enabled"] else ASSUMED_DEAD
    for machine in site.machines.values():
        silent = machine.silent_since
        if silent is not None and site.clock.seconds() - silent >= patience and site.is_live(machine.ref):
            site.set_live(machine.ref, False)
            site.set_enabled(machine, False, "xapi")


def drop_old_tasks(site: Site) -> None:
    now = site.clock.unix()
    done = [(unix_of(record["finished"]), ref) for ref, record in site.world.all("task") if record["finished"] != NEVER]
    for finished, ref in done:
        if now - finished > TASK_KEPT:
            site.world.remove("task", ref)
    many = len(site.world.rows["task"]) - TASKS_MOST
    for _, ref in sorted(done)[: max(0, many)]:
        site.world.remove("task", ref)
    for ref, record in site.world.all("task"):
        if record["finished"] == NEVER and now - unix_of(record["created"]) > TASK_PATIENCE:
            site.world.remove("task", ref)
            site.errands.pop(ref, None)


def drop_old_sessions(site: Site) -> None:
    now = site.clock.unix()
    for ref, record in site.world.all("session"):
        if now - unix_of(record["last_active"]) > SESSION_IDLE:
            end_session(site, ref)
    limit_sessions(site)


def limit_sessions(site: Site) -> None:
    """The longest unused sessions go when there are too many: 400 without an originator, 500 with the same one."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for ref, record in site.world.all("session"):
        groups.setdefault(record["originator"], []).append((record["last_active"], ref))
    for originator, members in groups.items():
        most = SESSIONS_ORIGINATOR if originator else SESSIONS_ROOT
        for _, ref in sorted(members)[: max(0, len(members) - most)]:
            end_session(site, ref)


def end_session(site: Site, ref: str) -> None:
    """Ends a session; an event.from that waits under it is told so."""
    site.world.remove("session", ref)
    for ended in site.sessions_ended:
        ended()


def message(site: Site, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    """Leaves a XAPI message on an object; returns its reference."""
    return site.world.add(
        "message",
        f"message {site.count('message')}",
        name=name,
        priority=priority,
        cls=cls,
        obj_uuid=obj_uuid,
        timestamp=site.today(),
        body=body,
    )
