"""Versions of packages: which of two is newer, and whether what runs is what is installed. Pure.

The order is rpm's own (rpm.org, "Version comparison"): numbers and letters in turn, numbers above letters, `~` below
all and `^` above the end.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping

from shared.domain.model import Package, Versions

CEILING: tuple[str, ...] = ("kernel", "xapi-core", "xcp-ng-release", "xen-hypervisor")
"""What decides whether a member may be newer than its master (conduct 5)."""

_PART = re.compile(r"\d+|[A-Za-z]+|~|\^")


def newer(one: str, other: str) -> bool:
    """Whether one version (`version-release`, an epoch before `:` is left out) is above another."""
    return _compare(one, other) > 0


def evr(name: str, nvra: str) -> str:
    """`version-release` of `name-version-release.arch`; empty for an empty text."""
    return nvra.removeprefix(f"{name}-").rpartition(".")[0]


def evr_of(package: Package) -> str:
    """`version-release` of an update that is offered."""
    return f"{package.version}-{package.release}" if package.release else package.version


def above(offered: tuple[Package, ...], installed: Mapping[str, str]) -> tuple[Package, ...]:
    """The updates whose version is above what `installed` (name to nvra, the master's) has; a package that the
    master does not have sets no ceiling."""
    return tuple(
        package
        for package in offered
        if (has := evr(package.name, installed.get(package.name, ""))) and newer(evr_of(package), has)
    )


def higher(installed: Mapping[str, str], ceiling: Mapping[str, str]) -> tuple[str, ...]:
    """The names of installed packages (name to nvra) that are above the ceiling's."""
    return tuple(
        sorted(
            name
            for name, nvra in installed.items()
            if (limit := evr(name, ceiling.get(name, ""))) and newer(evr(name, nvra), limit)
        )
    )


def missing(offered: tuple[Package, ...], installed: Mapping[str, str]) -> tuple[Package, ...]:
    """The updates that were offered and are not installed now, at that version or a later one."""
    return tuple(
        package
        for package in offered
        if not (has := evr(package.name, installed.get(package.name, ""))) or newer(evr_of(package), has)
    )


def not_running(installed: Mapping[str, str], running: Versions) -> tuple[str, ...]:
    """What is installed and does not run, in words. Only what can be told: Xen says its release; a kernel whose name
    (`uname -r`) has none, as XCP-ng's 4.19.0+1, says nothing."""
    pairs = (("xen-hypervisor", "Xen", running.xen), ("kernel", "Linux", running.linux))
    return tuple(
        f"{word} {runs} runs although {has} is installed"
        for name, word, runs in pairs
        if (has := evr(name, installed.get(name, ""))) and "-" in runs and not _is_part(runs, has)
    )


def reboot_is_pending(installed: Mapping[str, str], running: Versions) -> bool:
    """Whether what is installed waits for a reboot, as far as it can be told: Xen, a kernel that says its release, and
    xapi, whose version is read at its start (a toolstack restart is enough to hide that one)."""
    return toolstack_is_stale(installed, running) or bool(not_running(installed, running))


def toolstack_is_stale(installed: Mapping[str, str], running: Versions) -> bool:
    """Whether the xapi that is installed is newer than the one that runs."""
    xapi = evr("xapi-core", installed.get("xapi-core", "")).partition("-")[0]
    return bool(xapi and running.xapi_build) and newer(xapi, running.xapi_build)


def _is_part(runs: str, has: str) -> bool:
    """Whether `4.17.5-20.1` is what `4.17.5-20.1.xcpng8.3` is."""
    return has == runs or has.startswith(f"{runs}.")


def _compare(one: str, other: str) -> int:
    for mine, others in itertools.zip_longest(_split(one), _split(other), fillvalue=""):
        if result := _segments(mine, others):
            return result
    return 0


def _split(text: str) -> tuple[str, str]:
    """Version and release, without an epoch."""
    version, _, release = text.rpartition(":")[2].partition("-")
    return version, release


def _segments(one: str, other: str) -> int:
    for mine, others in itertools.zip_longest(_PART.findall(one), _PART.findall(other)):
        if mine != others and (result := _part(mine, others)):
            return result
    return 0


def _part(one: str | None, other: str | None) -> int:
    """1 when one is above the other, -1 below, 0 alike; None is the end of a version."""
    if one == "~" or other == "~":
        return 1 if other == "~" else -1
    if one is None or other is None:
        return -1 if one is None else 1
    if one.isdigit() and other.isdigit():
        return (int(one) > int(other)) - (int(one) < int(other))
    if one.isdigit() or other.isdigit():
        return 1 if one.isdigit() else -1
    return 1 if one > other else -1
