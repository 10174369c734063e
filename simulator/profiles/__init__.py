"""The generations of the API that differ, one YAML file each, and what a host of that generation has installed.

Facts that differ by generation are rows in those files; code asks a Profile, never a version number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from simulator.schema import Version, version_of

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Package:
    """One package in one version, as the updater plugin tells of it."""

    name: str
    version: str
    release: str
    summary: str = ""
    size: int = 1_000_000
    license: str = "GPLv2"
    changelog: str = ""

    @property
    def evr(self) -> str:
        return f"{self.version}-{self.release}"

    @property
    def nvra(self) -> str:
        return f"{self.name}-{self.evr}.x86_64"


@dataclass(frozen=True, slots=True)
class Profile:
    """What tells one generation of the API from another.

    `evacuate_params` and `disable_params` are the most parameters host.evacuate and host.disable take;
    `upgrade_keys` and `migration_keys` the software versions that set the upgrade flag and that a migration may not
    go down in (xen-api ocaml/xapi/helpers.ml, module Checks; facts differ before and after 25.31).
    """

    name: str
    brand: str
    product_version: str
    platform_version: str
    xapi: Version
    api_version: tuple[int, int]
    evacuate_params: int
    evacuate_batch: int
    disable_params: int
    upgrade_keys: tuple[str, ...]
    migration_keys: tuple[str, ...]
    boot_time_jitters: bool
    updater: bool
    dist: str
    linux: str
    installed: dict[str, Package] = field(default_factory=dict)
    updates: tuple[Package, ...] = ()


def package_of(row: dict[str, Any], evr: str, dist: str) -> Package:
    version, _, release = evr.partition("-")
    return Package(
        row["name"],
        version,
        release + dist,
        row.get("summary", ""),
        row.get("size", 1_000_000),
        row.get("license", "GPLv2"),
        row.get("changelog", ""),
    )


def names() -> list[str]:
    """The names of all profiles."""
    return sorted(file.stem for file in HERE.glob("*.yaml"))


@cache
def load(name: str) -> Profile:
    """The profile of that name; raises KeyError when there is none."""
    file = HERE / f"{name}.yaml"
    if name not in names():
        raise KeyError(name)
    told = yaml.safe_load(file.read_text())
    dist = told["dist"]
    rows = told["packages"]
    return Profile(
        name=name,
        brand=told["brand"],
        product_version=told["product_version"],
        platform_version=told["platform_version"],
        xapi=version_of(told["xapi"]),
        api_version=(told["api_version"][0], told["api_version"][1]),
        evacuate_params=told["evacuate_params"],
        evacuate_batch=told["evacuate_batch"],
        disable_params=told["disable_params"],
        upgrade_keys=tuple(told["upgrade_keys"]),
        migration_keys=tuple(told["migration_keys"]),
        boot_time_jitters=told["boot_time_jitters"],
        updater=told["updater"],
        dist=dist,
        linux=told["linux"],
        installed={row["name"]: package_of(row, row["has"], dist) for row in rows},
        updates=tuple(package_of(row, row["offers"], dist) for row in rows if "offers" in row),
    )
