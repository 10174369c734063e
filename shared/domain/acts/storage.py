"""Acts on storage that a VM of the pool serves: seen to be unused, detached, attached again. See `acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class CheckUnused:
    """See, before anything is detached, that nothing uses an SR any more and that its storage VM is alone on its host.
    Backups are waited for, so many minutes of pool time."""

    sr: Named
    vm: Named
    host: Named
    backup_minutes: float = 240.0
    kind: Literal["check_unused"] = "check_unused"


@dataclass(frozen=True, slots=True)
class UnplugPBD:
    """Detach an SR from a host, because the VM that serves it (`vm`) is about to be stopped."""

    sr: Named
    host: Named
    vm: Named
    kind: Literal["unplug_pbd"] = "unplug_pbd"


@dataclass(frozen=True, slots=True)
class PlugPBD:
    """Attach an SR to a host again, once the VM that serves it (`vm`) runs: again and again for so many minutes of pool
    time, because its export may be slow to answer."""

    sr: Named
    host: Named
    vm: Named
    minutes: float = 15.0
    kind: Literal["plug_pbd"] = "plug_pbd"
