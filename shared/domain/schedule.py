"""Schedules: which pools are updated when, without anybody giving the order.

A schedule stands in rota.toml or was set by an order; here are both as values, and what is in force of the two. What
falls due when is the scheduler's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from shared.domain.cron import Cron, Zone
from shared.domain.names import Name, Token
from shared.domain.policy import Policy

FILE = "rota.toml"
"""Who set a schedule that no order did."""


class Schedule(BaseModel):
    """A pool, or all pools with a tag, updated at the ticks of a cron expression."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    cron: Cron
    """When: minute, hour, day, month, weekday; `0 2 * * SUN#2` is each second Sunday of a month at two."""

    zone: Zone = "UTC"
    """The time zone of `cron`. A fixed hour comes once a day also when clocks change."""

    pools: tuple[Token, ...] = ()
    """These pools."""

    tags: tuple[Token, ...] = ()
    """And every pool with one of these tags."""

    missed: Literal["skip", "run_late"] = "skip"
    """What becomes of a tick that nobody was there for: nothing, or a start that is late."""

    late_hours: Annotated[float, Field(gt=0, le=7 * 24)] = 4.0
    """How late such a start may be."""

    policy: Mapping[str, Any] = Field(default_factory=dict)
    """What differs from each pool's own policy."""

    does: Literal["update", "tell"] = "update"
    """Update them, or only tell people what waits to be installed on them."""

    @field_validator("policy")
    @classmethod
    def _a_policy(cls, value: Mapping[str, Any]) -> Mapping[str, Any]:
        try:
            Policy.model_validate(value)
        except ValidationError as error:
            first = error.errors()[0]
            place = ".".join(str(part) for part in first["loc"])
            raise ValueError(f"{place}: {first['msg'].removeprefix('Value error, ')}") from error
        return value

    @model_validator(mode="after")
    def _somebody(self) -> Schedule:
        if not self.pools and not self.tags:
            raise ValueError("it names no pool: write pools = ['lab'], or tags = ['night'] and the tag in the pool")
        return self


class Standing(BaseModel):
    """A schedule as an order left it, kept in KV ROTA_SCHEDULES; `schedule` None: deleted. `since` is pool time;
    `ordered_at` is when the bus stored that order (machine time), so that one delivered late undoes no later one."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    schedule: Schedule | None
    since: float
    order: Name
    by: Name
    ordered_at: float = 0.0


@dataclass(frozen=True, slots=True)
class InForce:
    """A schedule that counts: its key, what it says, who set it, and since when (pool time; 0 for rota.toml's)."""

    key: str
    schedule: Schedule
    by: str
    since: float = 0.0


def in_force(file: Mapping[str, Schedule], standing: Mapping[str, Standing]) -> Mapping[str, InForce]:
    """The schedules that count, by key. Where both have one, the file's counts: who reads it may believe it."""
    ordered = {
        key: InForce(key, one.schedule, one.by, one.since) for key, one in standing.items() if one.schedule is not None
    }
    found = {**ordered, **{key: InForce(key, schedule, FILE) for key, schedule in file.items()}}
    return {key: found[key] for key in sorted(found)}


def pools_of(schedule: Schedule, tags: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """The pools a schedule is for, each once: those it names, known or not, then those with a tag of it. `tags` are
    each known pool's."""
    tagged = (pool for pool in sorted(tags) if set(tags[pool]) & set(schedule.tags))
    return tuple(dict.fromkeys((*schedule.pools, *tagged)))


def strangers(schedule: Schedule, tags: Mapping[str, Sequence[str]]) -> str:
    """One sentence about a pool or tag that rota.toml does not know, or nothing."""
    for pool in schedule.pools:
        if pool not in tags:
            return f"There is no pool {pool!r} in rota.toml (pools: {', '.join(sorted(tags)) or 'none'})."
    known = sorted({tag for of_pool in tags.values() for tag in of_pool})
    for tag in schedule.tags:
        if tag not in known:
            return f"No pool in rota.toml has the tag {tag!r} (tags: {', '.join(known) or 'none'})."
    return ""
