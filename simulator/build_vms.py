"""Makes the rows of a VM: itself, its disks and drive, its interfaces, its metrics and the devices that bind it.

Used at the start and when an owner makes a VM later; nothing here runs it.
"""

from __future__ import annotations

from simulator.description import DiskSpec, VmSpec
from simulator.failure import NULL
from simulator.memory import memory_overhead
from simulator.operations import refresh_vm
from simulator.site import Site
from simulator.values import GIB, MIB, moment

POWER = {"running": "Running", "halted": "Halted", "suspended": "Suspended", "paused": "Paused"}


def build_vm(site: Site, spec: VmSpec, networks: dict[str, str]) -> str:
    """One VM with everything that belongs to it."""
    world = site.world
    host = site.named(spec.host).ref if spec.host else NULL
    power = POWER[spec.state]
    here = host if power in ("Running", "Paused") else NULL
    least = spec.memory_min if spec.memory_min is not None else spec.memory
    other = dict(spec.other_config)
    if spec.auto_poweron:
        other["auto_poweron"] = "true"
    ref = world.add(
        "VM",
        spec.name,
        name_label=spec.name,
        power_state=power,
        resident_on=here,
        tags=list(spec.tags),
        affinity=site.named(spec.affinity).ref if spec.affinity else NULL,
        memory_static_max=spec.memory,
        memory_static_min=min(least, GIB),
        memory_dynamic_max=spec.memory,
        memory_dynamic_min=least,
        memory_target=spec.memory if here != NULL else 0,
        VCPUs_max=spec.vcpus,
        VCPUs_at_startup=spec.vcpus,
        memory_overhead=memory_overhead(spec.memory, spec.vcpus, spec.domain_type),
        HVM_shadow_multiplier=1.0,
        domain_type=spec.domain_type,
        HVM_boot_policy="BIOS order" if spec.domain_type == "hvm" else "",
        HVM_boot_params={"order": "cd", "firmware": "bios"},
        other_config=other,
        blocked_operations=dict(spec.blocked),
        platform=platform(spec),
        ha_restart_priority=spec.ha,
        ha_always_run=spec.ha == "restart" and here != NULL,
        actions_after_shutdown="destroy",
        actions_after_reboot="restart",
        actions_after_crash="restart",
        domid=site.count("domid") if here != NULL else -1,
        has_vendor_device=False,
        domarch="",
        last_boot_CPU_flags=boot_flags(site, host) if power != "Halted" else {},
        hardware_platform_version=0,
        suspend_SR=world.find("SR", spec.suspend_sr) or NULL if spec.suspend_sr else NULL,
        groups=[group(site, spec.group)] if spec.group else [],
    )
    build_metrics(site, spec, ref, here)
    build_disks(site, spec, ref, here != NULL)
    build_interfaces(site, spec, ref, networks, here != NULL)
    build_devices(site, spec, ref, host)
    if power == "Suspended":
        build_suspend_image(site, ref, spec)
    refresh_vm(site, ref)
    return ref


def platform(spec: VmSpec) -> dict[str, str]:
    told = {"timeoffset": "0", "viridian": "false", "acpi": "1", "apic": "true", "pae": "true", "nx": "true"}
    if spec.nomigrate:
        told["nomigrate"] = "true"
    if spec.nested_virt:
        told["nested-virt"] = "true"
    return told


def boot_flags(site: Site, host: str) -> dict[str, str]:
    """The CPU features a VM sees when it boots on a host of this pool: the pool's common ones."""
    if host == NULL:
        return {}
    pool = site.pool_record["cpu_info"]
    return {"vendor": pool["vendor"], "features": pool["features_hvm"]}


def build_metrics(site: Site, spec: VmSpec, ref: str, here: str) -> None:
    world = site.world
    started = moment(site.clock.unix() - 20 * 86400) if here != NULL else moment(0)
    metrics = world.add(
        "VM_metrics",
        spec.name,
        memory_actual=spec.memory if here != NULL else 0,
        VCPUs_number=spec.vcpus,
        start_time=started,
        install_time=moment(site.clock.unix() - 300 * 86400),
        last_updated=site.today(),
        hvm=spec.domain_type == "hvm",
        nested_virt=spec.nested_virt,
        nomigrate=spec.nomigrate,
        current_domain_type=spec.domain_type if here != NULL else "unspecified",
    )
    world.change("VM", ref, metrics=metrics)
    if spec.tools and here != NULL:
        world.change("VM", ref, guest_metrics=build_guest_metrics(site, spec.name))


def build_guest_metrics(site: Site, name: str) -> str:
    """What PV tools in a guest that runs report."""
    number = site.count("guest metrics")
    return site.world.add(
        "VM_guest_metrics",
        f"{name}/{number}",
        live=True,
        last_updated=site.today(),
        PV_drivers_detected=True,
        PV_drivers_up_to_date=True,
        PV_drivers_version={"major": "8", "minor": "4", "micro": "0", "build": "1"},
        os_version={"name": "Debian GNU/Linux 12 (bookworm)", "uname": "6.1.0-30-amd64", "distro": "debian"},
        networks={"0/ip": f"192.0.2.{10 + number % 240}", "0/ipv4/0": f"192.0.2.{10 + number % 240}"},
        other={"feature-suspend": "1", "feature-shutdown": "1", "feature-reboot": "1", "feature-balloon": "1"},
        can_use_hotplug_vbd="yes",
        can_use_hotplug_vif="yes",
    )


def build_disks(site: Site, spec: VmSpec, ref: str, attached: bool) -> None:
    world = site.world
    for number, disk in enumerate(spec.disks):
        vdi = build_disk(site, spec.name, disk, number)
        world.add(
            "VBD",
            f"{spec.name}/{number}",
            VM=ref,
            VDI=vdi,
            device=f"xvd{chr(97 + number)}" if attached else "",
            userdevice=str(number),
            bootable=number == 0,
            mode="RW",
            type="Disk",
            unpluggable=number > 0,
            empty=False,
            currently_attached=attached,
        )
    iso = world.find("VDI", spec.iso) if spec.iso else None
    world.add(
        "VBD",
        f"{spec.name}/cd",
        VM=ref,
        VDI=iso or NULL,
        device="xvdd" if attached else "",
        userdevice="3",
        mode="RO",
        type="CD",
        unpluggable=True,
        empty=iso is None,
        currently_attached=attached,
    )


def build_disk(site: Site, owner: str, disk: DiskSpec, number: int) -> str:
    world = site.world
    sr = world.find("SR", disk.sr) if disk.sr else site.pool_record["default_SR"]
    used = disk.size * 2 // 5
    ref = world.add(
        "VDI",
        f"{owner}/{number}",
        name_label=f"{owner} disk {number}",
        SR=sr or NULL,
        virtual_size=disk.size,
        physical_utilisation=used,
        type="user",
        managed=True,
        cbt_enabled=disk.cbt,
        on_boot=disk.on_boot,
        location=world.name_uuid("VDI", f"{owner}/{number}"),
    )
    if sr and sr != NULL:
        take(site, sr, used, disk.size)
    for count in range(disk.snapshots):
        world.add(
            "VDI",
            f"{owner}/{number}/snapshot {count}",
            **{key: value for key, value in world.record("VDI", ref).items() if key not in NOT_IN_A_SNAPSHOT},
            is_a_snapshot=True,
            snapshot_of=ref,
            physical_utilisation=disk.size // 10,
            location=world.name_uuid("VDI", f"{owner}/{number}/snapshot {count}"),
        )
        if sr and sr != NULL:
            take(site, sr, disk.size // 10, disk.size)
    return ref


def take(site: Site, sr: str, used: int, size: int) -> None:
    """So much of an SR is taken, and so much promised."""
    record = site.world.record("SR", sr)
    site.world.change(
        "SR",
        sr,
        physical_utilisation=record["physical_utilisation"] + used,
        virtual_allocation=record["virtual_allocation"] + size,
    )


NOT_IN_A_SNAPSHOT = ("uuid", "VBDs", "snapshots", "is_a_snapshot", "snapshot_of", "physical_utilisation", "location")


def build_interfaces(site: Site, spec: VmSpec, ref: str, networks: dict[str, str], attached: bool) -> None:
    names = spec.networks if spec.networks is not None else tuple(networks)[:1]
    for number, name in enumerate(names):
        serial = site.count("mac")
        site.world.add(
            "VIF",
            f"{spec.name}/{number}",
            VM=ref,
            network=networks[name],
            device=str(number),
            MTU=1500,
            MAC=f"0a:00:00:{serial >> 16 & 255:02x}:{serial >> 8 & 255:02x}:{serial & 255:02x}",
            MAC_autogenerated=True,
            currently_attached=attached,
        )


def build_devices(site: Site, spec: VmSpec, ref: str, host: str) -> None:
    world = site.world
    if "pci" in spec.devices:
        pci = world.add(
            "PCI",
            f"pci/{spec.name}",
            host=host,
            class_name="3D controller",
            vendor_name="NVIDIA",
            device_name="GA100",
            pci_id="0000:3b:00.0",
            class_id="0302",
            vendor_id="10de",
            device_id="20b0",
        )
        world.change("VM", ref, attached_PCIs=[pci])
        world.change("VM", ref, other_config={**world.record("VM", ref)["other_config"], "pci": "0/0000:3b:00.0"})
    if "vgpu" in spec.devices:
        world.add("VGPU", spec.name, VM=ref, device="0", currently_attached=True)
    if "vusb" in spec.devices:
        world.add("VUSB", spec.name, VM=ref, currently_attached=True)
    if "sriov" in spec.devices:
        world.change("VM", ref, other_config={**world.record("VM", ref)["other_config"], "simulated:sriov": "true"})


def build_suspend_image(site: Site, ref: str, spec: VmSpec) -> None:
    sr = site.world.record("VM", ref)["suspend_SR"]
    sr = sr if sr != NULL else site.pool_record["suspend_image_SR"]
    image = site.world.add(
        "VDI",
        f"suspend/{spec.name}",
        name_label="Suspend image",
        SR=sr,
        type="suspend",
        virtual_size=spec.memory,
        physical_utilisation=spec.memory,
        managed=True,
    )
    site.world.change("VM", ref, suspend_VDI=image)


def group(site: Site, name: str) -> str:
    if "VM_group" not in site.world.rows:
        return NULL
    return site.world.find("VM_group", name) or site.world.add(
        "VM_group", name, name_label=name, placement="anti_affinity"
    )


def build_templates(site: Site) -> None:
    """One of the templates that every pool has, so that clients meet one."""
    site.world.add(
        "VM",
        "template/other",
        name_label="Other install media",
        is_a_template=True,
        is_default_template=True,
        power_state="Halted",
        memory_static_max=2 * GIB,
        memory_dynamic_max=2 * GIB,
        memory_dynamic_min=2 * GIB,
        memory_static_min=512 * MIB,
        VCPUs_max=1,
        VCPUs_at_startup=1,
        domain_type="hvm",
        domid=-1,
        other_config={"default_template": "true"},
        reference_label="other-install-media",
    )
