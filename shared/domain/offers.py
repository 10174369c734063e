"""What waits to be installed on a pool: packages, the hosts that they wait on, the advisories they close. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from shared.domain.model import Package, PoolSnapshot

_ADVISORY = re.compile(r"\b(?:XSA-\d{1,4}|CVE-\d{4}-\d{4,7})\b")


@dataclass(frozen=True, slots=True)
class Offer:
    """A package in one version, the names of the hosts it waits on, and the advisories that its texts name."""

    package: Package
    hosts: tuple[str, ...]
    advisories: tuple[str, ...] = ()

    @property
    def version(self) -> str:
        """Version and release, as a person reads them."""
        return f"{self.package.version}{'-' + self.package.release if self.package.release else ''}"


def offers(snapshot: PoolSnapshot) -> tuple[Offer, ...]:
    """What waits on the hosts of a pool: what closes advisories first, then by name."""
    return _grouped((host.name, one) for host in snapshot.hosts for one in host.updates or ())


def unknown(snapshot: PoolSnapshot) -> tuple[str, ...]:
    """One sentence for each host of which it cannot be told."""
    return tuple(
        f"{host.name} could not be asked for its updates: {host.updates_unknown_because or 'it gave no answer'}"
        for host in snapshot.hosts
        if host.updates is None
    )


def advisories(packages: Iterable[Package]) -> tuple[str, ...]:
    """The security advisories (XSA, CVE) that packages' descriptions and changelogs name."""
    found = {name for one in packages for name in _ADVISORY.findall(f"{one.description}\n{one.changelog}")}
    return tuple(sorted(found))


def _grouped(waiting: Iterable[tuple[str, Package]]) -> tuple[Offer, ...]:
    hosts: dict[tuple[str, str, str], list[str]] = {}
    fullest: dict[tuple[str, str, str], Package] = {}
    for host, one in waiting:
        key = (one.name, one.version, one.release)
        hosts.setdefault(key, []).append(host)
        if key not in fullest or len(one.changelog) > len(fullest[key].changelog):
            fullest[key] = one
    found = [Offer(one, tuple(hosts[key]), advisories((one,))) for key, one in fullest.items()]
    return tuple(sorted(found, key=lambda offer: (not offer.advisories, offer.package.name, offer.version)))
