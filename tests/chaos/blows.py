"""What can befall a service, and when: at the n-th time that it does a certain thing, before it is done or after.

Values only. Who strikes is `frail`'s, what is expected afterwards `in_process`'s.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["kill", "stall", "cut", "server"]
When = Literal["before", "after"]


@dataclass(frozen=True, slots=True, order=True)
class Call:
    """The n-th time that a service does something, over all its replicas: on the bus or at the pool, with what."""

    service: str
    doing: str
    about: str
    nth: int
    when: When

    def __str__(self) -> str:
        return f"{self.when} {self.service}'s {self.doing} {self.about} #{self.nth}"


@dataclass(frozen=True, slots=True, order=True)
class Blow:
    """What happens at a call. `kill`: the replica is gone, another comes 1 to 3 s later. `stall`: it stands still for
    `seconds`, heartbeats and all, as after SIGSTOP. `cut`: it cannot reach the bus for so long. `server`: the bus dies
    and is back, with its files, after so long."""

    kind: Kind
    call: Call
    replicas: int
    seconds: float = 0.0

    def __str__(self) -> str:
        lasting = f" for {self.seconds:g} s" if self.seconds else ""
        return f"{self.kind}{lasting} {self.call}, {self.replicas} of each"


HEARTBEATS = frozenset({"working", "say"})
"""Done every moment while a step is in hand, and of no consequence: nothing is struck there."""


def kills(calls: Iterable[Call], replicas: int) -> list[Blow]:
    """Every service is killed at every call."""
    return [Blow("kill", call, replicas) for call in calls]


def stalls(calls: Iterable[Call], replicas: int, seconds: float) -> list[Blow]:
    """Every executor's and planner's call takes longer than the bus waits for an answer."""
    return [Blow("stall", call, replicas, seconds) for call in calls if call.service in ("executor", "planner")]


def cuts(calls: Iterable[Call], replicas: int, seconds: float) -> list[Blow]:
    """The line between an executor or planner and the bus breaks at each of its calls; the pool is still reached."""
    return [Blow("cut", call, replicas, seconds) for call in calls if call.service in ("executor", "planner")]


def deaths_of_the_bus(calls: Iterable[Call], replicas: int, seconds: float) -> list[Blow]:
    """The bus dies at each call on it."""
    return [Blow("server", call, replicas, seconds) for call in calls if "." not in call.doing]


def sample(blows: Sequence[Blow], count: int, seed: int) -> list[Blow]:
    """So many of them, the same for the same seed, in an order that makes every beginning of it a fair sample too."""
    return random.Random(seed).sample(sorted(blows), min(count, len(blows)))
