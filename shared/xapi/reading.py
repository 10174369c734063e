"""XAPI's records to values in our words. Pure: records in, values by uuid out.

Records come from one `event.from` with an empty token, which is one consistent reading (xen-api xapi_event.ml).
Control domains, templates and snapshots are left out (snapshots are VM objects with is_a_template=true).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from shared.domain.errors import Unreadable
from shared.domain.model import HA, SR, VM, Host, PoolSettings, PoolSnapshot, Versions
from shared.domain.names import Named
from shared.xapi import belongings
from shared.xapi.belongings import Record as Record
from shared.xapi.belongings import Records as Records

NULL = "OpaqueRef:NULL"
LONGEST_NAME = 400
SURVEY_CLASSES = (
    "pool",
    "host",
    "host_metrics",
    "vm",
    "vm_metrics",
    "vbd",
    "vdi",
    "vif",
    "pif",
    "pbd",
    "sr",
    "network",
    "vm_group",
    "vm_appliance",
    "task",
    "sm",
)

PARAVIRTUAL = frozenset({"pv", "pvh", "pv_in_pvh"})
"""Types of guest that never lack a feature, tools or not (xen-api xapi_vm_lifecycle.ml)."""

NOTES = "rota:"
"""What keys of a pool's other_config begin with that a Rota wrote."""


def snapshot(records: Records, *, taken_at: float) -> PoolSnapshot:
    """The whole pool. `updates` and `prevents` are not in the records and are filled in by whoever asks for them.

    Raises Unreadable when the records hold no pool or no master.
    """
    pool = the_pool(records)
    master = records.get("host", {}).get(pool["master"])
    if master is None:
        raise Unreadable("The pool's records name no master.")
    return PoolSnapshot(
        uuid=pool["uuid"],
        name=pool_name(pool, master),
        master=master["uuid"],
        hosts=tuple(sorted((host(records, ref) for ref in records["host"]), key=lambda host: (host.name, host.uuid))),
        vms=tuple(sorted((vm(records, record) for record in guests(records)), key=lambda vm: (vm.name, vm.uuid))),
        srs=tuple(sorted((_sr(records, one) for one in _all(records, "sr")), key=lambda sr: (sr.name, sr.uuid))),
        networks=tuple(sorted(map(named, _all(records, "network")), key=lambda network: (network.name, network.uuid))),
        settings=settings(records),
        taken_at=taken_at,
    )


def host(records: Records, ref: str) -> Host:
    """One host, its updates not yet known."""
    record = records["host"][ref]
    metrics = records.get("host_metrics", {}).get(record["metrics"], {})
    srs = storage(records, ref)
    return Host(
        uuid=record["uuid"],
        name=named(record).name,
        address=record["address"],
        enabled=bool(record["enabled"]),
        live=bool(metrics.get("live", False)),
        memory_total=int(metrics.get("memory_total", 0)),
        memory_overhead=int(record["memory_overhead"]) + _control_domain(records, ref),
        boot_time=_seconds(record["other_config"].get("boot_time")),
        agent_start_time=_seconds(record["other_config"].get("agent_start_time")),
        versions=versions(record["software_version"]),
        updates=None,
        attached=tuple(sorted(sr for sr, attached in srs.items() if attached)),
        detached=tuple(sorted(sr for sr, attached in srs.items() if not attached)),
        networks=_networks_of_host(records, ref),
        cpu_vendor=str(record["cpu_info"].get("vendor", "")),
        cpu_features=str(record["cpu_info"].get("features_hvm", "")),
        tags=tuple(sorted(record.get("tags", ()))),
        networks_with_ip=_networks_with_ip(records, ref),
        control_domain_disks=held_by_control_domain(records, ref),
        suspend_sr=_uuid(records, "sr", record.get("suspend_image_sr", NULL)) or "",
    )


def held_by_control_domain(records: Records, host_ref: str) -> tuple[str, ...]:
    """Names of disks that a host's control domain holds."""
    return tuple(
        sorted(
            name
            for record in _all(records, "vm")
            if record["is_control_domain"] and record["resident_on"] == host_ref
            for name in belongings.held_by(records, record)
        )
    )


def _control_domain(records: Records, host_ref: str) -> int:
    """Bytes that a host's control domain takes: XAPI counts it with the VMs that are resident (memory_check.ml)."""
    return sum(
        int(record["memory_dynamic_min"]) + int(record["memory_overhead"])
        for record in _all(records, "vm")
        if record["is_control_domain"] and record["resident_on"] == host_ref
    )


def vm(records: Records, record: Record) -> VM:
    """One VM, not asked yet whether anything prevents its leaving."""
    metrics = records.get("vm_metrics", {}).get(record["metrics"], {})
    kind = metrics.get("current_domain_type") or record.get("domain_type", "")
    needed = "memory_static_max" if kind == "pv_in_pvh" else "memory_dynamic_min"
    return VM(
        uuid=record["uuid"],
        name=named(record).name,
        power_state=str(record["power_state"]).lower(),
        host=_uuid(records, "host", record["resident_on"]),
        memory=int(record[needed]),
        memory_now=_memory_now(record, metrics),
        memory_overhead=int(record["memory_overhead"]),
        srs=_srs_of(records, record),
        networks=_networks_of_vm(records, record),
        tags=tuple(sorted(record["tags"])),
        blocked_operations=dict(record["blocked_operations"]),
        strategy=strategy(record),
        group=_group(records, record),
        memory_max=int(record["memory_dynamic_max"]),
        operations=tuple(sorted(set(record["current_operations"].values()))),
        tools=kind in PARAVIRTUAL or record.get("guest_metrics", "") != NULL,
        devices=belongings.devices(records, record),
        disks=belongings.disks(records, record),
        discs=belongings.discs(records, record),
        cpu_features=str(record.get("last_boot_CPU_flags", {}).get("features", "")),
        appliance=_name_of(records, "vm_appliance", record.get("appliance", NULL)),
        start_order=int(record.get("order", 0)),
        start_delay=int(record.get("start_delay", 0)),
        suspend_sr=_uuid(records, "sr", record.get("suspend_SR", NULL)) or "",
        auto_poweron=record["other_config"].get("auto_poweron") == "true",
        wishes=belongings.wishes(record),
        suspended_on=_sr_of(records, record.get("suspend_VDI", NULL)),
        sendable="migrate_send" in record.get("allowed_operations", ("migrate_send",)),
    )


def settings(records: Records) -> PoolSettings:
    """The pool's settings that a run changes."""
    pool = the_pool(records)
    other = pool["other_config"]
    return PoolSettings(
        ha=_ha(records, pool),
        wlb_enabled=bool(pool["wlb_enabled"]),
        auto_poweron=other.get("auto_poweron"),
        rolling_upgrade_in_progress=other.get("rolling_upgrade_in_progress") == "true",
        migration_network=other.get("xo:migrationNetwork", ""),
        notes={key: text for key, text in other.items() if key.startswith(NOTES)},
        suspend_sr=_uuid(records, "sr", pool.get("suspend_image_SR", NULL)) or "",
    )


def addresses(records: Records) -> frozenset[str]:
    """The addresses of all hosts of the pool: who may be followed."""
    return frozenset(str(record["address"]) for record in _all(records, "host") if record["address"])


def by_uuid(records: Records, class_: str, uuid: str) -> str | None:
    """The ref of an object."""
    return next((ref for ref, record in records.get(class_, {}).items() if record["uuid"] == uuid), None)


def the_pool(records: Records) -> Record:
    """The one pool object. Raises Unreadable when there is none."""
    pool = next(iter(_all(records, "pool")), None)
    if pool is None:
        raise Unreadable("The answer holds no pool.")
    return pool


def named(record: Record) -> Named:
    """uuid and name of an object; its uuid where it has no name."""
    return Named(record["uuid"], str(record["name_label"] or record["uuid"])[:LONGEST_NAME])


def strategy(record: Record) -> str:
    """What the owner of a VM wants: other_config `rota.strategy`, else a tag `rota:<strategy>`; empty where neither.
    The tags `rota:canary` and `rota:serves:<sr>` say something else. A strategy that does not exist is passed on, so
    that it is refused."""
    told = record["other_config"].get("rota.strategy", "")
    tags = (tag.removeprefix("rota:") for tag in sorted(record["tags"]) if tag.startswith("rota:"))
    return str(told or next((tag for tag in tags if tag != "canary" and not tag.startswith("serves:")), ""))


def versions(software: Mapping[str, str]) -> Versions:
    """What a host runs; read at the start of its xapi, so it is stale between an update and the restart."""
    return Versions(
        platform=software.get("platform_version", ""),
        xapi=software.get("xapi", ""),
        xapi_build=software.get("xapi_build", ""),
        xen=software.get("xen", ""),
        linux=software.get("linux", ""),
        product=" ".join(filter(None, (software.get("product_brand"), software.get("product_version")))),
    )


def moment(text: str) -> float:
    """Seconds since 1970 of XAPI's date text, `20260101T00:00:00Z` (xen-api libs/clock/date.ml). Raises Unreadable."""
    try:
        return datetime.strptime(text, "%Y%m%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except (TypeError, ValueError) as error:
        raise Unreadable(f"The pool gave {text!r} as a time, which cannot be read.") from error


def refs_in(params: Iterable[str]) -> tuple[str, ...]:
    """The refs among an error's parameters, without the null ref."""
    return tuple(param for param in params if param.startswith("OpaqueRef:") and param != NULL)


def names(records: Records) -> dict[str, str]:
    """The names people know, by ref, of everything in the records that has one."""
    return {
        ref: named(record).name
        for table in records.values()
        for ref, record in table.items()
        if record.get("name_label")
    }


def guests(records: Records) -> Iterator[Record]:
    for record in _all(records, "vm"):
        if not (record["is_control_domain"] or record["is_a_template"] or record["is_a_snapshot"]):
            yield record


def _all(records: Records, class_: str) -> Iterable[Record]:
    return records.get(class_, {}).values()


def _uuid(records: Records, class_: str, ref: str) -> str | None:
    record = records.get(class_, {}).get(ref)
    return None if record is None else str(record["uuid"])


def _uuids(records: Records, class_: str, refs: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({uuid for ref in refs if (uuid := _uuid(records, class_, ref)) is not None}))


def pool_name(pool: Record, master: Record) -> str:
    """A pool without a name is shown under its master's, as XenCenter does."""
    return str(pool["name_label"] or master["name_label"] or pool["uuid"])[:LONGEST_NAME]


def _sr(records: Records, record: Record) -> SR:
    size = int(record.get("physical_size", 0))
    return SR(
        uuid=record["uuid"],
        name=named(record).name,
        type=record["type"],
        shared=bool(record["shared"]),
        free=max(0, size - int(record.get("physical_utilisation", 0))) if size > 0 else None,
        holds=str(record.get("content_type", "user")),
        size=max(0, size),
        tags=tuple(sorted(record.get("tags", ()))),
        migrates=_migrates(records, str(record["type"])),
    )


def _migrates(records: Records, type_: str) -> bool:
    """Whether the driver of a type of SR has what a move of disks needs (xen-api xapi_vm_migrate.ml,
    assert_sr_support_operations); where the pool does not tell of the driver, XAPI says so when it is asked."""
    features = [one.get("features", {}) for one in _all(records, "sm") if one.get("type") == type_]
    return not features or any({"VDI_SNAPSHOT", "VDI_MIRROR"} <= set(one) for one in features)


def _name_of(records: Records, class_: str, ref: str) -> str:
    record = records.get(class_, {}).get(ref)
    return "" if record is None else named(record).name


def _sr_of(records: Records, vdi: str) -> str:
    """The uuid of the SR that a disk lies on, or nothing."""
    record = records.get("vdi", {}).get(vdi)
    return "" if record is None else _uuid(records, "sr", record["SR"]) or ""


def _seconds(text: str | None) -> float | None:
    """OCaml's float text, `1767225600.`; the key is absent for a moment while xapi starts (dbsync_slave.ml)."""
    try:
        return None if text is None else float(text)
    except ValueError:
        return None


def storage(records: Records, host: str) -> dict[str, bool]:
    """SR uuid to whether its PBD on the host is attached."""
    found = {}
    for pbd in _all(records, "pbd"):
        if pbd["host"] == host and (sr := _uuid(records, "sr", pbd["SR"])) is not None:
            found[sr] = bool(pbd["currently_attached"])
    return found


def _networks_of_host(records: Records, host: str) -> tuple[str, ...]:
    """Networks of PIFs that are not a part of a bond (a bond's own PIF carries its network)."""
    pifs = (pif for pif in _all(records, "pif") if pif["host"] == host and pif["bond_slave_of"] in (NULL, ""))
    return _uuids(records, "network", (pif["network"] for pif in pifs))


def _networks_with_ip(records: Records, host: str) -> tuple[str, ...]:
    """Networks that a host has an address on, so that migrations can use them (else INTERFACE_HAS_NO_IP)."""
    pifs = (pif for pif in _all(records, "pif") if pif["host"] == host and (pif.get("IP") or any(pif.get("IPv6", ()))))
    return _uuids(records, "network", (pif["network"] for pif in pifs if pif.get("currently_attached", True)))


def _srs_of(records: Records, vm: Record) -> tuple[str, ...]:
    vbds = (records.get("vbd", {}).get(ref) for ref in vm["VBDs"])
    vdis = (records.get("vdi", {}).get(vbd["VDI"]) for vbd in vbds if vbd is not None and not vbd["empty"])
    return _uuids(records, "sr", (vdi["SR"] for vdi in vdis if vdi is not None))


def _networks_of_vm(records: Records, vm: Record) -> tuple[str, ...]:
    vifs = (records.get("vif", {}).get(ref) for ref in vm["VIFs"])
    return _uuids(records, "network", (vif["network"] for vif in vifs if vif is not None))


def _memory_now(vm: Record, metrics: Record) -> int:
    """What it has; XAPI's figure where there is one, else its target, else what it may grow to. 0 when it is off."""
    if str(vm["power_state"]).lower() not in ("running", "paused"):
        return 0
    return int(metrics.get("memory_actual", 0)) or int(vm["memory_target"]) or int(vm["memory_dynamic_max"])


def _group(records: Records, vm: Record) -> str:
    groups = (records.get("vm_group", {}).get(ref) for ref in vm.get("groups", ()))
    apart = sorted(group["uuid"] for group in groups if group is not None and group["placement"] == "anti_affinity")
    return apart[0] if apart else ""


def _ha(records: Records, pool: Record) -> HA:
    """HA with its SRs found through the statefiles' disks, which are gone once it is off."""
    vdis: Sequence[Record | None] = [records.get("vdi", {}).get(ref) for ref in pool["ha_statefiles"]]
    return HA(
        enabled=bool(pool["ha_enabled"]),
        heartbeat_srs=_uuids(records, "sr", (vdi["SR"] for vdi in vdis if vdi is not None)),
        configuration=dict(pool["ha_configuration"]),
        failures_to_tolerate=int(pool["ha_host_failures_to_tolerate"]),
    )
