"""Acts on a host in its turn: disabled, swept, installed, rebooted, seen to be back, enabled. See `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.acts.results import HostNoted
from shared.domain.model import Package, Versions
from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class DisableHost:
    """Disable a host, with auto_enable=false where its XAPI has it (25.31 or newer)."""

    host: Named
    kind: Literal["disable_host"] = "disable_host"


@dataclass(frozen=True, slots=True)
class EvacuateRest:
    """The sweep: see that a host is empty; move what appeared meanwhile with `host.evacuate`."""

    host: Named
    network: str = ""
    kind: Literal["evacuate_rest"] = "evacuate_rest"


@dataclass(frozen=True, slots=True)
class InstallUpdates:
    """Install all waiting updates on an empty host, never above the master's versions (`ceiling` is the master, or
    None on the master itself). With `only` VMs run on it, and nothing is installed where other packages than these are
    offered by then; nor where one of those `apart` is, which are for all hosts before any is rebooted."""

    host: Named
    ceiling: Named | None = None
    only: tuple[str, ...] = ()
    apart: tuple[str, ...] = ()
    kind: Literal["install_updates"] = "install_updates"


@dataclass(frozen=True, slots=True)
class ReadHost:
    """Read boot_time, the host's own time and its versions: what the fence compares with."""

    host: Named
    ceiling: Named | None = None
    kind: Literal["read_host"] = "read_host"


@dataclass(frozen=True, slots=True)
class RebootHost:
    """Reboot a host behind its fence. `noted` is filled in by the planner when the step is ordered. Backups and tasks
    of others on it are waited for, so many minutes of pool time; then it must go down within its own."""

    host: Named
    noted: HostNoted | None = None
    backup_minutes: float = 240.0
    shutdown_minutes: float = 10.0
    kind: Literal["reboot_host"] = "reboot_host"


@dataclass(frozen=True, slots=True)
class AwaitHost:
    """Wait until a host that was rebooted is back; the watcher sees it, the planner judges it."""

    host: Named
    kind: Literal["await_host"] = "await_host"


@dataclass(frozen=True, slots=True)
class CheckGate:
    """After a reboot: the PBDs that were attached are plugged again, what was to be installed is, the new kernel and
    Xen run. `attached` are SRs by uuid and name; `versions` what the host ran before; `expected` the updates that
    waited when the turn was planned. What was published since waits for the next run."""

    host: Named
    attached: tuple[Named, ...] = ()
    versions: Versions = Versions()
    updates: bool = True
    expected: tuple[Package, ...] = ()
    kind: Literal["check_gate"] = "check_gate"


@dataclass(frozen=True, slots=True)
class EnableHost:
    """Enable a host, again and again while it says HOST_STILL_BOOTING."""

    host: Named
    kind: Literal["enable_host"] = "enable_host"


@dataclass(frozen=True, slots=True)
class RestartToolstack:
    """Restart a host's toolstack, its VMs running on, so that what was installed runs."""

    host: Named
    kind: Literal["restart_toolstack"] = "restart_toolstack"
