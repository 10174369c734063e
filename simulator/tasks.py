"""XAPI's tasks: rows that clients watch, and what really runs behind them.

Writes follow xen-api ocaml/xapi/taskHelper.ml; a task dies with the master's xapi whatever becomes of the work.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.failure import NULL, Failure
from simulator.processes import Cancelled, Process
from simulator.values import NEVER as NEVER_TEXT
from simulator.values import DateTime

if TYPE_CHECKING:
    from simulator.site import Site

NEVER = DateTime(NEVER_TEXT)
TAG = "x-http-other-config-"


@dataclass(slots=True)
class Errand:
    """What runs behind a task: its process, the host it was forwarded to, and whether it is destroyed when done."""

    process: Process | None = None
    forwarded_to: str = NULL
    destroy_when_done: bool = False
    cancellable: bool = True


def create(
    site: Site, label: str, description: str = "", *, headers: Mapping[str, str] | None = None, parent: str = NULL
) -> str:
    """A pending task; headers `x-http-other-config-KEY` become its other_config `http:KEY`, `subtask-of` its parent."""
    told = headers or {}
    tags = {f"http:{name[len(TAG) :]}": value for name, value in told.items() if name.startswith(TAG)}
    above = parent if parent != NULL else told.get("subtask-of", NULL)
    ref = site.world.add(
        "task",
        f"task {site.count('task')}",
        name_label=label,
        name_description=description,
        created=site.today(),
        finished=NEVER,
        status="pending",
        resident_on=site.master.ref,
        type="<none/>",
        progress=0.0,
        result="",
        error_info=[],
        other_config=tags,
        allowed_operations=["cancel"],
        backtrace="()",
        subtask_of=above if site.world.has("task", above) else NULL,
    )
    site.errands[ref] = Errand()
    return ref


def succeed(site: Site, task: str, result: str = "") -> None:
    finish(site, task, status="success", result=result, progress=1.0)


def fail(site: Site, task: str, details: list[str]) -> None:
    cancelled = details[0] == "TASK_CANCELLED"
    trace = f"(((process xapi)(filename ocaml/xapi/simulated.ml)(line 1)))({details[0]})"
    status = "cancelled" if cancelled else "failure"
    finish(site, task, status=status, error_info=details, progress=1.0, backtrace=trace)


def finish(site: Site, task: str, **told: Any) -> None:
    """The last write of a task; only a pending one takes it."""
    if not site.world.has("task", task):
        return
    if site.world.record("task", task)["status"] not in ("pending", "cancelling"):
        return
    site.world.change("task", task, allowed_operations=[], current_operations={}, finished=site.today(), **told)
    errand = site.errands.pop(task, None)
    if errand is not None and errand.destroy_when_done:
        site.world.remove("task", task)
    site.settled.fire()


def progress(site: Site, task: str, fraction: float) -> None:
    """Writes a task's progress, 0 to 1, while it is pending."""
    if site.world.has("task", task) and site.world.record("task", task)["status"] == "pending":
        site.world.change("task", task, progress=fraction)


def cancel(site: Site, task: str) -> None:
    """Asks for a task to be cancelled: what runs behind it is told where it next waits, if it listens."""
    record = site.world.record("task", task)
    errand = site.errands.get(task)
    if record["status"] != "pending" or errand is None:
        return
    site.world.change("task", task, current_operations={f"cancel {task}": "cancel"})
    if errand.process is not None and errand.cancellable:
        errand.process.throw(Cancelled(task))


def forget_all(site: Site) -> None:
    """What a restart of the master's xapi does to tasks: they are gone, without a word to anybody."""
    for ref, _ in site.world.all("task"):
        site.world.remove("task", ref)
    site.errands.clear()


def drop_forwarded(site: Site, host: str) -> None:
    """The connection to a host's xapi broke: calls that were sent there fail with CANNOT_CONTACT_HOST."""
    for errand in list(site.errands.values()):
        if errand.forwarded_to == host and errand.process is not None:
            errand.process.throw(Failure("CANNOT_CONTACT_HOST", host))


def cancel_forwarded(site: Site, host: str) -> None:
    """A host has joined again: the master cancels what was pending there (xen-api ocaml/xapi/cancel_tasks.ml)."""
    for task, errand in list(site.errands.items()):
        if errand.forwarded_to == host and errand.process is not None:
            fail(site, task, ["TASK_CANCELLED", task])
            errand.process.throw(Failure("TASK_CANCELLED", task))
