"""A run while it is being read. `noting` and `stepping` write into it, fact by fact; `folding` closes it.

Mutable, and seen by nobody outside of one fold.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from services.reporter.report import Event, Hold, Obstacle, Owed, Said, Setting, State, Tone, TurnState, Untold, Wait
from shared.domain import acts, facts
from shared.domain.names import Named

StepState = Literal["waiting", "under_way", "done", "gave_up", "timed_out", "skipped", "dropped"]


@dataclass(slots=True)
class StepDraft:
    """A step: its tries as (from, until), why it failed each time, and what came of it."""

    id: str
    act: acts.Act
    state: StepState = "waiting"
    attempt: int = 0
    tries: list[tuple[float, float | None]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    result: acts.Result | None = None
    because: str = ""

    def begin(self, at: float, attempt: int) -> None:
        """Another try."""
        self.close(at)
        self.attempt = attempt
        self.tries.append((at, None))
        self.state, self.result = "under_way", None

    def close(self, at: float) -> None:
        """The try under way is over."""
        if self.tries and self.tries[-1][1] is None:
            self.tries[-1] = (self.tries[-1][0], at)

    def end(self, at: float, state: StepState, because: str = "") -> None:
        """The step is over, or waits for another try."""
        self.close(at)
        self.state, self.because = state, because


@dataclass(slots=True)
class TurnDraft:
    """A host's turn."""

    id: str
    host: Named
    master: bool
    estimate: float
    forecast: facts.ForecastTurn | None = None
    state: TurnState = "waiting"
    because: str = ""
    begun_at: float | None = None
    ended_at: float | None = None
    differences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(slots=True)
class Draft:
    """Everything that was read so far."""

    state: State = "requested"
    sentence: str = ""
    through: float = 0.0
    requested: facts.RunRequested | None = None
    refused: facts.RunRefused | None = None
    planned: facts.RunPlanned | None = None
    ended: facts.RunEnded | None = None
    times: dict[str, float] = field(default_factory=dict)
    turns: dict[str, TurnDraft] = field(default_factory=dict)
    steps: dict[str, StepDraft] = field(default_factory=dict)
    homes: dict[str, facts.Home] = field(default_factory=dict)
    at: dict[str, Named | None] = field(default_factory=dict)
    lost_sight: dict[str, str] = field(default_factory=dict)
    settings: dict[str, Setting] = field(default_factory=dict)
    owed: dict[str, Owed] = field(default_factory=dict)
    holds: list[Hold] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    said: list[Said] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    obstacles: tuple[Obstacle, ...] = ()
    events: list[Event] = field(default_factory=list)
    untold: dict[tuple[str, int], Untold] = field(default_factory=dict)
    before_hold: State = "running"

    def plan(self, planned: Iterable[facts.StepPlanned]) -> None:
        """Steps that are to be done; one that is known already keeps what is known of it."""
        for one in planned:
            self.steps.setdefault(one.step, StepDraft(one.step, one.act))

    def house(self, homes: Iterable[facts.Home]) -> None:
        """Where VMs live, and are at that moment."""
        for home in homes:
            self.homes[home.vm.uuid] = home
            self.at[home.vm.uuid] = home.host

    def tell(self, at: float, text: str, tone: Tone = "plain") -> None:
        """One line of the story; what was just said is not said again."""
        if text and not (self.events and self.events[-1].text == text):
            self.events.append(Event(at, text, tone))

    def hold_over(self, by: str, at: float) -> None:
        """Nobody is waited for any more."""
        if self.holds and self.holds[-1].until is None:
            last = self.holds[-1]
            self.holds[-1] = Hold(last.since, at, last.because, last.step, last.who_can_help, by)

    def wait_over(self, at: float) -> None:
        """Neither window nor approval is waited for any more."""
        if self.waits and self.waits[-1].until is None:
            self.waits[-1] = Wait(self.waits[-1].since, at, self.waits[-1].because)

    def reach(self, state: State, sentence: str, at: float) -> None:
        """The run is in another state; the first time of each is kept."""
        self.state, self.sentence = state, sentence
        self.times.setdefault(state, at)
