"""VMs switched off and on again over one XAPI session: what `client` promises of them for `port.Pool`.

The calls are `VM.clean_shutdown`, `hard_shutdown`, `suspend`, `start_on` and `resume_on` (xen-api datamodel_vm.ml);
while hosts differ the last two go onto the newest hosts only (message_forwarding.ml).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager

from shared.clock import Clock
from shared.domain.errors import GiveUp
from shared.domain.names import Named
from shared.xapi import troubles
from shared.xapi.port import Told
from shared.xapi.session import Session


class Powering:
    """The part of `client.Client` that switches VMs."""

    def __init__(self, session: Session, clock: Clock) -> None:
        self._session = session
        self._clock = clock

    async def blocks(self, vm: Named) -> Mapping[str, str]:
        """See `port.Pool.blocks`."""
        async with self._told(f"{vm} could not be asked for what is blocked"):
            return dict(await self._session.read("VM.get_blocked_operations", await self._ref("VM", vm)))

    async def lift(self, vm: Named, operation: str) -> None:
        """See `port.Pool.lift`."""
        async with self._told(f"The block of {operation} could not be lifted from {vm}"):
            await self._session.act("VM.remove_from_blocked_operations", await self._ref("VM", vm), operation)

    async def block(self, vm: Named, operation: str, text: str) -> None:
        """See `port.Pool.block`."""
        try:
            async with self._told(f"The block of {operation} could not be put back on {vm}"):
                await self._session.act("VM.add_to_blocked_operations", await self._ref("VM", vm), operation, text)
        except GiveUp as error:
            if error.code != "MAP_DUPLICATE_KEY":
                raise

    async def shut_down(self, vm: Named, told: Told) -> None:
        """See `port.Pool.shut_down`."""
        async with self._told(f"{vm} could not be shut down"):
            await self._session.run("VM.clean_shutdown", await self._ref("VM", vm), told=told)

    async def switch_off(self, vm: Named) -> None:
        """See `port.Pool.switch_off`."""
        async with self._told(f"{vm} could not be switched off"):
            await self._session.run("VM.hard_shutdown", await self._ref("VM", vm))

    async def suspend(self, vm: Named, told: Told) -> None:
        """See `port.Pool.suspend`."""
        async with self._told(f"{vm} could not be suspended"):
            await self._session.run("VM.suspend", await self._ref("VM", vm), told=told)

    async def start(self, vm: Named, host: Named) -> None:
        """See `port.Pool.start`."""
        async with self._told(f"{vm} could not be started on {host}"):
            ref, there = await self._ref("VM", vm), await self._ref("host", host)
            await self._session.run("VM.start_on", ref, there, False, False)

    async def resume(self, vm: Named, host: Named, told: Told) -> None:
        """See `port.Pool.resume`."""
        async with self._told(f"{vm} could not be resumed on {host}"):
            ref, there = await self._ref("VM", vm), await self._ref("host", host)
            await self._session.run("VM.resume_on", ref, there, False, False, told=told)

    async def _ref(self, class_: str, thing: Named) -> str:
        return str(await self._session.read(f"{class_}.get_by_uuid", thing.uuid))

    def _told(self, doing: str) -> AbstractAsyncContextManager[None]:
        return troubles.told(self._session, doing)
