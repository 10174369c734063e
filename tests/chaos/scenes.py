"""The pools on which runs are struck: the smallest, and those whose VMs cannot all move, as their owners want them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from cli.judge import Promise

SMALL = "small"
RECIPES = Path(__file__).parents[2] / "docs" / "recipes"


@dataclass(frozen=True, slots=True)
class Scene:
    """A world of the simulator, the policy of the run on it, what else rota.toml says of the pool, what may therefore
    be, and the text of the recipe that says all that, where one does."""

    world: str
    policy: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    pool: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    promise: Promise = field(default_factory=Promise)
    recipe: str = ""


def _recipe(name: str, *may_stop: str) -> Scene:
    """What people copy from docs/recipes, for the world that it names."""
    text = (RECIPES / f"{name}.toml").read_text(encoding="utf-8")
    world = text.splitlines()[0].rpartition("World: ")[2]
    pool = tomllib.loads(text)["pool"]["lab"]
    policy = pool.pop("policy", {})
    return Scene(world, policy, pool, Promise(may_stop=frozenset(may_stop)), text)


SCENES: Mapping[str, Scene] = {
    SMALL: Scene(SMALL),
    "a local disk": _recipe("local-disks", "scratch"),
    "devices": _recipe("devices", "render", "cad"),
    "a deaf guest": _recipe("deaf-guest", "deaf"),
    "one host": _recipe("one-host", "web", "db", "mail"),
    "a disc in a drive": _recipe("discs"),
    "storage VMs": _recipe("storage-vms", "filer-alpha", "filer-beta", "shop", "wiki", "db"),
    "XOSTOR": _recipe("xostor"),
    "local storage only": _recipe("local-only"),
}
