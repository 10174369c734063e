"""What a world file may say: hosts, SRs, networks, VMs, the pool and its faults, as frozen values.

Only words and their limits; reading a file is `worldfile.py`'s, and making rows of it is `build.py`'s.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Reader = Callable[[Any], Any]
UNITS = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3, "TiB": 1024**4}
RATES = {"bit/s": 0.125, "kbit/s": 125.0, "Mbit/s": 125e3, "Gbit/s": 125e6, "MB/s": 1e6, "MiB/s": 1024.0**2}


class Wrong(Exception):
    """What is wrong with a value, as the end of a sentence; `path` leads to it."""

    def __init__(self, sentence: str, *path: str | int) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.path = path


@dataclass(frozen=True, slots=True)
class Kind:
    """How a value is read, and how JSON Schema tells it."""

    read: Reader
    schema: Mapping[str, Any]


def measured(value: Any, units: Mapping[str, float], example: str) -> float:
    found = re.fullmatch(r"\s*([0-9.]+)\s*([A-Za-z/]+)\s*", value) if isinstance(value, str) else None
    if not found or found[2] not in units:
        raise Wrong(f"must be a number with a unit, as in '{example}', and is {value!r}")
    return float(found[1]) * units[found[2]]


def plain(type_: type | tuple[type, ...], word: str) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, type_) or (isinstance(value, bool) and type_ is not bool):
            raise Wrong(f"must be {word} and is {value!r}")
        return value

    return read


def one_of(*words: str) -> Kind:
    def read(value: Any) -> Any:
        if value not in words:
            raise Wrong(f"must be one of {', '.join(words)} and is {value!r}")
        return value

    return Kind(read, {"enum": list(words)})


def list_of(kind: Kind) -> Kind:
    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise Wrong(f"must be a list and is {value!r}")
        return tuple(inside(number, kind.read, one) for number, one in enumerate(value))

    return Kind(read, {"type": "array", "items": dict(kind.schema)})


def map_of(kind: Kind) -> Kind:
    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise Wrong(f"must be a map and is {value!r}")
        return {str(name): inside(str(name), kind.read, one) for name, one in value.items()}

    return Kind(read, {"type": "object", "additionalProperties": dict(kind.schema)})


def inside(step: str | int, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except Wrong as wrong:
        raise Wrong(wrong.sentence, step, *wrong.path) from None


def section(cls: type) -> Kind:
    """A map whose keys are the fields of a dataclass."""
    fields = {one.name: one for one in dataclasses.fields(cls)}

    def read(value: Any) -> Any:
        if not isinstance(value, dict):
            raise Wrong(f"must be a map and is {value!r}")
        for name in value:
            if name not in fields:
                raise Wrong(f"is not a word that a world file knows here ({', '.join(fields)})", str(name))
        told = {name: inside(name, fields[name].metadata["kind"].read, one) for name, one in value.items()}
        for name, one in fields.items():
            if name not in told and one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING:
                raise Wrong(f"needs '{name}'")
        return cls(**told)

    needed = [
        name
        for name, one in fields.items()
        if one.default is dataclasses.MISSING and one.default_factory is dataclasses.MISSING
    ]
    properties = {
        name: {"description": one.metadata["help"], **one.metadata["kind"].schema} for name, one in fields.items()
    }
    return Kind(read, {"type": "object", "properties": properties, "required": needed, "additionalProperties": False})


TEXT = Kind(plain(str, "a text"), {"type": "string"})
FLAG = Kind(plain(bool, "true or false"), {"type": "boolean"})
WHOLE = Kind(plain(int, "a whole number"), {"type": "integer"})
SECONDS = Kind(plain((int, float), "a number of seconds"), {"type": "number"})
SIZE = Kind(lambda value: int(measured(value, UNITS, "64 GiB")), {"type": "string", "pattern": "^[0-9.]+ *[KMGT]?i?B$"})
RATE = Kind(
    lambda value: measured(value, RATES, "10 Gbit/s"), {"type": "string", "pattern": "^[0-9.]+ *[kMG]?(bit|B|iB)/s$"}
)
ANY = Kind(lambda value: value, {})
SETTING = Kind(
    lambda value: str(value).lower() if isinstance(value, bool) else str(value),
    {"type": ["string", "boolean", "number"]},
)
GIB = UNITS["GiB"]


def key(kind: Kind, help: str, default: Any = dataclasses.MISSING) -> Any:
    """One word of a section: how it is read, what it says, and its default; without a default it must be told."""
    if isinstance(default, (dict, list)):
        return dataclasses.field(default_factory=lambda: default, metadata={"kind": kind, "help": help})
    return dataclasses.field(default=default, metadata={"kind": kind, "help": help})


@dataclass(frozen=True, slots=True, kw_only=True)
class HostSpec:
    name: str = key(TEXT, "The host's name, unique in the file.")
    master: bool = key(FLAG, "This host is the pool's master; without one the first host is.", False)
    memory: int = key(SIZE, "All of the host's memory.", 64 * GIB)
    dom0_memory: int = key(SIZE, "Memory of the control domain.", 4 * GIB)
    cpus: int = key(WHOLE, "Physical CPUs.", 16)
    cpu_vendor: str = key(TEXT, "CPU vendor as XAPI tells it.", "GenuineIntel")
    cpu_features: str = key(
        TEXT,
        "CPU feature flags, groups of hexadecimal digits joined by dashes.",
        "1fcbfbff-f7fa3223-2d93fbff-00000123-00000001-001c0fbb-00000000-00000000-00001000-ac000400",
    )
    nic: float = key(RATE, "Speed of the management NIC.", 1.25e9)
    stream: float = key(RATE, "The most one migration moves through it.", 400e6)
    boot: float = key(SECONDS, "Seconds from going down until the host's own xapi listens again.", 150)
    install: float = key(SECONDS, "Seconds that installing the waiting packages takes.", 90)
    toolstack: float = key(SECONDS, "Seconds a toolstack restart takes.", 12)
    check: float = key(SECONDS, "Seconds that looking for updates takes.", 3)
    enabled: bool = key(FLAG, "The host is enabled at the start.", True)
    updates: Any = key(ANY, "Packages waiting: 'default', a list of names, or a list of packages.", "default")
    updated: bool = key(FLAG, "The host has all updates installed and running.", False)
    patched: bool = key(FLAG, "The host has all updates installed and was not rebooted since.", False)
    packages: Mapping[str, str] = key(map_of(TEXT), "Installed versions that differ from the profile's.", {})
    local_sr: int = key(SIZE, "Size of the host's own local SR; 0 B for none.", 0)
    other_config: Mapping[str, str] = key(map_of(SETTING), "The host's other_config.", {})
    tags: tuple[str, ...] = key(list_of(TEXT), "The host's tags.", ())
    clock_offset: float = key(SECONDS, "Seconds by which the host's clock is ahead.", 0)
    workers: int = key(WHOLE, "VM operations that really run at once (xenopsd's worker pool).", 4)
    live: bool = key(FLAG, "False: the host is switched off as the world starts.", True)
    disk_free: int = key(SIZE, "Bytes free on the host's root disk.", 12 * GIB)
    power_on_mode: str = key(TEXT, "How the host can be switched on by XAPI; empty for not at all.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkSpec:
    name: str = key(TEXT, "The network's name.")
    management: bool = key(FLAG, "Hosts have their address on it.", False)
    missing_on: tuple[str, ...] = key(list_of(TEXT), "Hosts without a NIC on it.", ())
    unplugged_on: tuple[str, ...] = key(list_of(TEXT), "Hosts whose NIC on it is unplugged.", ())
    ip: bool = key(FLAG, "Hosts have an IP on it, so that migrations may use it.", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class SrSpec:
    name: str = key(TEXT, "The SR's name.")
    type: str = key(TEXT, "nfs, lvmoiscsi, lvmohba, smb, cephfs, gfs2, linstor, ext, lvm, iso, udev …", "nfs")
    size: int = key(SIZE, "Its capacity.", 2 * 1024 * GIB)
    host: str = key(TEXT, "The host a local SR belongs to; empty for a shared one.", "")
    shared: bool | None = key(FLAG, "Shared; told by the type and host where it is not said.", None)
    default: bool = key(FLAG, "The pool's default SR.", False)
    unplugged_on: tuple[str, ...] = key(list_of(TEXT), "Hosts whose PBD is not attached at the start.", ())
    served_by: str = key(TEXT, "The VM that exports it; reachable only while that VM runs.", "")
    isos: tuple[str, ...] = key(list_of(TEXT), "Images on an ISO SR.", ())
    tools: bool = key(FLAG, "This is the tools SR.", False)
    resync: float = key(SECONDS, "linstor: seconds of resync after a host was away.", 120)
    plug_seconds: float = key(SECONDS, "Seconds that plugging a PBD takes.", 1)
    migrates: bool = key(FLAG, "It can take part in storage motion.", True)
    tags: tuple[str, ...] = key(list_of(TEXT), "The SR's tags.", ())


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSpec:
    sr: str = key(TEXT, "The SR it lies on; the default SR where it is not said.", "")
    size: int = key(SIZE, "Its size.", 20 * GIB)
    cbt: bool = key(FLAG, "Changed block tracking is on.", False)
    on_boot: str = key(one_of("persist", "reset"), "What a boot does to it.", "persist")
    snapshots: int = key(WHOLE, "How many snapshots it has, each of a tenth of its size.", 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class VmSpec:
    name: str = key(TEXT, "The VM's name, unique in the file.")
    host: str = key(TEXT, "The host it runs on; empty for a VM that is not running.", "")
    state: str = key(one_of("running", "halted", "suspended", "paused"), "Its power state.", "running")
    memory: int = key(SIZE, "Its memory (static and dynamic maximum).", 4 * GIB)
    memory_min: int | None = key(SIZE, "Its dynamic minimum; the memory itself where it is not said.", None)
    vcpus: int = key(WHOLE, "Virtual CPUs.", 2)
    disks: tuple[DiskSpec, ...] = key(
        list_of(section(DiskSpec)), "Its disks; one on the default SR if not said.", (DiskSpec(),)
    )
    networks: tuple[str, ...] | None = key(list_of(TEXT), "Its networks; the first of the file if not said.", None)
    tags: tuple[str, ...] = key(list_of(TEXT), "Its tags.", ())
    other_config: Mapping[str, str] = key(map_of(SETTING), "Its other_config.", {})
    tools: bool = key(FLAG, "PV tools run in it.", True)
    ha: str = key(one_of("", "restart", "best-effort"), "Its HA restart priority.", "")
    blocked: Mapping[str, str] = key(map_of(TEXT), "Blocked operations with their text.", {})
    devices: tuple[str, ...] = key(list_of(one_of("pci", "vgpu", "vusb", "sriov")), "Devices that bind it.", ())
    iso: str = key(TEXT, "The image in its drive; empty for an empty drive.", "")
    affinity: str = key(TEXT, "The host it prefers.", "")
    group: str = key(TEXT, "The anti-affinity group it belongs to.", "")
    domain_type: str = key(one_of("hvm", "pv", "pvh", "pv_in_pvh"), "Its domain type.", "hvm")
    shutdown: float = key(SECONDS, "Seconds a clean shutdown takes.", 15)
    ignores_shutdown: bool = key(FLAG, "The guest never answers a clean shutdown.", False)
    auto_poweron: bool = key(FLAG, "Starts when a host has booted, if the pool says so.", False)
    nomigrate: bool = key(FLAG, "platform:nomigrate is set.", False)
    nested_virt: bool = key(FLAG, "Nested virtualisation is on.", False)
    suspend_sr: str = key(TEXT, "Where its memory goes when suspended.", "")


@dataclass(frozen=True, slots=True, kw_only=True)
class HaSpec:
    enabled: bool = key(FLAG, "HA is on.", False)
    srs: tuple[str, ...] = key(list_of(TEXT), "SRs of the statefiles.", ())
    failures: int = key(WHOLE, "Host failures to tolerate.", 1)
    configuration: Mapping[str, str] = key(map_of(SETTING), "ha_configuration, such as timeout.", {})


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSpec:
    name: str = key(TEXT, "The pool's name.", "pool")
    ha: HaSpec = key(section(HaSpec), "High availability.", HaSpec())
    wlb: bool = key(FLAG, "Workload balancing is on.", False)
    auto_poweron: bool | None = key(FLAG, "The pool's auto_poweron; absent where it is not said.", None)
    other_config: Mapping[str, str] = key(map_of(SETTING), "The pool's other_config.", {})
    tags: tuple[str, ...] = key(list_of(TEXT), "The pool's tags.", ())
    migration_compression: bool = key(FLAG, "Migrations are compressed.", False)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorldSpec:
    name: str = key(TEXT, "What this world is called.", "world")
    profile: str = key(
        TEXT, "The API generation: xcp-ng-8.2, xcp-ng-8.3, xcp-ng-current or xenserver-8.", "xcp-ng-current"
    )
    username: str = key(TEXT, "The user that may log in.", "root")
    password: str = key(TEXT, "That user's password.", "simulated")
    pool: PoolSpec = key(section(PoolSpec), "The pool and its settings.", PoolSpec())
    hosts: tuple[HostSpec, ...] = key(list_of(section(HostSpec)), "The hosts.")
    networks: tuple[NetworkSpec, ...] = key(
        list_of(section(NetworkSpec)),
        "The networks.",
        (NetworkSpec(name="Pool-wide network associated with eth0", management=True),),
    )
    srs: tuple[SrSpec, ...] = key(list_of(section(SrSpec)), "The SRs.", (SrSpec(name="Shared NFS", default=True),))
    vms: tuple[VmSpec, ...] = key(list_of(section(VmSpec)), "The VMs.", ())
    faults: tuple[Mapping[str, Any], ...] = key(
        list_of(map_of(ANY)), "What goes wrong and when: at, kind and its words.", ()
    )


WORLD = section(WorldSpec)
GENERATED = map_of(Kind(plain((int, float), "a number"), {"type": "number"}))
