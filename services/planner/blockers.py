"""What stands in the way of a run, with names, cause and the fix. Pure.

XAPI's codes about a VM itself bind; its codes about targets are answered by our own placement (conduct of a
production pool: evacuation answers are advice about targets, law about VMs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from services.planner import backups, placement, replication, storage_moves
from shared.domain import facts
from shared.domain.model import VM, Host, PoolSnapshot
from shared.domain.policy import Policy

MIB = 1024 * 1024

LEAST_DISK = 512 * MIB
"""Bytes that must be free on a host's root disk before anything is installed: yum keeps all packages of an update there
before it begins, some hundred MB, and writes a new initrd."""


def of_pool(
    snapshot: PoolSnapshot, hosts: Sequence[Host] | None = None, policy: Policy | None = None
) -> Iterator[facts.Blocker]:
    """Storage that Rota cannot watch over, a migration network that is not there, and among the hosts that have a
    turn (None: all) those that cannot be worked with."""
    yield from replication.blockers(snapshot, policy or Policy())
    yield from of_network(snapshot, policy or Policy())
    for host in snapshot.hosts if hosts is None else hosts:
        yield from of_host(host, policy or Policy())


def of_host(host: Host, policy: Policy) -> Iterator[facts.Blocker]:
    """What keeps a host from its turn, its VMs aside. A member that is ahead of its master joins after the master's
    turn (conduct 13), so it is in nobody's way."""
    if host.ahead:
        return
    if not host.live:
        yield _of_host(host, "HOST_OFFLINE", f"Host {host.name} is not live; bring it up, then start again.")
        return
    if not host.enabled:
        yield _of_host(
            host,
            "HOST_DISABLED",
            f"Host {host.name} was disabled by somebody; enable it (xe host-enable host={host.name})"
            " when its maintenance is over.",
        )
    if host.updates is None and policy.updates:
        told = f"The updates of host {host.name} cannot be told: {host.updates_unknown_because}"
        fix = "" if ";" in told else " See that it reaches its repositories (yum makecache on it), then start again."
        yield _of_host(host, "UPDATES_UNKNOWN", f"{told}{fix}")
    if policy.updates and host.updates and host.disk_free is not None and host.disk_free < LEAST_DISK:
        yield _of_host(
            host,
            "DISK_SPACE",
            f"Host {host.name} has {host.disk_free // MIB} MiB free on its root disk, and an installation needs"
            f" {LEAST_DISK // MIB}; clear old logs and packages there (yum clean all).",
        )


def of_network(snapshot: PoolSnapshot, policy: Policy) -> Iterator[facts.Blocker]:
    """A migration network that the pool does not have, or that a host has no address on (conduct 18)."""
    wanted = policy.migration_network or snapshot.settings.migration_network
    if not wanted:
        return
    network = next((one for one in snapshot.networks if wanted in (one.uuid, one.name)), None)
    where = "migration_network" if policy.migration_network else "the pool's xo:migrationNetwork"
    if network is None:
        names = ", ".join(one.name for one in snapshot.networks)
        sentence = f"Pool {snapshot.name} has no network {wanted!r} for migrations ({names}); put right {where}."
        yield facts.Blocker(sentence=sentence, code="NO_SUCH_NETWORK")
        return
    for host in snapshot.hosts:
        if host.live and network.uuid not in host.networks_with_ip:
            yield _of_host(
                host,
                "INTERFACE_HAS_NO_IP",
                f"Host {host.name} has no address on {network.name!r}, which migrations are to use; give its interface"
                f" one, or put right {where}.",
            )


def of_vms(snapshot: PoolSnapshot, host: Host) -> Iterator[facts.Blocker]:
    """VMs on a host that may not leave it, whatever the targets."""
    for vm in snapshot.resident(host.uuid):
        if stop := of_running(vm, host):
            yield with_ground(snapshot, vm, stop)


def bound(snapshot: PoolSnapshot, host: Host, policy: Policy) -> tuple[facts.Blocker, ...]:
    """VMs on a host that are not moved: by what they are, or for the sake of an SR that is not to be touched."""
    by_law = tuple(of_vms(snapshot, host))
    known = {stop.vm for stop in by_law}
    return (*by_law, *(stop for stop in storage_moves.kept(snapshot, host, policy) if stop.vm not in known))


def of_running(vm: VM, host: Host) -> facts.Blocker | None:
    """What keeps a VM on its host, whatever the targets; None where nothing does."""
    if vm.power_state != "running":
        because = f"VM {vm.name} on {host.name} is {vm.power_state}; unpause it or stop it."
        return _of_vm(vm, host, "VM_BAD_POWER_STATE", because)
    if backups.blocks(vm):
        return None
    if "pool_migrate" in vm.blocked_operations:
        reason = vm.blocked_operations["pool_migrate"] or "no reason given"
        because = f"VM {vm.name} on {host.name} may not be migrated ({reason}); lift the block of pool_migrate."
        return _of_vm(vm, host, "OPERATION_BLOCKED", because)
    code = vm.prevents.code if vm.prevents is not None and vm.prevents.code in LAW else ""
    code = code or next((DEVICES[device] for device in vm.devices), "")
    return _of_vm(vm, host, code, f"VM {vm.name} cannot leave {host.name}: {LAW[code]}") if code else None


def of_short(snapshot: PoolSnapshot, host: Host, short: placement.Short) -> facts.Blocker:
    """A VM that found no place when its host is emptied."""
    return with_ground(snapshot, short.vm, _of_short(snapshot, host, short))


def _of_short(snapshot: PoolSnapshot, host: Host, short: placement.Short) -> facts.Blocker:
    vm = short.vm
    if len(snapshot.hosts) == 1:
        return _of_vm(
            vm,
            host,
            "ONE_HOST",
            f"VM {vm.name} cannot leave {host.name}, the only host of {snapshot.name}: let it be suspended or shut down"
            f" while {host.name} reboots and brought back after it (strategies), or stop it yourself.",
        )
    if short.missing:
        return _of_vm(vm, host, "HOST_NOT_ENOUGH_FREE_MEMORY", _no_memory(snapshot, host, short))
    if disc := next((disc for disc in vm.discs if not disc.shared), None):
        sentence = (
            f"VM {vm.name} cannot leave {host.name}: the disc {disc.name!r} of {snapshot.sr_name(disc.sr)!r}, which"
            f" only {host.name} reaches, is in its drive; eject it (xe vm-cd-eject uuid={vm.uuid}), or let Rota do so"
            " and put it back when the VM is home (eject_discs = true)."
        )
        return _of_vm(vm, host, "DISC_IN_DRIVE", sentence)
    if local := [sr for sr in snapshot.srs if sr.uuid in vm.srs and not sr.shared]:
        disks = ", ".join(repr(disk.name) for disk in vm.disks if disk.sr == local[0].uuid) or "a disk"
        sentence = (
            f"VM {vm.name} cannot leave {host.name}: it has {disks} on {local[0].name!r}, which only {host.name}"
            " reaches; let it take its disks along (migrate_with_storage), move the disk to shared storage, or shut the"
            " VM down."
        )
        return _of_vm(vm, host, "VM_REQUIRES_SR", sentence)
    sentence = f"VM {vm.name} cannot leave {host.name}: {short.because}; mend that, or shut the VM down."
    return _of_vm(vm, host, "NO_HOSTS_AVAILABLE", sentence)


def _no_memory(snapshot: PoolSnapshot, host: Host, short: placement.Short) -> str:
    """How much is short, and whether squeezing the guests would do."""
    vm, spare = short.vm, sum(placement.comfortable(one) - placement.tight(one) for one in snapshot.vms if one.host)
    needed, missing = placement.comfortable(vm) // MIB, -(-short.missing // MIB)
    squeeze = (
        ", add memory, or let guests be squeezed to their dynamic minimum (squeeze = true), which frees up to"
        f" {spare // MIB} MiB"
        if spare
        else ", or add memory"
    )
    return (
        f"VM {vm.name} cannot leave {host.name}: it needs {needed} MiB and the roomiest host is {missing} MiB"
        f" short; stop a VM that can be spared{squeeze}."
    )


def with_ground(snapshot: PoolSnapshot, vm: VM, stop: facts.Blocker) -> facts.Blocker:
    """The same, where Rota stands on the VM or needs it: nothing may be done to it but move it (conduct 9)."""
    if vm.uuid in snapshot.rota_vms:
        what = f"Rota itself runs in {vm.name}, so it cannot update the host it stands on while that is so."
    elif vm.uuid in snapshot.needed_vms:
        what = f"Rota needs {vm.name}, so it is never stopped."
    else:
        return stop
    return stop.model_copy(update={"sentence": f"{stop.sentence} {what}"})


def _of_host(host: Host, code: str, sentence: str) -> facts.Blocker:
    return facts.Blocker(sentence=sentence, code=code, host=host.named)


def _of_vm(vm: VM, host: Host, code: str, sentence: str) -> facts.Blocker:
    return facts.Blocker(sentence=sentence, code=code, host=host.named, vm=vm.named)


LAW: Mapping[str, str] = MappingProxyType(
    {
        "OPERATION_BLOCKED": "an operation it needs is blocked; see its blocked operations and lift the block.",
        "VM_LACKS_FEATURE": "it has no guest tools that can migrate; install them, or shut the VM down.",
        "VM_IS_IMMOBILE": "it is marked as not migratable (nomigrate or nested virtualisation); shut it down.",
        "VM_HAS_PCI_ATTACHED": "a PCI device of the host is passed through to it; shut it down.",
        "VM_HAS_VGPU": "it uses a virtual GPU of the host; shut it down.",
        "VM_HAS_VUSBS": "a USB device of the host is passed through to it; unplug the device or shut the VM down.",
        "VM_HAS_SRIOV_VIF": "it uses an SR-IOV network interface; shut it down or give it an ordinary one.",
        "VM_NON_SUSPENDABLE": "its guest cannot be suspended, which a migration needs; mend its tools or shut it down.",
        "VM_BAD_POWER_STATE": "it is neither running nor stopped; unpause it or stop it.",
        "VDI_ON_BOOT_MODE_INCOMPATIBLE_WITH_OPERATION": "a disk of it is reset at each boot; shut the VM down.",
    }
)
"""XAPI's codes about the VM itself (xen-api xapi_vm_lifecycle.ml), with the fix. Codes about targets are not here."""

DEVICES: Mapping[str, str] = MappingProxyType(
    {
        "pci": "VM_HAS_PCI_ATTACHED",
        "vgpu": "VM_HAS_VGPU",
        "vusb": "VM_HAS_VUSBS",
        "sriov": "VM_HAS_SRIOV_VIF",
    }
)
"""What XAPI says of a VM that a device binds to its host; some of its versions say it only when it is moved."""
