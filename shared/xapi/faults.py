"""What follows from an error of XAPI: try again after some seconds, or give up and say who can help. One table, foot
of the file. Pure: a code, its parameters with names for refs, and what was being done; out comes an error to raise.

A cause is a phrase that ends the sentence `<what was being done>: <cause>.`; `{0}`, `{1}` … are XAPI's parameters.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.errors import GiveUp, TryAgain

ADMIN: Final = "the pool's administrator"
OWNER: Final = "the VM's owner"
STORAGE: Final = "whoever looks after the storage"
NETWORK: Final = "whoever looks after the network"
CONFIGURATION: Final = "whoever keeps rota.toml"

LONGEST: Final = 1500
GIB: Final = 2**30

UPDATER_BUSY: Final = "UPDATER_BUSY"
"""The code of an updater plugin that holds its lock for somebody else; its own is -1, as of all its failures."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A row. `again` in seconds of pool time, None where repeating it does not help."""

    cause: str
    again: float | None = None
    who: str = ADMIN


def error(code: str, params: Sequence[str], doing: str) -> TryAgain | GiveUp:
    """The error to raise for a failure. `doing` begins the sentence, for example `gitlab could not be moved to athos`;
    `params` hold names where XAPI gave refs."""
    fault = _fault(code, params)
    because = f"{doing}: {_filled(fault.cause, code, params)}"[:LONGEST].rstrip(". ") + "."
    if fault is _PLUGIN_BUSY:
        code = UPDATER_BUSY
    if fault.again is not None:
        return TryAgain(because, after=fault.again, code=code)
    return GiveUp(because, who_can_help=fault.who, code=code)


def plugin_is_busy(code: str, params: Sequence[str]) -> bool:
    """Whether the updater plugin holds its lock for somebody else (updater.py: code -1 and a text; older versions the
    text alone)."""
    text = " ".join(params[:1]).lower()
    return code == "-1" and ("plugin is busy" in text or "already in progress" in text)


def _fault(code: str, params: Sequence[str]) -> Fault:
    if plugin_is_busy(code, params):
        return _PLUGIN_BUSY
    if code == "HOST_NOT_ENOUGH_FREE_MEMORY" and len(params) == 1:
        return _NO_ROOM_ANYWHERE
    if code in FAULTS:
        return FAULTS[code]
    if code.lstrip("-").isdigit():
        return _PLUGIN_FAILED
    return next((fault for prefix, fault in PREFIXES.items() if code.startswith(prefix)), _UNKNOWN)


def _filled(cause: str, code: str, params: Sequence[str]) -> str:
    """A cause with its places filled; a parameter that XAPI left out is told as unknown, bytes are told as GiB."""
    params = [
        f"{int(param) / GIB:.1f} GiB" if param.isdecimal() and int(param) > GIB / 100 else param for param in params
    ]
    places = [*params, *["something unknown"] * 6]
    return cause.format(*places, code=code, all=", ".join(param for param in params if param) or "no details")


_PLUGIN_BUSY = Fault("the host's updater is busy ({0})", again=30)
_NO_ROOM_ANYWHERE = Fault("no other host has enough free memory for {0}", again=60)
"""What the pool's own evacuation says, with the VM as the one parameter (xen-api xapi_host.ml)."""
_PLUGIN_FAILED = Fault("the host's updater failed ({0}; {1})", again=60, who="whoever looks after the repositories")
_UNKNOWN = Fault("the pool answered {code} ({all})")

FAULTS: Mapping[str, Fault] = {
    # The host, the master and the way to them.
    "HOST_STILL_BOOTING": Fault("the host's toolstack is still starting", again=5),
    "HOST_OFFLINE": Fault("{0} is off, or its master has not heard of it for long", again=30),
    "HOST_NOT_LIVE": Fault("the host is not live", again=30),
    "CANNOT_CONTACT_HOST": Fault("the master cannot reach {0}", again=30, who=NETWORK),
    "HOST_IS_SLAVE": Fault(
        "the host that rota.toml names is a member and says that its master is {0}, which is not known as a host of"
        " this pool; put the master's address in rota.toml",
        who=CONFIGURATION,
    ),
    "HOST_DISABLED": Fault("{0} is disabled", again=30),
    "HOST_NOT_DISABLED": Fault("the host is not disabled", again=5),
    "HOST_DISABLED_UNTIL_REBOOT": Fault("{0} stays disabled until it is rebooted"),
    "HOST_IN_USE": Fault("{0} is in use by {1} {2}", again=30),
    "HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY": Fault("{0} has updates that ask for a reboot first"),
    "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR": Fault("the host is newer ({0}) than its master; update the master"),
    "HOST_UNKNOWN_TO_MASTER": Fault("the host is not known to its master"),
    "HOST_BROKEN": Fault("the host's toolstack could not start; look at its log"),
    "HOST_HAS_NO_MANAGEMENT_IP": Fault("the host has no management address yet", again=10, who=NETWORK),
    "HOST_MASTER_CANNOT_TALK_BACK": Fault("the master cannot reach the host at {0}", again=30, who=NETWORK),
    "HOST_EVACUATE_IN_PROGRESS": Fault("{0} is being evacuated", again=30),
    "NO_HOSTS_AVAILABLE": Fault("no other host can take it", again=60),
    "CANNOT_EVACUATE_HOST": Fault("some VMs cannot leave ({0})"),
    "XEN_INCOMPATIBLE": Fault("the running Xen does not fit the toolstack any more; the host must be rebooted"),
    "TOO_BUSY": Fault("the pool is too busy", again=15),
    # Who asks.
    "SESSION_AUTHENTICATION_FAILED": Fault(
        "the pool refused the user or the password; put right username and password_file in rota.toml",
        who=CONFIGURATION,
    ),
    "RBAC_PERMISSION_DENIED": Fault(
        "the user in rota.toml may not do {0}; give it the role pool-admin", who=CONFIGURATION
    ),
    # Something else is at it.
    "OTHER_OPERATION_IN_PROGRESS": Fault("something else is at work on {1} ({2})", again=20),
    "HA_ENABLE_IN_PROGRESS": Fault("HA is being switched on", again=15),
    "HA_DISABLE_IN_PROGRESS": Fault("HA is being switched off", again=15),
    "DESIGNATE_NEW_MASTER_IN_PROGRESS": Fault("the pool changes its master", again=30),
    "TASK_CANCELLED": Fault("somebody cancelled it", again=30),
    "MESSAGE_PARAMETER_COUNT_MISMATCH": Fault("this pool's XAPI takes {1} parameters for {0}, not {2}"),
    # Moving VMs.
    "HOST_NOT_ENOUGH_FREE_MEMORY": Fault("there is not enough free memory (needed {0}, free {1})", again=60),
    "VM_REQUIRES_SR": Fault("{0} needs the SR {1}, which is not attached there", who=STORAGE),
    "VM_REQUIRES_NETWORK": Fault("{0} needs the network {1}, which is not there", who=NETWORK),
    "VM_BAD_POWER_STATE": Fault("{0} is {2} and not {1}", who=OWNER),
    "VM_INCOMPATIBLE_WITH_THIS_HOST": Fault("{0} cannot run on {1} ({2})"),
    "VM_LACKS_FEATURE": Fault("{0} has no guest tools that take part; install them, or shut it down", who=OWNER),
    "VM_IS_IMMOBILE": Fault("{0} is set never to move", who=OWNER),
    "VM_HAS_PCI_ATTACHED": Fault("{0} has a PCI device of its host", who=OWNER),
    "VM_HAS_VGPU": Fault("{0} has a virtual GPU", who=OWNER),
    "VM_HAS_VUSBS": Fault("{0} has a USB device of its host", who=OWNER),
    "VM_HAS_SRIOV_VIF": Fault("{0} has an SR-IOV network device of its host", who=OWNER),
    "VM_NON_SUSPENDABLE": Fault("{0} cannot be suspended ({1})", who=OWNER),
    "VM_FAILED_SHUTDOWN_ACKNOWLEDGMENT": Fault("its guest did not take notice of the wish to shut down", who=OWNER),
    "VM_SHUTDOWN_TIMEOUT": Fault("its guest has not shut down within {1} s", who=OWNER),
    "VM_NO_SUSPEND_SR": Fault("there is no SR for its memory (xe pool-param-set suspend-image-SR=…)", who=STORAGE),
    "SR_FULL": Fault("the SR is full (needed {0}, free {1})", again=60, who=STORAGE),
    "MIRROR_FAILED": Fault("the copy of its disk {0} broke off", again=60, who=STORAGE),
    "TOO_MANY_STORAGE_MIGRATES": Fault("{0} VMs take their disks away from its host already", again=60),
    "SR_DOES_NOT_SUPPORT_MIGRATION": Fault("the SR {0} cannot take part in storage migration", who=STORAGE),
    "VDI_CBT_ENABLED": Fault("changed blocks of its disk {0} are tracked (xe vdi-disable-cbt)", who=STORAGE),
    "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": Fault("a disk of it is reset at each boot", who=OWNER),
    "VDI_NOT_IN_MAP": Fault("it has a disk that was not there when its move was planned ({0})", again=60),
    "VM_MIGRATE_FAILED": Fault("the move from {1} to {2} broke off ({3})", again=30),
    "OPERATION_BLOCKED": Fault("its owner or a backup has blocked that for {0} ({1})", again=60, who=OWNER),
    "NOT_SUPPORTED_DURING_UPGRADE": Fault("the pool does not allow it while its hosts run different versions"),
    "HOST_CANNOT_ATTACH_NETWORK": Fault("{0} cannot attach the network {1}", who=NETWORK),
    "INTERFACE_HAS_NO_IP": Fault("the interface {0} has no address", who=NETWORK),
    "PIF_NOT_PRESENT": Fault("{0} has no interface on the network {1}", who=NETWORK),
    "REQUIRED_PIF_IS_UNPLUGGED": Fault("the interface {0} is unplugged", who=NETWORK),
    # Storage.
    "CLUSTERED_SR_DEGRADED": Fault("the clustered SR {0} is degraded; it must be whole before a host goes", again=60),
    "SR_HAS_NO_PBDS": Fault("the SR {0} is attached nowhere", again=30, who=STORAGE),
    "SR_NOT_SHARABLE": Fault("the SR {0} is attached to {1} and cannot be shared", who=STORAGE),
    "VBD_TRAY_LOCKED": Fault("the guest has locked the drive; eject the disc in the guest", again=60, who=OWNER),
    "VDI_IN_USE": Fault("the disk {0} is in use", again=30, who=STORAGE),
    # High availability.
    "HA_OPERATION_WOULD_BREAK_FAILOVER_PLAN": Fault("HA could not restart every protected VM then"),
    "HA_NO_PLAN": Fault("HA could not restart every protected VM after so many host failures"),
    "HA_NOT_ENABLED": Fault("HA is off already"),
    "HA_IS_ENABLED": Fault("HA is on"),
    "HA_HOST_CANNOT_ACCESS_STATEFILE": Fault("the host cannot reach HA's heartbeat SR", again=60, who=STORAGE),
    "HA_CONSTRAINT_VIOLATION_SR_NOT_SHARED": Fault("HA needs {0} to be shared by every host", again=60, who=STORAGE),
    "HA_CONSTRAINT_VIOLATION_NETWORK_NOT_SHARED": Fault("HA needs the network {0} on every host", who=NETWORK),
    "LICENCE_RESTRICTION": Fault("the pool's licence does not allow it ({0})"),
    # Plugins, and what is gone.
    "XENAPI_MISSING_PLUGIN": Fault("the host has no plugin {0}; install the package xcp-ng-xapi-plugins"),
    "UNKNOWN_XENAPI_PLUGIN_FUNCTION": Fault("the host's plugin does not know {0}; update xcp-ng-xapi-plugins"),
    "XENAPI_PLUGIN_FAILURE": Fault("the host's plugin failed ({all})", again=60),
    "MAP_DUPLICATE_KEY": Fault("{3} stands there already"),
    "UUID_INVALID": Fault("the pool has no {0} {1} any more"),
    "HANDLE_INVALID": Fault("the {0} is gone"),
    "INTERNAL_ERROR": Fault("XAPI failed ({0}); look at its log", again=30),
}

PREFIXES: Mapping[str, Fault] = {
    "SR_BACKEND_FAILURE": Fault("the storage answered {code} ({all})", again=30, who=STORAGE),
    "APPLY_UPDATES": Fault("another update is under way", again=60),
}
