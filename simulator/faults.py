"""Faults on order: from the world file at given moments, or through the control address at once.

Each kind is a row of `FAULTS`: those that strike now, and those that lie in wait for their moment (`faulttable.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from simulator import boot, faulttable, vms
from simulator.failure import Failure
from simulator.machine import Machine
from simulator.site import Site

Strike = Callable[[Site, dict[str, Any]], None]


class UnknownFault(Exception):
    """An order for a fault that cannot be carried out, as one sentence."""


def order(site: Site, told: dict[str, Any]) -> None:
    """Carries out or arms one fault: `kind`, its words, and `at` (seconds since the start) or `after` if not now."""
    words = dict(told)
    kind = str(words.pop("kind", ""))
    if kind not in FAULTS and kind not in ARMED:
        raise UnknownFault(f"There is no fault {kind!r}; there are {', '.join(sorted((*FAULTS, *ARMED)))}.")
    if "at" in words or "in" in words:
        due = float(words.pop("at", site.clock.seconds() + float(words.pop("in", 0))))
        site.clock.at(due, lambda: strike(site, kind, words))
    else:
        strike(site, kind, words)


def strike(site: Site, kind: str, words: dict[str, Any]) -> None:
    site.journal.write("fault", fault=kind, **{key: value for key, value in words.items() if key not in ("t", "kind")})
    if kind in ARMED:
        faulttable.arm(site, kind, words)
        return
    try:
        FAULTS[kind](site, words)
    except KeyError as missing:
        raise UnknownFault(f"The fault {kind!r} needs {missing} to name something of this world.") from None


def host(site: Site, words: dict[str, Any]) -> Machine:
    return site.master if words.get("host") == "master" else site.named(words["host"])


def power_loss(site: Site, words: dict[str, Any]) -> None:
    """The plug is pulled; with `back` (seconds) somebody puts it in again."""
    machine = host(site, words)
    machine.hardware.kill()
    boot.power_loss(site, machine, "fault")
    if "back" in words:
        site.clock.after(float(words["back"]), lambda: switch_on(site, machine))


def switch_on(site: Site, machine: Machine) -> None:
    if not machine.powered:
        machine.hardware.spawn(boot.power_cycle(site, machine), "power on")


def power_on(site: Site, words: dict[str, Any]) -> None:
    switch_on(site, host(site, words))


def toolstack_restart(site: Site, words: dict[str, Any]) -> None:
    """A person or a crash restarts the toolstack."""
    site.nature.spawn(boot.restart_toolstack(site, host(site, words), 0.0), "toolstack restart")


def unreachable(site: Site, words: dict[str, Any]) -> None:
    """The host's address refuses clients, while the pool sees it alive; for `seconds`, or until told otherwise."""
    machine = host(site, words)
    cut(site, machine, True)
    if "seconds" in words:
        site.clock.after(float(words["seconds"]), lambda: cut(site, machine, False))


def reachable(site: Site, words: dict[str, Any]) -> None:
    cut(site, host(site, words), False)


def cut(site: Site, machine: Machine, shut: bool) -> None:
    machine.cut = shut
    site.set_door(machine, machine.door)


def vm_stops(site: Site, words: dict[str, Any]) -> None:
    """The VM's owner shuts it down."""
    vms.halt(site, site.vm_named(words["vm"]), "owner")


def vm_starts(site: Site, words: dict[str, Any]) -> None:
    """The VM's owner starts it, on `host` or where XAPI would."""
    from simulator import placement

    vm = site.vm_named(words["vm"])
    try:
        target = host(site, words).ref if "host" in words else placement.choose_host(site, vm)
    except Failure:
        return
    vms.boot(site, vm, target, "owner")


FAULTS: dict[str, Strike] = {
    "power_loss": power_loss, "power_on": power_on, "toolstack_restart": toolstack_restart,
    "unreachable": unreachable, "reachable": reachable, "vm_stops": vm_stops, "vm_starts": vm_starts,
}
ARMED = (
    "slow_boot", "never_back", "clock_behind", "migration_fails", "migration_hangs", "plugin_busy", "install_fails",
    "install_lies", "install_restarts_toolstack", "xen_incompatible", "pbd_plug_fails", "slow_mount", "reply_lost",
)
