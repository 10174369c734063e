"""task: made by a client, watched, cancelled, thrown away (xen-api ocaml/xapi/xapi_task.ml)."""

from __future__ import annotations

from simulator import tasks
from simulator.calls.context import Context


def create(ctx: Context, label: str, description: str) -> str:
    return tasks.create(ctx.site, label, description, headers=ctx.headers)


def destroy(ctx: Context, self: str) -> None:
    """A finished task is gone; a pending one goes on and is thrown away when it ends."""
    record = ctx.site.world.record("task", self)
    errand = ctx.site.errands.get(self)
    if record["status"] == "pending" and errand is not None and errand.process is not None:
        errand.destroy_when_done = True
        return
    ctx.site.errands.pop(self, None)
    ctx.site.world.remove("task", self)


def cancel(ctx: Context, task: str) -> None:
    tasks.cancel(ctx.site, task)


def set_status(ctx: Context, self: str, value: str) -> None:
    """The final status can be set only from `pending`."""
    if value in ("success", "failure", "cancelled"):
        tasks.finish(ctx.site, self, status=value, progress=1.0)


CALLS = {"task.create": create, "task.destroy": destroy, "task.cancel": cancel, "task.set_status": set_status}
