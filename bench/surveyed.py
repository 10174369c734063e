"""A world of the rolling benchmark as a survey would read it, without a simulator: for what only plans. Pure."""

from __future__ import annotations

from bench import worlds
from bench.worlds import GIB, World
from shared.domain.model import HA, SR, VM, Disk, Host, Package, PoolSettings, PoolSnapshot, Versions
from shared.domain.names import Named
from simulator.generate import generate

VERSIONS = Versions("3.4.0", "25.33", "25.33.1", "4.17.5-13", "4.19.0+1", "8.3.0")
UPDATES = (Package("kernel", "4.19.19", "8.0.44"), Package("xen-hypervisor", "4.17.6", "2"))
FEATURES = "1fcbfbff-f7fa3223-2d93fbff-00000023-00000001-000007ab-00000000-00000000-00001000-8c000000"
SHARED, NETWORK = "sr-nfs", "net-0"
OVERHEAD = 7 * GIB
"""Bytes of the hypervisor and the control domain, as the simulator has them."""


def of_world(world: World, vms: int | None = None) -> PoolSnapshot:
    """One consistent reading of a world before its update; `vms` of it where they are not as many on each host."""
    told = world.described() if vms is None else generate(world.hosts, vms, world.share, world.seed)
    sizes = worlds.memory_of(told)
    hosts = tuple(
        Host(
            uuid=f"host-{number:05}",
            name=one["name"],
            address=f"127.0.{number // 250}.{number % 250 + 1}",
            enabled=True,
            live=True,
            memory_total=int(one["memory"].split()[0]) * GIB,
            memory_overhead=OVERHEAD,
            boot_time=1000.0,
            agent_start_time=1010.0,
            versions=VERSIONS,
            updates=UPDATES,
            attached=(SHARED,),
            networks=(NETWORK,),
            networks_with_ip=(NETWORK,),
            cpu_vendor="AuthenticAMD",
            cpu_features=FEATURES,
            clock_offset=0.0,
            disk_free=8 * GIB,
        )
        for number, one in enumerate(told["hosts"])
    )
    uuids = {host.name: host.uuid for host in hosts}
    guests = tuple(
        VM(
            uuid=f"vm-{number:06}",
            name=one["name"],
            power_state="running",
            host=uuids[one["host"]],
            memory=sizes[one["name"]],
            memory_now=sizes[one["name"]],
            memory_max=sizes[one["name"]],
            memory_overhead=sizes[one["name"]] // 128 + 1024**2 * 9,
            srs=(SHARED,),
            networks=(NETWORK,),
            disks=(Disk(f"vdi-{number:06}", one["name"], SHARED, 20 * GIB),),
            cpu_features=FEATURES,
        )
        for number, one in enumerate(told["vms"])
    )
    return PoolSnapshot(
        uuid="pool",
        name=told["pool"]["name"],
        master=hosts[0].uuid,
        hosts=hosts,
        vms=guests,
        srs=(SR(SHARED, "Shared NFS", "nfs", True, 100 * 1024 * GIB),),
        networks=(Named(NETWORK, "Pool-wide network"),),
        settings=PoolSettings(ha=HA(True, (SHARED,), {}, 1), auto_poweron="true"),
        taken_at=0.0,
    )
