"""From a method's name and parameters to an answer, finding errors in the order XAPI finds them.

Unknown method, number of parameters, their types, the session, then the call itself
(xen-api ocaml/idl/ocaml_backend/gen_server.ml, ocaml/xapi/api_server.ml, session_check.ml).
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from simulator import tasks
from simulator.calls import handlers, waiting
from simulator.calls.context import Context, Handler
from simulator.clock import VirtualLoop
from simulator.failure import ConnectionCut, Failure
from simulator.faulttable import take
from simulator.machine import CLOSED, EMERGENCY, Machine
from simulator.processes import Cancelled, Gone, Process
from simulator.schema import Call
from simulator.site import Site
from simulator.wire import types, xml
from simulator.wire.told import params_for_journal

NO_ASYNC = ("session", "event", "task", "data_source", "blob")


class BeforeDispatch(Failure):
    """A refusal that comes before the call is looked at: a host in emergency mode."""


async def answer(
    site: Site, machine: Machine, method: str, params: list[Any], headers: Mapping[str, str], peer: Any = None
) -> Any:
    """The result of a call that arrived at a machine; raises Failure, or ConnectionCut where no answer is given."""
    loop = asyncio.get_running_loop()
    if isinstance(loop, VirtualLoop):
        await loop.turn(f"{machine.name} {method} {params}", peer)
    site.clock.catch_up()
    if machine.door == CLOSED or machine.cut:
        raise ConnectionCut
    began = site.clock.seconds()
    context = Context(site, machine, method, headers=headers)
    context.told = params_for_journal(site, method, params)
    try:
        result = await dispatch(context, params, peer)
    except Failure as failure:
        if machine.door == CLOSED:  # the host went away while it waited, and nobody hears the refusal
            write_line(context, began, "cut")
            raise ConnectionCut from failure
        write_line(context, began, "failure", failure.code)
        raise
    except ConnectionCut:
        write_line(context, began, "cut")
        raise
    if not without_async(method)[1]:
        write_line(context, began, "success")
        return result
    if context.process is not None:
        context.process.when_done(lambda ended: write_line(context, began, *outcome_of(ended)))
    return result


def write_line(ctx: Context, began: float, outcome: str, code: str | None = None) -> None:
    """The journal's line of a call, written when what it asked for is over, however it came to that."""
    ctx.site.journal.write(
        "call",
        host=ctx.machine.name,
        method=ctx.method,
        params=ctx.told,
        client=ctx.originator,
        outcome=outcome,
        code=code,
        began=round(began, 6),
        **({} if simulated(ctx.method) else {"simulated": False}),
    )


def outcome_of(ended: Process) -> tuple[str, str | None]:
    """How a call in the background ended; `lost` when its xapi went away under it."""
    if ended.error is None:
        return "success", None
    if isinstance(ended.error, Failure):
        return "failure", ended.error.code
    return ("cancelled", "TASK_CANCELLED") if isinstance(ended.error, Cancelled) else ("lost", None)


async def dispatch(ctx: Context, params: list[Any], peer: Any) -> Any:
    """Checks in XAPI's order, then runs the call."""
    site, machine = ctx.site, ctx.machine
    base, in_background = without_async(ctx.method)
    if machine.door == EMERGENCY and base not in EMERGENCY_CALLS:
        raise BeforeDispatch(machine.emergency[0], *machine.emergency[1:])
    if base == "system.listMethods":
        return sorted(site.world.schema.calls)
    call = site.world.schema.calls.get(base)
    if call is None:
        await check_session(ctx, params, peer)
        raise Failure("MESSAGE_METHOD_UNKNOWN", base)
    if in_background and base.split(".")[0] in NO_ASYNC:
        raise Failure("INTERNAL_ERROR", "No async mode for this operation")
    given = params if call.anonymous else params[1:]
    count_params(site, call, len(params) if call.anonymous else len(params) - 1)
    values = [
        types.check(one, param, ctx.headers.get("x-wire", "xml"))
        for one, param in zip(given, call.params, strict=False)
    ]
    if call.anonymous:
        ctx.originator = str(given[3]) if len(given) > 3 else ""
    elif machine.door != EMERGENCY:  # the few calls of an emergency take the host's own sessions, which it cannot check
        await check_session(ctx, params, peer)
    act = waiting().get(base) or handlers().get(base)
    if act is None:
        raise Failure("MESSAGE_METHOD_UNKNOWN", base)
    return await run(ctx, base, act, values, in_background, peer)


def without_async(method: str) -> tuple[str, bool]:
    for prefix in ("Async.", "InternalAsync."):
        if method.startswith(prefix):
            return method.removeprefix(prefix), True
    return method, False


def simulated(method: str) -> bool:
    base = without_async(method)[0]
    return base in handlers() or base in waiting() or base == "system.listMethods"


def count_params(site: Site, call: Call, given: int) -> None:
    """Too few, or too many for a call whose parameters have no defaults; counts exclude the session."""
    most = limits(site).get(call.name, len(call.params))
    defaults = call.mandatory < most
    if given < call.mandatory or (given > most and not defaults):
        raise Failure("MESSAGE_PARAMETER_COUNT_MISMATCH", call.name, str(call.mandatory), str(max(given, 0)))


def limits(site: Site) -> dict[str, int]:
    """Calls that take fewer parameters in this generation of the API."""
    return {"host.evacuate": site.profile.evacuate_params, "host.disable": site.profile.disable_params}


async def check_session(ctx: Context, params: list[Any], peer: Any) -> None:
    """The first parameter must be a session of this pool, and this host its master.

    A member has to ask the master for it, and while there is none the call hangs.
    """
    site = ctx.site
    session = params[0] if params and isinstance(params[0], str) else ""
    known_here = site.world.rows["session"].get(session)
    if known_here is not None and known_here.record["this_host"] == ctx.machine.ref and not known_here.record["pool"]:
        ctx.session, ctx.originator = session, known_here.record["originator"]
        return
    if ctx.machine is not site.master:
        while not site.master.reachable:
            await parked_wait(ctx, site.nature.spawn(wait_for_master(site), "asks its master"), peer)
    if not site.world.has("session", session):
        raise Failure("SESSION_INVALID", session)
    record = site.world.record("session", session)
    if ctx.machine is not site.master:
        raise Failure("HOST_IS_SLAVE", site.master.address)
    ctx.session = session
    ctx.originator = record["originator"]
    note_use(site, session)


def note_use(site: Site, session: str) -> None:
    """last_active moves at most every ten minutes (threshold_last_active)."""
    if site.clock.unix() - site.session_used.get(session, 0.0) > 600:
        site.session_used[session] = site.clock.unix()
        site.world.change("session", session, last_active=site.today())


async def wait_for_master(site: Site) -> None:
    await site.master_returned.wait(site.scheduler)


async def run(ctx: Context, base: str, act: Handler, values: list[Any], in_background: bool, peer: Any) -> Any:
    """Runs a call to its end, or in the background behind a task."""
    if base in waiting():
        with parking(peer):
            return await act(ctx, *values)
    slow = inspect.iscoroutinefunction(act)
    if not slow and not in_background:
        result = act(ctx, *values)
        cut_reply(ctx, base)
        return result
    ctx.task = tasks.create(ctx.site, f"Async.{base}" if in_background else base, headers=ctx.headers)
    process = ctx.process = ctx.machine.xapi.spawn(carried(ctx, act, values, slow), base)
    task = ctx.task
    if task in ctx.site.errands:
        ctx.site.errands[task].process = process
    if in_background:
        process.when_done(lambda ended: close_task(ctx, task, ended))
        cut_reply(ctx, base)
        return task
    process.when_done(lambda _: forget_task(ctx, task))
    if fault := take(ctx.site, "connection_cut", method=base, host=ctx.machine.name):
        await parked_wait(ctx, ctx.site.nature.spawn(ctx.site.scheduler.sleep(float(fault.get("after", 0)))), peer)
        raise ConnectionCut
    await parked_wait(ctx, process, peer)
    if process.error is not None:
        raise process.error if isinstance(process.error, Failure) else ConnectionCut()
    cut_reply(ctx, base)
    return process.result


async def carried(ctx: Context, act: Handler, values: list[Any], slow: bool) -> Any:
    result = act(ctx, *values)
    return await result if slow else result


def forget_task(ctx: Context, task: str) -> None:
    """The task of a call that was waited for is thrown away when the call is over."""
    ctx.site.errands.pop(task, None)
    ctx.site.world.remove("task", task)


def cut_reply(ctx: Context, base: str) -> None:
    """A fault may take the answer away after the act was done."""
    if take(ctx.site, "reply_lost", method=base, host=ctx.machine.name):
        raise ConnectionCut


def close_task(ctx: Context, task: str, ended: Process) -> None:
    """What a background call leaves in its task: a result as an XML value, or the error."""
    error = ended.error
    if error is None:
        tasks.succeed(ctx.site, task, "" if ended.result is None else xml.value(ended.result))
    elif isinstance(error, Failure):
        tasks.fail(ctx.site, task, error.details)
    elif isinstance(error, Cancelled):
        tasks.fail(ctx.site, task, ["TASK_CANCELLED", task])


async def parked_wait(ctx: Context, process: Process, peer: Any) -> None:
    """Waits on asyncio until a process on the simulated clock is over; ConnectionCut when its xapi is gone."""
    loop = asyncio.get_running_loop()
    over: asyncio.Future[None] = loop.create_future()
    process.when_done(lambda _: None if over.done() else over.set_result(None))
    with parking(peer):
        await over
    if isinstance(process.error, Gone):
        raise ConnectionCut


def parking(peer: Any) -> AbstractContextManager[None]:
    """While an answer waits for time to pass, whoever waits for it does not hold a virtual loop."""
    loop = asyncio.get_running_loop()
    return loop.parked(peer) if isinstance(loop, VirtualLoop) else nullcontext()


EMERGENCY_CALLS = {
    "session.slave_local_login_with_password",
    "session.local_logout",
    "host.is_in_emergency_mode",
    "host.shutdown_agent",
    "pool.emergency_transition_to_master",
    "pool.emergency_reset_master",
    "system.listMethods",
}
