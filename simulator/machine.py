"""One physical host as it really is, whatever the pool's database says of it: power, xapi, packages, flags in memory.

Values and small questions about them; what happens to a machine in time stands in `boot.py` and the calls.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from simulator.description import HostSpec
from simulator.processes import Group, Signal
from simulator.profiles import Package, Profile
from simulator.schema import version_of

CLOSED, EMERGENCY, OPEN = "closed", "emergency", "open"
BOOTING = ["HOST_STILL_BOOTING"]


@dataclass(slots=True, eq=False)
class Machine:
    """`door` is what its own address does: refuse, answer with `emergency`, or answer; `cut` shuts it for clients only.

    `user_disabled` lives in xapi's memory and dies with it; `stay_disabled` is host.disable with auto_enable=false.
    """

    name: str
    ref: str
    spec: HostSpec
    address: str
    xapi: Group
    system: Group
    hardware: Group
    installed: dict[str, Package]
    offered: dict[str, Package]
    running: dict[str, Package] = field(default_factory=dict)
    powered: bool = True
    door: str = OPEN
    emergency: list[str] = field(default_factory=lambda: list(BOOTING))
    cut: bool = False
    joined: bool = True
    startup_complete: bool = True
    user_disabled: bool = False
    stay_disabled: bool = False
    until_reboot: bool = False
    going_down: bool = False
    shutting_down: bool = False
    silent_since: float | None = None
    booted_at: float = 0.0
    agent_started_at: float = 0.0
    clock_offset: float = 0.0
    boot_seconds: float = 0.0
    boot_extra: float = 0.0
    install_seconds: float = 0.0
    boots_count: int = 0
    starts_count: int = 0
    updater_lock: str = ""
    workers_busy: int = 0
    worker_freed: Signal = field(default_factory=Signal)
    lost_vms: set[str] = field(default_factory=set)
    faults: dict[str, object] = field(default_factory=dict)

    @property
    def reachable(self) -> bool:
        """Other hosts of the pool can talk to its xapi."""
        return self.door == OPEN

    def waiting(self) -> list[Package]:
        """Packages on offer that are newer than what is installed, in the repository's order."""
        return [
            one
            for one in self.offered.values()
            if one.name not in self.installed or newer(one, self.installed[one.name])
        ]

    def install(self, packages: list[Package]) -> None:
        self.installed.update({one.name: one for one in packages})


def newer(one: Package, other: Package) -> bool:
    """Whether a package is a later version than another of its name."""
    return version_of(one.evr.replace("xs", ".")) > version_of(other.evr.replace("xs", "."))


def installed_at_start(spec: HostSpec, profile: Profile) -> dict[str, Package]:
    """The packages of a host as the world begins."""
    installed = dict(profile.installed)
    if spec.updated or spec.patched:
        installed.update({one.name: one for one in profile.updates})
    for name, evr in spec.packages.items():
        version, _, release = evr.partition("-")
        known = installed.get(name)
        installed[name] = Package(name, version, release, known.summary if known else "")
    return installed


def offered_at_start(spec: HostSpec, profile: Profile) -> dict[str, Package]:
    """The packages in the repositories that a host uses as the world begins."""
    told = spec.updates
    every = {one.name: one for one in profile.updates}
    if told == "default":
        return every
    offered: dict[str, Package] = {}
    for one in told or ():
        package = every[one] if isinstance(one, str) else Package(**one)
        offered[package.name] = package
    return offered


def software_version(machine: Machine, profile: Profile) -> dict[str, str]:
    """host.software_version: xapi's own from when it started, Xen's and the kernel's from when the host booted.

    Keys as in xen-api ocaml/xapi/create_misc.ml make_software_version.
    """
    xapi, xen = machine.running["xapi-core"], machine.running["xen-hypervisor"]
    major_minor = ".".join(xapi.version.split(".")[:2])
    return {
        "product_version": profile.product_version,
        "product_version_text": ".".join(profile.product_version.split(".")[:2]),
        "product_version_text_short": ".".join(profile.product_version.split(".")[:2]),
        "platform_name": "XCP",
        "platform_version": profile.platform_version,
        "product_brand": profile.brand,
        "build_number": "release/8.3" if profile.brand == "XCP-ng" else "stream",
        "git_id": "0",
        "hostname": "localhost",
        "date": "20260101T00:00:00Z",
        "xapi": "1.20" if profile.xapi < (2,) else major_minor,
        "xapi_build": xapi.version,
        "xen": f"{xen.version}-{xen.release.removesuffix(profile.dist)}",
        "linux": profile.linux,
        "xencenter_min": "2.21",
        "xencenter_max": "2.21",
        "network_backend": "openvswitch",
        "db_schema": "5.603",
    }
