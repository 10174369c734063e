"""The pools on which runs are struck: the smallest, and those whose VMs cannot all move, as their owners want them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from cli.judge import Promise

SMALL = "small"


@dataclass(frozen=True, slots=True)
class Scene:
    """A world of the simulator, the policy of the run on it, what its owner agreed to, and what may therefore be."""

    world: str
    policy: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    promise: Promise = field(default_factory=Promise)
    consents: tuple[str, ...] = ()


def _stopped(world: str, policy: Mapping[str, Any], *may_stop: str) -> Scene:
    return Scene(world, {**policy, "owner": "ops"}, Promise(may_stop=frozenset(may_stop)))


SCENES: Mapping[str, Scene] = {
    SMALL: Scene(SMALL),
    "a local disk": _stopped("local-disk", {"chains": {"local_disk": ["shutdown"]}}, "scratch"),
    "GPUs": _stopped("gpu", {"chains": {"device": ["shutdown"]}}, "render", "cad"),
    "a deaf guest": _stopped("deaf-guest", {"strategies": {"deaf": "shutdown"}, "hard_shutdown": True}, "deaf"),
    "one host": _stopped("one-host", {"chains": {"one_host": ["suspend", "shutdown"]}}, "web", "db", "mail"),
    "storage VMs": _stopped(
        "storage-vm", {"chains": {"storage_vm": ["shutdown"]}}, "filer-alpha", "filer-beta", "web", "db"
    ),
    "a disc in a drive": Scene("disc-in-drive", {"eject_discs": True}),
}
