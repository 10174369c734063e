"""SRs attached to hosts and detached again over one XAPI session: what `client` promises of them for `port.Pool`."""

from __future__ import annotations

from shared.domain.names import Named
from shared.xapi import looks, reading
from shared.xapi.port import SRLook
from shared.xapi.powering import Powering


class Plugging(Powering):
    """The part of `client.Client` that plugs PBDs (`PBD.plug`, `PBD.unplug`: xen-api xapi_pbd.ml)."""

    async def sr(self, sr: Named) -> SRLook | None:
        """See `port.Pool.sr`."""
        async with self._told(f"{sr} could not be looked at"):
            return looks.sr_look(await self._session.records(looks.SR_CLASSES), sr.uuid)

    async def plug(self, host: Named, sr: Named) -> bool:
        """See `port.Pool.plug`."""
        async with self._told(f"{sr} could not be attached to {host}"):
            return await self._with_pbd("PBD.plug", host, sr)

    async def unplug(self, host: Named, sr: Named) -> bool:
        """See `port.Pool.unplug`."""
        async with self._told(f"{sr} could not be detached from {host}"):
            return await self._with_pbd("PBD.unplug", host, sr)

    async def _with_pbd(self, method: str, host: Named, sr: Named) -> bool:
        """Call a method of an SR's PBD on a host; whether there is one."""
        records = await self._session.records(("pbd", "sr", "host"))
        ref, there = reading.by_uuid(records, "sr", sr.uuid), reading.by_uuid(records, "host", host.uuid)
        found = (pbd for pbd, one in records["pbd"].items() if one["SR"] == ref and one["host"] == there)
        if ref is None or (pbd := next(found, None)) is None:
            return False
        await self._session.run(method, pbd)
        return True
