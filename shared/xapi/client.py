"""The pool in our words, over one XAPI session: here uuids become refs, verbs calls, and codes errors.

Every act is an Async call whose end is seen by events; nothing is polled. What XAPI's error codes mean stands in
`faults`, what its records mean in `reading`.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from shared.clock import Clock
from shared.domain.errors import GiveUp, Superseded, TryAgain, Unreadable
from shared.domain.model import HA, Evacuation, Host, Package, PoolSnapshot
from shared.domain.names import Named
from shared.xapi import address, answers, faults, reading, updater
from shared.xapi.port import Access, HostLook, NotAnswered, PoolLook, Told, VMLook
from shared.xapi.session import Session, TaskLost, value

NO_ANSWER = "NO_ANSWER"
"""The code of a pool that did not answer, where XAPI has none."""

UNTRUSTED = "UNTRUSTED"

AGAIN = 10.0
"""Pool seconds after which a pool that did not answer may be asked again: a toolstack restart takes about as long."""

BUSY_TRIES = 20
BUSY_PAUSE = 6.0
"""A busy updater is asked again so often, with so many pool seconds between: others ask it for minutes at most, and
what installs is waited for by its task."""

SLICE = 60.0
"""Pool seconds after which a host that should go down, and has not been seen to, is knocked at."""

KNOCK = 3.0
"""Machine seconds a knock at a host's own port may take."""

ASKED = 180.0
"""Machine seconds that a long question may take (VMs that prevent an evacuation are judged one by one)."""

SAME_BOOT = 60.0
"""Two boot_times of the same boot differ by less, in seconds: xapi works them out again at each start (conduct 1)."""

ASK_AT_ONCE = 4
"""Hosts whose updaters are asked at once."""

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
        raise NotAnswered(f"{doing}: {error.because}", after=AGAIN, code=NO_ANSWER) from error
    except answers.Failure as error:
        raise faults.error(error.code, error.params, doing) from error
    return Client(session, access, run=run, clock=clock, saw=saw)


class Client:
    """Made by `login`; keeps the promise of `port.Pool`."""

    def __init__(
        self, session: Session, access: Access, *, run: str, clock: Clock, saw: Callable[[frozenset[str]], None]
    ) -> None:
        self._session = session
        self._access = access
        self._run = run
        self._clock = clock
        self._saw = saw

    @property
    def session(self) -> str:
        """See `port.Pool.session`."""
        return self._session.uuid

    # What can be seen.

    async def survey(self, *, updates: bool, at: float) -> PoolSnapshot:
        """See `port.Pool.survey`. A host that cannot be asked for updates says why in `updates_unknown_because`."""
        async with self._errors("The pool could not be surveyed"):
            records = await self._records(reading.SURVEY_CLASSES)
            pool = reading.snapshot(records, taken_at=at)
        prevents = await self._prevents(records)
        asked = await self._with_updates_each(pool.hosts) if updates else pool.hosts
        vms = tuple(replace(vm, prevents=prevents.get(vm.uuid)) for vm in pool.vms)
        return replace(pool, hosts=asked, vms=vms)

    async def look(self) -> PoolLook:
        """See `port.Pool.look`."""
        async with self._errors("The pool's settings could not be read"):
            return reading.pool_look(await self._records(reading.POOL_CLASSES))

    async def host(self, host: Named) -> HostLook:
        """See `port.Pool.host`."""
        async with self._errors(f"{host} could not be looked at"):
            found = reading.host_look(await self._records(reading.HOST_CLASSES), host.uuid, run=self._run)
        if found is None:
            raise GiveUp(f"The pool has no host {host} ({host.uuid}) any more.", code="UUID_INVALID")
        return found

    async def vm(self, vm: Named) -> VMLook | None:
        """See `port.Pool.vm`."""
        try:
            async with self._errors(f"{vm} could not be looked at"):
                record = await self._session.read("VM.get_record", await self._ref("VM", vm))
                there = record["resident_on"]
                named = None if there == reading.NULL else await self._named("host", there)
        except GiveUp as error:
            if error.code in ("UUID_INVALID", "HANDLE_INVALID"):
                return None
            raise
        return reading.vm_look(record, named)

    async def come_to_rest(self, vm: Named, within: float) -> bool:
        """See `port.Pool.come_to_rest`."""
        async with self._errors(f"{vm} could not be watched"):
            return await self._session.until_record(
                "vm",
                await self._ref("VM", vm),
                lambda record: record is None or not reading.is_moving(record),
                self._clock.machine_seconds(within),
            )

    async def servertime(self, host: Named) -> float:
        """See `port.Pool.servertime`."""
        async with self._errors(f"{host} could not be asked for its time"):
            return reading.moment(await self._session.read("host.get_servertime", await self._ref("host", host)))

    async def offered(self, host: Named) -> tuple[Package, ...]:
        """See `port.Pool.offered`."""
        doing = f"{host} could not be asked for its updates"
        for tries in range(1, BUSY_TRIES + 1):
            try:
                async with self._errors(doing):
                    return updater.offered(await self._plugin(host, "check_update"))
            except TryAgain as error:
                if error.code != faults.UPDATER_BUSY or tries == BUSY_TRIES:
                    raise
            await self._clock.sleep(BUSY_PAUSE)
        raise AssertionError("unreachable")

    async def installed(self, host: Named, names: Sequence[str]) -> Mapping[str, str]:
        """See `port.Pool.installed`."""
        async with self._errors(f"{host} could not be asked for its packages"):
            return updater.installed(await self._plugin(host, "query_installed", packages=" ".join(names)))

    # What can be asked.

    async def disable_ha(self) -> None:
        """See `port.Pool.disable_ha`."""
        async with self._errors("HA could not be switched off"):
            await self._session.run("pool.disable_ha")

    async def enable_ha(self, ha: HA) -> None:
        """See `port.Pool.enable_ha`."""
        async with self._errors("HA could not be switched on again"):
            srs = [await self._session.read("SR.get_by_uuid", uuid) for uuid in ha.heartbeat_srs]
            await self._session.run("pool.enable_ha", srs, dict(ha.configuration))

    async def tolerate_failures(self, hosts: int) -> None:
        """See `port.Pool.tolerate_failures`."""
        async with self._errors(f"HA could not be told to plan for {hosts} failing hosts"):
            await self._session.run("pool.set_ha_host_failures_to_tolerate", await self._pool_ref(), str(hosts))

    async def set_wlb(self, on: bool) -> None:
        """See `port.Pool.set_wlb`."""
        async with self._errors("Workload balancing could not be switched"):
            await self._session.act("pool.set_wlb_enabled", await self._pool_ref(), on)

    async def set_auto_poweron(self, value: str | None) -> None:
        """See `port.Pool.set_auto_poweron`. Never set_other_config, which would undo others' changes: a key is removed
        (silent where there is none) and added."""
        async with self._errors("auto_poweron could not be changed"):
            pool = await self._pool_ref()
            await self._session.act("pool.remove_from_other_config", pool, "auto_poweron")
            if value is not None:
                await self._session.act("pool.add_to_other_config", pool, "auto_poweron", value)

    async def disable(self, host: Named) -> None:
        """See `port.Pool.disable`. auto_enable exists since 25.31.0 (xen-api datamodel_host.ml)."""
        async with self._errors(f"{host} could not be disabled"):
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
        async with self._errors(f"{host} could not be enabled"):
            await self._session.run("host.enable", await self._ref("host", host))

    async def move(self, vm: Named, to: Named, network: str, told: Told) -> None:
        """See `port.Pool.move`."""
        async with self._errors(f"{vm} could not be moved to {to}"):
            options = {"live": "true"}
            if network:
                options["network"] = await self._network(network)
            await self._session.run(
                "VM.pool_migrate", await self._ref("VM", vm), await self._ref("host", to), options, told=told
            )

    async def evacuate(self, host: Named, network: str, told: Told) -> None:
        """See `port.Pool.evacuate`. The network came with 1.297.0, the batch size with 23.27.0; NULL and 0 are the
        defaults (xen-api datamodel_host.ml)."""
        async with self._errors(f"{host} could not be emptied"):
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
        async with self._errors(f"{host} could not be updated"):
            updater.check_outcome(await self._plugin(host, "update", told=told))

    async def install_over(self, host: Named) -> None:
        """See `port.Pool.install_over`: the updater keeps a task in the pool while it installs."""
        async with self._errors(f"The installation on {host} could not be followed"):
            await self._until_none(lambda tasks: reading.update_tasks(tasks, host.uuid), None)

    async def reboot(self, host: Named) -> None:
        """See `port.Pool.reboot`."""
        async with self._errors(f"{host} could not be rebooted"):
            await self._session.run("host.reboot", await self._ref("host", host))

    async def gone_down(self, host: HostLook, within: float) -> bool:
        """See `port.Pool.gone_down`. Seen by the pool (live, boot_time); after a while also by nobody taking
        connections at its own address, where somebody did before; of a master the end of the connection is the sign."""
        end, answered = self._clock.now() + within, await self._knock(host.address)
        try:
            while (left := end - self._clock.now()) > 0:
                if await self._down_within(host, min(left, SLICE)):
                    return True
                if left > SLICE and answered and not await self._knock(host.address):
                    return True
        except answers.NoAnswer as error:
            if host.master:
                return True
            raise NotAnswered(f"{host.named} could not be watched: {error.because}", after=AGAIN) from error
        except answers.SessionGone as error:
            raise Superseded("The session was ended.") from error
        except answers.Failure as error:
            raise faults.error(error.code, error.params, f"{host.named} could not be watched") from error
        return False

    async def plug(self, host: Named, sr: Named) -> bool:
        """See `port.Pool.plug`."""
        async with self._errors(f"{sr} could not be attached to {host}"):
            records = await self._records(("pbd", "sr", "host"))
            ref, there = reading.by_uuid(records, "sr", sr.uuid), reading.by_uuid(records, "host", host.uuid)
            found = (pbd for pbd, one in records["pbd"].items() if one["SR"] == ref and one["host"] == there)
            if ref is None or (pbd := next(found, None)) is None:
                return False
            await self._session.run("PBD.plug", pbd)
            return True

    # Fencing.

    async def end_session(self, uuid: str) -> bool:
        """See `port.Pool.end_session`."""
        async with self._errors("The former executor's session could not be ended"):
            return await self._session.end_other(uuid)

    async def settle(self, run: str, step: str, told: Told) -> None:
        """See `port.Pool.settle`."""
        async with self._errors("What is at work inside the pool could not be waited for"):
            await self._until_none(lambda tasks: reading.working(tasks, run=run, step=step), told)

    async def close(self) -> None:
        """See `port.Pool.close`."""
        await self._session.close()

    # Inside.

    async def _records(self, classes: Sequence[str]) -> reading.Records:
        records = await self._session.records(classes)
        if "host" in records:
            self._saw(reading.addresses(records))
        return records

    async def _ref(self, class_: str, thing: Named) -> str:
        return str(await self._session.read(f"{class_}.get_by_uuid", thing.uuid))

    async def _named(self, class_: str, ref: str) -> Named:
        uuid = await self._session.read(f"{class_}.get_uuid", ref)
        name = await self._session.read(f"{class_}.get_name_label", ref)
        return reading.named({"uuid": uuid, "name_label": name})

    async def _pool_ref(self) -> str:
        return str((await self._session.read("pool.get_all"))[0])

    async def _network(self, wanted: str) -> str:
        """A network's ref by its uuid or its name."""
        networks = (await self._session.records(("network",)))["network"]
        found = [ref for ref, one in networks.items() if wanted in (one["uuid"], one["name_label"])]
        if not found:
            raise GiveUp(f"The pool has no network {wanted} for migrations; put right migration_network.")
        return found[0]

    async def _knows_auto_enable(self, host: str) -> bool:
        """Whether both the host and its master take host.disable's second parameter."""
        pool = await self._pool_ref()
        master = await self._session.read("pool.get_master", pool)
        software = [await self._session.read("host.get_software_version", ref) for ref in {host, str(master)}]
        return all(_numbers(one.get("xapi", "")) >= AUTO_ENABLE_SINCE for one in software)

    async def _plugin(self, host: Named, function: str, told: Told | None = None, **arguments: str) -> str:
        ref = await self._ref("host", host)
        return value(await self._session.run("host.call_plugin", ref, "updater.py", function, arguments, told=told))

    async def _prevents(self, records: reading.Records) -> dict[str, Evacuation]:
        """What XAPI says stands in the way of each VM, by VM uuid."""
        names, found = reading.names(records), dict[str, Evacuation]()
        for ref, host in records["host"].items():
            async with self._errors(f"{host['name_label']} could not be asked which VMs cannot leave it"):
                said = await self._session.read("host.get_vms_which_prevent_evacuation", ref, timeout=ASKED)
            for vm, (code, *params) in said.items():
                if vm in records["vm"]:
                    told = tuple(names.get(param, param) for param in params)
                    found[records["vm"][vm]["uuid"]] = Evacuation(code, told)
        return found

    async def _with_updates_each(self, hosts: Sequence[Host]) -> tuple[Host, ...]:
        """Each host with its updates, a few at once: looking for them takes a host some seconds to a minute."""
        found: list[Host] = []
        for first in range(0, len(hosts), ASK_AT_ONCE):
            found += await asyncio.gather(*map(self._with_updates, hosts[first : first + ASK_AT_ONCE]))
        return tuple(found)

    async def _with_updates(self, host: Host) -> Host:
        if not host.live:
            return replace(host, updates_unknown_because=f"{host.name} is not live, so it could not be asked.")
        try:
            return replace(host, updates=await self.offered(host.named))
        except (NotAnswered, Superseded):
            raise
        except (TryAgain, GiveUp) as error:
            return replace(host, updates_unknown_because=error.because)

    async def _down_within(self, host: HostLook, seconds: float) -> bool:
        def seen(records: reading.Records) -> bool:
            ref = reading.by_uuid(records, "host", host.named.uuid)
            return ref is None or _is_down(reading.host(records, ref), host)

        return await self._session.until(("host", "host_metrics"), seen, self._clock.machine_seconds(seconds))

    async def _knock(self, at: str) -> bool:
        """Whether anybody takes a connection at a host's own address."""
        try:
            async with asyncio.timeout(KNOCK):
                _, writer = await asyncio.open_connection(at, address.port(self._access.url))
        except OSError:
            return False
        writer.close()
        return True

    async def _until_none(
        self, left: Callable[[Mapping[str, reading.Record]], Mapping[str, reading.Record]], told: Told | None
    ) -> None:
        """Wait until no task is left; each is followed to its end, whatever that is."""
        while tasks := left((await self._session.records(("task",)))["task"]):
            try:
                await self._session.over(next(iter(tasks)), told)
            except (answers.SessionGone, answers.HostIsSlave, answers.Emergency):
                raise
            except (answers.Failure, TaskLost):
                continue

    @asynccontextmanager
    async def _errors(self, doing: str) -> AsyncIterator[None]:
        """What XAPI answers, turned into what to do next."""
        try:
            yield
        except answers.SessionGone as error:
            raise Superseded(f"{doing}: the session was ended.") from error
        except answers.Failure as error:
            raise faults.error(error.code, await self._told(error.params), doing) from error
        except answers.NoAnswer as error:
            raise NotAnswered(f"{doing}: {error.because}", after=AGAIN, code=NO_ANSWER) from error
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise Unreadable(f"{doing}: the pool's answer cannot be understood ({error!r}).") from error

    async def _told(self, params: Sequence[str]) -> list[str]:
        """An error's parameters with names for refs; a thing that is gone is told as such."""
        names = {ref: await self._name(ref) for ref in reading.refs_in(params)}
        return [names.get(param, param) for param in params]

    async def _name(self, ref: str) -> str:
        for class_ in ("VM", "host", "SR", "network", "VDI", "task"):
            try:
                return str(await self._session.read(f"{class_}.get_name_label", ref) or "something without a name")
            except (answers.Failure, answers.NoAnswer):
                continue
        return "something that is gone"


def _is_down(now: Host, before: HostLook) -> bool:
    """Down, or up again already: not live any more, or a boot_time that is no toolstack restart's (conduct 1)."""
    if now.boot_time is None or before.boot_time is None:
        return not now.live
    return not now.live or abs(now.boot_time - before.boot_time) > SAME_BOOT


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
