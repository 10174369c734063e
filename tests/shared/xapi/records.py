"""A pool's records as `event.from` gives them, only the fields that are read. Two hosts, one VM, one dom0, one of
everything else; tests change what they are about."""

from __future__ import annotations

from typing import Any

NULL = "OpaqueRef:NULL"
Table = dict[str, dict[str, dict[str, Any]]]


def ref(name: str) -> str:
    """The ref of a thing by its short name."""
    return f"OpaqueRef:{name}"


def host(name: str, **changed: Any) -> dict[str, Any]:
    """A host record."""
    return {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "address": f"10.0.0.{len(name)}",
        "enabled": True,
        "metrics": ref(f"metrics-{name}"),
        "memory_overhead": 100,
        "other_config": {"boot_time": "1767225600.", "agent_start_time": "1767225700."},
        "software_version": {"xapi": "26.1", "xapi_build": "26.1.3", "xen": "4.17.5-20.1", "linux": "4.19.0+1"},
        "cpu_info": {"vendor": "GenuineIntel"},
        "current_operations": {},
        **changed,
    }


def vm(name: str, on: str, **changed: Any) -> dict[str, Any]:
    """A running VM's record."""
    return {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "power_state": "Running",
        "is_control_domain": False,
        "is_a_template": False,
        "is_a_snapshot": False,
        "resident_on": ref(on),
        "scheduled_to_be_resident_on": NULL,
        "current_operations": {},
        "metrics": ref(f"metrics-{name}"),
        "memory_overhead": 9,
        "memory_dynamic_min": 1000,
        "memory_dynamic_max": 2000,
        "memory_static_max": 4000,
        "memory_target": 1500,
        "VBDs": [],
        "VIFs": [],
        "tags": [],
        "other_config": {},
        "blocked_operations": {},
        **changed,
    }


def task(name: str, **changed: Any) -> dict[str, Any]:
    """A pending task's record."""
    return {
        "uuid": f"uuid-{name}",
        "name_label": name,
        "status": "pending",
        "resident_on": ref("athos"),
        "other_config": {},
        **changed,
    }


def pool() -> Table:
    """A pool of athos, the master, and porthos; gitlab runs on athos."""
    return {
        "pool": {
            ref("pool"): {
                "uuid": "uuid-pool",
                "name_label": "lab",
                "master": ref("athos"),
                "ha_enabled": True,
                "ha_statefiles": [ref("statefile")],
                "ha_configuration": {"timeout": "60"},
                "ha_host_failures_to_tolerate": "1",
                "wlb_enabled": False,
                "other_config": {"auto_poweron": "true", "xo:migrationNetwork": "uuid-lan"},
            }
        },
        "host": {ref("athos"): host("athos"), ref("porthos"): host("porthos")},
        "host_metrics": {
            ref("metrics-athos"): {"live": True, "memory_total": "64000"},
            ref("metrics-porthos"): {"live": False, "memory_total": "32000"},
        },
        "vm": {
            ref("gitlab"): vm("gitlab", "athos", VBDs=[ref("vbd"), ref("cd")], VIFs=[ref("vif")]),
            ref("dom0"): vm("dom0", "athos", is_control_domain=True),
        },
        "vm_metrics": {ref("metrics-gitlab"): {"memory_actual": 1800, "current_domain_type": "hvm"}},
        "vbd": {
            ref("vbd"): {"empty": False, "VDI": ref("disk")},
            ref("cd"): {"empty": True, "VDI": NULL},
        },
        "vdi": {ref("disk"): {"SR": ref("nfs")}, ref("statefile"): {"SR": ref("nfs")}},
        "vif": {ref("vif"): {"network": ref("lan")}},
        "pif": {
            ref("bond"): {"host": ref("athos"), "network": ref("lan"), "bond_slave_of": NULL},
            ref("eth0"): {"host": ref("athos"), "network": ref("eth"), "bond_slave_of": ref("b")},
        },
        "pbd": {
            ref("pbd1"): {"host": ref("athos"), "SR": ref("nfs"), "currently_attached": True},
            ref("pbd2"): {"host": ref("porthos"), "SR": ref("nfs"), "currently_attached": False},
        },
        "sr": {ref("nfs"): {"uuid": "uuid-nfs", "name_label": "vms", "type": "nfs", "shared": True}},
        "network": {
            ref("lan"): {"uuid": "uuid-lan", "name_label": "LAN"},
            ref("eth"): {"uuid": "uuid-eth", "name_label": "eth0"},
        },
        "vm_group": {},
        "task": {},
    }
