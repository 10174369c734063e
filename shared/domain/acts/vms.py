"""Acts on VMs: moved, stopped, started again, and watched for a while. See `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.names import Named
from shared.domain.storage import DiskMove


@dataclass(frozen=True, slots=True)
class MigrateVM:
    """Move a running VM to a host. `purpose`: `empty` (away from a host in its turn), `room` (from a host that needs
    the room for another), `home` (back again), or `level` (so that the hosts end with an even load). `instead_of` is
    the step whose move of the same VM was given up: what it left at work in the pool is cancelled first. `disks` go
    with it (`VM.migrate_send`), each to its SR; `to` may then be the host that it is on, which
    it stays on (`room`, and `home`): only its disks move."""

    vm: Named
    to: Named
    away_from: Named
    purpose: Literal["empty", "room", "home", "level"] = "empty"
    network: str = ""
    instead_of: str = ""
    disks: tuple[DiskMove, ...] = ()
    kind: Literal["migrate_vm"] = "migrate_vm"


@dataclass(frozen=True, slots=True)
class ShutdownVM:
    """Ask a guest to shut down before its host is rebooted; switched off hard after so many minutes only where policy
    says so (`hard`). `consent` is who agreed, `lift` whether blocks of its shutdown may be lifted for it; `no_way_back`
    when its home could not start it before it is updated, because other hosts are newer. A storage VM `serves` SRs,
    which must be attached to no host by then; `uses` are SRs that must be attached again before it starts. Where the
    turn goes back it is started on `back_on`, if its own host is older than others by then."""

    vm: Named
    host: Named
    consent: str
    minutes: float = 10.0
    hard: bool = False
    lift: bool = False
    no_way_back: bool = False
    serves: tuple[Named, ...] = ()
    uses: tuple[Named, ...] = ()
    back_on: Named | None = None
    kind: Literal["shutdown_vm"] = "shutdown_vm"


@dataclass(frozen=True, slots=True)
class SuspendVM:
    """Write a VM's memory to its suspend SR before its host is rebooted. `consent`, `lift`, `no_way_back`, `uses` and
    `back_on` as of `ShutdownVM`."""

    vm: Named
    host: Named
    consent: str
    lift: bool = False
    no_way_back: bool = False
    uses: tuple[Named, ...] = ()
    back_on: Named | None = None
    kind: Literal["suspend_vm"] = "suspend_vm"


@dataclass(frozen=True, slots=True)
class StartVM:
    """Start a VM on its home that was shut down for a turn, then wait so many seconds of pool time for those that
    start after it (its start_delay). A storage VM `serves` SRs, which are attached after it."""

    vm: Named
    host: Named
    settle: float = 0.0
    serves: tuple[Named, ...] = ()
    kind: Literal["start_vm"] = "start_vm"


@dataclass(frozen=True, slots=True)
class ResumeVM:
    """Resume a VM on its home that was suspended for a turn; `settle` as of `StartVM`."""

    vm: Named
    host: Named
    settle: float = 0.0
    kind: Literal["resume_vm"] = "resume_vm"


@dataclass(frozen=True, slots=True)
class WatchGuests:
    """See that VMs that went home to a host first go on reporting for so many minutes: XAPI calls a frozen guest
    running. `since` is the pool time of the order, filled in by the planner, so that whoever takes the step over does
    not begin anew."""

    host: Named
    vms: tuple[Named, ...]
    minutes: float = 3.0
    since: float = 0.0
    kind: Literal["watch_guests"] = "watch_guests"
