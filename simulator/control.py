"""The simulator's own small HTTP server on 127.0.0.1.

It looks at the world, reads the journal, orders faults and turns the clock; it is no part of XAPI.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from simulator import faults
from simulator.clock import ManualDrive
from simulator.failure import NULL
from simulator.site import Site, is_guest
from simulator.values import Record

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def state(site: Site) -> dict[str, Any]:
    """Hosts, VMs and the pool in plain JSON, by the names of the world file."""
    world = site.world
    hosts = {}
    for machine in site.machines.values():
        record = world.record("host", machine.ref)
        hosts[machine.name] = {
            "address": machine.address,
            "master": machine is site.master,
            "powered": machine.powered,
            "answers": machine.door,
            "enabled": record["enabled"],
            "live": site.is_live(machine.ref),
            "boots": machine.boots_count,
            "updates": len(machine.waiting()),
            "updater": machine.updater_lock,
            "vms": [site.name("VM", vm) for vm in site.guests(machine.ref)],
            "installed": {name: one.evr for name, one in machine.installed.items()},
            "running": {name: machine.running[name].evr for name in ("xapi-core", "xen-hypervisor", "kernel")},
        }
    guests = [record for _, record in world.all("VM") if is_guest(record)]
    vms = {
        one["name_label"]: {"state": one["power_state"].lower(), "host": site.name("host", one["resident_on"])}
        for one in guests
    }
    pool = site.pool_record
    return {
        "t": round(site.clock.seconds(), 6),
        "hosts": hosts,
        "vms": vms,
        "disks": {one["name_label"]: disks_of(site, one) for one in guests},
        "pool": {
            "name": pool["name_label"],
            "ha_enabled": pool["ha_enabled"],
            "wlb_enabled": pool["wlb_enabled"],
            "other_config": pool["other_config"],
        },
    }


def disks_of(site: Site, record: Record) -> list[str]:
    """The names of the SRs that a VM's disks lie on, by the numbers of their drives."""
    vbds = sorted((site.world.record("VBD", vbd) for vbd in record["VBDs"]), key=lambda vbd: vbd["userdevice"])
    on = [site.world.record("VDI", vbd["VDI"])["SR"] for vbd in vbds if vbd["type"] == "Disk" and vbd["VDI"] != NULL]
    return [site.name("SR", sr) or "" for sr in on]


def clock_state(site: Site) -> dict[str, Any]:
    """How to follow the same clock: simulated Unix seconds are origin + (Unix seconds - origin) * factor when driven
    by the wall."""
    drive = site.clock.drive
    return {"drive": drive.name, "factor": drive.factor, "origin": drive.origin, "now": site.clock.now()}


def application(site: Site) -> web.Application:
    """The control server's routes."""
    app = web.Application()

    async def get_state(_: web.Request) -> web.Response:
        site.clock.catch_up()
        return web.json_response(state(site))

    async def get_journal(_: web.Request) -> web.Response:
        site.clock.catch_up()
        return web.Response(text=site.journal.text(), content_type="application/x-ndjson")

    async def get_clock(_: web.Request) -> web.Response:
        return web.json_response(clock_state(site))

    async def post_fault(request: web.Request) -> web.Response:
        site.clock.catch_up()
        try:
            faults.order(site, await told(request))
        except faults.UnknownFault as wrong:
            return web.json_response({"error": str(wrong)}, status=400)
        return web.json_response({"ok": True})

    async def post_clock(request: web.Request) -> web.Response:
        words = await told(request)
        if not isinstance(site.clock.drive, ManualDrive):
            sentence = f"The clock is driven by {site.clock.drive.name}; only one driven by hand can be turned."
            return web.json_response({"error": sentence}, status=409)
        site.clock.turn(float(words.get("advance", 0)))
        return web.json_response(clock_state(site))

    app.add_routes(
        [
            web.get("/state", get_state),
            web.get("/journal", get_journal),
            web.get("/clock", get_clock),
            web.post("/fault", post_fault),
            web.post("/clock", post_clock),
        ]
    )
    return app


async def told(request: web.Request) -> dict[str, Any]:
    try:
        words = json.loads(await request.text() or "{}")
    except ValueError:
        words = None
    if not isinstance(words, dict):
        raise web.HTTPBadRequest(text='{"error": "The body must be a JSON object."}', content_type="application/json")
    return words
