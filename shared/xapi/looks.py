"""What a step sees before it acts: a host, a VM, the pool's settings, and the tasks that are at work. Pure, as
`reading`: records in, values out.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from shared.domain.names import Named
from shared.xapi import reading
from shared.xapi.port import DiskUse, HostLook, PoolLook, SRLook, VMLook
from shared.xapi.reading import NULL, Record, Records

RUN_TAG = "http:rota-run"
STEP_TAG = "http:rota-step"
"""Keys in a task's other_config that the HTTP headers `x-http-other-config-rota-run` and `-step` leave
(xen-api context.ml get_http_other_config)."""


HOST_CLASSES = ("pool", "host", "host_metrics", "vm", "pbd", "sr", "task")
POOL_CLASSES = ("pool", "vdi", "sr", "host")
SR_CLASSES = ("sr", "pbd", "vdi", "vbd", "vm", "host")


def pool_look(records: Records) -> PoolLook:
    """The pool and its settings."""
    pool = reading.the_pool(records)
    master = records.get("host", {}).get(pool["master"], {"uuid": "", "name_label": ""})
    return PoolLook(Named(pool["uuid"], reading.pool_name(pool, master)), reading.settings(records))


def host_look(records: Records, uuid: str, *, run: str) -> HostLook | None:
    """One host as a step must see it before it acts, all of one reading; None when the pool has no such host.

    A task that was tagged with `run` is ours; every other pending one on the host is somebody else's.
    """
    ref = reading.by_uuid(records, "host", uuid)
    if ref is None:
        return None
    record = records["host"][ref]
    value = reading.host(records, ref)
    residents = [vm for vm in reading.guests(records) if vm["resident_on"] == ref]
    arriving = [
        vm for vm in reading.guests(records) if vm["scheduled_to_be_resident_on"] == ref and vm["resident_on"] != ref
    ]
    return HostLook(
        named=reading.named(record),
        master=reading.the_pool(records)["master"] == ref,
        address=value.address,
        enabled=value.enabled,
        live=value.live,
        boot_time=value.boot_time,
        versions=value.versions,
        residents=tuple(_vm_looks(records, residents)),
        arriving=tuple(_vm_looks(records, arriving)),
        tasks_of_others=tuple(sorted(tasks_of_others(records, ref, run))),
        storage=reading.storage(records, ref),
        agent_start_time=value.agent_start_time,
        exports=tuple(sorted(_exports(records))) if reading.the_pool(records)["master"] == ref else (),
    )


def sr_look(records: Records, uuid: str) -> SRLook | None:
    """An SR, its PBDs and who has a disk of it attached, all of one reading; None when there is no such SR."""
    ref = reading.by_uuid(records, "sr", uuid)
    if ref is None:
        return None
    pbds = [pbd for pbd in records.get("pbd", {}).values() if pbd["SR"] == ref and pbd["currently_attached"]]
    hosts = [records["host"][pbd["host"]] for pbd in pbds if pbd["host"] in records["host"]]
    vdis = {vdi: one for vdi, one in records.get("vdi", {}).items() if one["SR"] == ref}
    return SRLook(
        attached=tuple(sorted(map(reading.named, hosts), key=lambda host: host.name)),
        uses=tuple(_uses(records, vdis)),
        operations=tuple(
            f"{operation} of {one['name_label'] or one['uuid']}"
            for one in vdis.values()
            for operation in sorted(set(one.get("current_operations", {}).values()))
        ),
    )


def _uses(records: Records, vdis: Mapping[str, Record]) -> Iterator[DiskUse]:
    """As PBD.unplug judges it: of VMs that are resident on a host, so not of those that are suspended (xen-api
    xapi_pbd.ml get_active_vdis_by_pbd)."""
    for vbd in records.get("vbd", {}).values():
        vm = records.get("vm", {}).get(vbd["VM"])
        if vbd["VDI"] in vdis and vbd["currently_attached"] and vm is not None and vm["resident_on"] != NULL:
            disk = vdis[vbd["VDI"]]
            name = str(disk["name_label"] or disk["uuid"])
            yield DiskUse(name, reading.named(vm).name, bool(vm["is_control_domain"]))


def _exports(records: Records) -> Iterator[str]:
    """The names of VMs that are being exported."""
    for vm in reading.guests(records):
        if "export" in vm["current_operations"].values():
            yield reading.named(vm).name


def vm_look(record: Record, resident_on: Named | None) -> VMLook | None:
    """One VM as a step must see it; None when it is not a VM any more but a template."""
    if record["is_a_template"]:
        return None
    return VMLook(reading.named(record), str(record["power_state"]).lower(), resident_on, is_moving(record))


def is_moving(vm: Record) -> bool:
    """Whether a VM is on its way to another host."""
    under_way = set(vm["current_operations"].values())
    return vm["scheduled_to_be_resident_on"] != NULL or not under_way.isdisjoint(("pool_migrate", "migrate_send"))


def working(tasks: Mapping[str, Record], *, run: str, step: str) -> dict[str, Record]:
    """The tasks that a step has inside the pool and that are not over, by ref."""
    return {
        ref: task
        for ref, task in tasks.items()
        if task["other_config"].get(RUN_TAG) == run
        and task["other_config"].get(STEP_TAG) == step
        and task["status"] in ("pending", "cancelling")
    }


def update_tasks(tasks: Mapping[str, Record], host: str) -> dict[str, Record]:
    """The pool tasks that the updater plugin keeps while it installs on a host, found by the host's uuid in the name
    (`Update host NAME (UUID)`, xcp-ng-xapi-plugins updater.py), by ref."""
    return {
        ref: task
        for ref, task in tasks.items()
        if str(task["name_label"]).startswith("Update")
        and f"({host})" in task["name_label"]
        and task["status"] in ("pending", "cancelling")
    }


def _vm_looks(records: Records, found: Iterable[Record]) -> Iterator[VMLook]:
    for record in sorted(found, key=lambda record: (str(record["name_label"]), str(record["uuid"]))):
        home = records["host"].get(record["resident_on"])
        on = reading.named(home) if home is not None else None
        yield VMLook(reading.named(record), str(record["power_state"]).lower(), on, is_moving(record))


def tasks_of_others(records: Records, host: str, run: str) -> Iterator[str]:
    """The names of what runs on a host (its ref) and is not of this run: tasks that say so themselves, those that hold
    it by an operation of its own, and an installation. Where a call was forwarded to XAPI does not tell its clients."""
    record = records["host"][host]
    tasks = records.get("task", {})
    by_name = update_tasks(tasks, record["uuid"])
    for ref, task in tasks.items():
        there = task["resident_on"] == host or ref in record["current_operations"] or ref in by_name
        pending = task["status"] in ("pending", "cancelling")
        if there and pending and task["other_config"].get(RUN_TAG) != run:
            yield str(task["name_label"] or task["uuid"])
