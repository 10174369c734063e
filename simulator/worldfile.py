"""Reads a world file: YAML with line numbers, checked word by word and then as a whole.

Whatever is wrong is told in one sentence with its line. What the words mean is `description.py`'s.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from simulator import profiles
from simulator.description import GENERATED, WORLD, WorldSpec, Wrong, inside
from simulator.generate import generate

WORLDS = Path(__file__).parent / "worlds"
Lines = dict[tuple[str | int, ...], int]


class WorldError(Exception):
    """A world file that cannot be used, as one sentence for a person."""


def load(world: str | Path | Mapping[str, Any] | WorldSpec) -> WorldSpec:
    """A world from the name of a shipped one, a path, or what a file would say; raises WorldError."""
    if isinstance(world, WorldSpec):
        return world
    if isinstance(world, Mapping):
        return described(dict(world), {}, "the world")
    path = find(world)
    try:
        text = path.read_text(encoding="utf-8")
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        told = yaml.safe_load(text)
    except OSError as refused:
        raise WorldError(f"The world file {path} cannot be read: {refused.strerror}.") from None
    except yaml.MarkedYAMLError as broken:
        line = broken.problem_mark.line + 1 if broken.problem_mark else 1
        raise WorldError(f"{path.name}, line {line}: this is not YAML ({broken.problem}).") from None
    lines: Lines = {}
    number(node, (), lines)
    return described(told, lines, path.name)


def find(world: str | Path) -> Path:
    """The file of a shipped world's name, or the path itself."""
    shipped = WORLDS / f"{world}.yaml"
    return shipped if isinstance(world, str) and "/" not in world and shipped.exists() else Path(world)


def shipped() -> list[str]:
    """The names of the worlds that come with the simulator."""
    return sorted(file.stem for file in WORLDS.glob("*.yaml"))


def number(node: Any, path: tuple[str | int, ...], lines: Lines) -> None:
    """Notes the line of everything in a YAML document by its path."""
    if node is None:
        return
    lines.setdefault(path, node.start_mark.line + 1)
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            lines[(*path, str(key.value))] = key.start_mark.line + 1
            number(value, (*path, str(key.value)), lines)
    if isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            number(value, (*path, index), lines)


def described(told: Any, lines: Lines, file: str) -> WorldSpec:
    try:
        spec: WorldSpec = WORLD.read(expanded(told))
        whole(spec)
    except Wrong as wrong:
        place = wrong.path
        while place and place not in lines:
            place = place[:-1]
        at = f"{file}, line {lines[place]}" if lines else file
        raise WorldError(f"{at}: {spoken(wrong.path)} {wrong.sentence}.") from None
    return spec


def expanded(told: Any) -> Any:
    """A file that says `generate` gets hosts and VMs made for it; what it says itself stands."""
    if not isinstance(told, dict) or "generate" not in told:
        return told
    words = inside("generate", GENERATED.read, told["generate"])
    rest = {key: value for key, value in told.items() if key != "generate"}
    return {**generate(**words), **rest}


def spoken(path: tuple[str | int, ...]) -> str:
    """A path as people say it: hosts[0].memory."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return f"'{text}'" if text else "the file"


def whole(spec: WorldSpec) -> None:
    """What only the file as a whole can tell: names that are unique and that exist, one master, a known profile."""
    if spec.profile not in profiles.names():
        raise Wrong(f"must be one of {', '.join(profiles.names())} and is {spec.profile!r}", "profile")
    if not spec.hosts:
        raise Wrong("needs at least one host", "hosts")
    for word in ("hosts", "vms", "srs", "networks"):
        seen: set[str] = set()
        for index, name in enumerate([row.name for row in getattr(spec, word)]):
            if name in seen:
                raise Wrong(f"is {name!r}, which another of them is called already", word, index, "name")
            seen.add(name)
    if sum(host.master for host in spec.hosts) > 1:
        raise Wrong("must name one master at most", "hosts")
    known(spec)


def known(spec: WorldSpec) -> None:
    hosts = {host.name for host in spec.hosts}
    srs = {sr.name for sr in spec.srs} | {f"Local storage on {host.name}" for host in spec.hosts if host.local_sr}
    networks = {network.name for network in spec.networks}
    for index, vm in enumerate(spec.vms):
        expect(vm.host, hosts, "host", "vms", index, "host")
        expect(vm.affinity, hosts, "host", "vms", index, "affinity")
        if vm.state in ("running", "paused") and not vm.host:
            raise Wrong(f"is {vm.state} and so needs a 'host' (or 'state: halted')", "vms", index)
        for number_, disk in enumerate(vm.disks):
            expect(disk.sr, srs, "SR", "vms", index, "disks", number_, "sr")
        for number_, name in enumerate(vm.networks or ()):
            expect(name, networks, "network", "vms", index, "networks", number_)
    vms = {vm.name for vm in spec.vms}
    for index, sr in enumerate(spec.srs):
        expect(sr.host, hosts, "host", "srs", index, "host")
        expect(sr.served_by, vms, "VM", "srs", index, "served_by")


def expect(name: str, names: set[str], what: str, *path: str | int) -> None:
    if name and name not in names:
        raise Wrong(f"names a {what} {name!r} that the file does not have", *path)
