"""A pool as a value: what one consistent reading of XAPI says, in our words and by uuid.

Built by the executor's survey, read by the planner. No refs, no I/O. Sizes are bytes, times are seconds since 1970
by the host's own clock. Control domains, templates and snapshots are left out.
"""

from __future__ import annotations

import itertools
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
    why.

    `reboot_pending`: Xen or the kernel that is installed does not run; `toolstack_pending`: an xapi that is installed
    does not run. `cpu_features` is `cpu_info.features_hvm`, hexadecimal words with dashes. `clock_offset` are the
    seconds that its clock is before ours, None where it was not asked; `disk_free` bytes on its root disk (None: it
    could not be told); `networks_with_ip` the networks it has an address on. `ahead`: it was updated before its master,
    which does not let it in until it is updated too. `installed` are the packages that decide whether a member may join
    its master (`packages.CEILING`), name to `name-version-release.arch`. `control_domain_disks` are names of disks that
    its control domain holds, as a backup does; `tasks_of_others` the names of tasks on it that are not of this run;
    `suspend_sr` where the memory of VMs that are suspended on it goes, where neither VM nor pool say."""

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
    toolstack_pending: bool = False
    cpu_features: str = ""
    tags: tuple[str, ...] = ()
    clock_offset: float | None = None
    disk_free: int | None = None
    networks_with_ip: tuple[str, ...] = ()
    ahead: bool = False
    control_domain_disks: tuple[str, ...] = ()
    tasks_of_others: tuple[str, ...] = ()
    suspend_sr: str = ""
    installed: Mapping[str, str] = field(default_factory=dict)

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
class Disk:
    """A disk of a VM. `size` is its virtual size in bytes; `cbt` whether changed blocks are tracked; `on_boot` is
    `persist` or `reset`; `snapshots` how many it has; `shared` whether its SR is; `device` the number of its drive;
    `used` the bytes that it and its snapshots take where it is (0: its SR does not say)."""

    uuid: str
    name: str
    sr: str
    size: int
    cbt: bool = False
    on_boot: str = "persist"
    snapshots: int = 0
    shared: bool = True
    device: str = ""
    used: int = 0


@dataclass(frozen=True, slots=True)
class Disc:
    """An image in a VM's drive: the image and its SR, and the drive it is in (the VBD's uuid)."""

    uuid: str
    name: str
    sr: str
    drive: str
    shared: bool = True


@dataclass(frozen=True, slots=True)
class VM:
    """A VM. `host` is the uuid of the host it is resident on, None when halted or suspended; `power_state` is
    XAPI's word in lower case; `memory` is what it needs on a destination: dynamic_min (static_max for pv_in_pvh);
    `memory_now` what it has; `memory_max` its dynamic_max; `srs` and `networks` the uuids of what it needs attached.

    `operations` are XAPI's words for what is done with it now; `devices` those of `pci`, `vgpu`, `vusb` and `sriov`
    that bind it; `tools` whether its guest tools report; `cpu_features` what it saw at its boot (None of a halted one);
    `appliance` (name), `start_order` and `start_delay` (seconds) how it starts with others; `suspend_sr` where its
    memory is kept when it is suspended, `suspended_on` where it lies while it is; `wishes` its other_config keys that
    begin with `rota.`; `sendable` whether XAPI offers its move with its disks (migrate_send among
    allowed_operations)."""

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
    memory_max: int = 0
    operations: tuple[str, ...] = ()
    tools: bool = True
    devices: tuple[str, ...] = ()
    disks: tuple[Disk, ...] = ()
    discs: tuple[Disc, ...] = ()
    cpu_features: str = ""
    appliance: str = ""
    start_order: int = 0
    start_delay: int = 0
    suspend_sr: str = ""
    auto_poweron: bool = False
    wishes: Mapping[str, str] = field(default_factory=dict)
    suspended_on: str = ""
    sendable: bool = True

    @property
    def named(self) -> Named:
        """uuid and name together."""
        return Named(self.uuid, self.name)

    @property
    def footprint(self) -> int:
        """Bytes it takes on a host as XAPI counts them (xen-api memory_check.ml)."""
        return self.memory + self.memory_overhead


def lacking(needed: str, has: str) -> bool:
    """Whether CPU features (hexadecimal words with dashes, as XAPI writes them) are missing from others. A word that is
    not there has no feature; where either says nothing it cannot be told, and nothing is missing."""
    if not needed or not has:
        return False
    words = itertools.zip_longest(needed.split("-"), has.split("-"), fillvalue="0")
    return any(int(wanted, 16) & ~int(there, 16) for wanted, there in words)


@dataclass(frozen=True, slots=True)
class SR:
    """A storage repository. `free` is its physical size less what is used, bytes (None: it does not say, as for ISOs);
    `holds` what it is for, XAPI's content_type: `user`, `iso`; `size` its physical size in bytes; `migrates` whether
    its type can take part in storage migration. Of one whose data is replicated between the hosts `degraded` says in a
    sentence what is not whole, and `unseen` why that cannot be told."""

    uuid: str
    name: str
    type: str
    shared: bool
    free: int | None = None
    holds: str = "user"
    degraded: str = ""
    unseen: str = ""
    size: int = 0
    tags: tuple[str, ...] = ()
    migrates: bool = True


@dataclass(frozen=True, slots=True)
class StorageVM:
    """A VM that exports an SR to its own pool, as rota.toml names it: the VM, the SR and the VM's host, each by name or
    uuid."""

    vm: str
    sr: str
    host: str = ""


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
    keys of other_config that begin with `rota:`, which a Rota wrote there for whoever has nothing but the pool;
    `suspend_sr` is where the memory of suspended VMs is kept whose own record does not say."""

    ha: HA = HA()
    wlb_enabled: bool = False
    auto_poweron: str | None = None
    rolling_upgrade_in_progress: bool = False
    migration_network: str = ""
    notes: Mapping[str, str] = field(default_factory=dict)
    suspend_sr: str = ""


class _Index:
    """Hosts by uuid and the VMs on each, in the order of the snapshot."""

    __slots__ = ("hosts", "resident")

    def __init__(self, hosts: tuple[Host, ...], vms: tuple[VM, ...]) -> None:
        self.hosts = {host.uuid: host for host in reversed(hosts)}
        on: dict[str, list[VM]] = {}
        for vm in vms:
            if vm.host is not None:
                on.setdefault(vm.host, []).append(vm)
        self.resident = {host: tuple(there) for host, there in on.items()}


class _Indexed:
    """Room for an index beside the fields of a value: made when it is first asked, no part of what the value is."""

    __slots__ = ("_index",)
    _index: _Index


@dataclass(frozen=True, slots=True)
class PoolSnapshot(_Indexed):
    """One consistent reading of a pool. `taken_at` is pool time. `rota_vms` are the VMs that Rota and its bus run in,
    `needed_vms` those that they need, by uuid: none of them is ever stopped. `storage_vms` is what rota.toml says of
    VMs that export an SR to this pool. `replicated` are SRs, by uuid, whose owner says that their data lies on the
    hosts themselves."""

    uuid: str
    name: str
    master: str
    hosts: tuple[Host, ...]
    vms: tuple[VM, ...]
    srs: tuple[SR, ...]
    networks: tuple[Named, ...]
    settings: PoolSettings
    taken_at: float
    rota_vms: tuple[str, ...] = ()
    needed_vms: tuple[str, ...] = ()
    storage_vms: tuple[StorageVM, ...] = ()
    replicated: tuple[str, ...] = ()

    def host(self, uuid: str) -> Host | None:
        """The host with this uuid, or None."""
        return self._indexed().hosts.get(uuid)

    def named(self, uuid: str) -> Named:
        """A host's uuid and name together; its uuid twice where it is not known."""
        host = self.host(uuid)
        return host.named if host else Named(uuid, uuid)

    def resident(self, host: str) -> tuple[VM, ...]:
        """The running and paused VMs on a host, in the order of the snapshot."""
        return self._indexed().resident.get(host, ())

    def free(self, host: Host) -> int:
        """Bytes free for VMs as XAPI counts: total less overhead less every resident VM's footprint."""
        taken = sum(vm.footprint for vm in self.resident(host.uuid))
        return max(0, host.memory_total - host.memory_overhead - taken)

    def _indexed(self) -> _Index:
        try:
            return self._index
        except AttributeError:
            object.__setattr__(self, "_index", _Index(self.hosts, self.vms))
            return self._index

    def sr_name(self, uuid: str) -> str:
        """An SR's name, or its uuid where it is not known."""
        return next((sr.name for sr in self.srs if sr.uuid == uuid), uuid)
