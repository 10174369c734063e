"""What becomes of an order that sets or deletes a schedule: the schedule as it stands then, or why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import ValidationError

from shared.domain import commands, names
from shared.domain.policy import Policy, merged, strange_gate, unsupported
from shared.domain.schedule import FILE, Schedule, Standing, pools_of, strangers

LARGEST = 50_000
"""Characters of a schedule as JSON: its policy goes into every order that it gives."""


@dataclass(frozen=True, slots=True)
class Given:
    """An order's id, who gave it, when it was stored (machine time, by the bus) and taken up (pool time)."""

    order: str
    by: str
    stored_at: float
    at: float


@dataclass(frozen=True, slots=True)
class Ground:
    """What rota.toml says that matters here: its own schedules' keys, each pool's tags, each pool's policy, and which
    windows and gates there are."""

    schedules: frozenset[str] = frozenset()
    tags: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    windows: tuple[str, ...] = ()
    gates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Refused:
    """The order is not carried out; the sentence says why and what to do."""

    because: str


def judged(command: commands.Command, given: Given, ground: Ground, held: Standing | None) -> Standing | Refused:
    """The schedule as it stands once the order is carried out, or a refusal. `held` is how it stood before."""
    key = getattr(command, "schedule", "")
    if because := _key_fault(key, ground):
        return Refused(because)
    if held is not None and held.ordered_at > given.stored_at:
        return Refused(f"Schedule {key} was set or deleted by {held.by} after this order was given; that counts.")
    if isinstance(command, commands.SetSchedule):
        return _set(command, given, ground)
    if held is None or held.schedule is None:
        return Refused(f"There is no schedule {key!r} that an order has set; `rota schedules` lists them.")
    return _stands(None, given)


def _key_fault(key: str, ground: Ground) -> str:
    if not names.is_token(key):
        return f"{key[:100]!r} cannot be a schedule's key: use up to 40 of a-z, 0-9 and '-'."
    if key in ground.schedules:
        return f"Schedule {key} stands in {FILE}, which counts; change it there, or choose another key."
    return ""


def _set(command: commands.SetSchedule, given: Given, ground: Ground) -> Standing | Refused:
    try:
        schedule = Schedule.model_validate(command.model_dump(exclude={"schedule"}))
    except ValidationError as error:
        return Refused(f"Schedule {command.schedule} cannot be: {_first(error)}.")
    if len(schedule.model_dump_json()) > LARGEST:
        return Refused(f"Schedule {command.schedule} is too large; it may have {LARGEST} characters.")
    if because := strangers(schedule, ground.tags) or _policy_fault(schedule, ground):
        return Refused(because)
    return _stands(schedule, given)


def _stands(schedule: Schedule | None, given: Given) -> Standing:
    return Standing(schedule=schedule, since=given.at, order=given.order, by=given.by, ordered_at=given.stored_at)


def _policy_fault(schedule: Schedule, ground: Ground) -> str:
    """The planner would refuse it at every tick; better now."""
    for pool in pools_of(schedule, ground.tags):
        policy = merged(ground.policies.get(pool, Policy()), schedule.policy)
        if because := _strange_window(policy, ground) or strange_gate(policy, ground.gates) or unsupported(policy):
            return f"Pool {pool}: {because}"
    return ""


def _strange_window(policy: Policy, ground: Ground) -> str:
    if not policy.window or policy.window in ground.windows:
        return ""
    return f"There is no window {policy.window!r} in {FILE} (windows: {', '.join(ground.windows) or 'none'})."


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"])
    said = first["msg"].removeprefix("Value error, ").rstrip(".")[:1000]
    return f"{place}: {said}" if place else said
