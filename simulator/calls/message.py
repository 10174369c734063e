"""message: notes on an object that XenCenter and Xen Orchestra show (xen-api ocaml/xapi/xapi_message.ml)."""

from __future__ import annotations

from typing import Any

from simulator import housekeeping
from simulator.calls.context import Context
from simulator.failure import Failure
from simulator.wire.shown import Shown

CLASSES = {"VM": "VM", "Host": "host", "SR": "SR", "Pool": "pool", "VDI": "VDI", "Certificate": "Certificate"}


def create(ctx: Context, name: str, priority: int, cls: str, obj_uuid: str, body: str) -> str:
    """Leaves a message; the object must exist."""
    rows = ctx.site.world.rows.get(CLASSES.get(cls, ""), {})
    if rows and not any(row.record["uuid"] == obj_uuid for row in rows.values()):
        raise Failure("UUID_INVALID", cls, obj_uuid)
    return housekeeping.message(ctx.site, name, priority, cls, obj_uuid, body)


def destroy(ctx: Context, self: str) -> None:
    ctx.site.world.record("message", self)
    ctx.site.world.remove("message", self)


def destroy_many(ctx: Context, messages: list[str]) -> None:
    for one in messages:
        destroy(ctx, one)


def get(ctx: Context, cls: str, obj_uuid: str, since: str) -> dict[str, Any]:
    """The messages on one object after a moment."""
    return {
        ref: Shown(row)
        for ref, row in ctx.site.world.rows["message"].items()
        if row.record["cls"] == cls and row.record["obj_uuid"] == obj_uuid and row.record["timestamp"] > since
    }


def get_since(ctx: Context, since: str) -> dict[str, Any]:
    return {ref: Shown(row) for ref, row in ctx.site.world.rows["message"].items() if row.record["timestamp"] > since}


def get_all(ctx: Context) -> list[str]:
    return list(ctx.site.world.rows["message"])


def get_all_records(ctx: Context) -> dict[str, Any]:
    return {ref: Shown(row) for ref, row in ctx.site.world.rows["message"].items()}


def get_all_records_where(ctx: Context, expr: str) -> dict[str, Any]:
    return get_all_records(ctx)


def get_record(ctx: Context, self: str) -> Any:
    ctx.site.world.record("message", self)
    return Shown(ctx.site.world.rows["message"][self])


def get_by_uuid(ctx: Context, uuid: str) -> str:
    for ref, row in ctx.site.world.rows["message"].items():
        if row.record["uuid"] == uuid:
            return ref
    raise Failure("UUID_INVALID", "message", uuid)


CALLS = {
    "message.create": create,
    "message.destroy": destroy,
    "message.destroy_many": destroy_many,
    "message.get": get,
    "message.get_since": get_since,
    "message.get_all": get_all,
    "message.get_all_records": get_all_records,
    "message.get_all_records_where": get_all_records_where,
    "message.get_record": get_record,
    "message.get_by_uuid": get_by_uuid,
}
