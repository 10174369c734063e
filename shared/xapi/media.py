"""Discs in the drives of VMs over one XAPI session: what `client` promises of them for `port.Pool`.

The calls are `VBD.eject` and `VBD.insert` (xen-api datamodel.ml, xapi_vbd.ml); on a halted VM they change its record
alone.
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager

from shared.domain.errors import GiveUp
from shared.domain.names import Named
from shared.xapi import reading, troubles
from shared.xapi.port import DriveLook
from shared.xapi.session import Session


class Media:
    """The part of `client.Client` that looks after drives."""

    _session: Session

    async def drive(self, uuid: str) -> DriveLook | None:
        """See `port.Pool.drive`."""
        try:
            async with self._told_of("A drive could not be looked at"):
                record = await self._session.read("VBD.get_record", await self._drive(uuid))
                if record["empty"] or record["VDI"] == reading.NULL:
                    return DriveLook(uuid)
                disc = await self._session.read("VDI.get_record", record["VDI"])
                return DriveLook(uuid, reading.named(disc))
        except GiveUp as error:
            if error.code in ("UUID_INVALID", "HANDLE_INVALID"):
                return None
            raise

    async def eject(self, uuid: str, vm: Named) -> None:
        """See `port.Pool.eject`."""
        async with self._told_of(f"The disc could not be taken out of the drive of {vm}"):
            await self._session.run("VBD.eject", await self._drive(uuid))

    async def insert(self, uuid: str, vm: Named, disc: Named) -> None:
        """See `port.Pool.insert`."""
        async with self._told_of(f"The disc {disc} could not be put back into the drive of {vm}"):
            vdi = await self._session.read("VDI.get_by_uuid", disc.uuid)
            await self._session.run("VBD.insert", await self._drive(uuid), vdi)

    async def _drive(self, uuid: str) -> str:
        return str(await self._session.read("VBD.get_by_uuid", uuid))

    def _told_of(self, doing: str) -> AbstractAsyncContextManager[None]:
        return troubles.told(self._session, doing)
