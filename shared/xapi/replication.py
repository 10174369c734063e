"""Replicated storage, its packages and services over one XAPI session: what `client` promises of them for `port.Pool`.

What LINSTOR says goes through plugins of the hosts (`host.call_plugin`): `linstor-manager`, `updater.py`, `service.py`
(xcp-ng sm, xcp-ng-xapi-plugins).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Literal

from shared.domain.errors import GiveUp, TryAgain, Unreadable
from shared.domain.model import SR, PoolSnapshot
from shared.domain.names import Named
from shared.xapi import linstor, reading, troubles, updater
from shared.xapi.port import NotAnswered, Told
from shared.xapi.session import Session, value

CLASSES = ("pool", "host", "host_metrics", "sr", "pbd")


class Replication:
    """The part of `client.Client` that looks after replicated storage."""

    _session: Session

    async def replication(self, sr: Named) -> str:
        """See `port.Pool.replication`."""
        async with troubles.told(self._session, f"It could not be told whether {sr} is whole"):
            records = await self._session.records(CLASSES)
            found = reading.by_uuid(records, "sr", sr.uuid)
            if found is None:
                return ""
            if records["sr"][found]["type"] != linstor.TYPE:
                return degraded(records, found)
            master, group = str(reading.the_pool(records)["master"]), linstor.group(records["pbd"].values(), found)
            return linstor.trouble(await self._asked_of(master, linstor.PLUGIN, linstor.FUNCTION, {"groupName": group}))

    async def install_package(self, host: Named, name: str, told: Told) -> None:
        """See `port.Pool.install_package`. The plugin hands `packages` to yum as one word, so one is named a call."""
        async with troubles.told(self._session, f"{name} could not be installed on {host}"):
            ref = str(await self._session.read("host.get_by_uuid", host.uuid))
            updater.check_outcome(await self._asked_of(ref, "updater.py", "update", {"packages": name}, told))

    async def service(self, host: Named, service: str, action: Literal["stop", "restart"]) -> None:
        """See `port.Pool.service`."""
        async with troubles.told(self._session, f"The service {service} of {host} did not {action}"):
            ref = str(await self._session.read("host.get_by_uuid", host.uuid))
            await self._asked_of(ref, "service.py", f"{action}_service", {"service": service})

    async def _with_replication(self, pool: PoolSnapshot) -> PoolSnapshot:
        """The pool with what its replicated storage says of itself."""
        return replace(pool, srs=tuple([await self._looked_at(sr) for sr in pool.srs]))

    async def _looked_at(self, sr: SR) -> SR:
        if sr.type != linstor.TYPE:
            return sr
        try:
            return replace(sr, degraded=await self.replication(Named(sr.uuid, sr.name)))
        except NotAnswered:
            raise
        except (TryAgain, GiveUp, Unreadable) as error:
            return replace(sr, unseen=error.because)

    async def _asked_of(
        self, host: str, plugin: str, function: str, arguments: Mapping[str, str], told: Told | None = None
    ) -> str:
        called = ("host.call_plugin", host, plugin, function, dict(arguments))
        return value(await self._session.run(*called, told=told))


def degraded(records: reading.Records, sr: str) -> str:
    """What a clustered SR lacks: every host must be live and have it attached, or XAPI refuses the next reboot with
    CLUSTERED_SR_DEGRADED (xen-api xapi_host_helpers.ml)."""
    away = sorted(
        reading.named(host).name
        for host in records["host"].values()
        if not records["host_metrics"].get(host["metrics"], {}).get("live", False)
    )
    if away:
        return f"{', '.join(away)} is not live"
    lost = sorted(
        reading.named(records["host"][pbd["host"]]).name
        for pbd in records["pbd"].values()
        if pbd["SR"] == sr and pbd["host"] in records["host"] and not pbd["currently_attached"]
    )
    return f"it is not attached to {', '.join(lost)}" if lost else ""
