"""XenServer 8's updates: a repository of the pool that is synchronised, its list of updates, and what they ask for.

xen-api ocaml/xapi/repository.ml get_pool_updates_in_json, updateinfo.ml. XCP-ng has no repositories; its updates come
from the updater plugin.
"""

from __future__ import annotations

import hashlib
from typing import Any

from simulator.machine import Machine
from simulator.profiles import Package
from simulator.site import Site

NEEDS_REBOOT = ("kernel", "xen-hypervisor", "microcode_ctl")
NEEDS_TOOLSTACK = ("xapi-core", "sm")


def build(site: Site) -> None:
    """The repositories a XenServer pool has."""
    refs = [
        site.world.add(
            "Repository",
            name,
            name_label=name,
            update=name == "normal",
            binary_url=f"https://updates.example/{name}/",
            source_url=f"https://updates.example/{name}-src/",
        )
        for name in ("base", "normal")
    ]
    site.world.change("pool", site.pool, repositories=refs)


def hash_of(site: Site) -> str:
    """The hash of what the repositories offer now."""
    offered = sorted({one.nvra for machine in site.machines.values() for one in machine.offered.values()})
    return hashlib.sha256("\n".join(offered).encode()).hexdigest()


def guidance(packages: list[Package]) -> list[str]:
    """What a host must do after these packages, in the words of the list of updates."""
    names = {one.name for one in packages}
    if names & set(NEEDS_REBOOT):
        return ["RebootHost"]
    return ["RestartToolstack"] if names & set(NEEDS_TOOLSTACK) else []


def updates_of(site: Site, hosts: list[str]) -> dict[str, Any]:
    """What GET /updates tells of these hosts."""
    told: dict[str, Any] = {"hosts": [], "updates": [], "hash": hash_of(site), "xapi-api-version": "2.21"}
    seen: dict[str, Package] = {}
    for ref in hosts:
        machine = site.machine(ref)
        packages = machine.waiting()
        seen |= {one.nvra: one for one in packages}
        told["hosts"].append(host_line(machine, packages))
    told["updates"] = [update_line(number, one) for number, one in enumerate(seen.values(), 1)]
    return told


def host_line(machine: Machine, packages: list[Package]) -> dict[str, Any]:
    must = guidance(packages)
    return {
        "ref": machine.ref,
        "guidance": {"mandatory": must, "recommended": [], "full": must},
        "RPMS": [f"{one.nvra}.rpm" for one in packages],
        "updates": [update_id(one) for one in packages],
        "livepatches": [],
    }


def update_line(number: int, package: Package) -> dict[str, Any]:
    security = "Security" in package.changelog
    must = guidance([package])
    return {
        "id": update_id(package),
        "summary": package.summary,
        "description": package.changelog,
        "special-info": "",
        "URL": f"https://updates.example/{number}",
        "livepatches": [],
        "type": "security" if security else "bugfix",
        "issued": "20260101T00:00:00Z",
        "severity": "high" if security else "none",
        "guidance": {"mandatory": must, "recommended": [], "full": must},
        "title": f"{package.name} {package.evr}",
    }


def update_id(package: Package) -> str:
    return f"UPDATE-{hashlib.sha256(package.nvra.encode()).hexdigest()[:8]}"
