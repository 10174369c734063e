"""Random turns: a pool, a host that is to be emptied, and what else holds. Values only, made from a seed.

They are drawn where it is decided whether a placement exists: what must leave is 60 to 103 % of the memory that is free
for it, in half of them at least 90 %. Up to 6 hosts and 24 VMs; storage, networks, CPU features, versions, closed and
absent hosts, promised memory, guests that may be squeezed, VMs that may not make room.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from random import Random

from services.planner.placement import Conditions
from shared.domain.model import VM, Host, PoolSnapshot
from tests.services.planner.play import NEW, OLD, host, pool, vm

MIB = 1024**2
GIB = 1024**3
HOSTS, VMS = 6, 24
"""The most of each."""

NAMES = ("athos", "porthos", "aramis", "dartagnan", "rochefort", "milady")
SRS = ("sr-nfs", "sr-second", "sr-third")
NETWORKS = ("net-0", "net-1")
FULL, OLDER = "0000000f-000000ff", "0000000f-0000000f"
"""CPU features of most hosts, and of one that lacks some."""

SIZES = ((1, 2, 2, 4, 4, 8), (4, 8, 8, 16), (2, 3, 5, 7, 11, 13), (8, 12, 16, 20, 24), (1, 1, 2, 24, 32))
"""GiB of VMs; a pool has one of these styles."""


@dataclass(frozen=True, slots=True)
class World:
    """One question: where do `vms` go when `leaving` is emptied? `movable` are the VMs of other hosts (uuids) that may
    make room; None where none may."""

    seed: int
    snapshot: PoolSnapshot
    leaving: Host
    vms: tuple[VM, ...]
    conditions: Conditions
    movable: frozenset[str] | None


def world(seed: int) -> World:
    """The world of a seed."""
    rng = Random(f"turn/{seed}")
    names = NAMES[: rng.randint(2, HOSTS)]
    receiving = [_host(rng, name) for name in names[1:]]
    sizes = rng.choice(SIZES)
    dynamic = rng.random() < 0.3
    there: list[VM] = []
    for one in receiving:
        there += _filled(rng, one, int(_usable(one) * rng.uniform(0.3, 0.98)), sizes, dynamic, VMS - 6 - len(there))
    free = sum(_usable(one) for one in receiving) - sum(_needed(one) for one in there)
    plain = host(names[0], 1024, versions=NEW if rng.random() < 0.05 else OLD, attached=SRS, networks=NETWORKS)
    leaving = replace(plain, cpu_features=FULL)
    most = rng.randint(1, VMS - len(there))
    share = rng.uniform(0.9, 1.03) if rng.random() < 0.5 else rng.uniform(0.6, 1.0)
    vms = _filled(rng, leaving, int(free * share), sizes, dynamic, most)
    snapshot = pool((leaving, *receiving), (*vms, *there))
    movable = None if rng.random() < 0.15 else frozenset(one.uuid for one in there if rng.random() < 0.85)
    given = _conditions(rng, snapshot, receiving, vms, squeeze=dynamic and rng.random() < 0.8, movable=movable)
    return World(seed, snapshot, leaving, tuple(vms), given, movable)


def _conditions(
    rng: Random,
    snapshot: PoolSnapshot,
    receiving: list[Host],
    vms: list[VM],
    *,
    squeeze: bool,
    movable: frozenset[str] | None,
) -> Conditions:
    newest = frozenset(one.uuid for one in receiving if rng.random() < 0.25)
    left = [one.uuid for one in receiving if one.uuid not in newest]
    promised = {
        one.uuid: int(_free(snapshot, one) * rng.uniform(0, 0.25)) // MIB * MIB
        for one in receiving
        if rng.random() < 0.15
    }
    closed = frozenset(one.uuid for one in receiving if rng.random() < 0.08)
    avoid = {one.uuid: frozenset({rng.choice(receiving).uuid}) for one in vms if rng.random() < 0.05}
    return Conditions(
        closed=closed,
        newest=newest,
        promised=promised,
        avoid=avoid,
        squeeze=squeeze,
        soon=frozenset(left[:2]) if rng.random() < 0.5 else frozenset(),
        coming=frozenset(one for one in left if rng.random() < 0.8),
        may_make_room=None if movable is None else lambda one: one.uuid in movable,
    )


def _host(rng: Random, name: str) -> Host:
    plain = host(name, rng.choice((32, 48, 64, 64, 96, 128)))
    return replace(
        plain,
        memory_overhead=rng.randint(800, 3000) * MIB,
        attached=tuple(sr for sr in SRS if sr == SRS[0] or rng.random() < 0.8),
        networks=tuple(one for one in NETWORKS if one == NETWORKS[0] or rng.random() < 0.85),
        cpu_features=OLDER if rng.random() < 0.1 else FULL,
        versions=NEW if rng.random() < 0.1 else OLD,
        enabled=rng.random() > 0.03,
        live=rng.random() > 0.02,
    )


def _filled(rng: Random, on: Host, room: int, sizes: tuple[int, ...], dynamic: bool, most: int) -> list[VM]:
    """VMs on a host until so many bytes are taken, or there are so many."""
    found: list[VM] = []
    for number in range(most):
        size = rng.choice(sizes) * 1024 + rng.choice((0, 0, 0, 256, 512))
        size = min(size, room // MIB - 64)
        if size < 256:
            break
        one = _vm(rng, f"{on.name}-{number}", on, size, dynamic)
        room -= _needed(one)
        found.append(one)
    return found


def _vm(rng: Random, name: str, on: Host, size: int, dynamic: bool) -> VM:
    """A VM of so many MiB at the most."""
    now = size * MIB
    least = now // 2 // MIB * MIB if dynamic and rng.random() < 0.5 else now
    overhead = rng.randint(4, 60) * MIB
    srs = tuple(sr for sr in on.attached if sr == SRS[0] or rng.random() < 0.2)
    networks = tuple(one for one in on.networks if one == NETWORKS[0] or rng.random() < 0.2)
    features = rng.choice((on.cpu_features, OLDER, OLDER))
    group = rng.choice(("", "", "", "twins"))
    plain = vm(name, on.name, 1, srs=srs, networks=networks, cpu_features=features, group=group)
    return replace(plain, memory=least, memory_now=now, memory_overhead=overhead)


def _free(snapshot: PoolSnapshot, one: Host) -> int:
    return _usable(one) - sum(map(_needed, snapshot.resident(one.uuid)))


def _usable(one: Host) -> int:
    return one.memory_total - one.memory_overhead


def _needed(one: VM) -> int:
    return max(one.memory, one.memory_now) + one.memory_overhead
