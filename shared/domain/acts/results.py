"""What each kind of act answers when it is done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field

from shared.domain.model import Package, Versions
from shared.domain.names import Named


@dataclass(frozen=True, slots=True)
class HostNoted:
    """What was read of a host immediately before its reboot was ordered; seconds since 1970, its own clock."""

    boot_time: float
    servertime: float
    versions: Versions = Versions()
    installed: Mapping[str, str] = field(default_factory=dict)
    kind: Literal["host_noted"] = "host_noted"


@dataclass(frozen=True, slots=True)
class SurveyTaken:
    """Where the snapshot lies (object store ROTA_SNAPSHOTS) and the digest of its bytes."""

    snapshot: str
    digest: str
    hosts: int
    vms: int
    kind: Literal["survey_taken"] = "survey_taken"


@dataclass(frozen=True, slots=True)
class Installed:
    """Which packages were installed; empty when nothing was waiting. `before` is each one's version and release from
    before, where it was there; `advisories` what their texts name, which are kept in part."""

    packages: tuple[Package, ...] = ()
    before: Mapping[str, str] = field(default_factory=dict)
    advisories: tuple[str, ...] = ()
    kind: Literal["installed"] = "installed"


@dataclass(frozen=True, slots=True)
class Moved:
    """A VM's move as it happened. `already` means that it stood there before anything was done;
    `gone` that its owner stopped, deleted or moved it meanwhile, so there was nothing to move; `copied` the bytes of
    disks that went with it."""

    already: bool = False
    gone: bool = False
    copied: int = 0
    kind: Literal["moved"] = "moved"


@dataclass(frozen=True, slots=True)
class Stopped:
    """A VM was shut down or suspended. `gone` when its owner had stopped or deleted it meanwhile, so that it is not
    ours to start again; `hard` when it was switched off."""

    gone: bool = False
    hard: bool = False
    kind: Literal["stopped"] = "stopped"


@dataclass(frozen=True, slots=True)
class Started:
    """A VM runs again, `down` seconds of pool time after it was told to stop. `gone` when it was left as its owner
    wants it: started elsewhere, stopped or deleted meanwhile."""

    down: float = 0.0
    gone: bool = False
    kind: Literal["started"] = "started"


@dataclass(frozen=True, slots=True)
class Swept:
    """The VMs that the sweep found and moved."""

    vms: tuple[Named, ...] = ()
    kind: Literal["swept"] = "swept"


@dataclass(frozen=True, slots=True)
class Checked:
    """What a gate repaired, in sentences, and the versions that the host runs now."""

    repaired: tuple[str, ...] = ()
    versions: Versions = Versions()
    kind: Literal["checked"] = "checked"


@dataclass(frozen=True, slots=True)
class Dumped:
    """Where the copy of the pool's database lies (object store ROTA_SNAPSHOTS); empty where none was kept. It is
    secret: it holds the pool's own."""

    name: str = ""
    size: int = 0
    kind: Literal["dumped"] = "dumped"


@dataclass(frozen=True, slots=True)
class Done:
    """Nothing more to say than that it is so; `already` when it was so before."""

    already: bool = False
    kind: Literal["done"] = "done"


Result = Annotated[
    SurveyTaken | HostNoted | Installed | Moved | Stopped | Started | Swept | Checked | Dumped | Done,
    Field(discriminator="kind"),
]
