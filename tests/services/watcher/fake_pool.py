"""A pool of a few lines, turned by hand: each host an address on loopback whose door opens, shuts, starts or is silent.

It is for signals one by one and in any order; whole reboots in their real order are the simulator's.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from aiohttp import web

Door = Literal["open", "shut", "starting", "silent"]
Record = dict[str, Any]

_BLOCKS = itertools.count(os.getpid() * 7)


class Error(Exception):
    """What XAPI answers instead of a value."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code)
        self.code = code
        self.params = params


@dataclass
class FakeHost:
    """One host. `server` is whatever listens on its address now."""

    pool: FakePool
    name: str
    uuid: str
    address: str
    door: Door = "shut"
    runner: web.AppRunner | None = None
    queue: list[socket.socket] = field(default_factory=list)
    logins: int = 0

    @property
    def ref(self) -> str:
        """Its ref, which no person may read."""
        return f"OpaqueRef:{self.uuid}"

    @property
    def record(self) -> Record:
        """Its record in the database."""
        return self.pool.table["host"][self.ref]

    async def turn(self, door: Door) -> None:
        """Let its address do something else from now on; what was connected is cut."""
        await self._shut()
        self.door = door
        if door == "silent":
            self._fall_silent()
        elif door != "shut":
            await self._serve()

    async def _shut(self) -> None:
        for held in self.queue:
            held.close()
        self.queue.clear()
        if self.runner is not None:
            await asyncio.sleep(
                0.001
            )  # a connection that is just being taken has to reach the runner, to be cut with it
            await self.runner.cleanup()
            self.runner = None

    async def _serve(self) -> None:
        app = web.Application()
        app.router.add_post("/jsonrpc", self._handle)
        self.runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.01)
        await self.runner.setup()
        await web.TCPSite(self.runner, self.address, self.pool.port, reuse_address=True).start()

    def _fall_silent(self) -> None:
        """A full queue of connections that nobody accepts: a further one gets no answer at all."""
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.address, self.pool.port))
        listening.listen(0)
        self.queue.append(listening)
        for _ in range(2):
            waiting = socket.socket()
            waiting.setblocking(False)
            waiting.connect_ex((self.address, self.pool.port))
            self.queue.append(waiting)

    async def _handle(self, request: web.Request) -> web.Response:
        asked = await request.json()
        reply: Record = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            if self.door == "starting":
                return web.json_response({"jsonrpc": "2.0", "error": ["HOST_STILL_BOOTING"], "id": 0})
            reply["result"] = await self._answer(asked["method"], asked["params"])
        except Error as error:
            reply["error"] = {"code": 1, "message": error.code, "data": list(error.params)}
        return web.json_response(reply)

    async def _answer(self, method: str, params: list[Any]) -> Any:
        if method == "session.login_with_password":
            self.logins += 1
            if self is not self.pool.master:
                raise Error("HOST_IS_SLAVE", self.pool.master.address)
            return self.pool.log_in(params)
        return await self.pool.answer(method, params)


class FakePool:
    """The database, the sessions and the hosts. The first host is the master until `master` is set."""

    def __init__(self, hosts: int) -> None:
        block = next(_BLOCKS)
        prefix = f"127.{100 + block % 100}.{block // 100 % 250}"
        self.port = 0
        self.password = "s3cret"
        self.sessions: set[str] = set()
        self.ended: list[str] = []
        self.table: dict[str, dict[str, Record]] = {"pool": {}, "host": {}, "host_metrics": {}}
        self._generation = 0
        self._written: dict[tuple[str, str], int] = {}
        self._news = asyncio.Event()
        self.hosts = [FakeHost(self, f"h{n}", f"{n:08d}-aaaa", f"{prefix}.{n}") for n in range(1, hosts + 1)]
        self.master = self.hosts[0]
        for host in self.hosts:
            self.write("host_metrics", f"{host.ref}-m", {"live": True, "memory_total": 1})
            self.write("host", host.ref, _host_record(host))
        self.write("pool", "OpaqueRef:pool", {"uuid": "p", "name_label": "lab", "master": self.master.ref})

    @property
    def url(self) -> str:
        """The address in the settings."""
        return f"http://{self.hosts[0].address}:{self.port}"

    def write(self, class_: str, ref: str, changes: Record) -> None:
        """Change a record; whoever waits for events is told."""
        record = {**self.table[class_].get(ref, {}), **changes}
        self.table[class_][ref] = record
        self._generation += 1
        self._written[class_, ref] = self._generation
        self._ring()

    def live(self, host: FakeHost, live: bool) -> None:
        """What the master says of a host."""
        self.write("host_metrics", f"{host.ref}-m", {"live": live})

    def booted(self, host: FakeHost, boot_time: float | None, agent: float | None) -> None:
        """The times that a host's xapi writes when it starts; None removes the key."""
        times = {"boot_time": boot_time, "agent_start_time": agent}
        self.write(
            "host", host.ref, {"other_config": {key: f"{at:.0f}." for key, at in times.items() if at is not None}}
        )

    def promote(self, host: FakeHost) -> None:
        """Another host is the master from now on; every session is gone."""
        self.master = host
        self.write("pool", "OpaqueRef:pool", {"master": host.ref})
        self.forget_sessions()

    def forget_sessions(self) -> None:
        """The master's xapi restarts: sessions are not kept, and the generation may be a lower one."""
        self.sessions.clear()
        self._ring()

    def log_in(self, params: list[Any]) -> str:
        """A new session."""
        if params[1] != self.password:
            raise Error("SESSION_AUTHENTICATION_FAILED", params[0], "no")
        session = f"OpaqueRef:session-{len(self.sessions)}-{len(self.ended)}-{self._generation}"
        self.sessions.add(session)
        return session

    async def answer(self, method: str, params: list[Any]) -> Any:
        """A call within a session."""
        session, *rest = params
        if session not in self.sessions:
            raise Error("SESSION_INVALID", session)
        if method == "session.logout":
            self.sessions.discard(session)
            self.ended.append(session)
        if method == "event.from":
            return await self._events(session, *rest)
        return "20260101T00:00:00Z" if method == "host.get_servertime" else ""

    async def _events(self, session: str, classes: list[str], token: str, timeout: float) -> Record:
        after = int(token.partition(",")[0] or 0)
        until = asyncio.get_running_loop().time() + timeout
        while not (found := self._newer(classes, after)) and session in self.sessions:
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                break
        if session not in self.sessions:
            raise Error("SESSION_INVALID", session)
        counts = {name: len(self.table[name]) for name in classes}
        return {"events": found, "valid_ref_counts": counts, "token": f"{self._generation:020d},{0:020d}"}

    def _newer(self, classes: list[str], after: int) -> list[Record]:
        return [
            {
                "id": "1",
                "timestamp": "0.0",
                "class": name,
                "operation": "mod",
                "ref": ref,
                "snapshot": self.table[name][ref],
            }
            for (name, ref), written in self._written.items()
            if written > after and name in classes and ref in self.table[name]
        ]

    def _ring(self) -> None:
        self._news.set()
        self._news = asyncio.Event()


@asynccontextmanager
async def pool_of(hosts: int) -> AsyncIterator[FakePool]:
    """A pool whose doors are all open, on a free port and a block of addresses of its own."""
    pool = FakePool(hosts)
    with socket.socket() as free:
        free.bind((pool.hosts[0].address, 0))
        pool.port = free.getsockname()[1]
    for host in pool.hosts:
        await host.turn("open")
    try:
        yield pool
    finally:
        pool.forget_sessions()
        for host in pool.hosts:
            await host.turn("shut")
        await asyncio.sleep(0.1)  # what was cut has to be seen to be cut before the loop ends


def _host_record(host: FakeHost) -> Record:
    return {
        "uuid": host.uuid,
        "name_label": host.name,
        "address": host.address,
        "enabled": True,
        "metrics": f"{host.ref}-m",
        "memory_overhead": 0,
        "other_config": {"boot_time": "1000000.", "agent_start_time": "1000030."},
        "software_version": {"xen": "4.17.4", "xapi": "24.19"},
        "cpu_info": {"vendor": "GenuineIntel"},
    }
