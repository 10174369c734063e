"""What LINSTOR says of its replicas (XOSTOR), read from the answer of `linstor-manager` `healthCheck`. Pure.

The plugin and what it answers: xcp-ng sm, drivers/linstor-manager, health_check; it is asked of the master with the
group's name from a PBD's device_config, as Xen Orchestra does (xo-server, api/xostor.mjs). Versions before put warnings
beside errors. A replica that is none of the plugin's good states counts as not whole, also where the plugin has no
error for it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from shared.domain.errors import Unreadable

TYPE = "linstor"
"""XAPI's type of such an SR."""

PLUGIN, FUNCTION = "linstor-manager", "healthCheck"

WHOLE = frozenset({"UpToDate", "Created", "Attached", "TieBreaker"})
"""States of a replica that the plugin takes for good. `Diskless` is one where no disk is wanted."""

KIND, OF_STORAGE_POOL, GENERIC = 0xFF0000, 0x30000, 0x10000
"""Where an error's code says what it is of. A storage pool that fills up says nothing of the replicas."""

NAMED = 3
"""So many are named in a sentence."""


def group(pbds: Iterable[Mapping[str, Any]], sr: str) -> str:
    """The name of the group that an SR's PBDs say; empty where none does."""
    names = (str(pbd["device_config"].get("group-name", "")) for pbd in pbds if pbd["SR"] == sr)
    return next(filter(None, names), "")


def trouble(text: str) -> str:
    """What is not whole, in a sentence without a stop; empty where everything is. Raises Unreadable."""
    try:
        told = json.loads(text)
        found = [*_errors(told), *_nodes(told), *_replicas(told)]
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError) as error:
        raise Unreadable(
            "The host's linstor-manager answered its health with something that cannot be read."
        ) from error
    return "; ".join(found)


def _errors(told: Mapping[str, Any]) -> Iterator[str]:
    for error in (*told.get("errors", ()), *told.get("warnings", ())):
        if int(error["code"]) & KIND == GENERIC:
            yield f"LINSTOR cannot be asked ({str(error.get('message', 'no reason given'))[:200]})"


def _nodes(told: Mapping[str, Any]) -> Iterator[str]:
    away = [f"{name} is {state}" for name, state in sorted(told["nodes"].items()) if state != "ONLINE"]
    if away:
        yield f"of its nodes {_listed(away)}"


def _replicas(told: Mapping[str, Any]) -> Iterator[str]:
    resources = told.get("resources", {})
    lacking: dict[str, str] = {}
    where: set[str] = set()
    for name, by_node in resources.items():
        for node, resource in by_node.get("nodes", by_node).items():
            for volume in resource["volumes"]:
                state = str(volume.get("disk-state") or "in no state that is told")
                diskless = state == "Diskless" and not resource.get("diskful", True)
                if state not in WHOLE and not diskless:
                    lacking[name] = f"{node} has it {state}"
                    where.add(node)
    if lacking:
        name, how = next(iter(sorted(lacking.items())))
        yield (
            f"{len(lacking)} of {len(resources)} volumes are not the same everywhere, for want of"
            f" {_listed(sorted(where))} ({name}: {how})"
        )


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more
