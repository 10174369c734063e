"""The pool in our words, over one XAPI session: here uuids become refs, verbs calls, and codes errors.

Every act is an Async call whose end is seen by events; nothing is polled. What XAPI's error codes mean stands in
`faults`, what its records mean in `reading`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from shared.clock import Clock
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.model import HA, Package, PoolSnapshot
from shared.domain.names import Named
from shared.xapi import (
    address,
    answers,
    faults,
    looks,
    packages,
    reading,
    surveying,
    troubles,
    updater,
    watching,
)
from shared.xapi.media import Media
from shared.xapi.plugging import Plugging
from shared.xapi.port import Access, GuestLook, HostLook, NotAnswered, PoolLook, Told, VMLook
from shared.xapi.replication import Replication
from shared.xapi.sending import Sending
from shared.xapi.session import Session, value

UNTRUSTED = "UNTRUSTED"

BUSY_TRIES = 20
BUSY_PAUSE = 6.0
"""A busy updater is asked again so often, with so many pool seconds between: others ask it for minutes at most, and
what installs is waited for by its task."""

SLICE = 60.0
"""Pool seconds after which a host that should go down, and has not been seen to, is knocked at."""

AUTO_ENABLE_SINCE = (25, 31)


async def login(
    access: Access,
    *,
    members: Iterable[str],
    run: str,
    step: str,
    clock: Clock,
    saw: Callable[[frozenset[str]], None] = lambda _: None,
) -> Client:
    """Open a session for one step on the pool's master. `members` are addresses that are known to be of this pool;
    `saw` is told those of its hosts whenever they were read.

    Its tasks carry `run` and `step`. Raises NotAnswered when the pool is away, TryAgain while it starts, and GiveUp
    for a refused password, a certificate that does not match, or settings that cannot be used.
    """
    doing = f"The pool at {access.url} cannot be used"
    known = frozenset(members) | {address.host(access.url)}
    try:
        session = await Session.open(access, members=known, tags={"rota-run": run, "rota-step": step})
    except (OSError, ValueError) as error:
        raise GiveUp(f"{doing}: {error}.", who_can_help=faults.CONFIGURATION) from error
    except answers.Untrusted as error:
        raise GiveUp(error.because, who_can_help=faults.CONFIGURATION, code=UNTRUSTED) from error
    except answers.NoAnswer as error:
        raise NotAnswered(f"{doing}: {error.because}", after=troubles.AGAIN, code=troubles.NO_ANSWER) from error
    except answers.Failure as error:
        raise faults.error(error.code, error.params, doing) from error
    return Client(session, access, run=run, clock=clock, saw=saw)


class Client(Sending, Plugging, Media, Replication):
    """Made by `login`; keeps the promise of `port.Pool`."""

    def __init__(
        self, session: Session, access: Access, *, run: str, clock: Clock, saw: Callable[[frozenset[str]], None]
    ) -> None:
        super().__init__(session, clock)
        self._access = access
        self._run = run
        self._saw = saw

    @property
    def session(self) -> str:
        """See `port.Pool.session`."""
        return self._session.uuid

    # What can be seen.

    async def survey(self, *, updates: bool, at: float, of: Sequence[Named] = ()) -> PoolSnapshot:
        """See `port.Pool.survey`. A host that cannot be asked for updates says why in `updates_unknown_because`."""
        async with self._told("The pool could not be surveyed"):
            records = await self._records(reading.SURVEY_CLASSES)
            pool = reading.snapshot(records, taken_at=at)
        prevents = await surveying.prevents(self._session, records)
        hosts = surveying.with_tasks(pool.hosts, records, self._run)
        hosts = await surveying.with_answers(hosts, self._asked, self._access, of) if updates else hosts
        vms = tuple(replace(vm, prevents=prevents.get(vm.uuid)) for vm in pool.vms)
        pool = replace(pool, hosts=hosts, vms=vms)
        return await self._with_replication(pool) if updates else pool

    async def look(self) -> PoolLook:
        """See `port.Pool.look`."""
        async with self._told("The pool's settings could not be read"):
            return looks.pool_look(await self._records(looks.POOL_CLASSES))

    async def host(self, host: Named) -> HostLook:
        """See `port.Pool.host`."""
        async with self._told(f"{host} could not be looked at"):
            found = looks.host_look(await self._records(looks.HOST_CLASSES), host.uuid, run=self._run)
        if found is None:
            raise GiveUp(f"The pool has no host {host} ({host.uuid}) any more.", code="UUID_INVALID")
        return found

    async def control_domain_disks(self, host: Named) -> tuple[str, ...]:
        """See `port.Pool.control_domain_disks`."""
        async with self._told(f"{host} could not be asked what its control domain holds"):
            records = await self._records(("host", "vm", "vbd", "vdi", "sr"))
            ref = reading.by_uuid(records, "host", host.uuid)
            return reading.held_by_control_domain(records, ref) if ref else ()

    async def vm(self, vm: Named) -> VMLook | None:
        """See `port.Pool.vm`."""
        try:
            async with self._told(f"{vm} could not be looked at"):
                record = await self._session.read("VM.get_record", await self._ref("VM", vm))
                there = record["resident_on"]
                named = None if there == reading.NULL else await self._named("host", there)
        except GiveUp as error:
            if error.code in ("UUID_INVALID", "HANDLE_INVALID"):
                return None
            raise
        return looks.vm_look(record, named)

    async def guest(self, vm: Named) -> GuestLook | None:
        """See `port.Pool.guest`."""
        look = await self.vm(vm)
        if look is None:
            return None
        async with self._told(f"{vm} could not be asked how it is"):
            metrics = await self._session.read("VM.get_guest_metrics", await self._ref("VM", vm))
            if metrics == reading.NULL:
                return GuestLook(vm, look.power_state, look.host)
            heard = await self._session.read("VM_guest_metrics.get_last_updated", metrics)
        return GuestLook(vm, look.power_state, look.host, reading.moment(heard))

    async def come_to_rest(self, vm: Named, within: float) -> bool:
        """See `port.Pool.come_to_rest`."""
        async with self._told(f"{vm} could not be watched"):
            return await self._session.until_record(
                "vm",
                await self._ref("VM", vm),
                lambda record: record is None or not looks.is_moving(record),
                self._clock.machine_seconds(within),
            )

    async def servertime(self, host: Named) -> float:
        """See `port.Pool.servertime`."""
        async with self._told(f"{host} could not be asked for its time"):
            return reading.moment(await self._session.read("host.get_servertime", await self._ref("host", host)))

    async def offered(self, host: Named) -> tuple[Package, ...]:
        """See `port.Pool.offered`."""
        doing = f"{host} could not be asked for its updates"
        for tries in range(1, BUSY_TRIES + 1):
            try:
                async with self._told(doing):
                    return updater.offered(await self._plugin(host, "check_update"))
            except TryAgain as error:
                if error.code != faults.UPDATER_BUSY or tries == BUSY_TRIES:
                    raise
            await self._clock.sleep(BUSY_PAUSE)
        raise AssertionError("unreachable")

    async def installed(self, host: Named, names: Sequence[str]) -> Mapping[str, str]:
        """See `port.Pool.installed`."""
        async with self._told(f"{host} could not be asked for its packages"):
            return updater.installed(await self._plugin(host, "query_installed", packages=" ".join(names)))

    # What can be asked.

    async def disable_ha(self) -> None:
        """See `port.Pool.disable_ha`."""
        async with self._told("HA could not be switched off"):
            await self._session.run("pool.disable_ha")

    async def enable_ha(self, ha: HA) -> None:
        """See `port.Pool.enable_ha`."""
        async with self._told("HA could not be switched on again"):
            srs = [await self._session.read("SR.get_by_uuid", uuid) for uuid in ha.heartbeat_srs]
            await self._session.run("pool.enable_ha", srs, dict(ha.configuration))

    async def tolerate_failures(self, hosts: int) -> None:
        """See `port.Pool.tolerate_failures`."""
        async with self._told(f"HA could not be told to plan for {hosts} failing hosts"):
            await self._session.run("pool.set_ha_host_failures_to_tolerate", await self._pool_ref(), str(hosts))

    async def set_wlb(self, on: bool) -> None:
        """See `port.Pool.set_wlb`."""
        async with self._told("Workload balancing could not be switched"):
            await self._session.act("pool.set_wlb_enabled", await self._pool_ref(), on)

    async def mark(self, key: str, text: str | None) -> None:
        """See `port.Pool.mark`. Never set_other_config, which would undo others' changes: a key is removed (silent
        where there is none) and added."""
        async with self._told(f"{key} of the pool could not be changed"):
            pool = await self._pool_ref()
            await self._session.act("pool.remove_from_other_config", pool, key)
            if text is not None:
                await self._session.act("pool.add_to_other_config", pool, key, text)

    async def mark_host(self, host: Named, key: str, text: str | None) -> None:
        """See `port.Pool.mark_host`."""
        async with self._told(f"{key} of {host} could not be changed"):
            ref = await self._ref("host", host)
            await self._session.act("host.remove_from_other_config", ref, key)
            if text is not None:
                await self._session.act("host.add_to_other_config", ref, key, text)

    async def post(self, name: str, priority: int, body: str) -> None:
        """See `port.Pool.post`."""
        async with self._told("A message could not be left on the pool"):
            uuid = str(await self._session.read("pool.get_uuid", await self._pool_ref()))
            await self._session.act("message.create", name, str(priority), "Pool", uuid, body)

    async def posted(self, name: str, body: str) -> bool:
        """See `port.Pool.posted`."""
        async with self._told("The pool's messages could not be read"):
            there = await self._session.read("message.get_all_records")
        return any((one["name"], one["body"]) == (name, body) for one in there.values())

    async def database(self) -> bytes:
        """See `port.Pool.database`. `GET /pool/xmldbdump` (xen-api xapi-consts constants.ml, pool_db_backup.ml)."""
        async with self._told("The pool's database could not be kept"):
            await self._session.run("pool.sync_database")
            return await self._session.get("/pool/xmldbdump")

    async def note(self, key: str, text: str) -> bool:
        """See `port.Pool.note`: add_to_other_config is no upsert, so that of two who write one is told."""
        try:
            async with self._told(f"The note {key} could not be written into the pool"):
                await self._session.act("pool.add_to_other_config", await self._pool_ref(), key, text)
        except GiveUp as error:
            if error.code != "MAP_DUPLICATE_KEY":
                raise
            return False
        return True

    async def disable(self, host: Named) -> None:
        """See `port.Pool.disable`. auto_enable exists since 25.31.0 (xen-api datamodel_host.ml)."""
        async with self._told(f"{host} could not be disabled"):
            ref = await self._ref("host", host)
            if await self._knows_auto_enable(ref):
                try:
                    await self._session.run("host.disable", ref, False)
                except answers.Failure as error:
                    if error.code != "MESSAGE_PARAMETER_COUNT_MISMATCH":
                        raise
                else:
                    return
            await self._session.run("host.disable", ref)

    async def enable(self, host: Named) -> None:
        """See `port.Pool.enable`."""
        async with self._told(f"{host} could not be enabled"):
            await self._session.run("host.enable", await self._ref("host", host))

    async def move(self, vm: Named, to: Named, network: str, told: Told) -> None:
        """See `port.Pool.move`."""
        async with self._told(f"{vm} could not be moved to {to}"):
            options = {"live": "true"}
            if network:
                options["network"] = await self._network(network)
            await self._session.run(
                "VM.pool_migrate", await self._ref("VM", vm), await self._ref("host", to), options, told=told
            )

    async def evacuate(self, host: Named, network: str, told: Told) -> None:
        """See `port.Pool.evacuate`. The network came with 1.297.0, the batch size with 23.27.0; NULL and 0 are the
        defaults (xen-api datamodel_host.ml)."""
        async with self._told(f"{host} could not be emptied"):
            ref = await self._ref("host", host)
            through = await self._network(network) if network else reading.NULL
            signatures: tuple[tuple[object, ...], ...] = ((ref, through, "0"), (ref, through), (ref,))
            for params in signatures:
                try:
                    await self._session.run("host.evacuate", *params, told=told)
                except answers.Failure as error:
                    if error.code != "MESSAGE_PARAMETER_COUNT_MISMATCH" or params == signatures[-1]:
                        raise
                else:
                    return

    async def install(self, host: Named, told: Told) -> None:
        """See `port.Pool.install`."""
        async with self._told(f"{host} could not be updated"):
            updater.check_outcome(await self._plugin(host, "update", told=told))

    async def install_over(self, host: Named) -> None:
        """See `port.Pool.install_over`: the updater keeps a task in the pool while it installs."""
        async with self._told(f"The installation on {host} could not be followed"):
            await watching.until_none(self._session, lambda tasks: looks.update_tasks(tasks, host.uuid), None)

    async def reboot(self, host: Named) -> None:
        """See `port.Pool.reboot`."""
        async with self._told(f"{host} could not be rebooted"):
            await self._session.run("host.reboot", await self._ref("host", host))

    async def restart_toolstack(self, host: Named) -> None:
        """See `port.Pool.restart_toolstack`: `host.restart_agent` (xen-api xapi_host.ml) does it a second later."""
        async with self._told(f"The toolstack of {host} could not be restarted"):
            await self._session.run("host.restart_agent", await self._ref("host", host))

    async def gone_down(self, host: HostLook, within: float) -> bool:
        """See `port.Pool.gone_down`."""
        async with self._told(f"{host.named} could not be watched"):
            seconds, every = self._clock.machine_seconds(within), self._clock.machine_seconds(SLICE)
            return await watching.gone_down(self._session, host, address.port(self._access.url), seconds, every)

    # Fencing.

    async def end_session(self, uuid: str) -> bool:
        """See `port.Pool.end_session`."""
        async with self._told("The former executor's session could not be ended"):
            return await self._session.end_other(uuid)

    async def settle(self, run: str, step: str, told: Told) -> None:
        """See `port.Pool.settle`."""
        async with self._told("What is at work inside the pool could not be waited for"):
            await watching.until_none(self._session, lambda tasks: looks.working(tasks, run=run, step=step), told)

    async def give_up(self, run: str, step: str, told: Told) -> None:
        """See `port.Pool.give_up`. A task that may not be cancelled, or ends meanwhile, is only waited for."""
        async with self._told("What an earlier step left at work inside the pool could not be cancelled"):
            tasks = (await self._session.records(("task",)))["task"]
            for task in looks.working(tasks, run=run, step=step):
                with suppress(answers.Failure):
                    await self._session.act("task.cancel", task)
        await self.settle(run, step, told)

    async def close(self) -> None:
        """See `port.Pool.close`."""
        await self._session.close()

    # Inside.

    async def _records(self, classes: Sequence[str]) -> reading.Records:
        records = await self._session.records(classes)
        if "host" in records:
            self._saw(reading.addresses(records))
        return records

    async def _named(self, class_: str, ref: str) -> Named:
        uuid = await self._session.read(f"{class_}.get_uuid", ref)
        name = await self._session.read(f"{class_}.get_name_label", ref)
        return reading.named({"uuid": uuid, "name_label": name})

    async def _pool_ref(self) -> str:
        return str((await self._session.read("pool.get_all"))[0])

    async def _knows_auto_enable(self, host: str) -> bool:
        """Whether both the host and its master take host.disable's second parameter."""
        pool = await self._pool_ref()
        master = await self._session.read("pool.get_master", pool)
        software = [await self._session.read("host.get_software_version", ref) for ref in {host, str(master)}]
        return all(_numbers(one.get("xapi", "")) >= AUTO_ENABLE_SINCE for one in software)

    async def _plugin(self, host: Named, function: str, told: Told | None = None, **arguments: str) -> str:
        ref = await self._ref("host", host)
        return value(await self._session.run("host.call_plugin", ref, "updater.py", function, arguments, told=told))

    async def _asked(self, host: Named) -> surveying.Answers:
        offered, installed = await self.offered(host), await self.installed(host, packages.CEILING)
        offset = await self.servertime(host) - self._clock.now()
        return surveying.Answers(offered, installed, offset, await self._disk_free(host))

    async def _disk_free(self, host: Named) -> int | None:
        """Bytes free on a host's root disk, as XenCenter asks it of the plugin `disk-space` (xenadmin,
        DiskSpaceRequirements); None where the plugin is missing or says something else."""
        try:
            async with self._told(f"{host} could not be asked for its disk space"):
                ref = await self._ref("host", host)
                called = ("host.call_plugin", ref, "disk-space", "get_avail_host_disk_space")
                return int(value(await self._session.run(*called, {})))
        except (GiveUp, ValueError):
            return None


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
