"""Tokens and ids: what may stand in a subject, and how runs, turns and steps get their names.

Nothing here is random: an id is made from what it names, so a redelivered order starts nothing new.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, StringConstraints

TOKEN_PATTERN = r"^[a-z0-9-]{1,40}$"

Token = Annotated[str, StringConstraints(pattern=TOKEN_PATTERN)]
"""One subject token: a pool's key, a host's uuid, a run's id, a step's id."""

Sentence = Annotated[str, StringConstraints(max_length=4000)]
"""One sentence for a person."""

Name = Annotated[str, StringConstraints(max_length=400)]
"""A name as the pool knows it; any text."""

Seconds = Annotated[float, Field(ge=0)]


@dataclass(frozen=True, slots=True)
class Named:
    """A thing of a pool: its uuid for the machine and the name a person knows."""

    uuid: Token
    name: Name

    def __str__(self) -> str:
        return self.name


def is_token(text: str) -> bool:
    """Whether a text may stand as one token of a subject."""
    return re.fullmatch(TOKEN_PATTERN, text) is not None


def run_id(pool: str, order: str) -> str:
    """The id of the run that an order starts on a pool, for example `r4f0c21a9`; the same for every delivery of it."""
    return "r" + hashlib.blake2b(f"{pool}\n{order}".encode(), digest_size=5).hexdigest()[:8]


def forecast_id(pool: str, order: str) -> str:
    """The id of a forecast without a run, for example `p4f0c21a9`."""
    return "p" + run_id(pool, order)[1:]


def turn_id(number: int) -> str:
    """`t00` prepares the run, `t01` is its first host, `t99` puts back what was changed (three digits above 98)."""
    return f"t{number:02d}"


def step_id(turn: str, number: int) -> str:
    """A step's id, for example `t02-s017`."""
    return f"{turn}-s{number:03d}"


def turn_of(step: str) -> str:
    """The turn a step belongs to: `t02` of `t02-s017`."""
    return step.partition("-")[0]
