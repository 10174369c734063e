"""A simulated pool that runs: its addresses, its control address, its clock and its journal.

`running(...)` is the way in for tests and for `__main__` alike.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from simulator import boot, faults, housekeeping, loopback, worldfile
from simulator.build import build
from simulator.clock import Clock, Drive, ManualDrive, VirtualDrive, VirtualLoop, WallDrive
from simulator.control import application, clock_state, state
from simulator.description import WorldSpec
from simulator.journal import Journal
from simulator.site import Site
from simulator.tls import Authority
from simulator.wire.server import Doorway

log = logging.getLogger(__name__)
FAST = 100.0


class Simulation:
    """One simulated pool under way."""

    def __init__(self, site: Site, port: int, authority: Authority | None) -> None:
        self.site = site
        self.port = port
        self.username = site.spec.username
        self.password = site.spec.password
        self.control_url = ""
        self._authority = authority
        self._doorways: list[Doorway] = []
        self._control: web.AppRunner | None = None

    @property
    def scheme(self) -> str:
        return "https" if self._authority else "http"

    @property
    def ca_file(self) -> str | None:
        """The file of the CA that signed the hosts' certificates, with TLS."""
        return str(self._authority.file) if self._authority else None

    @property
    def hosts(self) -> dict[str, str]:
        """Host name to the URL of its own XAPI."""
        return {one.name: f"{self.scheme}://{one.address}:{self.port}" for one in self.site.machines.values()}

    @property
    def master_url(self) -> str:
        return self.hosts[self.site.master.name]

    @property
    def clock(self) -> Clock:
        """`.now()` is simulated Unix time; `.turn(seconds)` turns one that is driven by hand."""
        return self.site.clock

    @property
    def journal(self) -> list[dict[str, Any]]:
        """The journal's lines so far."""
        return self.site.journal.lines

    def fault(self, kind: str, **words: Any) -> None:
        """Orders a fault as `POST /fault` does; raises `faults.UnknownFault`."""
        self.site.clock.catch_up()
        faults.order(self.site, {"kind": kind, **words})

    def state(self) -> dict[str, Any]:
        """Hosts, VMs and pool as `GET /state` tells them."""
        self.site.clock.catch_up()
        return state(self.site)

    def clock_state(self) -> dict[str, Any]:
        return clock_state(self.site)

    def line(self) -> dict[str, Any]:
        """What the command prints when it is ready."""
        told: dict[str, Any] = {
            "master": self.master_url,
            "hosts": self.hosts,
            "control": self.control_url,
            "username": self.username,
            "password": self.password,
        }
        return told | ({"ca": self.ca_file} if self.ca_file else {})

    async def open(self, control_port: int = 0) -> None:
        """Opens every address and starts what runs by itself."""
        site = self.site
        for machine in site.machines.values():
            tls = self._authority.context(machine.address) if self._authority else None
            doorway = Doorway(site, machine, self.port, tls)
            self._doorways.append(doorway)
            site.doors.append(lambda told, own=doorway: own.follow() if told is own.machine else None)  # type: ignore[misc]
            doorway.follow()
        self._control = web.AppRunner(application(site), access_log=None)
        await self._control.setup()
        control = web.TCPSite(self._control, "127.0.0.1", control_port)
        await control.start()
        port = self._control.addresses[0][1]
        self.control_url = f"http://127.0.0.1:{port}"
        site.master.xapi.spawn(housekeeping.every_half_minute(site), "housekeeping")
        for told in site.spec.faults:
            faults.order(site, dict(told))
        for machine in site.machines.values():
            if machine.joined and boot.ahead_of_master(site, machine):
                boot.stop_xapi(site, machine, clean=True)
                machine.system.spawn(boot.start_xapi(site, machine, booted=False), "a member ahead of its master")

    async def end(self) -> None:
        """Closes everything; raises the first bug of the simulated world, if there was one."""
        for doorway in self._doorways:
            await doorway.end()
        if self._control is not None:
            await self._control.cleanup()
        self.site.journal.close()
        if self._authority is not None:
            self._authority.discard()
        if self.site.clock.bugs:
            raise self.site.clock.bugs[0]


def drive_of(drive: str, factor: float) -> Drive:
    """The drive of that name: wall, manual or virtual."""
    if drive == "wall":
        if factor > FAST:
            log.warning("above factor %g the order in which clients and world meet belongs to the machine", FAST)
        return WallDrive(factor)
    if drive == "virtual":
        if not isinstance(asyncio.get_running_loop(), VirtualLoop):
            raise ValueError("a virtual clock needs a loop whose time jumps: simulator.clock.run_virtual")
        return VirtualDrive()
    if drive == "manual":
        return ManualDrive()
    raise ValueError(f"a clock is driven by wall, manual or virtual, not by {drive!r}")


@asynccontextmanager
async def running(
    world: str | Path | Mapping[str, Any] | WorldSpec,
    *,
    drive: str = "wall",
    factor: float = 1.0,
    seed: int | str = 0,
    journal: str | Path | None = None,
    tls: bool = False,
    port: int = 0,
    control_port: int = 0,
    block: str = "",
) -> AsyncIterator[Simulation]:
    """Runs a simulated pool in this process, inside the running asyncio loop, until the block is left.

    `world` is a shipped world's name, a path, or what a file would say. `drive` is "wall" (times `factor`), "manual"
    (turned by `clock.turn`) or "virtual" (only under `run_virtual`). Raises WorldError, NoAddress.
    """
    spec = worldfile.load(world)
    held = loopback.claim(block)
    try:
        addresses = [held.address(number) for number, _ in enumerate(spec.hosts, 1)]
        clock = Clock(drive_of(drive, factor))
        site = build(spec, clock, Journal(clock, Path(journal) if journal else None), str(seed), addresses)
        authority = Authority(addresses) if tls else None
        simulation = Simulation(site, loopback.free_port(addresses, port), authority)
        try:
            await simulation.open(control_port)
            yield simulation
        finally:
            await asyncio.shield(simulation.end())
    finally:
        held.release()
