"""The judge finds every broken promise in a simulator's journal, and nothing in a good one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cli import judge

Line = dict[str, Any]
HOSTS = ("h1", "h2", "h3")
HOMES = {"vm1": "h1", "vm2": "h2", "vm3": "h3"}


def good() -> list[Line]:
    """The journal of a pool that was updated as it should be."""
    lines: list[Line] = [
        {"t": 0.0, "kind": "host", "host": h, "state": "up", "master": h == "h1", "updates": 2, "memory": 1}
        for h in HOSTS
    ]
    lines += [{"t": 0.0, "kind": "vm", "vm": vm, "state": "running", "host": h} for vm, h in HOMES.items()]
    lines += [{"t": 0.0, "kind": "vm", "vm": "off", "state": "halted", "host": None}]
    lines += [{"t": 0.0, "kind": "pool", "setting": "ha_enabled", "before": None, "value": True}]
    lines += [{"t": 1.0, "kind": "pool", "setting": "ha_enabled", "before": True, "value": False}]
    for number, host in enumerate(HOSTS):
        lines += turn(100.0 * (number + 1), host)
    lines += [{"t": 500.0, "kind": "xapi", "setting": "rolling_upgrade_in_progress", "value": None}]
    return [*lines, {"t": 600.0, "kind": "pool", "setting": "ha_enabled", "before": False, "value": True}]


def turn(t: float, host: str) -> list[Line]:
    """A host's turn."""
    vm = next(vm for vm, home in HOMES.items() if home == host)
    away = HOSTS[(HOSTS.index(host) + 1) % 3]
    return [
        {"t": t, "kind": "host", "host": host, "state": "disabled", "cause": "call"},
        {"t": t + 9, "kind": "migration", "vm": vm, "from": host, "to": away, "began": t, "ended": t + 9,
         "outcome": "ok"},
        {"t": t + 9, "kind": "vm", "vm": vm, "state": "running", "host": away, "cause": "call"},
        {"t": t + 20, "kind": "install", "host": host, "packages": ["xen", "xapi"], "outcome": "ok"},
        {"t": t + 30, "kind": "host", "host": host, "state": "rebooting", "cause": "call"},
        {"t": t + 31, "kind": "host", "host": host, "state": "down", "cause": "call"},
        {"t": t + 60, "kind": "host", "host": host, "state": "booting", "cause": "boot"},
        {"t": t + 70, "kind": "host", "host": host, "state": "up", "cause": "boot"},
        {"t": t + 80, "kind": "host", "host": host, "state": "enabled", "cause": "call"},
        {"t": t + 95, "kind": "migration", "vm": vm, "from": away, "to": host, "began": t + 85, "ended": t + 95,
         "outcome": "ok"},
        {"t": t + 95, "kind": "vm", "vm": vm, "state": "running", "host": host, "cause": "call"},
    ]  # fmt: skip


def at(lines: list[Line], **wanted: Any) -> int:
    """Where the line is that has these values."""
    return next(n for n, line in enumerate(lines) if all(line.get(key) == value for key, value in wanted.items()))


def drop(**wanted: Any) -> Callable[[list[Line]], None]:
    return lambda lines: lines.__delitem__(at(lines, **wanted))


def add(before: dict[str, Any], line: Line) -> Callable[[list[Line]], None]:
    return lambda lines: lines.insert(at(lines, **before), line)


def change(wanted: dict[str, Any], **new: Any) -> Callable[[list[Line]], None]:
    return lambda lines: lines[at(lines, **wanted)].update(new)


def last_first(lines: list[Line]) -> None:
    """A member takes its turn before the master."""
    turns = [line for line in lines if 200 <= line["t"] < 300]
    for line in turns:
        lines.remove(line)
    lines[at(lines, t=100.0) : at(lines, t=100.0)] = turns


def test_a_good_run_has_nothing_against_it() -> None:
    """No false alarm."""
    assert judge.violations(good()) == []


def test_an_empty_journal_is_no_good_run() -> None:
    """Nothing seen is nothing proved."""
    assert judge.violations([]) == ["The journal names no host."]


REBOOT_2 = {"host": "h2", "state": "rebooting"}

BROKEN: dict[str, tuple[Callable[[list[Line]], None], str]] = {
    "rebooted twice": (
        add({"host": "h2", "state": "enabled"}, {"t": 275, "kind": "host", "host": "h2", "state": "rebooting"}),
        "h2 was rebooted again",
    ),
    "never rebooted": (drop(**REBOOT_2), "h2 was never rebooted"),
    "with a VM on it": (
        add(REBOOT_2, {"t": 229, "kind": "vm", "vm": "vm3", "state": "running", "host": "h2"}),
        "h2 was rebooted with vm3 on it",
    ),
    "not installed": (drop(kind="install", host="h2"), "h2 was rebooted before its packages were installed"),
    "one package missing": (change({"kind": "install", "host": "h2"}, packages=["xen"]), "1 of 2 updates"),
    "install failed": (change({"kind": "install", "host": "h2"}, outcome="failed"), "an install on h2 ended with"),
    "master not first": (last_first, "h2 was rebooted before the master h1"),
    "member updated first": (last_first, "h2 was updated before the master"),
    "a VM stopped": (
        add(REBOOT_2, {"t": 229, "kind": "vm", "vm": "vm1", "state": "halted", "host": None, "cause": "call"}),
        "vm1 became halted (call)",
    ),
    "a VM not home": (change({"kind": "vm", "t": 395.0}, host="h1"), "vm3 is on h1 at the end and began on h3"),
    "a host left disabled": (drop(host="h3", state="enabled"), "h3 is disabled at the end"),
    "a host left away": (drop(host="h3", t=370.0), "h3 is away at the end"),
    "two away at once": (drop(host="h2", t=270.0), "h3 was rebooted while h2 was away"),
    "down by itself": (
        add({"host": "h3", "state": "disabled"}, {"t": 299, "kind": "host", "host": "h1", "state": "down"}),
        "h1 went down without a reboot",
    ),
    "a setting left": (drop(kind="pool", t=600.0), "ha_enabled is False at the end and was True"),
    "a key left behind": (
        add({"t": 600.0}, {"t": 599, "kind": "pool", "setting": "other_config.rota", "before": None, "value": "x"}),
        "other_config.rota is 'x' at the end and was None",
    ),
    "the script's victim": (
        add(REBOOT_2, {"t": 229, "kind": "vm", "vm": "vm1", "state": "running", "host": "h1",
                       "cause": "reboot_script"}),
        "the reboot's own script had to deal with vm1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_broken_promise_is_found(what: str) -> None:
    """Each thing that may go wrong is told in a sentence of its own."""
    spoil, sentence = BROKEN[what]
    lines = good()
    spoil(lines)
    assert any(sentence in told for told in judge.violations(lines))


def test_the_tally_counts_what_the_journal_holds() -> None:
    """The closing line's figures come from the journal alone."""
    sums = judge.tally(good())
    assert (sums.hosts, sums.vms, sums.moves, sums.reboots, sums.packages) == (3, 4, 6, 3, 6)
    assert sums.minutes == 10.0


def test_storage_that_lost_its_server_is_a_fault_whether_a_disk_on_it_was_in_use_or_not() -> None:
    """The order is judged by the simulator's word, not by Rota's."""
    line = {"t": 120.0, "kind": "storage", "sr": "Depot", "server": "filer", "state": "lost", "host": "h2"}
    assert judge.violations([*good(), {**line, "vms": ["vm2"]}, {**line, "vms": []}]) == [
        "At 120 s Depot lost its server filer while vm2 used it on h2.",
        "At 120 s Depot lost its server filer while it was attached to h2.",
    ]
    attached = {**line, "state": "attached"}
    assert judge.violations([*good(), {**line, "state": "detached"}, attached]) == []
    assert judge.violations([*good(), attached, {**line, "state": "detached"}]) == [
        "Depot is detached from h2 at the end."
    ]
