"""Makes worlds of any size from a seed: so many hosts, so many VMs that fill a share of the memory.

`python -m simulator.generate --hosts 16 --vms 480 > world.yaml`, or `generate: {hosts: 16, vms: 480}` in a world file.
"""

from __future__ import annotations

import argparse
import random
import sys
from typing import Any

import yaml

SERVICES = (
    "web",
    "db",
    "mail",
    "dns",
    "queue",
    "cache",
    "files",
    "wiki",
    "build",
    "monitor",
    "proxy",
    "auth",
    "erp",
    "shop",
    "search",
    "logs",
    "backup",
    "desktop",
    "voip",
    "print",
)
SIZES = (1, 2, 2, 4, 4, 4, 8, 8, 16, 32)
DOM0, OVERHEAD = 4, 3


def generate(hosts: int, vms: int, memory_share: float = 0.6, seed: int = 0, **host_words: Any) -> dict[str, Any]:
    """What a world file would say: VMs spread evenly, each host's memory such that they fill `memory_share` of it."""
    chance = random.Random(seed)  # noqa: S311 - must repeat
    names = [f"host-{number:02d}" for number in range(1, hosts + 1)]
    used = dict.fromkeys(names, 0)
    made = []
    for number in range(vms):
        emptiest = min(names, key=lambda name: used[name])
        made.append(guest(chance, number, emptiest))
        used[emptiest] += int(made[-1]["memory"].split()[0]) * 103 // 100 + 1
    memory = int(max(used.values(), default=0) / memory_share) + DOM0 + OVERHEAD
    return {
        "name": f"{hosts} hosts, {vms} VMs",
        "pool": {"name": f"pool of {hosts}"},
        "hosts": [
            {"name": name, "memory": f"{memory} GiB", "cpus": 64, "nic": "25 Gbit/s", **host_words} for name in names
        ],
        "srs": [{"name": "Shared NFS", "default": True, "size": "200 TiB"}],
        "vms": made,
    }


def guest(chance: random.Random, number: int, host: str) -> dict[str, Any]:
    service = SERVICES[number % len(SERVICES)]
    return {
        "name": f"{service}-{number // len(SERVICES) + 1}",
        "host": host,
        "memory": f"{chance.choice(SIZES)} GiB",
        "vcpus": chance.choice((1, 2, 4, 8)),
        "disks": [{"size": f"{chance.choice((10, 20, 40, 80))} GiB"}],
    }


def main(told: list[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m simulator.generate", description="Prints a world file.")
    parser.add_argument("--hosts", type=int, required=True)
    parser.add_argument("--vms", type=int, required=True)
    parser.add_argument("--memory-share", type=float, default=0.6, help="how full the hosts are, 0 to 1")
    parser.add_argument("--seed", type=int, default=0)
    words = parser.parse_args(told)
    world = generate(words.hosts, words.vms, words.memory_share, words.seed)
    yaml.safe_dump(world, sys.stdout, sort_keys=False, width=160)


if __name__ == "__main__":
    main(sys.argv[1:])
