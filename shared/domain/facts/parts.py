"""Values that facts are made of: an edge of the graph, a step as planned, a home, a blocker, a debt."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from shared.domain.acts import Act
from shared.domain.facts.root import Value
from shared.domain.names import Name, Named, Seconds, Sentence, Token


class Need(Value):
    """An edge of the graph: the step that must have ended first, and why."""

    step: Token
    because: Sentence


class StepPlanned(Value):
    """A step as planned. `if_it_fails`: `hold` the run, or go on and `warn`. `why` is the sentence that people see."""

    step: Token
    act: Act
    needs: tuple[Need, ...] = ()
    why: Sentence = ""
    if_it_fails: Literal["hold", "warn"] = "hold"


class Home(Value):
    """Where a VM lives."""

    vm: Named
    host: Named


class Blocker(Value):
    """Something that stands in the way: the sentence names the thing, the cause and the fix."""

    sentence: Sentence
    code: Name = ""
    host: Named | None = None
    vm: Named | None = None


class Debt(Value):
    """Why a setting cannot be put back now: what must come first, and the command a person could give."""

    setting: Name
    condition: Sentence
    command: Sentence


class Measured(Value):
    """What a turn took, for the next estimate: seconds of pool time of the installation and from the reboot's order
    until the host was back (0: there was none), bytes that were moved, and the seconds of all moves together; the same
    of VMs that took their disks along, by the bytes of these."""

    install_seconds: Seconds = 0.0
    boot_seconds: Seconds = 0.0
    moved_bytes: int = 0
    moving_seconds: Seconds = 0.0
    copied_bytes: int = 0
    copying_seconds: Seconds = 0.0


class Details(Value):
    """Free data that a reader may show and never decides on."""

    data: Mapping[str, Any] = Field(default_factory=dict)
