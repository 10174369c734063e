"""World files: what is wrong is told in one sentence with its line; what ships can be loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.build import build
from simulator.clock import Clock, ManualDrive
from simulator.faults import order
from simulator.journal import Journal
from simulator.memory import free
from simulator.values import GIB
from simulator.worldfile import WorldError, load, shipped

GOOD = """\
name: tiny
hosts:
  - {name: one, memory: 16 GiB}
vms:
  - name: web
    host: one
    memory: 2 GiB
"""


def told(tmp_path: Path, text: str) -> str:
    """What loading this file is refused with."""
    file = tmp_path / "world.yaml"
    file.write_text(text)
    with pytest.raises(WorldError) as refused:
        load(file)
    return str(refused.value)


def test_a_good_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "world.yaml"
    file.write_text(GOOD)
    spec = load(file)
    assert spec.hosts[0].memory == 16 * GIB
    assert spec.vms[0].host == "one"


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        (
            "memory: 2 GiB",
            "memory: 2",
            "world.yaml, line 7: 'vms[0].memory' must be a number with a unit, as in '64 GiB', and is 2.",
        ),
        ("host: one", "host: two", "world.yaml, line 6: 'vms[0].host' names a host 'two' that the file does not have."),
        ("name: web", "name: 5", "world.yaml, line 5: 'vms[0].name' must be a text and is 5."),
        ("    host: one\n", "", "world.yaml, line 5: 'vms[0]' is running and so needs a 'host' (or 'state: halted')."),
        (
            "name: tiny",
            "profile: xcp",
            (
                "world.yaml, line 1: 'profile' must be one of xcp-ng-8.2, xcp-ng-8.3, xcp-ng-current, xenserver-8 "
                "and is 'xcp'."
            ),
        ),
        ("name: tiny", "name: [", "world.yaml, line 3: this is not YAML (expected the node content, but found '-')."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, before: str, after: str, sentence: str) -> None:
    assert told(tmp_path, GOOD.replace(before, after)) == sentence


def test_a_word_that_is_not_known_is_told_with_those_that_are(tmp_path: Path) -> None:
    got = told(tmp_path, GOOD.replace("memory: 16 GiB", "memoyr: 16 GiB"))
    assert got.startswith("world.yaml, line 3: 'hosts[0].memoyr' is not a word that a world file knows here (name, ")


def test_a_file_that_is_not_there_is_told_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(WorldError, match=r"absent\.yaml cannot be read: No such file"):
        load(tmp_path / "absent.yaml")


@pytest.mark.parametrize("name", shipped())
def test_every_world_that_ships_can_be_built_and_its_faults_ordered(name: str) -> None:
    clock = Clock(ManualDrive())
    spec = load(name)
    site = build(spec, clock, Journal(clock), "0", [f"127.0.0.{n}" for n, _ in enumerate(spec.hosts, 1)])
    for fault in spec.faults:
        order(site, dict(fault))
    running = [vm for vm in spec.vms if vm.state == "running"]
    assert sum(len(site.guests(host)) for host in site.machines) >= len(running)
    for machine in site.machines.values():
        assert free(site.world, machine.ref) >= 0


def test_a_world_can_be_made_from_a_seed() -> None:
    """The same seed gives the same world, another another; the hosts are filled to the share that was asked for."""
    one, same, other = (load({"generate": {"hosts": 4, "vms": 40, "memory_share": 0.5, "seed": n}}) for n in (1, 1, 2))
    assert one == same
    assert one != other
    memory = sum(host.memory for host in one.hosts)
    used = sum(vm.memory for vm in one.vms)
    assert 0.35 < used / memory < 0.55


def test_the_demos_hosts_have_room_for_their_own_vms_and_all_of_one_others() -> None:
    """What the demo promises to its run."""
    spec = load("demo")
    used = {host.name: sum(vm.memory for vm in spec.vms if vm.host == host.name) for host in spec.hosts}
    for host in spec.hosts:
        room = host.memory - host.dom0_memory - 2 * GIB
        assert used[host.name] + max(used[other.name] for other in spec.hosts if other is not host) < room
    assert len(spec.vms) == 12
