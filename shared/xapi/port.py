"""What Rota needs of a pool, in our words: how it is reached, what can be seen of it, and what can be asked of it.

`Pool` is a promise of one adapter, `client`. XAPI's codes, refs, tasks and sessions stay behind it; what goes wrong
comes out as TryAgain, GiveUp, Unreadable or Superseded (shared.domain.errors).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from pydantic import SecretStr

from shared.domain.errors import TryAgain
from shared.domain.model import HA, Package, PoolSettings, PoolSnapshot, Versions
from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class Access:
    """How a pool is reached. `url` has scheme and port, which stay when another host's address is followed; `ca_file`
    holds certificates (PEM) to trust, `fingerprint` the SHA-256 of one or several hosts' certificates in hex, divided
    by blanks or commas. With neither the system's authorities are asked."""

    url: str
    username: str
    password: SecretStr
    ca_file: Path | None = None
    fingerprint: str = ""


class NotAnswered(TryAgain):
    """The pool did not answer, or forgot what it was doing: nobody can tell whether the act was done. Look first."""


@dataclass(frozen=True, slots=True)
class VMLook:
    """A VM at one moment. `power_state` is XAPI's word in lower case; `host` where it is resident; `moving` while it is
    on its way to another host, whoever moves it."""

    named: Named
    power_state: str
    host: Named | None
    moving: bool = False


@dataclass(frozen=True, slots=True)
class DriveLook:
    """A drive of a VM at one moment, with the disc that is in it, or None where it is empty."""

    uuid: str
    disc: Named | None = None


@dataclass(frozen=True, slots=True)
class DiskLook:
    """A disk of a VM at one moment: the number of its drive, its uuid, its SR, and the bytes that it and its snapshots
    take there."""

    device: str
    uuid: str
    sr: Named
    used: int = 0


@dataclass(frozen=True, slots=True)
class GuestLook:
    """What is heard of a guest. `reported_at` is when its tools last reported, seconds since 1970 by its host's clock,
    None where they never did."""

    named: Named
    power_state: str
    host: Named | None
    reported_at: float | None = None


@dataclass(frozen=True, slots=True)
class HostLook:
    """A host at one moment, everything of one reading. `residents` and `arriving` (scheduled to be resident) are VMs
    other than the control domain; `tasks_of_others` the names of running tasks on it that are not of this run;
    `storage` SR uuid to whether it is attached; `exports` the names of VMs that are being exported through it (all of
    the pool's go through the master); times are seconds since 1970 by the host's own clock."""

    named: Named
    master: bool
    address: str
    enabled: bool
    live: bool
    boot_time: float | None
    versions: Versions = Versions()
    residents: tuple[VMLook, ...] = ()
    arriving: tuple[VMLook, ...] = ()
    tasks_of_others: tuple[str, ...] = ()
    storage: Mapping[str, bool] = field(default_factory=dict)
    agent_start_time: float | None = None
    exports: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class DiskUse:
    """A disk of an SR that is attached to a VM, or to a host's control domain, as a backup does."""

    disk: str
    vm: str
    control_domain: bool = False


@dataclass(frozen=True, slots=True)
class SRLook:
    """An SR at one moment: the hosts it is attached to, which of its disks are in use, and what is done with others of
    its disks, in words."""

    attached: tuple[Named, ...] = ()
    uses: tuple[DiskUse, ...] = ()
    operations: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class PoolLook:
    """The pool and its settings at one moment."""

    named: Named
    settings: PoolSettings


Told = Callable[[float], Awaitable[None]]
"""Is awaited with the share that is done, 0 to 1, as often as the pool tells it."""


class Pool(Protocol):
    """A pool through one session that belongs to one step in hand.

    Every method may raise NotAnswered (look before acting again), another TryAgain, GiveUp, Unreadable, and Superseded
    when the session was ended: by another executor, or with the master. Then nothing more is done through it.
    Seconds are pool time.
    """

    @property
    def session(self) -> str:
        """The uuid of the session; not a credential."""
        ...

    async def survey(self, *, updates: bool, at: float, of: Sequence[Named] = ()) -> PoolSnapshot:
        """The whole pool in one consistent reading, then what each host and VM had to say. With `updates` the updaters
        `of` these hosts are asked, without names of all. `at` is pool time."""
        ...

    async def look(self) -> PoolLook:
        """The pool's settings."""
        ...

    async def host(self, host: Named) -> HostLook:
        """A host in one reading. Raises GiveUp when the pool does not know it."""
        ...

    async def control_domain_disks(self, host: Named) -> tuple[str, ...]:
        """The names of disks that a host's control domain holds, as a backup does."""
        ...

    async def sr(self, sr: Named) -> SRLook | None:
        """An SR in one reading, or None when the pool has it no more."""
        ...

    async def vm(self, vm: Named) -> VMLook | None:
        """A VM, or None when it is gone."""
        ...

    async def guest(self, vm: Named) -> GuestLook | None:
        """What is heard of a guest, or None when the VM is gone."""
        ...

    async def restart_toolstack(self, host: Named) -> None:
        """Ask for a restart of a host's toolstack, once. It returns before the toolstack stops."""
        ...

    async def come_to_rest(self, vm: Named, within: float) -> bool:
        """Wait until a VM is not on its way any more, or until `within` seconds have passed; whether it came to rest.
        A move outlives its task: the hosts go on with it while the master's xapi restarts."""
        ...

    async def servertime(self, host: Named) -> float:
        """A host's own clock, seconds since 1970."""
        ...

    async def offered(self, host: Named) -> tuple[Package, ...]:
        """The updates that a host's updater offers; a busy updater is waited for."""
        ...

    async def installed(self, host: Named, names: Sequence[str]) -> Mapping[str, str]:
        """The packages a host has installed: name to `name-version-release.arch`, or empty text."""
        ...

    async def disable_ha(self) -> None: ...

    async def enable_ha(self, ha: HA) -> None:
        """Switch HA on, on the SRs and with the configuration that were noted."""
        ...

    async def tolerate_failures(self, hosts: int) -> None:
        """How many failing hosts HA plans for."""
        ...

    async def set_wlb(self, on: bool) -> None: ...

    async def mark(self, key: str, text: str | None) -> None:
        """Set one key of the pool's other_config to a text, or remove it (None); no other key is touched."""
        ...

    async def mark_host(self, host: Named, key: str, text: str | None) -> None:
        """The same with one key of a host's other_config."""
        ...

    async def post(self, name: str, priority: int, body: str) -> None:
        """Leave a message on the pool, which its users see."""
        ...

    async def posted(self, name: str, body: str) -> bool:
        """Whether a message of this name and body is there."""
        ...

    async def database(self) -> bytes:
        """Have the pool's database written to its members, then a copy of it. It is secret."""
        ...

    async def note(self, key: str, text: str) -> bool:
        """Add a key to the pool's other_config. False, and nothing written, where it stands there already: of two who
        write one at once, one is told."""
        ...

    async def disable(self, host: Named) -> None:
        """Disable a host, for good where its XAPI knows how (auto_enable=false, since 25.31)."""
        ...

    async def enable(self, host: Named) -> None: ...

    async def move(self, vm: Named, to: Named, network: str, told: Told) -> None:
        """Move a running VM. `network` by uuid or name, empty for the management network."""
        ...

    async def disks(self, vm: Named) -> tuple[DiskLook, ...]:
        """A VM's disks, by the number of their drive; none when the VM is gone."""
        ...

    async def free_on(self, sr: Named) -> int | None:
        """The bytes free on an SR, None where it does not say. Raises GiveUp when the pool does not know it."""
        ...

    async def may_send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str) -> None:
        """Raises what the pool would refuse a `send` with."""
        ...

    async def send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str, told: Told) -> None:
        """Move a VM with its disks, or its disks alone where `to` is the host it is on. `disks` is the SR for each
        drive by its number; the others stay where they are. `network` as of `move`."""
        ...

    async def blocks(self, vm: Named) -> Mapping[str, str]:
        """A VM's blocked operations, each with its text."""
        ...

    async def lift(self, vm: Named, operation: str) -> None:
        """Take one block from a VM; silent where there is none."""
        ...

    async def block(self, vm: Named, operation: str, text: str) -> None:
        """Block an operation of a VM; one that is blocked already is left as it is."""
        ...

    async def shut_down(self, vm: Named, told: Told) -> None:
        """Ask a guest to shut down, and wait until it has. It may refuse, or never answer."""
        ...

    async def switch_off(self, vm: Named) -> None:
        """End a VM as if its power were cut."""
        ...

    async def suspend(self, vm: Named, told: Told) -> None:
        """Write a VM's memory to its suspend SR."""
        ...

    async def start(self, vm: Named, host: Named) -> None:
        """Start a halted VM on a host."""
        ...

    async def resume(self, vm: Named, host: Named, told: Told) -> None:
        """Resume a suspended VM on a host."""
        ...

    async def drive(self, uuid: str) -> DriveLook | None:
        """A drive of a VM by its uuid, or None when it is gone."""
        ...

    async def eject(self, uuid: str, vm: Named) -> None:
        """Take the disc out of a drive of a VM."""
        ...

    async def insert(self, uuid: str, vm: Named, disc: Named) -> None:
        """Put a disc into an empty drive of a VM."""
        ...

    async def evacuate(self, host: Named, network: str, told: Told) -> None:
        """Let the pool move whatever is on a host."""
        ...

    async def install(self, host: Named, told: Told) -> None:
        """Install every update that is offered; returns when the updater says that it is done."""
        ...

    async def install_package(self, host: Named, name: str, told: Told) -> None:
        """Install one package in the version that is offered."""
        ...

    async def service(self, host: Named, service: str, action: Literal["stop", "restart"]) -> None:
        """Stop or restart a service of a host's control domain."""
        ...

    async def replication(self, sr: Named) -> str:
        """What of replicated or clustered storage is not whole, in words without a stop; empty where everything is, or
        where the SR is gone."""
        ...

    async def install_over(self, host: Named) -> None:
        """Wait until no installation that somebody began is under way on a host."""
        ...

    async def reboot(self, host: Named) -> None:
        """Ask for a reboot, once. It returns before the host goes down."""
        ...

    async def gone_down(self, host: HostLook, within: float) -> bool:
        """Wait until a host that was looked at goes down, or until `within` seconds have passed; whether it did."""
        ...

    async def plug(self, host: Named, sr: Named) -> bool:
        """Attach an SR to a host. False when the pool has no such SR on it."""
        ...

    async def unplug(self, host: Named, sr: Named) -> bool:
        """Detach an SR from a host; refused while a disk of it is in use there. False when it has no such SR."""
        ...

    async def end_session(self, uuid: str) -> bool:
        """End another session by its uuid, so that no late call comes through it. False when it was over already."""
        ...

    async def settle(self, run: str, step: str, told: Told) -> None:
        """Wait until nothing that a step began is still at work inside the pool."""
        ...

    async def give_up(self, run: str, step: str, told: Told) -> None:
        """Have the pool cancel what a step began, and wait until nothing of it is at work."""
        ...

    async def close(self) -> None:
        """Log out, within a short bound. Never raises because the pool is away."""
        ...
