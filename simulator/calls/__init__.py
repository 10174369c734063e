"""Every call that is simulated: one module for a class, put together into one table here."""

from __future__ import annotations

from functools import cache

from simulator.calls import (
    evacuation,
    event,
    generic,
    host,
    message,
    migration,
    pool,
    session,
    snapshot,
    storage,
    storage_migration,
    task,
    updates,
    vm,
)
from simulator.calls.context import Handler
from simulator.schema import newest

MODULES = (
    session,
    task,
    event,
    host,
    evacuation,
    migration,
    vm,
    snapshot,
    pool,
    storage,
    storage_migration,
    message,
    updates,
)


@cache
def handlers() -> dict[str, Handler]:
    """Call name to what carries it out, for every call that is simulated."""
    known = newest().calls
    found = {name: made for name, call in known.items() if (made := generic.handler(call)) is not None}
    for cls in known:
        if cls.endswith((".create", ".destroy")) and cls.split(".")[0] not in generic.CREATABLE:
            found.pop(cls, None)
    for module in MODULES:
        found.update(module.CALLS)
    return found


def waiting() -> dict[str, Handler]:
    """The calls that wait in the machine's time and not in the pool's."""
    return dict(event.WAITING)
