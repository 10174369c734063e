"""What XAPI answers to a GET: the pool's database as a file, and XenServer's list of updates."""

from __future__ import annotations

import base64
import binascii
import json

from aiohttp import web

from simulator import repository
from simulator.failure import ConnectionCut, Failure
from simulator.machine import EMERGENCY, Machine
from simulator.site import Site
from simulator.wire import xml


async def answer(site: Site, machine: Machine, request: web.BaseRequest) -> web.Response:
    """The answer to a GET on a host's address; 401 without a session or the user's password."""
    site.clock.catch_up()
    if machine.door == EMERGENCY:
        raise ConnectionCut
    path = request.path
    if path == "/":
        return web.Response(text="<html><title>XCP-ng</title><body>Welcome</body></html>", content_type="text/html")
    if path not in ("/pool/xmldbdump", "/updates"):
        return not_found()
    if not authorised(site, request):
        return web.Response(status=401, headers={"WWW-Authenticate": 'Basic realm="XCP-ng"'}, text="unauthorised")
    if machine is not site.master:
        return web.Response(status=302, headers={"Location": f"http://{site.master.address}{request.path_qs}"})
    if path == "/updates":
        return updates(site, request)
    site.journal.write(
        "call",
        host=machine.name,
        method="GET /pool/xmldbdump",
        params=[],
        client="",
        outcome="success",
        code=None,
        began=round(site.clock.seconds(), 6),
    )
    return web.Response(body=database(site).encode(), headers={"Content-Type": "application/xml"})


def authorised(site: Site, request: web.BaseRequest) -> bool:
    if site.world.has("session", request.query.get("session_id", "")):
        return True
    scheme, _, told = request.headers.get("Authorization", "").partition(" ")
    try:
        pair = base64.b64decode(told).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return False
    return pair == f"{site.spec.username}:{site.spec.password}"


def database(site: Site) -> str:
    """The database as XML; a dummy without rows while a rolling upgrade is in progress (pool_db_backup.ml)."""
    count = f'<pair key="generation_count" value="{site.world.generation}"/>'
    manifest = f'<manifest><pair key="schema_major_vsn" value="5"/>{count}</manifest>'
    if site.upgrading():
        return f'<?xml version="1.0" encoding="UTF-8"?><database>{manifest}</database>'
    tables = []
    for cls, rows in site.world.rows.items():
        if cls in ("session", "task"):
            continue
        lines = "".join(f'<row ref="{ref}">{xml.struct(row.record)}</row>' for ref, row in rows.items())
        tables.append(f'<table name="{cls}">{lines}</table>')
    return f'<?xml version="1.0" encoding="UTF-8"?><database>{manifest}{"".join(tables)}</database>'


def updates(site: Site, request: web.BaseRequest) -> web.Response:
    """XenServer 8's updates of the hosts asked for; a pool without repositories has none to tell."""
    if not site.pool_record.get("repositories"):
        return not_found()
    asked = [one for one in request.query.get("host_refs", "").split(";") if one]
    try:
        told = repository.updates_of(site, asked or list(site.machines))
    except Failure as refused:
        return web.Response(status=404, text=refused.code)
    return web.Response(body=json.dumps(told).encode(), headers={"Content-Type": "application/json"})


def not_found() -> web.Response:
    text = "<html><body><h1>404 not found</h1></body></html>"
    return web.Response(status=404, text=text, content_type="text/html")
