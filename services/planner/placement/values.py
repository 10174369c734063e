"""What is asked of a placement, and what it answers. Pure values; sizes are bytes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.domain.model import VM, Host
from shared.domain.storage import DiskMove


@dataclass(frozen=True, slots=True)
class Move:
    """A VM and the host it goes to; `memory` in bytes, overhead included. `source` is the host it makes room on, None
    where it leaves the host that is emptied; `disks` go with it to other SRs."""

    vm: VM
    to: Host
    memory: int
    source: Host | None = None
    disks: tuple[DiskMove, ...] = ()


@dataclass(frozen=True, slots=True)
class Short:
    """A VM with no place. `missing` bytes on the roomiest host that could take it but for memory, when all others have
    their places; 0 when no host could, and `because` says why."""

    vm: VM
    missing: int
    because: str


@dataclass(frozen=True, slots=True)
class Placement:
    """The moves of the VMs that leave, largest first, and the VMs that found no place. `rooms` are moves of VMs on the
    receiving hosts that make room for them; `after` says for a VM (uuid) which VMs must have left the host it goes to
    before it starts. Whatever order keeps to that, every move fits at the moment it starts."""

    moves: tuple[Move, ...] = ()
    short: tuple[Short, ...] = ()
    rooms: tuple[Move, ...] = ()
    after: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Conditions:
    """What else holds while a host is emptied: hosts that may not be entered, hosts that run the new versions already
    whatever the snapshot says, bytes promised on hosts, hosts that a VM should rather not go to (it failed to before),
    and whether guests may be squeezed.

    No host of `soon` is entered if another can take the VM: it will be emptied again; rather none that is `busy`, to
    which its own VMs come home just now, for its link is full. `coming` are the hosts whose
    turns are to come: nothing goes there from one that is `newest`. `may_make_room` says which VMs of other hosts may
    be moved to make room (None: none)."""

    closed: frozenset[str] = frozenset()
    newest: frozenset[str] = frozenset()
    promised: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    avoid: Mapping[str, frozenset[str]] = field(default_factory=lambda: MappingProxyType({}))
    squeeze: bool = False
    soon: frozenset[str] = frozenset()
    busy: frozenset[str] = frozenset()
    coming: frozenset[str] = frozenset()
    may_make_room: Callable[[VM], bool] | None = None


Need = Callable[[VM], int]
