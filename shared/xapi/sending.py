"""VMs moved with their disks over one XAPI session: what `client` promises of that for `port.Pool`.

The calls are `host.migrate_receive`, `VM.assert_can_migrate` and `VM.migrate_send` (xen-api xapi_vm_migrate.ml). Every
disk must be in the map, one that stays with the SR it is on; snapshots go with their disks. `VDI.pool_migrate` is not
used: it is refused while hosts run different versions (message_forwarding.ml), `migrate_send` to a newer host is not.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from shared.domain.errors import GiveUp
from shared.domain.names import Named
from shared.xapi import answers, belongings, reading
from shared.xapi.port import DiskLook, Told
from shared.xapi.powering import Powering

DISK_CLASSES = ("vm", "vbd", "vdi", "sr")


class Sending(Powering):
    """The part of `client.Client` that moves disks."""

    async def disks(self, vm: Named) -> tuple[DiskLook, ...]:
        """See `port.Pool.disks`."""
        async with self._told(f"{vm} could not be asked for its disks"):
            return _disks(await self._session.records(DISK_CLASSES), vm)

    async def free_on(self, sr: Named) -> int | None:
        """See `port.Pool.free_on`."""
        async with self._told(f"{sr} could not be asked for its room"):
            record = await self._session.read("SR.get_record", await self._ref("SR", sr))
            size = int(record["physical_size"])
            return size - int(record["physical_utilisation"]) if size > 0 else None

    async def may_send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str) -> None:
        """See `port.Pool.may_send`."""
        doing = f"{vm} may not go to {to} with its disks"
        async with self._told(doing), self._receiver(to, network) as receiver:
            ref, mapped = await self._ref("VM", vm), await self._map(vm, disks)
            await self._session.read("VM.assert_can_migrate", ref, receiver, True, mapped, {}, {})

    async def send(self, vm: Named, to: Named, disks: Mapping[str, Named], network: str, told: Told) -> None:
        """See `port.Pool.send`."""
        doing = f"{vm} could not be moved to {to} with its disks"
        async with self._told(doing), self._receiver(to, network) as receiver:
            ref, mapped = await self._ref("VM", vm), await self._map(vm, disks)
            await self._session.run("VM.migrate_send", ref, receiver, True, mapped, {}, {}, told=told)

    async def _map(self, vm: Named, disks: Mapping[str, Named]) -> dict[str, str]:
        """Each disk's SR, by refs."""
        records = await self._session.records(DISK_CLASSES)
        vdis = {record["uuid"]: ref for ref, record in records["vdi"].items()}
        srs = {record["uuid"]: ref for ref, record in records["sr"].items()}
        return {vdis[disk.uuid]: srs[disks.get(disk.device, disk.sr).uuid] for disk in _disks(records, vm)}

    @asynccontextmanager
    async def _receiver(self, to: Named, network: str) -> AsyncIterator[dict[str, str]]:
        """What a move needs to know of its destination, which holds while a session of its own lives: it is ended with
        the call, but left alone where nobody knows how that ended, for the move may go on."""
        through = await self._network(network) if network else await self._management(to)
        receiver = dict(await self._session.act("host.migrate_receive", await self._ref("host", to), through, {}))
        session = str(receiver["session_id"])
        try:
            yield receiver
        except answers.Failure:
            await self._session.end(session)
            raise
        await self._session.end(session)

    async def _management(self, host: Named) -> str:
        """The network of a host's management interface."""
        records = await self._session.records(("host", "pif"))
        ref = reading.by_uuid(records, "host", host.uuid)
        found = (pif["network"] for pif in records["pif"].values() if pif["host"] == ref and pif["management"])
        network = next(found, None)
        if network is None:
            raise GiveUp(f"{host} has no management interface that disks could be sent through.")
        return str(network)

    async def _network(self, wanted: str) -> str:
        """A network's ref by its uuid or its name."""
        networks = (await self._session.records(("network",)))["network"]
        found = [ref for ref, one in networks.items() if wanted in (one["uuid"], one["name_label"])]
        if not found:
            raise GiveUp(f"The pool has no network {wanted} for migrations; put right migration_network.")
        return found[0]


def _disks(records: reading.Records, vm: Named) -> tuple[DiskLook, ...]:
    ref = reading.by_uuid(records, "vm", vm.uuid)
    if ref is None:
        return ()
    names = {sr["uuid"]: reading.named(sr) for sr in records["sr"].values()}
    return tuple(
        DiskLook(disk.device, disk.uuid, names[disk.sr], disk.used)
        for disk in belongings.disks(records, records["vm"][ref])
    )
