"""A JSON client of a few lines and the worlds that the simulator's own tests run on. Nothing here asserts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

import simulator
from simulator.clock import run_virtual
from simulator.simulation import Simulation

Story = Callable[["Xapi"], Awaitable[None]]

TWO_HOSTS: dict[str, Any] = {
    "name": "two",
    "hosts": [
        {"name": "north", "memory": "32 GiB", "boot": 100, "install": 60, "stream": "100 MB/s"},
        {"name": "south", "memory": "32 GiB", "boot": 100, "install": 60, "stream": "100 MB/s"},
    ],
    "vms": [
        {"name": "web", "host": "north", "memory": "2 GiB"},
        {"name": "db", "host": "north", "memory": "8 GiB"},
        {"name": "mail", "host": "south", "memory": "4 GiB"},
    ],
}


class Refused(Exception):
    """XAPI's refusal as a client sees it."""

    def __init__(self, code: str, params: list[str]) -> None:
        super().__init__(code, params)
        self.code = code
        self.params = params


class Xapi:
    """One client, logged in on the master, of one simulation."""

    def __init__(self, simulation: Simulation, http: aiohttp.ClientSession) -> None:
        self.sim = simulation
        self.session = ""
        self._http = http

    async def ask(
        self,
        method: str,
        *params: Any,
        url: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """A call without a session, to the master unless told otherwise."""
        body = {"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}
        address = f"{url or self.sim.master_url}/jsonrpc"
        async with self._http.post(address, json=body, headers=headers) as response:
            told = await response.json()
        if "error" in told:
            error = told["error"]
            raise Refused(error[0], error[1:]) if isinstance(error, list) else Refused(error["message"], error["data"])
        return told["result"]

    async def login(self, url: str | None = None) -> str:
        self.session = await self.ask("session.login_with_password", "root", "simulated", "1.0", "test", url=url)
        return self.session

    async def __call__(self, method: str, *params: Any, **told: Any) -> Any:
        """A call under the session."""
        return await self.ask(method, self.session, *params, **told)

    async def ref(self, name: str) -> str:
        """The host, VM or SR of that name."""
        for cls in ("host", "VM", "SR", "network"):
            found = await self(f"{cls}.get_by_name_label", name)
            if found:
                return str(found[0])
        raise KeyError(name)

    async def task(self, method: str, *params: Any, headers: Mapping[str, str] | None = None) -> dict[str, Any]:
        """An Async call, waited for to its end; the task's record."""
        task = await self(f"Async.{method}", *params, headers=headers)
        while (record := await self("task.get_record", task))["status"] in ("pending", "cancelling"):
            await asyncio.sleep(0.25)
        return dict(record)

    def lines(self, kind: str, **about: Any) -> list[dict[str, Any]]:
        """The journal's lines of a kind, without those of the start, that say all of `about`."""
        later = [line for line in self.sim.journal if "cause" in line or line["kind"] not in ("host", "vm")]
        return [line for line in later if line["kind"] == kind and about.items() <= line.items()]

    @property
    def now(self) -> float:
        """Simulated seconds since the start."""
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def client(world: Any, **told: Any) -> AsyncIterator[Xapi]:
    """A simulation with a client logged in."""
    async with simulator.running(world, **told) as simulation, aiohttp.ClientSession() as http:
        xapi = Xapi(simulation, http)
        await xapi.login()
        yield xapi


def played(story: Story, world: Any = None, **told: Any) -> None:
    """Runs a story on a world whose time jumps."""

    async def play() -> None:
        async with client(world if world is not None else TWO_HOSTS, drive="virtual", **told) as xapi:
            await story(xapi)

    run_virtual(play())


def world(**changes: Any) -> dict[str, Any]:
    """The two hosts, with these sections in place of theirs."""
    return {**TWO_HOSTS, **changes}


async def refused(act: Awaitable[Any]) -> list[str]:
    """The code and parameters an act is refused with."""
    try:
        answer = await act
    except Refused as refusal:
        return [refusal.code, *refusal.params]
    raise AssertionError(f"it was not refused, and gave {answer!r}")
