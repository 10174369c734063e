"""A pool as a value: what one consistent reading of XAPI says, in our words and by uuid.

Built by the executor's survey, read by the planner. No refs, no I/O. Sizes are bytes, times are seconds since 1970
by the host's own clock. Control domains, templates and snapshots are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class Versions:
    """What a host runs, from `host.software_version` (create_misc.ml); only the keys that decide something."""

    platform: str = ""
    xapi: str = ""
    xapi_build: str = ""
    xen: str = ""
    linux: str = ""
    product: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """A package update that a host's updater offers (`updater.py check_update`)."""

    name: str
    version: str
    release: str = ""
    description: str = ""
    changelog: str = ""


@dataclass(frozen=True, slots=True)
class Host:
    """A host. `memory_overhead` is what the hypervisor and the control domain take.

    `attached` are the uuids of SRs whose PBD is attached, `detached` those whose PBD is not; `networks` the uuids of
    networks it has a PIF on. `updates` is None where the updater could not be asked, and `updates_unknown_because` says
    why."""

    uuid: str
    name: str
    address: str
    enabled: bool
    live: bool
    memory_total: int
    memory_overhead: int
    boot_time: float | None
    agent_start_time: float | None
    versions: Versions
    updates: tuple[Package, ...] | None = ()
    updates_unknown_because: str = ""
    attached: tuple[str, ...] = ()
    detached: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    cpu_vendor: str = ""
    reboot_pending: bool = False

    @property
    def named(self) -> Named:
        """uuid and name together."""
        return Named(self.uuid, self.name)


@dataclass(frozen=True, slots=True)
class Evacuation:
    """What XAPI says stands in the way of a VM leaving its host: code, and its parameters with names for refs
    (`host.get_vms_which_prevent_evacuation`)."""

    code: str
    params: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class VM:
    """A VM. `host` is the uuid of the host it is resident on, None when halted or suspended; `power_state` is
    XAPI's word in lower case; `memory` is what it needs on a destination: dynamic_min (static_max for pv_in_pvh);
    `memory_now` what it has; `srs` and `networks` the uuids of what it needs attached."""

    uuid: str
    name: str
    power_state: str
    host: str | None
    memory: int
    memory_now: int
    memory_overhead: int
    srs: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    blocked_operations: Mapping[str, str] = field(default_factory=dict)
    prevents: Evacuation | None = None
    strategy: str = ""
    group: str = ""

    @property
    def named(self) -> Named:
        """uuid and name together."""
        return Named(self.uuid, self.name)

    @property
    def footprint(self) -> int:
        """Bytes it takes on a host as XAPI counts them (xen-api memory_check.ml)."""
        return self.memory + self.memory_overhead


@dataclass(frozen=True, slots=True)
class SR:
    """A storage repository."""

    uuid: str
    name: str
    type: str
    shared: bool


@dataclass(frozen=True, slots=True)
class HA:
    """High availability as it must be put back: the SRs of the statefiles, by uuid, are gone once it is off."""

    enabled: bool = False
    heartbeat_srs: tuple[str, ...] = ()
    configuration: Mapping[str, str] = field(default_factory=dict)
    failures_to_tolerate: int = 0


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """The settings of a pool that a run changes. `auto_poweron` is None where the key is absent; `notes` are the
    keys of other_config that begin with `rota:`, which a Rota wrote there for whoever has nothing but the pool."""

    ha: HA = HA()
    wlb_enabled: bool = False
    auto_poweron: str | None = None
    rolling_upgrade_in_progress: bool = False
    migration_network: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PoolSnapshot:
    """One consistent reading of a pool. `taken_at` is pool time."""

    uuid: str
    name: str
    master: str
    hosts: tuple[Host, ...]
    vms: tuple[VM, ...]
    srs: tuple[SR, ...]
    networks: tuple[Named, ...]
    settings: PoolSettings
    taken_at: float

    def host(self, uuid: str) -> Host | None:
        """The host with this uuid, or None."""
        return next((host for host in self.hosts if host.uuid == uuid), None)

    def named(self, uuid: str) -> Named:
        """A host's uuid and name together; its uuid twice where it is not known."""
        host = self.host(uuid)
        return host.named if host else Named(uuid, uuid)

    def resident(self, host: str) -> tuple[VM, ...]:
        """The running and paused VMs on a host, in the order of the snapshot."""
        return tuple(vm for vm in self.vms if vm.host == host)

    def free(self, host: Host) -> int:
        """Bytes free for VMs as XAPI counts: total less overhead less every resident VM's footprint."""
        taken = sum(vm.footprint for vm in self.resident(host.uuid))
        return max(0, host.memory_total - host.memory_overhead - taken)

    def sr_name(self, uuid: str) -> str:
        """An SR's name, or its uuid where it is not known."""
        return next((sr.name for sr in self.srs if sr.uuid == uuid), uuid)
