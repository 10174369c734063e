"""The survey: one consistent reading, and then what each host has to say of its updates and of VMs that cannot leave.

How a host is asked comes in as a function; here is only who is asked, how many at once, and what is made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace

from shared.domain.errors import GiveUp, Superseded, TryAgain
from shared.domain.model import Evacuation, Host, Package
from shared.domain.names import Named
from shared.xapi import packages, reading
from shared.xapi.port import NotAnswered
from shared.xapi.session import Session
from shared.xapi.troubles import told

ASKED = 180.0
"""Machine seconds that a long question may take (VMs that prevent an evacuation are judged one by one)."""

AT_ONCE = 4
"""Hosts whose updaters are asked at once; looking for updates takes a host some seconds to a minute."""

Asking = Callable[[Named], Awaitable[tuple[tuple[Package, ...], Mapping[str, str]]]]
"""Asks a host for the updates it is offered and for the packages of `packages.CEILING` that it has installed."""


async def prevents(session: Session, records: reading.Records) -> dict[str, Evacuation]:
    """What XAPI says stands in the way of each VM's leaving its host, by VM uuid, with names for refs."""
    names, found = reading.names(records), dict[str, Evacuation]()
    for ref, host in records["host"].items():
        async with told(session, f"{host['name_label']} could not be asked which VMs cannot leave it"):
            said = await session.read("host.get_vms_which_prevent_evacuation", ref, timeout=ASKED)
        for vm, (code, *params) in said.items():
            if vm in records["vm"]:
                spoken = tuple(names.get(param, param) for param in params)
                found[records["vm"][vm]["uuid"]] = Evacuation(code, spoken)
    return found


async def with_updates(hosts: Sequence[Host], ask: Asking) -> tuple[Host, ...]:
    """Each host with what its updater says; one that cannot be asked says why in `updates_unknown_because`."""
    found: list[Host] = []
    for first in range(0, len(hosts), AT_ONCE):
        found += await asyncio.gather(*(_with_updates(host, ask) for host in hosts[first : first + AT_ONCE]))
    return tuple(found)


async def _with_updates(host: Host, ask: Asking) -> Host:
    if not host.live:
        return replace(host, updates_unknown_because=f"{host.name} is not live, so it could not be asked.")
    try:
        offered, installed = await ask(host.named)
    except (NotAnswered, Superseded):
        raise
    except (TryAgain, GiveUp) as error:
        return replace(host, updates_unknown_because=error.because)
    return replace(host, updates=offered, reboot_pending=packages.reboot_is_pending(installed, host.versions))
