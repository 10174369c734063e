"""What a run puts back on a pool, whatever it did meanwhile: what is attached, blocked, in a drive and noted."""

from __future__ import annotations

import json
from collections.abc import Mapping

from simulator.control import disks_of
from simulator.site import Site

AWAY = "noted as away"
"""What is said of disks and discs that may not go home yet: their VM is on a host that is newer than its home."""

Standing = Mapping[str, object]
"""How each thing stands, by a name a person knows."""


def seen(site: Site) -> Standing:
    """How everything stands on a pool now."""
    told: dict[str, object] = {}
    for _, pbd in site.world.all("PBD"):
        told[f"PBD of {site.name('SR', pbd['SR'])} on {site.name('host', pbd['host'])}"] = pbd["currently_attached"]
    config = site.pool_record["other_config"]
    notes = {key for key in config if key.startswith("rota:") and "installed" not in key}
    for _, vm in site.world.all("VM"):
        told[f"Blocked operations of {vm['name_label']}"] = dict(vm["blocked_operations"])
        note = f"rota:disks:{vm['uuid']}"
        told[f"Disks of {vm['name_label']}"] = AWAY if note in notes else disks_of(site, vm)
        notes.discard(note)
    for ref, drive in site.world.all("VBD"):
        if drive["type"] != "CD":
            continue
        told[f"Disc in drive {ref}"] = drive["VDI"]
        note = f"rota:disc:{drive['uuid']}"
        host = site.world.record("VM", drive["VM"])["resident_on"]
        if note in notes and site.world.record("host", host)["uuid"] != json.loads(config[note])["home"]:
            told[f"Disc in drive {ref}"] = AWAY
            notes.discard(note)
    told["Notes on the pool"] = sorted(notes)
    return told


def not_put_back(before: Standing, after: Standing, *, cancelled: bool) -> list[str]:
    """What does not stand as it did, in sentences. A run that was cancelled may leave disks and discs away which may
    not go home yet; that each is owed then, `harm` sees."""
    return [
        f"{what} was {before[what]} and is {value}."
        for what, value in after.items()
        if before[what] != value and not (cancelled and value == AWAY)
    ]
