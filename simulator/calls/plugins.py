"""What host.call_plugin runs on a host: XCP-ng's updater, services, linstor's health.

xcp-ng/xcp-ng-xapi-plugins SOURCES/etc/xapi.d/plugins: answers are strings of JSON, and a plugin's own refusal comes
back as the API's error, word for word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any

from simulator import updating
from simulator.calls.context import Context
from simulator.failure import Failure
from simulator.faulttable import take
from simulator.machine import Machine
from simulator.site import Site

Plugin = Callable[[Context, Machine, dict[str, str]], Awaitable[str]]
LOCK_PATIENCE = 10.0
TRACE = "Traceback (most recent call last): (simulated)"


async def call(ctx: Context, machine: Machine, plugin: str, fn: str, args: dict[str, str]) -> str:
    """Runs one function of a plugin; XENAPI_MISSING_PLUGIN or UNKNOWN_XENAPI_PLUGIN_FUNCTION where there is none."""
    known = PLUGINS.get(plugin)
    if known is None or (plugin in XCP_NG_ONLY and not ctx.site.profile.updater):
        raise Failure("XENAPI_MISSING_PLUGIN", plugin)
    if fn not in known:
        raise Failure("UNKNOWN_XENAPI_PLUGIN_FUNCTION", fn)
    return await known[fn](ctx, machine, args)


def busy(machine: Machine) -> Failure:
    operation = machine.updater_lock or "<UNKNOWN>"
    return Failure("-1", f"The updater plugin is busy (current operation: {operation})", "", TRACE)


async def locked(ctx: Context, machine: Machine, operation: str, patience: float) -> None:
    """Takes the updater's lock; another update is refused at once, anything else waits a little or not at all."""
    if take(ctx.site, "plugin_busy", host=machine.name):
        raise busy(machine)
    if machine.updater_lock == "update" == operation:
        raise Failure("-1", "Update already in progress", "", TRACE)
    deadline = ctx.site.clock.seconds() + patience
    while machine.updater_lock:
        if ctx.site.clock.seconds() >= deadline:
            raise busy(machine)
        await ctx.site.scheduler.sleep(1.0)
    machine.updater_lock = operation


async def check_update(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """The packages waiting, as a JSON list."""
    await locked(ctx, machine, "check_update", 0.0)
    try:
        await ctx.site.scheduler.sleep(machine.spec.check)
    finally:
        machine.updater_lock = ""
    return json.dumps([told(ctx, one) for one in machine.waiting()])


def told(ctx: Context, package: Any) -> dict[str, Any]:
    date = 1765000000 + len(package.name) * 3600
    log = {"date": date, "author": "Build System <build@packages.example>", "description": package.changelog}
    url = f"https://updates.example/8/base/x86_64/Packages/{package.nvra}.rpm"
    return {
        "name": package.name,
        "version": package.version,
        "release": package.release,
        "description": package.summary,
        "changelog": log if package.changelog else None,
        "url": url,
        "size": package.size,
        "license": package.license,
    }


async def update(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """yum update: runs on the host to its end, whether or not anybody still waits for it."""
    await locked(ctx, machine, "update", LOCK_PATIENCE)
    yum = machine.system.spawn(updating.update(ctx.site, machine, args), "yum update")
    output = await ctx.site.scheduler.join(yum)
    return json.dumps(output)


async def install(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """yum install of named packages."""
    if not args.get("packages"):
        raise Failure("-1", "Missing or empty argument 'packages'", "", TRACE)
    await locked(ctx, machine, "install", LOCK_PATIENCE)
    yum = machine.system.spawn(updating.update(ctx.site, machine, args), "yum install")
    return json.dumps(await ctx.site.scheduler.join(yum))


async def query_installed(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """name to name-version-release.arch, empty for what is not installed; takes no lock."""
    await ctx.site.scheduler.sleep(0.5)
    names = [name for name in re.split(r"[ ,]+", args.get("packages", "")) if name]
    return json.dumps({name: machine.installed[name].nvra if name in machine.installed else "" for name in names})


async def get_proxies(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    return json.dumps({"xcp-ng-base": "_none_", "xcp-ng-updates": "_none_"})


def service(action: str) -> Plugin:
    async def act(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
        if "service" not in args:
            raise Failure("-1", "Missing argument 'service'", "", TRACE)
        await ctx.site.scheduler.sleep(1.0)
        ctx.site.journal.write("service", host=machine.name, service=args["service"], action=action)
        if args["service"] in machine.installed:
            machine.running[args["service"]] = machine.installed[args["service"]]
        return "true"

    act.__name__ = action
    return act


async def health_check(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """linstor-manager healthCheck (xcp-ng sm, drivers/linstor-manager): nodes, the replicas of each resource, and as
    errors whatever is not as it should be."""
    site = ctx.site
    if "groupName" not in args:
        raise Failure("-1", "'groupName'", "", TRACE)
    await site.scheduler.sleep(1.0)
    nodes = {one.name: node_state(site, one) for one in site.machines.values()}
    errors: list[dict[str, Any]] = [
        {"code": NODE_NOT_ONLINE, "name": name, "status": state} for name, state in nodes.items() if state != "ONLINE"
    ]
    resources: dict[str, Any] = {}
    for sr, record in site.world.all("SR"):
        if record["type"] == "linstor":
            states = {node: replica_state(site, sr, node, state) for node, state in nodes.items()}
            for vdi in record["VDIs"]:
                name = f"xcp-volume-{site.world.record('VDI', vdi)['uuid']}"
                resources[name] = {node: replica(state) for node, state in states.items()}
                errors += [
                    {"code": UNVERIFIED_STATE, "node": node, "resource": name, "number": 0, "state": state}
                    for node, state in states.items()
                    if state != "UpToDate"
                ]
    told = {"controller-uri": f"linstor://{site.master.address}", "nodes": nodes, "storage-pools": {}}
    return json.dumps({**told, "resources": resources, "errors": errors})


def node_state(site: Site, machine: Machine) -> str:
    """A satellite that is not of its controller's version is not let in (LINSTOR, "OFFLINE(VERSION MISMATCH)"). The
    controller is the master's here."""
    if not machine.reachable:
        return "OFFLINE"
    satellite, controller = machine.running["linstor-satellite"], site.master.running["linstor-controller"]
    return "ONLINE" if satellite.version == controller.version else "OFFLINE(VERSION MISMATCH)"


def replica_state(site: Site, sr: str, node: str, state: str) -> str:
    if state != "ONLINE":
        return "DUnknown"
    return "SyncTarget(12.50%)" if sr in site.degraded_srs and node in site.lagging else "UpToDate"


def replica(state: str) -> dict[str, Any]:
    return {"volumes": [{"disk-state": state}], "diskful": True, "tie-breaker": False, "in-use": False}


async def get_avail_host_disk_space(ctx: Context, machine: Machine, args: dict[str, str]) -> str:
    """Bytes free on the root disk, as text (XenServer's own plugin `disk-space`, which XenCenter asks)."""
    await ctx.site.scheduler.sleep(0.2)
    return str(machine.spec.disk_free)


PLUGINS: dict[str, dict[str, Plugin]] = {
    "updater.py": {
        "check_update": check_update,
        "update": update,
        "install": install,
        "query_installed": query_installed,
        "get_proxies": get_proxies,
    },
    "service.py": {
        action: service(action)
        for action in ("start_service", "stop_service", "restart_service", "try_restart_service")
    },
    "linstor-manager": {"healthCheck": health_check},
    "disk-space": {"get_avail_host_disk_space": get_avail_host_disk_space},
}
NODE_NOT_ONLINE, UNVERIFIED_STATE = 0x1020000, 0x1040003
"""What linstor-manager calls a node that is not there, and a replica in a state that it does not know as whole."""

XCP_NG_ONLY = ("updater.py", "service.py")
