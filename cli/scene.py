"""A run as the live view shows it: hosts, their steps, and where each VM is. Values; `folding` makes them of facts.

What a run waits for in one sentence comes from its summary (KV ROTA_RUNS); the rest from its facts and from progress.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from shared.domain import acts, names
from shared.domain.names import Named
from shared.domain.summary import RunSummary

StepState = Literal["waiting", "ordered", "going", "done", "failed", "gave_up", "skipped"]
Seen = Literal["answering", "unreachable", "down"]

OPEN: frozenset[str] = frozenset({"ordered", "going"})
ENDED: frozenset[str] = frozenset({"done", "skipped"})


@dataclass(frozen=True, slots=True)
class StepLine:
    """A step. `share` is 0 to 1 where its doer says how far it is; `sentence` what it said last."""

    step: str
    act: acts.Act
    why: str
    state: StepState = "waiting"
    attempt: int = 0
    share: float = 0.0
    sentence: str = ""
    since: float = 0.0

    @property
    def kind(self) -> str:
        """The act's kind."""
        return self.act.kind

    @property
    def turn(self) -> str:
        """The turn it belongs to."""
        return names.turn_of(self.step)


@dataclass(frozen=True, slots=True)
class VMLine:
    """A VM. `at` is the uuid of the host it is on, None where that is not known; `to` the host it is moving to,
    and `step` the step that moves it."""

    vm: Named
    home: str
    at: str | None
    to: str | None = None
    step: str = ""


@dataclass(frozen=True, slots=True)
class TurnLine:
    """A host and its turn: `ended` is empty until the turn is over; `ahead` says what it will be."""

    turn: str
    host: Named
    master: bool
    begun: bool = False
    ended: str = ""
    sentence: str = ""
    ahead: str = ""


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything there is to draw. Keys are uuids, turn ids and step ids."""

    pool: str
    run: str
    turns: Mapping[str, TurnLine] = field(default_factory=dict)
    left_alone: tuple[Named, ...] = ()
    vms: Mapping[str, VMLine] = field(default_factory=dict)
    steps: Mapping[str, StepLine] = field(default_factory=dict)
    seen: Mapping[str, Seen] = field(default_factory=dict)
    summary: RunSummary | None = None
    sentence: str = ""
    at: float = 0.0

    def steps_of(self, turn: str) -> tuple[StepLine, ...]:
        """A turn's steps in the order of their numbers."""
        return tuple(line for _, line in sorted(self.steps.items()) if line.turn == turn)

    def on(self, host: str) -> tuple[VMLine, ...]:
        """The VMs on a host, by name."""
        return tuple(sorted((vm for vm in self.vms.values() if vm.at == host), key=lambda vm: vm.vm.name))

    def share_of(self, step: str) -> float:
        """How far a step is, 0 to 1."""
        line = self.steps.get(step)
        return line.share if line else 0.0
