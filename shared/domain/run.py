"""A run as a value, and the two tables of its life.

`evolve` folds facts into it by these tables, and `docs/run-states.md` is printed from them. No clock, no I/O, no
decision here: what follows from a run is the planner's to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType

from shared.domain import acts, facts
from shared.domain.names import Named, step_id, turn_of
from shared.domain.policy import Policy
from shared.domain.window import Window

PREPARATION = "t00"
RESTORATION = "t99"


class StepState(Enum):
    """Where a step is in its life."""

    WAITING = "waiting"
    ORDERED = "ordered"
    SUCCEEDED = "succeeded"
    GAVE_UP = "gave_up"
    TIMED_OUT = "timed_out"
    SKIPPED = "skipped"


class RunState(Enum):
    """Where a run is in its life."""

    REQUESTED = "requested"
    SURVEYING = "surveying"
    PLANNED = "planned"
    AWAITING_APPROVAL = "awaiting_approval"
    RUNNING = "running"
    PAUSED = "paused"
    HELD = "held"
    WAITING_FOR_WINDOW = "waiting_for_window"
    FINISHING = "finishing"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class Step:
    """A step of an open turn. Times are pool time, seconds since 1970; `tries_from` is the attempt from which failures
    count against the policy (a person's retry starts the count anew)."""

    id: str
    act: acts.Act
    needs: tuple[facts.Need, ...] = ()
    why: str = ""
    if_it_fails: str = "hold"
    state: StepState = StepState.WAITING
    attempt: int = 0
    tries_from: int = 0
    ordered_at: float = 0.0
    heard_at: float = 0.0
    not_before: float = 0.0
    until: float = 0.0
    ended_at: float = 0.0
    started: bool = False
    result: acts.Result | None = None
    because: str = ""
    code: str = ""
    who_can_help: str = ""
    debt: facts.Debt | None = None
    go_back_to: str = ""

    @property
    def settled(self) -> bool:
        """Nothing more is to be done for it and others may go on."""
        return self.state in (StepState.SUCCEEDED, StepState.SKIPPED)

    @property
    def failed(self) -> bool:
        """It ended without coming to be, and somebody must say what follows."""
        return self.state in (StepState.GAVE_UP, StepState.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Turn:
    """A turn that is open. `host` is None for the run's preparation and restoration."""

    id: str
    host: Named | None
    master: bool
    begun_at: float
    steps: Mapping[str, Step]
    planned: bool = False
    turned_back: bool = False
    estimate: float = 0.0
    differences: tuple[str, ...] = ()
    changes: tuple[str, ...] = ()

    def of_kind(self, kind: str) -> tuple[Step, ...]:
        """Its steps of one kind, in the order they were planned."""
        return tuple(step for step in self.steps.values() if step.act.kind == kind)

    def put(self) -> dict[str, str]:
        """Where its moves and starts have put VMs so far (uuids of VM and host), each by the last."""
        ended = [
            (step.ended_at, step.act.vm.uuid, _put(step.act))
            for step in self.steps.values()
            if isinstance(step.act, (acts.MigrateVM, acts.StartVM, acts.ResumeVM))
            and step.state is StepState.SUCCEEDED
            and not (isinstance(step.result, acts.Started) and step.result.gone)
            and not (isinstance(step.act, acts.MigrateVM) and step.act.to == step.act.away_from)
        ]
        return {vm: host for _, vm, host in sorted(ended, key=lambda one: one[0])}

    @property
    def next_step(self) -> str:
        """The id of a step that joins it."""
        return step_id(self.id, len(self.steps) + 1)

    @property
    def settled(self) -> bool:
        """Whether all of its steps are settled."""
        return all(step.settled for step in self.steps.values())


def _put(act: acts.MigrateVM | acts.Start) -> str:
    return act.to.uuid if isinstance(act, acts.MigrateVM) else act.host.uuid


@dataclass(frozen=True, slots=True)
class Closed:
    """A turn that is over, as a summary."""

    id: str
    host: Named | None
    master: bool
    outcome: str
    sentence: str
    steps: int
    last_boot: float = 0.0
    warnings: tuple[str, ...] = ()
    ended_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a run waits for a person; `seen_by` is who looks after it."""

    since: float
    because: str
    step: str | None
    who_can_help: str
    seen_by: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What people are to approve: `about` the plan, or a turn by its id; `by` are those who said yes so far."""

    about: str
    digest: str
    sentence: str
    needed: int
    until: float
    by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Cancel:
    """How a run was told to end."""

    at: float
    by: str
    now: bool
    sentences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Owed:
    """A setting that could not be put back yet."""

    setting: str
    because: str
    condition: str
    command: str
    since: float
    act: acts.Act


@dataclass(frozen=True, slots=True)
class Run:
    """One carrying-out. Open turns are tables of steps, closed ones summaries. `skipped` has hosts that are left out,
    by uuid, with who said so (empty: policy); `forgiven` counts failed hosts after which a person let it go on.
    `window` is when its turns may begin, `waiting` why it waits for that, `approved` what people approved and
    `approved_by` who, `consents` the VMs, by name, tag or uuid, that its order agreed to have stopped. `put` is where
    the moves of closed turns have left VMs (uuids of VM and host)."""

    id: str
    pool: str
    order: str
    by: str
    reason: str
    policy: Policy
    requested_at: float
    digest: str = ""
    state: RunState = RunState.REQUESTED
    before_hold: RunState = RunState.RUNNING
    turns: Mapping[str, Turn] = field(default_factory=dict)
    closed: tuple[Closed, ...] = ()
    forecast: facts.Forecast | None = None
    snapshot: str = ""
    always: tuple[facts.StepPlanned, ...] = ()
    homes: Mapping[str, facts.Home] = field(default_factory=dict)
    began_at: float = 0.0
    ended_at: float = 0.0
    hold: Hold | None = None
    cancel: Cancel | None = None
    lost: tuple[str, ...] = ()
    skipped: Mapping[str, str] = field(default_factory=dict)
    forgiven: int = 0
    master: Named | None = None
    purpose: str = "update"
    warnings: tuple[str, ...] = ()
    owed: tuple[Owed, ...] = ()
    stranded: Mapping[str, Named] = field(default_factory=dict)
    put: Mapping[str, str] = field(default_factory=dict)
    outcome: facts.Outcome | None = None
    sentence: str = ""
    blockers: tuple[facts.Blocker, ...] = ()
    window: Window | None = None
    waiting: str = ""
    asked: Asked | None = None
    approved: Mapping[str, str] = field(default_factory=dict)
    approved_by: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    consents: tuple[str, ...] = ()

    @property
    def failures(self) -> int:
        """How many hosts have failed in it since a person last let it go on."""
        return sum(1 for turn in self.closed if turn.outcome == "failed") - self.forgiven

    @property
    def open(self) -> bool:
        """Whether it still has the pool."""
        return self.state is not RunState.ENDED

    def step(self, id: str) -> Step | None:
        """A step of an open turn, or None."""
        turn = self.turns.get(turn_of(id))
        return turn.steps.get(id) if turn else None

    def steps(self) -> Iterator[Step]:
        """All steps of open turns."""
        for turn in self.turns.values():
            yield from turn.steps.values()


# --- the tables -------------------------------------------------------------------------------------------------------

_W, _O, _S = StepState.WAITING, StepState.ORDERED, StepState.SUCCEEDED
_G, _T, _K = StepState.GAVE_UP, StepState.TIMED_OUT, StepState.SKIPPED

STEP_TABLE: Mapping[tuple[StepState, str], StepState] = MappingProxyType(
    {
        (_W, "step_ordered"): _O,
        (_W, "wait_began"): _O,
        (_W, "step_gave_up"): _G,
        (_W, "step_skipped"): _K,
        (_W, "step_succeeded"): _S,  # a late success of an earlier attempt
        (_O, "step_started"): _O,
        (_O, "step_progressed"): _O,
        (_O, "step_succeeded"): _S,
        (_O, "step_failed"): _W,  # or gave up, where the executor says that trying again will not help
        (_O, "step_timed_out"): _T,
        (_O, "step_skipped"): _K,
        (_O, "wait_over"): _S,
        (_G, "step_retried"): _W,
        (_G, "step_skipped"): _K,
        (_G, "step_succeeded"): _S,
        (_T, "step_retried"): _W,
        (_T, "step_skipped"): _K,
        (_T, "step_succeeded"): _S,
        (_T, "wait_over"): _S,
    }
)
"""A step's life: state and fact to state. What is not in it changes nothing."""

_R = RunState
_NOT_BEGUN = (_R.REQUESTED, _R.SURVEYING, _R.PLANNED, _R.AWAITING_APPROVAL)
_UNDER_WAY = (_R.RUNNING, _R.PAUSED, _R.HELD, _R.WAITING_FOR_WINDOW, _R.FINISHING)

RUN_TABLE: Mapping[tuple[RunState, str], RunState] = MappingProxyType(
    {
        (_R.REQUESTED, "step_ordered"): _R.SURVEYING,
        (_R.SURVEYING, "run_planned"): _R.PLANNED,
        (_R.PLANNED, "run_waiting"): _R.WAITING_FOR_WINDOW,
        (_R.PLANNED, "approval_asked"): _R.AWAITING_APPROVAL,
        (_R.PLANNED, "run_began"): _R.RUNNING,
        (_R.RUNNING, "run_paused"): _R.PAUSED,
        (_R.RUNNING, "run_held"): _R.HELD,
        (_R.RUNNING, "run_waiting"): _R.WAITING_FOR_WINDOW,
        (_R.RUNNING, "approval_asked"): _R.AWAITING_APPROVAL,
        (_R.RUNNING, "run_finishing"): _R.FINISHING,
        (_R.WAITING_FOR_WINDOW, "run_went_on"): _R.RUNNING,  # or planned, where it has not begun
        (_R.WAITING_FOR_WINDOW, "run_cancelling"): _R.RUNNING,
        (_R.WAITING_FOR_WINDOW, "run_held"): _R.HELD,
        (_R.WAITING_FOR_WINDOW, "run_finishing"): _R.FINISHING,
        (_R.AWAITING_APPROVAL, "run_approved"): _R.RUNNING,  # or planned, where it has not begun
        (_R.AWAITING_APPROVAL, "run_cancelling"): _R.RUNNING,
        (_R.AWAITING_APPROVAL, "run_held"): _R.HELD,
        (_R.PAUSED, "run_resumed"): _R.RUNNING,
        (_R.PAUSED, "run_held"): _R.HELD,
        (_R.PAUSED, "run_cancelling"): _R.RUNNING,
        (_R.FINISHING, "run_held"): _R.HELD,  # by a gate after the run
        (_R.HELD, "run_resumed"): _R.RUNNING,
        (_R.HELD, "run_cancelling"): _R.RUNNING,
        (_R.HELD, "run_finishing"): _R.FINISHING,
        **{(state, "run_finishing"): _R.FINISHING for state in _NOT_BEGUN},
        **{(state, "run_ended"): _R.ENDED for state in (*_NOT_BEGUN, *_UNDER_WAY)},
    }
)
"""A run's life: state and fact to state. What is not in it leaves the state as it is."""
