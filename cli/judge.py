"""Was it a good run? Judged from the simulator's journal alone, without a word of Rota's. Pure: lines to sentences.

It knows the demo's promise: every host patched and rebooted once, empty, the master first; every VM never stopped and
home again; what was changed put back. Worlds in which owners or faults stop VMs are not for this judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

Line = Mapping[str, Any]

NOT_OURS = frozenset({"other_config.rolling_upgrade_in_progress"})
"""Pool settings that XAPI sets and clears by itself."""


@dataclass(slots=True)
class _Host:
    """What is known of a host at a moment of the journal."""

    master: bool
    updates: int
    installed: list[str] = field(default_factory=list)
    installs: int = 0
    reboots: int = 0
    enabled: bool = True
    up: bool = True
    memory: int = 0


@dataclass(frozen=True, slots=True)
class Promise:
    """What the run's policy promised beyond the rest: how many hosts may be away at once, whether every VM is home at
    the end (mode `home`), which VMs, by name, may be stopped on the way, and, where the hosts are to be about equally
    full at the end (mode `level`), the bytes of each VM, by name."""

    max_away: int = 1
    home: bool = True
    may_stop: frozenset[str] = frozenset()
    even: Mapping[str, int] | None = None


@dataclass(slots=True)
class _World:
    """The pool as the journal tells it up to a line, and what was wrong so far."""

    promise: Promise = field(default_factory=Promise)
    hosts: dict[str, _Host] = field(default_factory=dict)
    homes: dict[str, str | None] = field(default_factory=dict)
    at: dict[str, str | None] = field(default_factory=dict)
    states: dict[str, str] = field(default_factory=dict)
    began: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Any] = field(default_factory=dict)
    before: dict[str, Any] = field(default_factory=dict)
    storage: dict[tuple[str, str], bool] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def fault(self, line: Line, sentence: str) -> None:
        """Note a violation with its simulated second."""
        self.wrong.append(f"At {float(line.get('t', 0.0)):.0f} s {sentence}.")


def violations(lines: Iterable[Line], promise: Promise | None = None) -> list[str]:
    """Everything in a journal that breaks the demo's promise, or another, one sentence each; empty when all is well."""
    world = _World(promise or Promise())
    for line in lines:
        rule = _RULES.get(str(line.get("kind")))
        if rule is not None:
            rule(world, line)
    return world.wrong + _at_the_end(world)


@dataclass(frozen=True, slots=True)
class Tally:
    """What a journal adds up to, for the closing lines."""

    hosts: int
    vms: int
    moves: int
    minutes: float
    reboots: int
    packages: int


def tally(lines: Sequence[Line]) -> Tally:
    """Hosts, VMs, finished migrations, simulated minutes, reboots and packages installed."""
    first = _first_of(lines)
    installed = sum(len(line.get("packages") or ()) for line in lines if _installed(line))
    return Tally(
        hosts=sum(kind == "host" for kind, _ in first),
        vms=sum(kind == "vm" for kind, _ in first),
        moves=sum(line.get("kind") == "migration" and _good(line) for line in lines),
        minutes=max((float(line.get("t", 0.0)) for line in lines), default=0.0) / 60,
        reboots=sum(line.get("kind") == "host" and line.get("state") == "rebooting" for line in lines),
        packages=installed,
    )


def _first_of(lines: Sequence[Line]) -> set[tuple[str, str]]:
    return {(str(line["kind"]), str(line[str(line["kind"])])) for line in lines if line.get("kind") in ("host", "vm")}


def _good(line: Line) -> bool:
    return line.get("outcome") in GOOD


def _installed(line: Line) -> bool:
    return line.get("kind") == "install" and _good(line)


# --- one rule a kind of line ------------------------------------------------------------------------------------------


def _host(world: _World, line: Line) -> None:
    name = str(line["host"])
    if name not in world.hosts:
        world.hosts[name] = _Host(
            bool(line.get("master")), int(line.get("updates") or 0), memory=int(line.get("memory") or 0)
        )
    host = world.hosts[name]
    state = line.get("state")
    if state == "rebooting":
        _rebooting(world, line, name, host)
    elif state == "down":
        if host.up:
            world.fault(line, f"{name} went down without a reboot")
        host.up = False
    elif state == "up":
        host.up = True
    elif state in ("enabled", "disabled"):
        host.enabled = state == "enabled"


def _rebooting(world: _World, line: Line, name: str, host: _Host) -> None:
    host.reboots += 1
    if host.reboots > 1:
        world.fault(line, f"{name} was rebooted again")
    if on_it := sorted(vm for vm, at in world.at.items() if at == name and world.states.get(vm) != "halted"):
        world.fault(line, f"{name} was rebooted with {', '.join(on_it)} on it")
    if len(host.installed) < host.updates:
        world.fault(line, f"{name} was rebooted before its packages were installed")
    masters = [other for other, one in world.hosts.items() if one.master]
    if not host.master and any(not world.hosts[master].reboots for master in masters):
        world.fault(line, f"{name} was rebooted before the master {masters[0]}")
    away = sorted(other for other, one in world.hosts.items() if not one.up)
    if len(away) >= world.promise.max_away:
        world.fault(line, f"{name} was rebooted while {', '.join(away)} was away")
    host.up = False


def _vm(world: _World, line: Line) -> None:
    name, state, host = str(line["vm"]), str(line.get("state")), line.get("host")
    if name not in world.states:
        world.homes[name], world.began[name] = host, state
    elif state != world.states[name] and world.began[name] == "running" and name not in world.promise.may_stop:
        world.fault(line, f"{name} became {state} ({line.get('cause', 'no cause')})")
    if line.get("cause") == "reboot_script":
        world.fault(line, f"the reboot's own script had to deal with {name}")
    world.states[name], world.at[name] = state, host


def _storage(world: _World, line: Line) -> None:
    """An SR that a VM serves was detached or attached; or lost that VM while a host had it attached, with a disk on it
    in use or not."""
    if line.get("state") != "lost":
        world.storage[str(line.get("sr")), str(line.get("host"))] = line.get("state") == "attached"
        return
    users = ", ".join(str(vm) for vm in line.get("vms") or ())
    using = f"{users} used it on {line.get('host')}" if users else f"it was attached to {line.get('host')}"
    world.fault(line, f"{line.get('sr')} lost its server {line.get('server')} while {using}")


def _install(world: _World, line: Line) -> None:
    name = str(line["host"])
    host = world.hosts[name]
    if not _good(line):
        world.fault(line, f"an install on {name} ended with {line.get('outcome')}")
        return
    if host.reboots:
        world.fault(line, f"packages were installed on {name} after its reboot")
    master = next((one for one in world.hosts.values() if one.master), host)
    new_to_the_master = set(map(str, line.get("packages") or ())) - set(master.installed)
    if host is not master and new_to_the_master and len(master.installed) < master.updates:
        world.fault(line, f"{name} was updated before the master")
    host.installs += 1
    host.installed += [str(package) for package in line.get("packages") or ()]


def _sr(world: _World, line: Line) -> None:
    if line.get("state") == "harmed":
        world.fault(line, f"{line.get('host')} went down while {line.get('sr')} lacked another host's part")


def _pool(world: _World, line: Line) -> None:
    setting = str(line["setting"])
    at_the_start = not line.get("t")
    world.before.setdefault(setting, line.get("value") if at_the_start else line.get("before"))
    world.settings[setting] = line.get("value")


def _at_the_end(world: _World) -> list[str]:
    wrong = [] if world.hosts else ["The journal names no host."]
    for name, host in world.hosts.items():
        if not host.reboots:
            wrong.append(f"{name} was never rebooted.")
        if len(host.installed) < host.updates:
            wrong.append(f"{name} has {host.updates - len(host.installed)} of {host.updates} updates still waiting.")
        if not host.up or not host.enabled:
            wrong.append(f"{name} is {'disabled' if host.up else 'away'} at the end.")
    for vm, home in world.homes.items():
        if world.promise.home and world.at[vm] != home:
            wrong.append(f"{vm} is on {world.at[vm]} at the end and began on {home}.")
        if world.states[vm] != world.began[vm]:
            wrong.append(f"{vm} is {world.states[vm]} at the end and was {world.began[vm]}.")
    wrong += [f"{sr} is detached from {host} at the end." for (sr, host), there in world.storage.items() if not there]
    wrong += _uneven(world)
    for setting, before in world.before.items():
        if setting not in NOT_OURS and world.settings[setting] != before:
            wrong.append(f"The pool's {setting} is {world.settings[setting]!r} at the end and was {before!r}.")
    return wrong


def _uneven(world: _World) -> list[str]:
    """Where the hosts were to be even and are not. Counted is what VMs take of each host's whole memory; what the hosts
    themselves take is left out, so that a pool which is even by Rota's own count is so by this one."""
    sizes = world.promise.even
    if sizes is None:
        return []
    loads = {name: 0.0 for name, host in world.hosts.items() if host.memory}
    for vm, at in world.at.items():
        if at in loads:
            loads[at] += 100 * sizes.get(vm, 0) / world.hosts[at].memory
    apart = max(loads.values(), default=0.0) - min(loads.values(), default=0.0)
    told = ", ".join(f"{name} {load:.0f} %" for name, load in loads.items())
    return [f"The hosts' memory is {apart:.0f} points apart at the end: {told}."] if apart > EVEN else []


EVEN = 10.0
"""So many points the loads of two hosts may lie apart at the end, where they are to be even."""

GOOD = frozenset({"ok", "success", "succeeded", "done"})
"""How a simulator says that something went well."""

_RULES: Mapping[str, Callable[[_World, Line], None]] = MappingProxyType(
    {"host": _host, "vm": _vm, "install": _install, "pool": _pool, "storage": _storage, "sr": _sr}
)
