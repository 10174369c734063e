"""Steps in words: what an act does to what, and which part of a host's turn it is. Tables and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from services.reporter.report import Phase
from shared.domain import acts

SETTINGS: Mapping[str, str] = MappingProxyType(
    {"ha": "high availability", "wlb": "workload balancing", "auto_poweron": "automatic power-on"}
)


def setting(key: str) -> str:
    """A setting as a person calls it."""
    return SETTINGS.get(key, key)


def phrase(act: acts.Act) -> str:
    """What a step does, to stand before `failed` or `took 2 attempts`: `moving web-1 to xcp-2`. A kind without a row is
    told by its own name."""
    return _PHRASES.get(act.kind, _by_its_name)(act)


def phase(act: acts.Act) -> Phase:
    """The part of a turn that a step belongs to."""
    if isinstance(act, acts.MigrateVM):
        return "emptying" if act.purpose == "empty" else "returning"
    return _PHASES.get(act.kind, "preparing")


def _by_its_name(act: Any) -> str:
    target = getattr(act, "vm", None) or getattr(act, "host", None) or getattr(act, "sr", None)
    return f"the step '{act.kind.replace('_', ' ')}'{f' of {target}' if target else ''}"


_PHRASES: Mapping[str, Callable[[Any], str]] = MappingProxyType(
    {
        "survey": lambda act: "reading the pool",
        "change_pool_setting": lambda act: f"switching off {setting(act.setting)}",
        "restore_pool_setting": lambda act: f"putting back {setting(act.setting)}",
        "claim_pool": lambda act: "marking the pool as taken",
        "release_pool": lambda act: "taking the mark off the pool",
        "dump_database": lambda act: "keeping a copy of the pool's database",
        "post_message": lambda act: "leaving a message on the pool",
        "disable_host": lambda act: f"disabling {act.host}",
        "migrate_vm": lambda act: (
            f"moving {act.vm} {'home ' if act.purpose == 'home' else ''}to {act.to}"
            f"{' with its disks' if act.disks else ''}"
        ),
        "shutdown_vm": lambda act: f"shutting down {act.vm}",
        "suspend_vm": lambda act: f"suspending {act.vm}",
        "start_vm": lambda act: f"starting {act.vm} again",
        "resume_vm": lambda act: f"resuming {act.vm}",
        "eject_media": lambda act: f"taking the disc {act.disc} out of the drive of {act.vm}",
        "insert_media": lambda act: f"putting the disc {act.disc} back into the drive of {act.vm}",
        "check_unused": lambda act: f"seeing that nothing uses {act.sr}",
        "unplug_pbd": lambda act: f"detaching {act.sr} from {act.host}",
        "plug_pbd": lambda act: f"attaching {act.sr} to {act.host}",
        "evacuate_rest": lambda act: f"emptying {act.host} of what came late",
        "install_updates": lambda act: f"installing updates on {act.host}",
        "read_host": lambda act: f"reading {act.host}",
        "reboot_host": lambda act: f"rebooting {act.host}",
        "await_host": lambda act: f"waiting for {act.host} to come back",
        "check_gate": lambda act: f"checking {act.host}",
        "enable_host": lambda act: f"enabling {act.host}",
        "restart_toolstack": lambda act: f"restarting the toolstack of {act.host}",
        "watch_guests": lambda act: f"watching the first guests on {act.host}",
        "check_replication": lambda act: f"waiting for {' and '.join(sr.name for sr in act.srs)} to be whole",
        "install_package": lambda act: f"installing {act.package.name} on {act.host}",
        "switch_service": lambda act: f"telling {act.service} of {act.host} to {act.action}",
        "ask_gate": lambda act: f"asking the gate {act.gate}",
    }
)

_PHASES: Mapping[str, Phase] = MappingProxyType(
    {
        "survey": "preparing",
        "disable_host": "preparing",
        "evacuate_rest": "emptying",
        "shutdown_vm": "emptying",
        "suspend_vm": "emptying",
        "check_unused": "emptying",
        "unplug_pbd": "emptying",
        "plug_pbd": "returning",
        "start_vm": "returning",
        "resume_vm": "returning",
        "eject_media": "emptying",
        "insert_media": "returning",
        "install_updates": "installing",
        "read_host": "installing",
        "reboot_host": "away",
        "await_host": "away",
        "check_gate": "checking",
        "enable_host": "checking",
        "restart_toolstack": "installing",
        "watch_guests": "returning",
        "check_replication": "checking",
        "install_package": "installing",
    }
)
