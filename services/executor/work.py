"""What a step is given, and how it may end. A step looks, acts and confirms; it knows nothing of messages and guards.

It returns `Ended`, or raises TryAgain, GiveUp, or one of the two below; NotAnswered and Superseded it lets through.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from services.executor.ground import Ground
from shared.clock import Clock
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.facts import Debt
from shared.gates import GateTable
from shared.xapi.port import Pool


@dataclass(frozen=True, slots=True)
class Place:
    """Which attempt of which step of which run on which pool."""

    pool: str
    run: str
    step: str
    attempt: int

    def __str__(self) -> str:
        return f"{self.pool}/{self.run}/{self.step}-{self.attempt}"


async def nobody(subject: str, data: bytes, within: float) -> bytes | None:
    """Asks on a bus that nobody else is on."""
    return None


@dataclass(frozen=True, slots=True)
class Work:
    """What a step is given. `again` is set when somebody may have acted on this step before: then what is found may be
    his doing. `say(share, sentence)` tells how far it is; `keep(name, data)` stores a large value;
    `ground` are VMs that are never stopped; `gates` those of rota.toml, by name; `request(subject, data, within)` asks
    on the bus."""

    pool: Pool
    clock: Clock
    place: Place
    say: Callable[[float, str], Awaitable[None]]
    keep: Callable[[str, bytes], Awaitable[None]]
    again: bool = False
    ground: Ground = field(default_factory=Ground)
    gates: Mapping[str, GateTable] = field(default_factory=dict)
    request: Callable[[str, bytes, float], Awaitable[bytes | None]] = nobody


@dataclass(frozen=True, slots=True)
class Ended:
    """It is so. `sentence` names what and where."""

    result: acts.Result
    sentence: str


class GoBack(GiveUp):
    """This step cannot be done before a kind of step is done again."""

    def __init__(self, because: str, *, to: str) -> None:
        super().__init__(because, code="FENCED")
        self.to = to


class Owed(TryAgain):
    """A setting that cannot be put back yet."""

    def __init__(self, because: str, *, debt: Debt, after: float, code: str) -> None:
        super().__init__(because, after=after, code=code)
        self.debt = debt


def spoken(seconds: float) -> str:
    """A span of time for people: `41 s`, `3 min 20 s`, `1 h 5 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")


def listed(names: list[str]) -> str:
    """Names for people: `a`, `a and b`, `a, b and 3 more`."""
    if len(names) > 4:
        return f"{', '.join(names[:3])} and {len(names) - 3} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "none"
