"""event: what changed since a token, and waiting for it. Time-out and batching are the machine's time, never scaled.

xen-api ocaml/xapi/xapi_event.ml: one event for an object and call, grouped messages, add, mod, del.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

from simulator.calls.context import Context
from simulator.failure import Failure
from simulator.site import Site
from simulator.values import Int32
from simulator.wire.shown import Event, Shown
from simulator.world import Row

BATCHING = 0.05
LONGEST = 86400.0
SILENT = ("session", "event")

Matcher = Callable[[str, str], bool]


async def from_(ctx: Context, classes: list[str], token: str, timeout: float) -> dict[str, Any]:
    """A batch of events since `token`; empty when nothing happened in `timeout` seconds.

    Raises EVENT_FROM_TOKEN_PARSE_FAILURE, EVENT_SUBSCRIPTION_PARSE_FAILURE, SESSION_INVALID.
    """
    since = read_token(token)
    matches = subscription(classes)
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (timeout if 0 <= timeout < LONGEST else LONGEST)
    tasks_only = bool(classes) and all(one.lower().split("/")[0] == "task" for one in classes)
    if not tasks_only:
        await asyncio.sleep(min(BATCHING, max(0.0, deadline - loop.time())))
    with ctx.site.waiting() as changed:
        while True:
            changed.clear()
            require_session(ctx)
            batch = diff(ctx.site, since, matches)
            if batch["events"] or loop.time() >= deadline:
                return batch
            try:
                async with asyncio.timeout_at(deadline):
                    await changed.wait()
                await asyncio.sleep(min(BATCHING, max(0.0, deadline - loop.time())))
            except TimeoutError:
                continue


def require_session(ctx: Context) -> None:
    if not ctx.site.world.has("session", ctx.session):
        raise Failure("SESSION_INVALID", ctx.session)


def read_token(token: str) -> tuple[int, int]:
    """(database generation, message generation); the empty token is the beginning of time."""
    if not token:
        return 0, 0
    parts = token.split(",")
    if len(parts) != 2 or not all(part.strip().isdigit() for part in parts):
        raise Failure("EVENT_FROM_TOKEN_PARSE_FAILURE", token)
    return int(parts[0]), int(parts[1])


def subscription(classes: list[str]) -> Matcher:
    """Whether (class, ref) is asked for: `*`, a class in any case, or `class/ref`."""
    everything = "*" in classes
    whole = {one.lower() for one in classes if "/" not in one}
    single = {tuple(one.split("/", 1)) for one in classes if "/" in one}
    single = {(cls.lower(), ref) for cls, ref in single}
    if any(not one or one.startswith("/") for one in classes):
        raise Failure("EVENT_SUBSCRIPTION_PARSE_FAILURE", next(one for one in classes if not one or one[0] == "/"))
    if everything:
        return lambda cls, ref: True
    return lambda cls, ref: cls.lower() in whole or (cls.lower(), ref) in single


def diff(site: Site, since: tuple[int, int], matches: Matcher) -> dict[str, Any]:
    """Everything asked for that differs from what it was at that generation, as it is now."""
    world = site.world
    start = since[0]
    groups: dict[str, list[Event]] = {"message": [], "add": [], "mod": []}
    for cls, lower, ref, row in candidates(site, start, matches):
        operation = "add" if row.created > start else "mod"
        shown = site.view(cls, ref) if cls == "VM_guest_metrics" else Shown(row)
        group = groups["message" if cls == "message" else operation]
        group.append(Event((row.modified, lower, operation, ref), shown))
    gone = [
        Event((grave.deleted, cls.lower(), "del", grave.ref), None)
        for cls, graves in world.deleted.items()
        if cls not in SILENT
        for grave in graves
        if grave.created <= start < grave.deleted and matches(cls, grave.ref)
    ]
    counts = {cls.lower(): Int32(len(rows)) for cls, rows in world.rows.items() if cls not in SILENT}
    return {
        "events": groups["message"] + groups["add"] + groups["mod"] + gone,
        "valid_ref_counts": counts,
        "token": f"{world.generation:020d},{len(world.rows['message']):020d}",
    }


def candidates(site: Site, start: int, matches: Matcher) -> Iterator[tuple[str, str, str, Row]]:
    """The rows written since: from the log where it reaches that far, else by looking at all of them."""
    rows = site.world.rows
    recent = site.world.changed_since(start)
    if recent is None:
        for cls, members in rows.items():
            lower = cls.lower()
            for ref, row in members.items():
                if row.modified > start and cls not in SILENT and matches(cls, ref):
                    yield cls, lower, ref, row
        return
    for cls, ref in reversed(dict.fromkeys(reversed(recent))):
        row_or_gone = rows[cls].get(ref)
        if row_or_gone is not None and cls not in SILENT and matches(cls, ref) and row_or_gone.modified > start:
            yield cls, cls.lower(), ref, row_or_gone


def inject(ctx: Context, class_: str, ref: str) -> str:
    """Touches a row and returns a token from just before it: a barrier for clients."""
    name = ctx.site.world.schema.by_lower.get(class_.lower())
    if name is None or not ctx.site.world.has(name, ref):
        raise Failure("HANDLE_INVALID", class_, ref)
    ctx.site.world.touch(name, ref)
    return f"{ctx.site.world.generation - 1:020d},{0:020d}"


def get_current_id(ctx: Context) -> int:
    return ctx.site.world.generation


CALLS = {"event.inject": inject, "event.get_current_id": get_current_id}
WAITING = {"event.from": from_}
