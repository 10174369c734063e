"""Notes in the pool's own other_config: what was changed, its old value, the run, and the command that undoes it.

They are for whoever has nothing but the pool: a person with `xe`, another Rota, a Rota whose journal is lost. A note is
written before the change and taken away once the old value is back.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from shared.domain.model import HA, PoolSettings
from shared.domain.names import Named
from shared.xapi.port import Pool


def key(setting: str) -> str:
    """The key of a setting's note."""
    return f"rota:{setting}"


def host_key(host: Named) -> str:
    """The key of a disabled host's note."""
    return f"rota:host:{host.uuid}"


RUN = "rota:run"
"""The key in a host's own other_config that names the run which has it in its turn."""


def text(run: str, undo: str, before: str | HA | None) -> str:
    """A note: one line of JSON."""
    old = asdict(before) if isinstance(before, HA) else before
    return json.dumps({"run": run, "undo": undo, "before": old}, sort_keys=True)


def host_text(run: str, host: Named) -> str:
    """The note of a host that is disabled."""
    return json.dumps({"run": run, "undo": f"xe host-enable uuid={host.uuid}", "host": host.name}, sort_keys=True)


def vm_key(vm: Named) -> str:
    """The key of the note of a VM that a run stopped."""
    return f"rota:vm:{vm.uuid}"


def vm_text(
    run: str,
    vm: Named,
    home: Named,
    way: str,
    at: float,
    lifted: Mapping[str, str],
    consent: str,
    serves: Sequence[str] = (),
) -> str:
    """That note: how it was stopped, when (pool time), where it lives, which blocks were lifted, who agreed, and which
    SRs (uuids) it serves."""
    verb = "vm-resume" if way == "suspend" else "vm-start"
    undo = f"xe {verb} uuid={vm.uuid} on={home.name}"
    note = {"run": run, "undo": undo, "vm": vm.name, "home": home.uuid, "way": way, "at": at, "lifted": dict(lifted)}
    more = {"serves": list(serves)} if serves else {}
    return json.dumps({**note, **more, "consent": consent}, sort_keys=True)


def pbd_key(sr: Named, host: Named) -> str:
    """The key of the note of an SR that a run detached from a host."""
    return f"rota:pbd:{sr.uuid}:{host.uuid}"


def pbd_text(run: str, sr: Named, host: Named, vm: Named) -> str:
    """That note: the SR, the host, and the VM that serves it and must run first."""
    undo = f"xe pbd-plug uuid=$(xe pbd-list sr-uuid={sr.uuid} host-uuid={host.uuid} --minimal)"
    server = {"uuid": vm.uuid, "name": vm.name}
    return json.dumps({"run": run, "undo": undo, "sr": sr.name, "host": host.name, "vm": server}, sort_keys=True)


def disc_key(drive: str) -> str:
    """The key of the note of a disc that a run took out of a drive (the VBD's uuid)."""
    return f"rota:disc:{drive}"


def disc_text(run: str, vm: Named, home: Named, disc: Named) -> str:
    """That note: which disc of which VM, and where the VM lives, which alone reaches the disc."""
    undo = f"xe vm-cd-insert uuid={vm.uuid} cd-name='{disc.name}'"
    note = {"run": run, "undo": undo, "vm": vm.uuid, "home": home.uuid, "disc": disc.uuid, "name": disc.name}
    return json.dumps(note, sort_keys=True)


def disks_key(vm: Named) -> str:
    """The key of the note of a VM whose disks are away from where they live."""
    return f"rota:disks:{vm.uuid}"


def disks_text(run: str, vm: Named, home: Named, disks: Mapping[str, Named], at: float) -> str:
    """That note: the host it lives on, the SR of each disk by the number of its drive, and since when (pool time)."""
    where = " ".join(f"vdi:<disk {device}>={sr.uuid}" for device, sr in sorted(disks.items()))
    undo = (
        f"xe vm-migrate uuid={vm.uuid} host={home.name} remote-master=<master> remote-username=root"
        f" remote-password=<password> {where}"
    )
    srs = {device: sr.uuid for device, sr in disks.items()}
    note = {"run": run, "undo": undo, "vm": vm.name, "home": home.uuid, "disks": srs, "at": at}
    return json.dumps(note, sort_keys=True)


def installed_key(host: Named) -> str:
    """The key of the note that something was installed on a host, which stays until it was rebooted and checked."""
    return f"rota:installed:{host.uuid}"


def installed_text(run: str, host: Named, servertime: float) -> str:
    """That note: `at` is the host's own time, seconds since 1970."""
    return json.dumps({"run": run, "host": host.name, "at": servertime}, sort_keys=True)


async def forget(setting: str, now: PoolSettings, pool: Pool) -> None:
    """Take a setting's note away, where there is one."""
    if key(setting) in now.notes:
        await pool.mark(key(setting), None)
