"""Steps on a simulated pool, under a clock that jumps: real sockets, the XenAPI package in its thread, no bus.

Three hosts, athos the master, VMs on a shared SR; each test says what differs. `Simulated.do` is one step as an
executor does it after its guards: a session of its own, look, act, confirm.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import SecretStr

from services.executor.steps import table
from services.executor.work import Ended, Place, Work
from shared.clock import Clock
from shared.domain import acts
from shared.domain.model import PoolSnapshot
from shared.domain.names import Named
from shared.xapi import client
from shared.xapi.port import Access
from simulator import Simulation, running
from simulator.virtual import EPOCH, run_virtual

HOST: Mapping[str, Any] = {"memory": "32 GiB", "boot": 120, "install": 60, "check": 1}


def world(**changed: Any) -> dict[str, Any]:
    """A small pool as a world file says one; `changed` keys take the place of its own."""
    hosts = [{"name": name, **HOST} for name in ("athos", "porthos", "aramis")]
    vms = [
        {"name": "gitlab", "host": "athos", "memory": "8 GiB"},
        {"name": "wiki", "host": "athos", "memory": "2 GiB"},
        {"name": "mail", "host": "porthos", "memory": "4 GiB"},
    ]
    return {"name": "three", "pool": {"name": "lab"}, "hosts": hosts, "vms": vms, **changed}


class Simulated:
    """A simulated pool, and steps on it."""

    def __init__(self, simulation: Simulation) -> None:
        loop = asyncio.get_running_loop()
        self.simulation = simulation
        self.clock = Clock(machine=lambda: EPOCH + loop.time())
        self.said: list[str] = []
        self.kept: dict[str, bytes] = {}
        self.members: frozenset[str] = frozenset()
        self.access = Access(simulation.master_url, simulation.username, SecretStr(simulation.password))
        self._names: dict[str, Named] = {}

    async def login(self, step: str = "t01-s001", *, run: str = "r1") -> client.Client:
        """A session for a step."""
        return await client.login(
            self.access, members=self.members, run=run, step=step, clock=self.clock, saw=self._saw
        )

    async def learn(self) -> PoolSnapshot:
        """Survey without updates, and remember what is called how."""
        pool = await self.login("survey")
        try:
            snapshot = await pool.survey(updates=False, at=self.clock.now())
        finally:
            await pool.close()
        hosts, vms = (host.named for host in snapshot.hosts), (vm.named for vm in snapshot.vms)
        srs = (Named(sr.uuid, sr.name) for sr in snapshot.srs)
        self._names = {named.name: named for named in (*hosts, *vms, *srs)}
        return snapshot

    def __getitem__(self, name: str) -> Named:
        """A host, VM or SR by its name, after `learn`."""
        return self._names[name]

    async def do(self, act: acts.Act, *, again: bool = False) -> Ended:
        """One step, once."""
        pool = await self.login()
        try:
            place = Place("lab", "r1", "t01-s001", 1)
            work = Work(pool, self.clock, place, self._say, self._keep, again=again)
            return await table.STEPS[act.kind](act, work)
        finally:
            await pool.close()

    async def ready_for_reboot(self, name: str) -> acts.RebootHost:
        """Disable and empty a host, note it, and the order that follows."""
        await self.do(acts.DisableHost(self[name]))
        await self.do(acts.EvacuateRest(self[name]))
        noted = (await self.do(acts.ReadHost(self[name]))).result
        assert isinstance(noted, acts.HostNoted)
        return acts.RebootHost(self[name], noted)

    def calls(self, method: str) -> list[dict[str, Any]]:
        """The journal's lines of a call, with or without Async."""
        wanted = (method, f"Async.{method}")
        return [line for line in self.simulation.journal if line["kind"] == "call" and line["method"] in wanted]

    def reboots(self, name: str) -> int:
        """How often a host really went down for a reboot."""
        return sum(
            1
            for line in self.simulation.journal
            if line["kind"] == "host" and line["host"] == name and line["state"] == "rebooting"
        )

    def where(self, vm: str) -> str:
        """The host a VM is on, as the world knows it."""
        return str(self.simulation.state()["vms"][vm]["host"])

    async def ignored(self, share: float) -> None:
        """Told of progress by somebody whose progress is not looked at."""

    async def _say(self, _: float, sentence: str) -> None:
        self.said.append(sentence)

    async def _keep(self, name: str, data: bytes) -> None:
        self.kept[name] = data

    def _saw(self, addresses: frozenset[str]) -> None:
        self.members = addresses


def story(test: Callable[[Simulated], Awaitable[None]], **changed: Any) -> None:
    """Run a test on a simulated pool of its own."""

    async def run() -> None:
        async with running(world(**changed), drive="virtual") as simulation:
            pool = Simulated(simulation)
            await pool.learn()
            await test(pool)

    run_virtual(run())
