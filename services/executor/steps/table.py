"""Which function does which kind of act. `await_host` is a wait and has none; the rest of the design's kinds have no
act yet."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from services.executor.steps import (
    claims,
    gates,
    guests,
    hosts,
    media,
    messages,
    pbds,
    power,
    reboot,
    replication,
    settings,
    storage,
    survey,
    toolstack,
    updates,
    vms,
)
from services.executor.work import Ended, Work

StepFunction = Callable[[Any, Work], Awaitable[Ended]]

STEPS: Mapping[str, StepFunction] = {
    "survey": survey.survey,
    "change_pool_setting": settings.change,
    "restore_pool_setting": settings.restore,
    "claim_pool": claims.claim,
    "release_pool": claims.release,
    "dump_database": claims.dump,
    "post_message": messages.post,
    "disable_host": hosts.disable,
    "migrate_vm": storage.migrate,
    "shutdown_vm": power.shut_down,
    "suspend_vm": power.suspend,
    "start_vm": power.start,
    "resume_vm": power.resume,
    "eject_media": media.eject,
    "insert_media": media.insert,
    "check_unused": pbds.check_unused,
    "unplug_pbd": pbds.unplug,
    "plug_pbd": pbds.plug,
    "evacuate_rest": vms.sweep,
    "install_updates": updates.install,
    "read_host": reboot.read_host,
    "reboot_host": reboot.reboot,
    "check_gate": hosts.check_gate,
    "enable_host": hosts.enable,
    "restart_toolstack": toolstack.restart,
    "watch_guests": guests.watch,
    "ask_gate": gates.ask,
    "check_replication": replication.check,
    "install_package": replication.install,
    "switch_service": replication.switch,
}

READING: frozenset[str] = frozenset({"survey", "read_host", "watch_guests", "ask_gate", "check_replication"})
"""Kinds that change nothing, and so are done on a pool that is `read_only` too."""

LONG: frozenset[str] = frozenset(
    {
        "install_updates",
        "install_package",
        "check_replication",
        "migrate_vm",
        "reboot_host",
        "watch_guests",
        "suspend_vm",
        "resume_vm",
        "start_vm",
    }
)
"""Kinds whose deadline counts from their last progress, which is therefore a fact."""

PATIENT: Mapping[str, float] = {"survey": 0.0, "post_message": 0.0}
"""Pool seconds that a kind waits for a pool that does not answer before it says so. A survey says so at once: it is
the first thing that is asked, and somebody waits for the answer. A message is left out rather than waited for."""

PATIENCE = 1800.0
"""The patience of every other kind: a master's reboot takes minutes, and the planner's deadline ends it earlier."""
