"""Members that are offered other versions of packages than their master: told with the plan, before it costs a turn.

A member never gets anything newer than its master has (conduct 5), so that an installation which would is refused in
the middle of the run; here the repositories are compared before it. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from services.planner.few import few
from shared.domain.model import Host, Package, PoolSnapshot
from shared.xapi import packages

NAMED = 3
"""So many packages of one host are named."""


def warnings(snapshot: PoolSnapshot, turns: Sequence[Host]) -> Iterator[str]:
    """One sentence for each member among `turns` whose offer is not the master's."""
    master = snapshot.host(snapshot.master)
    if master is None or master.updates is None:
        return
    offered = {package.name: packages.evr_of(package) for package in master.updates}
    will_have = {name: packages.evr(name, nvra) for name, nvra in master.installed.items() if nvra} | offered
    for host in turns:
        if host.uuid == master.uuid or not host.updates:
            continue
        other = [one for one in host.updates if will_have.get(one.name, packages.evr_of(one)) != packages.evr_of(one)]
        if newer := [one for one in other if packages.newer(packages.evr_of(one), will_have[one.name])]:
            yield (
                f"{host.name} is offered {_named(newer)}, newer than what its master {master.name} has or is offered"
                f" ({_of_master(newer, will_have)}); it would not be installed, because a member newer than its master"
                " does not join again. Let both hosts use the same repositories and mirrors (yum clean all on both)."
            )
        elif other:
            yield (
                f"{host.name} is offered {_named(other)}, older than what its master {master.name} has or is offered"
                f" ({_of_master(other, will_have)}), so it would run behind its master after the run. Let both hosts"
                " use the same repositories and mirrors (yum clean all on both)."
            )


def _named(found: Sequence[Package]) -> str:
    return few([f"{one.name} {packages.evr_of(one)}" for one in found], NAMED)


def _of_master(found: Sequence[Package], has: dict[str, str]) -> str:
    return ", ".join(f"{one.name} {has[one.name]}" for one in found[:NAMED])
