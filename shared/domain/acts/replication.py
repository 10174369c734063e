"""Acts on storage that is replicated between the hosts: seen to be whole, its packages and services. See `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.model import Package
from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class CheckReplication:
    """Wait until replicated storage is whole again, so many minutes of pool time at most. `since` is the pool time of
    the order, filled in by the planner, so that whoever takes the step over does not begin anew; `host` the one whose
    turn it is."""

    srs: tuple[Named, ...]
    minutes: float = 120.0
    since: float = 0.0
    host: Named | None = None
    kind: Literal["check_replication"] = "check_replication"


@dataclass(frozen=True, slots=True)
class InstallPackage:
    """Install one package on a host whose VMs run, in no other version than was planned, and never above the master's
    (`ceiling`, None on the master itself)."""

    host: Named
    package: Package
    ceiling: Named | None = None
    kind: Literal["install_package"] = "install_package"


@dataclass(frozen=True, slots=True)
class SwitchService:
    """Stop or restart a service of a host's control domain."""

    host: Named
    service: str
    action: Literal["stop", "restart"]
    kind: Literal["switch_service"] = "switch_service"
