"""The calls that every class has alike: getters, setters, map and set helpers, lookups.

Derived from the schema; a class's own module overrides what it does differently.
"""

from __future__ import annotations

from typing import Any

from simulator.calls.context import Context, Handler
from simulator.failure import Failure
from simulator.operations import refresh_vm
from simulator.schema import Call
from simulator.site import Site

CREATABLE = ("network", "VBD", "VDI", "VIF", "PBD", "VM_group", "VM_appliance", "VM")


def handler(call: Call) -> Handler | None:
    """What carries out a call that follows the common pattern, or None."""
    cls, _, method = call.name.partition(".")
    for prefix, make in PATTERNS:
        if method == prefix or (prefix.endswith("_") and method.startswith(prefix)):
            rest = method[len(prefix) :]
            if call.implicit or (cls, rest) in OPEN_FIELDS:
                return make(cls, rest)
    return None


def get_all(cls: str, _: str) -> Handler:
    def act(ctx: Context) -> list[str]:
        return list(ctx.site.world.rows[cls])

    return act


def get_all_records(cls: str, _: str) -> Handler:
    def act(ctx: Context) -> dict[str, Any]:
        return {ref: ctx.site.view(cls, ref) for ref in ctx.site.world.rows[cls]}

    return act


def get_record(cls: str, _: str) -> Handler:
    def act(ctx: Context, self: str) -> Any:
        return ctx.site.view(cls, self)

    return act


def get_by_uuid(cls: str, _: str) -> Handler:
    def act(ctx: Context, uuid: str) -> str:
        for ref, row in ctx.site.world.rows[cls].items():
            if row.record["uuid"] == uuid:
                return ref
        raise Failure("UUID_INVALID", cls, uuid)

    return act


def get_by_name_label(cls: str, _: str) -> Handler:
    def act(ctx: Context, label: str) -> list[str]:
        return [ref for ref, record in ctx.site.world.all(cls) if record["name_label"] == label]

    return act


def get_field(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str) -> Any:
        return ctx.site.view(cls, self).record[name]

    return act


def set_field(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str, value: Any) -> None:
        write(ctx, cls, self, name, value)

    return act


def add_to(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str, key: str, value: Any) -> None:
        told = ctx.site.world.record(cls, self)[name]
        if key in told:
            raise Failure("MAP_DUPLICATE_KEY", cls, name, self, key)
        write(ctx, cls, self, name, {**told, key: value})

    return act


def remove_from(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str, key: str) -> None:
        told = ctx.site.world.record(cls, self)[name]
        write(ctx, cls, self, name, {one: value for one, value in told.items() if one != key})

    return act


def add_member(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str, value: Any) -> None:
        told = ctx.site.world.record(cls, self)[name]
        write(ctx, cls, self, name, told if value in told else [*told, value])

    return act


def remove_member(cls: str, name: str) -> Handler:
    def act(ctx: Context, self: str, value: Any) -> None:
        write(ctx, cls, self, name, [one for one in ctx.site.world.record(cls, self)[name] if one != value])

    return act


def create(cls: str, _: str) -> Handler:
    def act(ctx: Context, args: dict[str, Any]) -> str:
        if cls not in CREATABLE:
            raise Failure("MESSAGE_METHOD_UNKNOWN", f"{cls}.create")
        told = {key: value for key, value in args.items() if key not in ("uuid", "resident_on", "VBDs", "VIFs")}
        return ctx.site.world.add(cls, f"made/{ctx.site.count(f'made {cls}')}", **told)

    return act


def destroy(cls: str, _: str) -> Handler:
    def act(ctx: Context, self: str) -> None:
        if cls not in CREATABLE:
            raise Failure("MESSAGE_METHOD_UNKNOWN", f"{cls}.destroy")
        ctx.site.world.record(cls, self)
        ctx.site.world.remove(cls, self)

    return act


def write(ctx: Context, cls: str, ref: str, name: str, value: Any) -> None:
    """Writes one field for a client; what the pool is set to is journalled key by key."""
    before = ctx.site.world.record(cls, ref)[name]
    ctx.site.world.change(cls, ref, **{name: value})
    if cls == "VM" and name == "blocked_operations":
        refresh_vm(ctx.site, ref)
    if cls == "pool":
        journal_pool(ctx.site, name, before, value)


def journal_pool(site: Site, name: str, before: Any, value: Any) -> None:
    """A journal line for each setting of the pool that a change touches, null for absent."""
    if name == "other_config":
        for key in sorted({*before, *value}):
            if before.get(key) != value.get(key):
                site.journal.write("pool", setting=f"other_config.{key}", before=before.get(key), value=value.get(key))
    elif name in ("ha_enabled", "wlb_enabled") and before != value:
        site.journal.write("pool", setting=name, before=before, value=value)


# (class, field) that only calls of their own may write, in the same way as the common ones
OPEN_FIELDS = {
    *(
        ("VM", name)
        for name in (
            "other_config",
            "platform",
            "blocked_operations",
            "NVRAM",
            "order",
            "start_delay",
            "shutdown_delay",
            "ha_restart_priority",
            "ha_always_run",
            "actions_after_crash",
            "has_vendor_device",
            "HVM_boot_policy",
            "HVM_shadow_multiplier",
            "domain_type",
            "bios_strings",
            "suspend_VDI",
            "appliance",
            "groups",
            "VCPUs_at_startup",
            "VCPUs_max",
            "snapshot_schedule",
            "protection_policy",
        )
    ),
    *(
        ("VDI", name)
        for name in ("name_label", "name_description", "sharable", "read_only", "on_boot", "allow_caching")
    ),
    *(("SR", name) for name in ("name_label", "name_description", "physical_size", "shared")),
    *(("task", name) for name in ("other_config", "progress", "result", "error_info")),
    ("VBD", "mode"),
    ("PBD", "device_config"),
    ("VIF", "locking_mode"),
    ("network", "default_locking_mode"),
    ("pool", "guest_agent_config"),
    ("pool", "ha_host_failures_to_tolerate"),
    ("host", "iscsi_iqn"),
}
PATTERNS = (
    ("get_all", get_all),
    ("get_all_records", get_all_records),
    ("get_record", get_record),
    ("get_by_uuid", get_by_uuid),
    ("get_by_name_label", get_by_name_label),
    ("create", create),
    ("destroy", destroy),
    ("add_to_", add_to),
    ("remove_from_", remove_from),
    ("get_", get_field),
    ("set_", set_field),
    ("add_", add_member),
    ("remove_", remove_member),
)
