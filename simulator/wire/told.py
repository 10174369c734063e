"""A call's parameters as the journal may tell them: no session, no password, names in place of references."""

from __future__ import annotations

from typing import Any

from simulator.failure import NULL
from simulator.site import Site

SECRET = {
    "session.login_with_password": (1,),
    "session.slave_local_login_with_password": (1,),
    "session.change_password": (1, 2),
    "pool.join": (3,),
    "pool.initialize_wlb": (3, 5),
}
ANONYMOUS = ("session.login_with_password", "session.slave_local_login_with_password")


def params_for_journal(site: Site, method: str, params: list[Any]) -> list[Any]:
    """The parameters without the session, secrets as `***`, objects that have a name by it."""
    base = method.removeprefix("Async.").removeprefix("InternalAsync.")
    hidden = SECRET.get(base, ())
    shown = [("***" if number in hidden else one) for number, one in enumerate(params)]
    given = shown if base in ANONYMOUS else shown[1:]
    if base in ("VM.migrate_send", "VM.assert_can_migrate") and len(given) > 1 and isinstance(given[1], dict):
        given[1] = named(site, given[1].get("host", ""))
    return [named(site, one) for one in given]


def named(site: Site, value: Any) -> Any:
    if isinstance(value, str) and value.startswith("OpaqueRef:"):
        return value if value == NULL else name_of(site, value) or value
    if isinstance(value, dict):
        return {named(site, key): named(site, one) for key, one in value.items() if key != "session_id"}
    if isinstance(value, list):
        return [named(site, one) for one in value]
    return value


def name_of(site: Site, ref: str) -> str | None:
    """The name of the object behind a reference: its own, or for a PBD that of its SR and host."""
    world = site.world
    for cls, rows in world.rows.items():
        if ref in rows:
            record = rows[ref].record
            if cls == "PBD":
                return f"PBD of {site.name('SR', record['SR'])} on {site.name('host', record['host'])}"
            if cls == "session":
                return "session"
            return record.get("name_label") or None
    return None
