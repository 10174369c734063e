"""The time that no plan can beat on a world, under the rules that every plan must keep. Pure.

Let N be the hosts, e(i) the bytes of the VMs on host i over the bandwidth of one host in one direction, e the least of
them, I the seconds of an installation, B those of a reboot, X = e + I + B the shortest turn, k the hosts allowed away
(`max_away`), a those emptied ahead, h = 1 where VMs go home, else 0. The master goes first and alone, for M = e(0) + I
+ B; with k = 1 the first member is alone too, since nothing is emptied ahead before it is back: F = X, else F = 0. Of
the n = N - 1 members, or N - 2 with F, follow from then on:

    installs in a row   M + e + (N-1) I + B + h e
    reboots in a row    M + F + e + I + ceil(n/k) B + h e
    turns in a row      M + F + T + h e, where T is when the last of n turns of X ends that take the first of k + a
                        places that is free, the k+1st and later places free B later (of k + 1 hosts that come back one
                        comes back a whole reboot after another, for no more than k are away)
    memory              (1 + h) sum of e(i) over N, + B, because nothing moves while the master is away

a is 1 from four hosts on, and only where all VMs have room on the hosts that are left when k + a are empty and one more
is lost: that too is a rule, and where memory forbids it a is 0.

The bound is the longest of the four. It counts no look at the pool, no soak, no order on its way and no migration's
setup, and takes every byte as sent at full speed: a plan that meets it would be perfect.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

FEW = 4
"""In a pool of fewer hosts none is emptied ahead."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Each of the four in seconds; the bound is the longest."""

    installs: float
    reboots: float
    turns: float
    memory: float

    @property
    def seconds(self) -> float:
        """What no plan can beat."""
        return max(self.installs, self.reboots, self.turns, self.memory)


def of_world(
    filled: Sequence[int],
    bandwidth: float,
    install: float,
    boot: float,
    *,
    max_away: int = 1,
    homeward: bool = True,
    room: int | None = None,
) -> Bound:
    """The bound of a pool: `filled` is the bytes of VMs on each host, the master's first; `bandwidth` bytes a second
    into a host and out of it, the rest seconds. `homeward`: VMs go home again. `room`: bytes that VMs may take on a
    host (None: any)."""
    empty = [size / bandwidth for size in filled]
    hosts, least, master = len(empty), min(empty), empty[0] + install + boot
    ahead = 1 if hosts >= FEW and (room is None or sum(filled) <= room * (hosts - max_away - 2)) else 0
    turn, last = least + install + boot, least if homeward else 0.0
    alone = turn if max_away == 1 and hosts > 1 else 0.0
    left = hosts - 1 - bool(alone)
    return Bound(
        installs=master + (least + (hosts - 1) * install + boot if hosts > 1 else 0.0) + last,
        reboots=master + alone + (least + install + math.ceil(left / max_away) * boot if left else 0.0) + last,
        turns=master + alone + _last_of(left, turn, [0.0] * max_away + [boot] * ahead) + last,
        memory=(2 if homeward else 1) * sum(empty) / hosts + boot,
    )


def _last_of(turns: int, seconds: float, places: Sequence[float]) -> float:
    """When the last of so many turns ends, each in the first place that is free; `places` are free from then on."""
    free, end = sorted(places), 0.0
    for _ in range(turns):
        end = free[0] + seconds
        heapq.heapreplace(free, end)
    return end
