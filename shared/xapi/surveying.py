"""The survey: one consistent reading, and then what each host has to say of itself and of VMs that cannot leave.

How a host is asked comes in as a function; here is only who is asked, how many at once, and what is made of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.domain.errors import GiveUp, Superseded, TryAgain
from shared.domain.model import Evacuation, Host, Package
from shared.domain.names import Named
from shared.xapi import answers, looks, packages, reading
from shared.xapi.port import Access, NotAnswered
from shared.xapi.session import Session
from shared.xapi.stream import Reader
from shared.xapi.troubles import told

ASKED = 180.0
"""Machine seconds that a long question may take (VMs that prevent an evacuation are judged one by one)."""

AT_ONCE = 4
"""Hosts whose updaters are asked at once; looking for updates takes a host some seconds to a minute."""

KNOCK = 10.0
"""Machine seconds for each call of a login that only shall show why a host is not live."""

KNOCKS, KNOCK_PAUSE = 6, 5.0
"""How often a host that says that it is still booting is asked, and machine seconds between: it will know soon."""

AHEAD = "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR"


@dataclass(frozen=True, slots=True)
class Answers:
    """What a host says: the updates it is offered, the packages of `packages.CEILING` that it has installed, the
    seconds its clock is before ours, and the bytes free on its root disk (None: it cannot be told)."""

    offered: tuple[Package, ...]
    installed: Mapping[str, str]
    clock_offset: float | None = None
    disk_free: int | None = None


Asking = Callable[[Named], Awaitable[Answers]]
"""Asks a host."""


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


def with_tasks(hosts: Sequence[Host], records: reading.Records, run: str) -> tuple[Host, ...]:
    """Each host with the names of the tasks on it that are not of this run."""
    refs = {record["uuid"]: ref for ref, record in records["host"].items()}
    return tuple(
        replace(host, tasks_of_others=tuple(sorted(looks.tasks_of_others(records, refs[host.uuid], run))))
        for host in hosts
    )


async def with_answers(
    hosts: Sequence[Host], ask: Asking, access: Access, of: Sequence[Named] = ()
) -> tuple[Host, ...]:
    """Each host with what it says, or only those `of` these names where there are any; one that cannot be asked says
    why in `updates_unknown_because`. Of one that is not live its own address is asked whether it only waits for its
    master."""
    wanted = {named.uuid for named in of} or {host.uuid for host in hosts}
    asked = [host for host in hosts if host.uuid in wanted]
    found: dict[str, Host] = {}
    for first in range(0, len(asked), AT_ONCE):
        said = await asyncio.gather(*(_asked(host, ask, access) for host in asked[first : first + AT_ONCE]))
        found.update((host.uuid, host) for host in said)
    return tuple(found.get(host.uuid, host) for host in hosts)


async def _asked(host: Host, ask: Asking, access: Access) -> Host:
    if not host.live:
        because = f"{host.name} is not live, so it could not be asked."
        return replace(host, updates_unknown_because=because, ahead=await is_ahead(access, host.address))
    try:
        said = await ask(host.named)
    except (NotAnswered, Superseded):
        raise
    except (TryAgain, GiveUp) as error:
        return replace(host, updates_unknown_because=error.because)
    return replace(
        host,
        updates=said.offered,
        reboot_pending=packages.reboot_is_pending(said.installed, host.versions),
        toolstack_pending=packages.toolstack_is_stale(said.installed, host.versions),
        clock_offset=said.clock_offset,
        disk_free=said.disk_free,
        installed=dict(said.installed),
    )


async def is_ahead(access: Access, address: str) -> bool:
    """Whether a host waits for its master because it was updated first: its own address says so to a login (xen-api
    xapi.ml, since v23.30.0). It joins by itself within a minute of its master's restart."""
    for _ in range(KNOCKS):
        try:
            reader = await Reader.open(access, address, timeout=KNOCK)
        except answers.Emergency as error:
            if error.code == AHEAD:
                return True
            await asyncio.sleep(KNOCK_PAUSE)
        except (answers.NoAnswer, answers.Failure, OSError, ValueError):
            return False
        else:
            await reader.close()
            return False
    return False
