"""What a schedule is played from, and what comes out: legs and terms, parts and moves. Hosts and VMs by uuid."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

Kind = Literal["look", "empty", "install", "reboot", "check", "home", "level"]


@dataclass(frozen=True, slots=True)
class Move:
    """A VM that leaves `source` for `to` in `seconds`; `memory` in bytes. Hosts and VM by uuid."""

    vm: str
    source: str
    to: str
    memory: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Leg:
    """A turn as far as it is still to be done: what is over takes no seconds and has no moves. `down` is what stopping
    VMs takes once all that can move has moved, `up` what starting them takes beside the ways home. `boot` is from the
    reboot's order until the host is back; the first `canaries` of `home` go first and are watched for `soak` seconds.
    `level` are the moves that follow when all turns are over. Without a boot its VMs stay. `begun` and `back` (enabled
    again) say how far it is."""

    turn: str
    host: str
    master: bool = False
    look: float = 0.0
    away: tuple[Move, ...] = ()
    install: float = 0.0
    boot: float = 0.0
    down: float = 0.0
    up: float = 0.0
    check: float = 0.0
    soak: float = 0.0
    canaries: int = 0
    home: tuple[Move, ...] = ()
    level: tuple[Move, ...] = ()
    begun: bool = False
    back: bool = False


@dataclass(frozen=True, slots=True)
class Terms:
    """What limits a schedule, as `pacing` and `stepping` apply it. `conflicts` says whether two hosts may not be in
    their turns at once; `masters` and `members` are how many hosts are back already; `waits` says that a VM waits for
    the host that it is to go to, since it will stay there, and goes to no other."""

    max_away: int = 1
    empty_ahead: int = 0
    per_source: int = 3
    per_destination: int = 4
    per_pool: int | None = None
    conflicts: Callable[[str, str], bool] = lambda one, other: False
    masters: int = 0
    members: int = 0
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """A part of a turn, seconds from the beginning."""

    kind: Kind
    begins: float
    ends: float


@dataclass(frozen=True, slots=True)
class Moved:
    """A move as it was played."""

    vm: str
    source: str
    to: str
    home: bool
    begins: float
    ends: float
    level: bool = False


@dataclass(frozen=True, slots=True)
class Played:
    """A turn as it was played."""

    turn: str
    begins: float
    ends: float
    parts: tuple[Part, ...]
    moves: tuple[Moved, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The whole: the turns in the order they were given, and of each host the most bytes its VMs took and when."""

    turns: tuple[Played, ...] = ()
    ends: float = 0.0
    high_water: Mapping[str, tuple[int, float]] = field(default_factory=lambda: MappingProxyType({}))

    def of_kind(self, kind: Kind) -> tuple[Part, ...]:
        """All parts of one kind."""
        return tuple(part for turn in self.turns for part in turn.parts if part.kind == kind)
