"""The worlds of the rolling benchmark: made from a seed, described by their hosts and how full their memory is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.generate import DOM0, OVERHEAD, generate

GIB = 1024**3
SEED = 5
VMS_PER_HOST = 30
INSTALL, BOOT = 300.0, 480.0
"""Seconds, as the issue has them."""

AT_ONCE = 3
SETUP_AND_SWITCH = 1.5
STREAM = 8 * GIB / (30.0 - SETUP_AND_SWITCH)
"""Bytes a second of one migration: 8 GiB alone take 30 s, of which the simulator's setup and switch take 1.5."""

WORKERS = 2 * AT_ONCE
"""A host carries three at full speed each way, so it has that many workers of xenopsd."""


@dataclass(frozen=True, slots=True)
class World:
    """A pool to be updated. `share` of the hosts' memory is filled by VMs, 0 to 1."""

    hosts: int
    share: float
    vms_per_host: int = VMS_PER_HOST
    seed: int = SEED
    install: float = INSTALL
    boot: float = BOOT

    @property
    def name(self) -> str:
        """As the table and the file call it: 16h-65."""
        return f"{self.hosts}h-{round(self.share * 100)}"

    @property
    def bandwidth(self) -> float:
        """Bytes a second into a host, and as many out of it."""
        return AT_ONCE * STREAM

    def described(self) -> dict[str, Any]:
        """What a world file would say. HA and auto_poweron are on, as they are on most pools."""
        told = generate(
            self.hosts,
            self.hosts * self.vms_per_host,
            self.share,
            self.seed,
            nic=_rate(self.bandwidth),
            stream=_rate(STREAM),
            boot=self.boot,
            install=self.install,
            workers=WORKERS,
        )
        told["name"] = self.name
        told["pool"] |= {"ha": {"enabled": True, "srs": ["Shared NFS"]}, "auto_poweron": True}
        return told


def memory_of(described: Mapping[str, Any]) -> dict[str, int]:
    """Bytes of each VM in a described world, by name."""
    return {vm["name"]: int(vm["memory"].split()[0]) * GIB for vm in described["vms"]}


def memory_on(described: Mapping[str, Any]) -> list[int]:
    """Bytes of VMs on each host of a described world, in the order of its hosts; the first is the master."""
    filled = {host["name"]: 0 for host in described["hosts"]}
    sizes = memory_of(described)
    for vm in described["vms"]:
        filled[vm["host"]] += sizes[vm["name"]]
    return [*filled.values()]


def room_on(described: Mapping[str, Any]) -> int:
    """Bytes that VMs may take on the roomiest host of a described world."""
    return max(int(host["memory"].split()[0]) for host in described["hosts"]) * GIB - (DOM0 + OVERHEAD) * GIB


def _rate(bytes_a_second: float) -> str:
    return f"{bytes_a_second / 1e6:.3f} MB/s"


ALL = tuple(World(hosts, share) for hosts in (4, 8, 16) for share in (0.5, 0.65, 0.74))
TINY = World(3, 0.4, vms_per_host=3, boot=60.0, install=30.0)
"""So small that it is told in seconds: for the test, and for real processes."""
