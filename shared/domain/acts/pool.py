"""Acts on a pool as a whole: read it, claim it, change what must be off meanwhile and put it back, ask its owner. See
`acts`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from shared.domain.model import HA
from shared.domain.names import Named

Setting = Literal["ha", "wlb", "auto_poweron"]
"""The settings of a pool that a run changes and puts back."""


@dataclass(frozen=True, slots=True)
class Survey:
    """Read the whole pool once and store it as a snapshot. With `updates` the hosts' updaters are asked too: those of
    `hosts`, or of all where none are named."""

    pool_name: str = ""
    updates: bool = True
    kind: Literal["survey"] = "survey"
    hosts: tuple[Named, ...] = ()


@dataclass(frozen=True, slots=True)
class ChangePoolSetting:
    """Set `ha` or `wlb` off, or `auto_poweron` to "false", for the run; `before` is what was noted."""

    setting: Setting
    before: str | HA | None = None
    kind: Literal["change_pool_setting"] = "change_pool_setting"


@dataclass(frozen=True, slots=True)
class RestorePoolSetting:
    """Put back a setting to what was noted before the run: `ha` to its HA value, `wlb` "true", `auto_poweron` its
    text, or None to remove the key. Only what Rota changed."""

    setting: Setting
    before: str | HA | None = None
    kind: Literal["restore_pool_setting"] = "restore_pool_setting"


@dataclass(frozen=True, slots=True)
class ClaimPool:
    """Write this run's claim into the pool's other_config (`rota:claim`), where another Rota, or a person with nothing
    but XAPI, finds it. Another's claim is never overwritten, but for `replaces`, a leftover of our own."""

    claim: str
    replaces: str = ""
    kind: Literal["claim_pool"] = "claim_pool"


@dataclass(frozen=True, slots=True)
class ReleasePool:
    """Take this run's claim, and no other, out of the pool's other_config."""

    claim: str
    kind: Literal["release_pool"] = "release_pool"


@dataclass(frozen=True, slots=True)
class DumpDatabase:
    """Have the pool's database written to its members (`pool.sync_database`), and keep a copy in ROTA_SNAPSHOTS. A dump
    taken while the upgrade flag is set is a dummy and is not kept (xen-api pool_db_backup.ml)."""

    pool_name: str = ""
    kind: Literal["dump_database"] = "dump_database"


@dataclass(frozen=True, slots=True)
class PostMessage:
    """Leave a message on the pool (`message.create`), which XenCenter and Xen Orchestra show: that a run began, waits
    for a person, or is over. `since` is the pool time of the hold that is told of; the text of a run's end is filled in
    when the step is ordered."""

    about: Literal["began", "held", "ended"]
    text: str = ""
    since: float = 0.0
    kind: Literal["post_message"] = "post_message"


@dataclass(frozen=True, slots=True)
class AskGate:
    """Ask a gate of the owner's, which must say yes. `gate` is its name in rota.toml; what it is and how it is asked
    the executor knows. `host` is the one whose turn it is."""

    gate: str
    when: Literal["before_run", "before_turn", "after_turn", "after_run"]
    host: Named | None = None
    kind: Literal["ask_gate"] = "ask_gate"
