"""Faults on order: from the world file at given moments, or through the control address.

Each kind is a row: those of `FAULTS` strike at once, those of `ARMED` lie in wait for their moment (`faulttable.py`).
What owners of VMs do meanwhile stands in `owners.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from simulator import boot, faulttable, owners, succession
from simulator.machine import Machine
from simulator.profiles import Package
from simulator.site import Site

Strike = Callable[[Site, dict[str, Any]], None]


class UnknownFault(Exception):
    """An order for a fault that cannot be carried out, as one sentence."""


def order(site: Site, told: dict[str, Any]) -> None:
    """Carries out or arms one fault: `kind`, its words, and `at` (seconds since the start) or `in` if not now.

    Raises UnknownFault for a kind there is not, or a name this world does not have.
    """
    words = dict(told)
    kind = str(words.pop("kind", ""))
    if kind not in FAULTS and kind not in ARMED:
        raise UnknownFault(f"There is no fault {kind!r}; there are {', '.join(sorted((*FAULTS, *ARMED)))}.")
    check_names(site, kind, words)
    if "at" in words or "in" in words:
        due = float(words.pop("at")) if "at" in words else site.clock.seconds() + float(words.pop("in"))
        site.clock.at(due, lambda: strike(site, kind, words))
    else:
        strike(site, kind, words)


def check_names(site: Site, kind: str, words: dict[str, Any]) -> None:
    """Hosts, VMs and SRs that a fault names must be there."""
    for word, known in (("host", hosts(site)), ("vm", guests(site)), ("sr", srs(site))):
        if word in words and words[word] not in known:
            raise UnknownFault(f"The fault {kind!r} names a {word} {words[word]!r} that this world does not have.")
    for word in NEEDS.get(kind, ()):
        if word not in words:
            raise UnknownFault(f"The fault {kind!r} needs {word!r}.")


def hosts(site: Site) -> set[str]:
    return {machine.name for machine in site.machines.values()} | {"master"}


def guests(site: Site) -> set[str]:
    """The VMs there are, and those that the world file says will appear."""
    later = {str(told["name"]) for told in site.spec.faults if told.get("kind") == "vm_appears" and "name" in told}
    return {record["name_label"] for _, record in site.world.all("VM")} | later


def srs(site: Site) -> set[str]:
    return {record["name_label"] for _, record in site.world.all("SR")}


def strike(site: Site, kind: str, words: dict[str, Any]) -> None:
    told = {("second" if key == "t" else key): value for key, value in words.items() if key not in ("kind", "fault")}
    site.journal.write("fault", fault=kind, **told)
    if kind in ARMED:
        faulttable.arm(site, kind, words)
    elif "vm" not in words or any(record["name_label"] == words["vm"] for _, record in site.world.all("VM")):
        FAULTS[kind](site, words)


def host(site: Site, words: dict[str, Any]) -> Machine:
    return site.master if words["host"] == "master" else site.named(words["host"])


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
    cut(site, machine, shut=True)
    if "seconds" in words:
        site.clock.after(float(words["seconds"]), lambda: cut(site, machine, shut=False))


def reachable(site: Site, words: dict[str, Any]) -> None:
    cut(site, host(site, words), shut=False)


def cut(site: Site, machine: Machine, *, shut: bool) -> None:
    machine.cut = shut
    site.set_door(machine, machine.door)


def master_change(site: Site, words: dict[str, Any]) -> None:
    """Somebody makes another host the master."""
    site.nature.spawn(succession.hand_over(site, host(site, words).ref), "somebody changes the master")


def promotion(site: Site, words: dict[str, Any]) -> None:
    """Somebody promotes a member, as one does when the master is dead for good."""
    site.nature.spawn(succession.take_over(site, host(site, words)), "somebody promotes a member")


def publish(site: Site, words: dict[str, Any]) -> None:
    """The repository gets newer packages, for all hosts or, as mirrors differ, for `hosts` alone.

    `packages` are names, whose release is then counted up, or whole packages.
    """
    for machine in site.machines.values():
        if machine.name in words.get("hosts", [machine.name]):
            for one in words["packages"]:
                package = counted_up(machine, one) if isinstance(one, str) else Package(**one)
                machine.offered[package.name] = package


def counted_up(machine: Machine, name: str) -> Package:
    known = machine.offered.get(name) or machine.installed[name]
    head, dot, dist = known.release.partition(".xcpng")
    return replace(known, release=f"{head}.1{dot}{dist}")


def cpu_features_lost(site: Site, words: dict[str, Any]) -> None:
    """After its next start the host tells fewer CPU features (`features`, or hardly any)."""
    host(site, words).faults["cpu_features"] = str(words.get("features", "00000000-00000000-00000000-00000000"))


def sr_unreachable(site: Site, words: dict[str, Any]) -> None:
    """The SR's server answers nobody; for `seconds`, or until told otherwise."""
    sr = site.world.find("SR", words["sr"]) or ""
    site.unreachable_srs.add(sr)
    if "seconds" in words:
        site.clock.after(float(words["seconds"]), lambda: site.unreachable_srs.discard(sr))


def sr_reachable(site: Site, words: dict[str, Any]) -> None:
    site.unreachable_srs.discard(site.world.find("SR", words["sr"]) or "")


def guest_deaf(site: Site, words: dict[str, Any]) -> None:
    """The guest no longer answers a clean shutdown."""
    site.deaf_guests.add(words["vm"])


FAULTS: dict[str, Strike] = {
    "power_loss": power_loss,
    "power_on": power_on,
    "toolstack_restart": toolstack_restart,
    "unreachable": unreachable,
    "reachable": reachable,
    "master_change": master_change,
    "promotion": promotion,
    "publish": publish,
    "cpu_features_lost": cpu_features_lost,
    "sr_unreachable": sr_unreachable,
    "sr_reachable": sr_reachable,
    "guest_deaf": guest_deaf,
    "vm_starts": owners.vm_starts,
    "vm_stops": owners.vm_stops,
    "vm_moves": owners.vm_moves,
    "vm_deleted": owners.vm_deleted,
    "vm_appears": owners.vm_appears,
    "backup": owners.backup,
    "balancer": owners.balancer,
    "host_enabled": owners.host_enabled,
}
ARMED = (
    "slow_boot",
    "never_back",
    "clock_behind",
    "migration_fails",
    "migration_hangs",
    "mirror_fails",
    "memory_refused",
    "plugin_busy",
    "install_fails",
    "install_lies",
    "install_restarts_toolstack",
    "xen_incompatible",
    "pbd_plug_fails",
    "slow_mount",
    "reply_lost",
    "connection_cut",
    "guest_freezes",
)
NEEDS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        (
            "power_loss",
            "power_on",
            "toolstack_restart",
            "unreachable",
            "reachable",
            "master_change",
            "promotion",
            "cpu_features_lost",
            "host_enabled",
        ),
        ("host",),
    ),
    **dict.fromkeys(("vm_starts", "vm_stops", "vm_deleted", "backup", "guest_deaf"), ("vm",)),
    **dict.fromkeys(("sr_unreachable", "sr_reachable"), ("sr",)),
    "vm_moves": ("vm", "host"),
    "vm_appears": ("name", "host"),
    "publish": ("packages",),
    "reply_lost": ("method",),
    "connection_cut": ("method",),
}
