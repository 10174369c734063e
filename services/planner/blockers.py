"""What stands in the way of a run, with names, cause and the fix. Pure.

XAPI's codes about a VM itself bind; its codes about targets are answered by our own placement (conduct of a
production pool: evacuation answers are advice about targets, law about VMs).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from services.planner import placement
from shared.domain import facts
from shared.domain.model import VM, Host, PoolSnapshot

MIB = 1024 * 1024


def of_pool(snapshot: PoolSnapshot) -> Iterator[facts.Blocker]:
    """Storage that Rota cannot watch over yet, and hosts that cannot be worked with: not live, or disabled."""
    for sr in snapshot.srs:
        if sr.type in REPLICATED:
            yield facts.Blocker(
                sentence=f"The storage {sr.name!r} is {REPLICATED[sr.type]}, and Rota cannot see yet whether it is"
                " whole before the next host is rebooted; update this pool by hand.",
                code="SR_REPLICATED",
            )
    for host in snapshot.hosts:
        if not host.live:
            yield _of_host(host, "HOST_OFFLINE", f"Host {host.name} is not live; bring it up, then start again.")
        elif not host.enabled:
            yield _of_host(
                host,
                "HOST_DISABLED",
                f"Host {host.name} was disabled by somebody; enable it (xe host-enable host={host.name})"
                " when its maintenance is over.",
            )
        if host.updates is None:
            yield _of_host(
                host,
                "UPDATES_UNKNOWN",
                f"The updates of host {host.name} cannot be told: {host.updates_unknown_because}",
            )


def of_vms(snapshot: PoolSnapshot, host: Host) -> Iterator[facts.Blocker]:
    """VMs on a host that may not leave it, whatever the targets."""
    for vm in snapshot.resident(host.uuid):
        if vm.power_state != "running":
            yield _of_vm(
                vm,
                host,
                "VM_BAD_POWER_STATE",
                f"VM {vm.name} on {host.name} is {vm.power_state}; unpause it or stop it.",
            )
        elif "pool_migrate" in vm.blocked_operations:
            reason = vm.blocked_operations["pool_migrate"] or "no reason given"
            yield _of_vm(
                vm,
                host,
                "OPERATION_BLOCKED",
                f"VM {vm.name} on {host.name} may not be migrated ({reason}); lift the block, or wait for the backup"
                " that set it.",
            )
        elif vm.prevents is not None and vm.prevents.code in LAW:
            fix = LAW[vm.prevents.code]
            yield _of_vm(vm, host, vm.prevents.code, f"VM {vm.name} cannot leave {host.name}: {fix}")


def of_short(snapshot: PoolSnapshot, host: Host, short: placement.Short) -> facts.Blocker:
    """A VM that found no place when its host is emptied."""
    vm = short.vm
    if short.missing:
        needed, missing = placement.comfortable(vm) // MIB, -(-short.missing // MIB)
        sentence = (
            f"VM {vm.name} cannot leave {host.name}: it needs {needed} MiB and the roomiest host is {missing} MiB"
            " short; stop a VM that can be spared, or add memory."
        )
        return _of_vm(vm, host, "HOST_NOT_ENOUGH_FREE_MEMORY", sentence)
    local = [sr for sr in snapshot.srs if sr.uuid in vm.srs and not sr.shared]
    if local:
        sentence = (
            f"VM {vm.name} cannot leave {host.name}: it has a disk or an ISO on {local[0].name!r}, which only"
            f" {host.name} reaches; move the disk to shared storage, eject the ISO, or shut the VM down."
        )
        return _of_vm(vm, host, "VM_REQUIRES_SR", sentence)
    sentence = f"VM {vm.name} cannot leave {host.name}: {short.because}; mend that, or shut the VM down."
    return _of_vm(vm, host, "NO_HOSTS_AVAILABLE", sentence)


def warnings(snapshot: PoolSnapshot) -> Iterator[str]:
    """What does not stand in the way and should be known."""
    for host in snapshot.hosts:
        for sr in host.detached:
            name = snapshot.sr_name(sr)
            yield f"The storage {name!r} is not attached to {host.name}; VMs that need it cannot go there."
    for vm in snapshot.vms:
        if vm.power_state == "running" and 0 < vm.memory < vm.memory_now / 2:
            yield (
                f"VM {vm.name} may be squeezed to {vm.memory // MIB} MiB, under half of the"
                f" {vm.memory_now // MIB} MiB it has; raise its dynamic minimum before the run."
            )


REPLICATED: Mapping[str, str] = MappingProxyType(
    {
        "linstor": "replicated between the hosts themselves (XOSTOR)",
        "gfs2": "clustered between the hosts (GFS2)",
    }
)
"""Types of SR whose data is at stake when the next host goes down too early."""


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
