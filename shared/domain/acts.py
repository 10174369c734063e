"""What a step does: one frozen value per kind, with everything its doer must know, and what each kind answers.

An act is idempotent and has one target. It is planned by the planner, carried in its facts and orders, and done by
the executor; `AwaitHost` is a wait and is sent to nobody. Kinds of the design that no planner emits yet have no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from shared.domain.media import EjectMedia as EjectMedia
from shared.domain.media import InsertMedia as InsertMedia
from shared.domain.model import HA, Package, Versions
from shared.domain.names import Named
from shared.domain.replication import CheckReplication as CheckReplication
from shared.domain.replication import InstallPackage as InstallPackage
from shared.domain.replication import SwitchService as SwitchService
from shared.domain.storage import DiskMove

Setting = Literal["ha", "wlb", "auto_poweron"]
"""The settings of a pool that a run changes and puts back."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Read the whole pool once and store it as a snapshot. With `updates` the hosts' updaters are asked too: those of
    `hosts`, or of all where none are named."""

    pool_name: str = ""
    updates: bool = True
    kind: Literal["survey"] = "survey"
    hosts: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangePoolSetting:
    """Set `ha` or `wlb` off, or `auto_poweron` to "false", for the run; `before` is what was noted."""

    setting: Setting
    before: str | HA | None = None
    kind: Literal["change_pool_setting"] = "change_pool_setting"


@dataclass(frozen=True, slots=True)
class RestorePoolSetting:
    """Put back a setting to what was noted before the run: `ha` to its HA value, `wlb` "true", `auto_poweron` its
    text, or None to remove the key. Only what Rota changed."""

    setting: Setting
    before: str | HA | None = None
    kind: Literal["restore_pool_setting"] = "restore_pool_setting"


@dataclass(frozen=True, slots=True)
class ClaimPool:
    """Write this run's claim into the pool's other_config (`rota:claim`), where another Rota, or a person with nothing
    but XAPI, finds it. Another's claim is never overwritten, but for `replaces`, a leftover of our own."""

    claim: str
    replaces: str = ""
    kind: Literal["claim_pool"] = "claim_pool"


@dataclass(frozen=True, slots=True)
class ReleasePool:
    """Take this run's claim, and no other, out of the pool's other_config."""

    claim: str
    kind: Literal["release_pool"] = "release_pool"


@dataclass(frozen=True, slots=True)
class DumpDatabase:
    """Have the pool's database written to its members (`pool.sync_database`), and keep a copy in ROTA_SNAPSHOTS. A dump
    taken while the upgrade flag is set is a dummy and is not kept (xen-api pool_db_backup.ml)."""

    pool_name: str = ""
    kind: Literal["dump_database"] = "dump_database"


@dataclass(frozen=True, slots=True)
class PostMessage:
    """Leave a message on the pool (`message.create`), which XenCenter and Xen Orchestra show: that a run began, waits
    for a person, or is over. `since` is the pool time of the hold that is told of; the text of a run's end is filled in
    when the step is ordered."""

    about: Literal["began", "held", "ended"]
    text: str = ""
    since: float = 0.0
    kind: Literal["post_message"] = "post_message"


@dataclass(frozen=True, slots=True)
class DisableHost:
    """Disable a host, with auto_enable=false where its XAPI has it (25.31 or newer)."""

    host: Named
    kind: Literal["disable_host"] = "disable_host"


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
class CheckUnused:
    """See, before anything is detached, that nothing uses an SR any more and that its storage VM is alone on its host.
    Backups are waited for, so many minutes of pool time."""

    sr: Named
    vm: Named
    host: Named
    backup_minutes: float = 240.0
    kind: Literal["check_unused"] = "check_unused"


@dataclass(frozen=True, slots=True)
class UnplugPBD:
    """Detach an SR from a host, because the VM that serves it (`vm`) is about to be stopped."""

    sr: Named
    host: Named
    vm: Named
    kind: Literal["unplug_pbd"] = "unplug_pbd"


@dataclass(frozen=True, slots=True)
class PlugPBD:
    """Attach an SR to a host again, once the VM that serves it (`vm`) runs: again and again for so many minutes of pool
    time, because its export may be slow to answer."""

    sr: Named
    host: Named
    vm: Named
    minutes: float = 15.0
    kind: Literal["plug_pbd"] = "plug_pbd"


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


@dataclass(frozen=True, slots=True)
class AskGate:
    """Ask a gate of the owner's, which must say yes. `gate` is its name in rota.toml; what it is and how it is asked
    the executor knows. `host` is the one whose turn it is."""

    gate: str
    when: Literal["before_run", "before_turn", "after_turn", "after_run"]
    host: Named | None = None
    kind: Literal["ask_gate"] = "ask_gate"


Act = Annotated[
    Survey
    | ChangePoolSetting
    | RestorePoolSetting
    | ClaimPool
    | ReleasePool
    | DumpDatabase
    | PostMessage
    | DisableHost
    | MigrateVM
    | ShutdownVM
    | SuspendVM
    | StartVM
    | ResumeVM
    | EjectMedia
    | InsertMedia
    | CheckUnused
    | UnplugPBD
    | PlugPBD
    | EvacuateRest
    | InstallUpdates
    | ReadHost
    | RebootHost
    | AwaitHost
    | CheckGate
    | EnableHost
    | RestartToolstack
    | WatchGuests
    | CheckReplication
    | InstallPackage
    | SwitchService
    | AskGate,
    Field(discriminator="kind"),
]


@dataclass(frozen=True, slots=True)
class HostNoted:
    """What was read of a host immediately before its reboot was ordered; seconds since 1970, its own clock."""

    boot_time: float
    servertime: float
    versions: Versions = Versions()
    installed: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["host_noted"] = "host_noted"


@dataclass(frozen=True, slots=True)
class SurveyTaken:
    """Where the snapshot lies (object store ROTA_SNAPSHOTS) and the digest of its bytes."""

    snapshot: str
    digest: str
    hosts: int
    vms: int
    kind: Literal["survey_taken"] = "survey_taken"


@dataclass(frozen=True, slots=True)
class Installed:
    """Which packages were installed; empty when nothing was waiting. `before` is each one's version and release from
    before, where it was there; `advisories` what their texts name, which are kept in part."""

    packages: tuple[Package, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    advisories: tuple[str, ...] = ()
    kind: Literal["installed"] = "installed"


@dataclass(frozen=True, slots=True)
class Moved:
    """A VM's move as it happened. `already` means that it stood there before anything was done;
    `gone` that its owner stopped, deleted or moved it meanwhile, so there was nothing to move; `copied` the bytes of
    disks that went with it."""

    already: bool = False
    gone: bool = False
    copied: int = 0
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A VM was shut down or suspended. `gone` when its owner had stopped or deleted it meanwhile, so that it is not
    ours to start again; `hard` when it was switched off."""

    gone: bool = False
    hard: bool = False
    kind: Literal["stopped"] = "stopped"


@dataclass(frozen=True, slots=True)
class Started:
    """A VM runs again, `down` seconds of pool time after it was told to stop. `gone` when it was left as its owner
    wants it: started elsewhere, stopped or deleted meanwhile."""

    down: float = 0.0
    gone: bool = False
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Swept:
    """The VMs that the sweep found and moved."""

    vms: tuple[Named, ...] = ()
    kind: Literal["swept"] = "swept"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a gate repaired, in sentences, and the versions that the host runs now."""

    repaired: tuple[str, ...] = ()
    versions: Versions = Versions()
    kind: Literal["checked"] = "checked"


@dataclass(frozen=True, slots=True)
class Dumped:
    """Where the copy of the pool's database lies (object store ROTA_SNAPSHOTS); empty where none was kept. It is
    secret: it holds the pool's own."""

    name: str = ""
    size: int = 0
    kind: Literal["dumped"] = "dumped"


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to say than that it is so; `already` when it was so before."""

    already: bool = False
    kind: Literal["done"] = "done"


Result = Annotated[
    SurveyTaken | HostNoted | Installed | Moved | Stopped | Started | Swept | Checked | Dumped | Done,
    Field(discriminator="kind"),
]

Stop = ShutdownVM | SuspendVM
"""What takes a VM down for a turn."""

Start = StartVM | ResumeVM
"""What brings it back."""

GivesBack = StartVM | ResumeVM | PlugPBD
"""What gives back to its users what a turn took: owed, and named, where it cannot be done."""

Restoring = RestorePoolSetting | EnableHost | StartVM | ResumeVM | PlugPBD | InsertMedia | MigrateVM
"""What puts back what was changed, at the end of a run, or by `rota undo`."""

WAITS: frozenset[str] = frozenset({"await_host"})
"""Kinds that are sent to nobody."""
