"""Makes the rows of a pool from what a world file says of it.

Only the start: what changes later is the calls' and the machines' own doing.
"""

from __future__ import annotations

from simulator import machine as machines
from simulator import repository
from simulator.build_vms import build_templates, build_vm
from simulator.clock import Clock
from simulator.description import HostSpec, NetworkSpec, SrSpec, WorldSpec
from simulator.failure import NULL
from simulator.journal import Journal
from simulator.machine import CLOSED, OPEN, Machine
from simulator.processes import Group
from simulator.profiles import load
from simulator.schema import schema_of
from simulator.site import Site, is_guest, refresh_host
from simulator.values import GIB, MIB, moment, ocaml_float
from simulator.world import World

SHARED_TYPES = ("nfs", "lvmoiscsi", "lvmohba", "lvmofcoe", "smb", "cephfs", "gfs2", "linstor", "moosefs", "iso")


def build(spec: WorldSpec, clock: Clock, journal: Journal, seed: str, addresses: list[str]) -> Site:
    """The site as the world file describes it, at second 0, with its first lines in the journal."""
    profile = load(spec.profile)
    world = World(schema_of(profile.xapi), seed)
    site = Site(spec, profile, world, clock, journal)
    pool = world.add("pool", "pool", name_label=spec.pool.name, tags=list(spec.pool.tags))
    networks = {one.name: build_network(site, one, number) for number, one in enumerate(spec.networks)}
    for host, address in zip(spec.hosts, addresses, strict=True):
        build_host(site, host, address)
    for number, network in enumerate(spec.networks):
        for place, machine in enumerate(site.machines.values()):
            build_pif(site, network, networks[network.name], machine, number, place)
    for sr in (*spec.srs, *local_srs(spec)):
        build_sr(site, sr)
    finish_pool(site, pool)
    build_templates(site)
    for vm in spec.vms:
        build_vm(site, vm, networks)
    finish_ha(site, pool)
    if not profile.updater:
        repository.build(site)
    for ref in site.machines:
        refresh_host(site, ref)
    write_start(site)
    return site


def local_srs(spec: WorldSpec) -> list[SrSpec]:
    return [
        SrSpec(name=f"Local storage on {host.name}", type="ext", size=host.local_sr, host=host.name)
        for host in spec.hosts
        if host.local_sr
    ]


def build_host(site: Site, spec: HostSpec, address: str) -> Machine:
    world, profile = site.world, site.profile
    metrics = world.add(
        "host_metrics",
        spec.name,
        memory_total=spec.memory,
        live=spec.live,
        last_updated=site.today(),
        memory_free=spec.memory - spec.dom0_memory,
    )
    installed = machines.installed_at_start(spec, profile)
    running = (
        installed
        if not spec.patched
        else {**installed, **machines.installed_at_start(HostSpec(name=spec.name, packages=spec.packages), profile)}
    )
    ref = world.add(
        "host",
        spec.name,
        name_label=spec.name,
        hostname=spec.name,
        address=address,
        metrics=metrics,
        enabled=spec.enabled and spec.live,
        memory_overhead=512 * MIB + spec.memory // 128,
        tags=list(spec.tags),
        API_version_major=profile.api_version[0],
        API_version_minor=profile.api_version[1],
        API_version_vendor="XenSource",
        cpu_info=cpu_info(spec),
        cpu_configuration={},
        sched_policy="credit",
        capabilities=["xen-3.0-x86_64", "hvm-3.0-x86_32", "hvm-3.0-x86_32p", "hvm-3.0-x86_64", ""],
        supported_bootloaders=["pygrub", "eliloader"],
        edition="xcp-ng" if profile.updater else "premium-per-socket",
        virtual_hardware_platform_versions=[0, 1, 2],
        power_on_mode=spec.power_on_mode,
        tls_verification_enabled=True,
        iscsi_iqn=f"iqn.2026-01.example:{spec.name}",
        multipathing=False,
        https_only=False,
        ssl_legacy=False,
        license_params={"expiry": "20991231T23:59:59Z", "sku_type": "xcp-ng"},
        chipset_info={"iommu": "true"},
    )
    machine = Machine(
        name=spec.name,
        ref=ref,
        spec=spec,
        address=address,
        xapi=Group(site.scheduler, f"xapi of {spec.name}"),
        system=Group(site.scheduler, spec.name),
        hardware=Group(site.scheduler, spec.name),
        installed=dict(installed),
        running=dict(running),
        offered=machines.offered_at_start(spec, profile),
        clock_offset=spec.clock_offset,
        boot_seconds=spec.boot,
        install_seconds=spec.install,
    )
    site.machines[ref] = machine
    site.flows.widths |= {f"{spec.name} out": spec.nic, f"{spec.name} in": spec.nic, f"{spec.name} disk": 200e6}
    start_machine(site, machine)
    return machine


def start_machine(site: Site, machine: Machine) -> None:
    """The traces that a boot long before the start has left."""
    spec, world = machine.spec, site.world
    booted = site.clock.unix() + machine.clock_offset - (30 + site.chance("boot", spec.name).random()) * 86400
    machine.booted_at, machine.agent_started_at = booted, booted + 95
    times = {"boot_time": ocaml_float(float(int(booted))), "agent_start_time": ocaml_float(float(int(booted) + 95))}
    world.change(
        "host",
        machine.ref,
        software_version=machines.software_version(machine, site.profile),
        other_config={**spec.other_config, **times, "iscsi_iqn": f"iqn.2026-01.example:{spec.name}"},
    )
    if not spec.live:
        machine.powered, machine.door, machine.joined = False, CLOSED, False
    else:
        machine.door = OPEN
    control = world.add(
        "VM",
        f"dom0/{spec.name}",
        name_label=f"Control domain on host: {spec.name}",
        is_control_domain=True,
        power_state="Running" if spec.live else "Halted",
        resident_on=machine.ref,
        domid=0,
        memory_static_max=spec.dom0_memory,
        memory_static_min=spec.dom0_memory,
        memory_dynamic_max=spec.dom0_memory,
        memory_dynamic_min=spec.dom0_memory,
        memory_target=spec.dom0_memory,
        VCPUs_max=4,
        VCPUs_at_startup=4,
        domain_type="pv",
        affinity=machine.ref,
        domarch="x64",
        metrics=world.add(
            "VM_metrics",
            f"dom0/{spec.name}",
            memory_actual=spec.dom0_memory,
            VCPUs_number=4,
            start_time=moment(booted),
            last_updated=site.today(),
            current_domain_type="pv",
        ),
    )
    world.change("host", machine.ref, control_domain=control)


def cpu_info(spec: HostSpec) -> dict[str, str]:
    return {
        "cpu_count": str(spec.cpus),
        "socket_count": "1",
        "threads_per_core": "2",
        "nr_nodes": "1",
        "vendor": spec.cpu_vendor,
        "speed": "2400.000",
        "family": "6",
        "model": "85",
        "stepping": "7",
        "modelname": "Intel(R) Xeon(R) Silver 4214 CPU @ 2.40GHz" if spec.cpu_vendor == "GenuineIntel" else "AMD EPYC",
        "flags": "fpu de tsc msr pae mce cx8 apic sep mca cmov pat clflush acpi mmx fxsr sse sse2",
        "features_pv": spec.cpu_features,
        "features_hvm": spec.cpu_features,
        "features_pv_host": spec.cpu_features,
        "features_hvm_host": spec.cpu_features,
    }


def build_network(site: Site, spec: NetworkSpec, number: int) -> str:
    return site.world.add(
        "network", spec.name, name_label=spec.name, bridge=f"xenbr{number}", other_config={}, managed=True
    )


def build_pif(site: Site, spec: NetworkSpec, network: str, machine: Machine, number: int, place: int) -> None:
    if machine.name in spec.missing_on:
        return
    addressed = spec.management or spec.ip
    site.world.add(
        "PIF",
        f"{spec.name}/{machine.name}",
        device=f"eth{number}",
        network=network,
        host=machine.ref,
        MAC=f"02:00:{number:02x}:00:00:{place + 1:02x}",
        MTU=1500,
        VLAN=-1,
        physical=True,
        managed=True,
        currently_attached=machine.name not in spec.unplugged_on,
        management=spec.management,
        ip_configuration_mode="Static" if addressed else "None",
        IP=machine.address if spec.management else f"10.{number}.0.{place + 1}" if spec.ip else "",
        netmask="255.255.255.0" if addressed else "",
        capabilities=["sriov"] if number == 0 else [],
    )


def build_sr(site: Site, spec: SrSpec) -> None:
    world = site.world
    shared = spec.shared if spec.shared is not None else (not spec.host and spec.type in SHARED_TYPES)
    ref = world.add(
        "SR",
        spec.name,
        name_label=spec.name,
        type=spec.type,
        shared=shared,
        physical_size=spec.size,
        content_type="iso" if spec.type == "iso" else "user",
        clustered=spec.type == "gfs2",
        is_tools_sr=spec.tools,
        tags=list(spec.tags),
        other_config={},
        sm_config={},
    )
    build_driver(site, spec.type)
    places = [site.named(spec.host)] if spec.host else list(site.machines.values())
    for machine in places:
        world.add(
            "PBD",
            f"{spec.name}/{machine.name}",
            SR=ref,
            host=machine.ref,
            device_config=device_config(spec),
            currently_attached=machine.name not in spec.unplugged_on and machine.spec.live,
        )
    for iso in spec.isos:
        size = 600 * MIB
        world.add(
            "VDI",
            f"iso/{iso}",
            name_label=iso,
            SR=ref,
            virtual_size=size,
            physical_utilisation=size,
            type="user",
            sharable=True,
            read_only=True,
            managed=True,
            location=iso,
            is_tools_iso=spec.tools,
        )


def build_driver(site: Site, type_: str) -> None:
    """The driver of a type of SR, with what it can do; a type that no SR of the world lets migrate cannot mirror."""
    if site.world.find("SM", type_):
        return
    features = {"SR_PROBE": 1, "SR_UPDATE": 1, "VDI_CREATE": 1, "VDI_ATTACH": 1}
    if type_ not in ("iso", "udev"):
        features |= {"VDI_SNAPSHOT": 1, "VDI_CLONE": 1, "VDI_RESIZE": 1}
        alike = [one.migrates for one in site.spec.srs if one.type == type_]
        if any(alike) or not alike:
            features["VDI_MIRROR"] = 1
    site.world.add(
        "SM", type_, name_label=type_, type=type_, features=features, capabilities=sorted(features), vendor="simulated"
    )


def device_config(spec: SrSpec) -> dict[str, str]:
    if spec.type in ("nfs", "iso"):
        path = f"/export/{spec.name.lower().replace(' ', '-')}"
        return {"server": spec.served_by or "nas.example", "serverpath": path}
    if spec.type == "linstor":
        return {"group-name": "linstor_group/thin_device", "redundancy": "2", "provisioning": "thin"}
    return {"device": "/dev/sda3"} if spec.host else {"target": "san.example"}


def finish_pool(site: Site, pool: str) -> None:
    spec, world = site.spec, site.world
    master = next((one.name for one in spec.hosts if one.master), spec.hosts[0].name)
    default = next((one.name for one in spec.srs if one.default), None)
    sr = world.find("SR", default) if default else None
    other = dict(spec.pool.other_config)
    if spec.pool.auto_poweron is not None:
        other["auto_poweron"] = str(spec.pool.auto_poweron).lower()
    world.change(
        "pool",
        pool,
        master=site.named(master).ref,
        default_SR=sr or NULL,
        suspend_image_SR=sr or NULL,
        crash_dump_SR=sr or NULL,
        other_config=other,
        wlb_enabled=spec.pool.wlb,
        cpu_info=pool_cpu_info(spec),
        wlb_url="wlb.example:8012" if spec.pool.wlb else "",
        migration_compression=spec.pool.migration_compression,
        tls_verification_enabled=True,
        allowed_operations=["ha_enable", "designate_new_master", "apply_updates"],
        igmp_snooping_enabled=False,
        restrictions={"restrict_pool_attached_storage": "false"},
    )


def pool_cpu_info(spec: WorldSpec) -> dict[str, str]:
    told = cpu_info(spec.hosts[0])
    features = spec.hosts[0].cpu_features
    for host in spec.hosts:
        features = common_features(features, host.cpu_features)
    return {
        "vendor": told["vendor"],
        "cpu_count": str(sum(host.cpus for host in spec.hosts)),
        "socket_count": str(len(spec.hosts)),
        "features_hvm": features,
        "features_pv": features,
    }


def common_features(one: str, other: str) -> str:
    """The CPU features that both have, as XAPI's dashed hexadecimal groups."""
    pairs = zip(one.split("-"), other.split("-"), strict=False)
    return "-".join(f"{int(a, 16) & int(b, 16):08x}" for a, b in pairs)


def finish_ha(site: Site, pool: str) -> None:
    told = site.spec.pool.ha
    if not told.enabled:
        return
    names = told.srs or tuple(one.name for one in site.spec.srs if one.default)
    files = [build_statefile(site, name) for name in names]
    site.world.change(
        "pool",
        pool,
        ha_enabled=True,
        ha_statefiles=files,
        ha_host_failures_to_tolerate=told.failures,
        ha_plan_exists_for=told.failures,
        ha_configuration=dict(told.configuration),
        ha_cluster_stack="xhad",
        allowed_operations=["ha_disable"],
    )
    for host in site.machines:
        site.world.change("host", host, ha_statefiles=files, ha_network_peers=list(site.machines))


def build_statefile(site: Site, sr: str) -> str:
    """The disk that HA's heartbeats go to, on an SR of that name."""
    return site.world.add(
        "VDI",
        f"statefile/{sr}/{site.count('statefile')}",
        name_label="Statefile for HA",
        SR=site.world.find("SR", sr),
        virtual_size=4 * MIB,
        type="ha_statefile",
        sharable=True,
        managed=True,
        location=f"statefile-{sr}",
    )


def write_start(site: Site) -> None:
    """The journal's first lines: every host, VM and setting as the world starts."""
    for machine in site.machines.values():
        state = "enabled" if site.world.record("host", machine.ref)["enabled"] else "disabled"
        site.journal.write(
            "host",
            host=machine.name,
            state=state if machine.powered else "down",
            master=machine is site.master,
            updates=len(machine.waiting()),
            memory=machine.spec.memory,
        )
    for _, record in site.world.all("VM"):
        if is_guest(record):
            site.journal.write(
                "vm",
                vm=record["name_label"],
                state=record["power_state"].lower(),
                host=site.name("host", record["resident_on"]),
            )
    pool = site.pool_record
    settings = {"ha_enabled": pool["ha_enabled"], "wlb_enabled": pool["wlb_enabled"], "other_config.auto_poweron": None}
    settings |= {f"other_config.{key}": value for key, value in pool["other_config"].items()}
    for setting, value in settings.items():
        site.journal.write("pool", setting=setting, before=None, value=value)


__all__ = ["GIB", "build"]
