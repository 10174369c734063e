"""A Letter: what a destination is told on an occasion, before it has a form. Values only; `wording` writes it."""

from __future__ import annotations

from dataclasses import dataclass

from services.reporter.occasions import Occasion
from services.reporter.report import Report, Tone
from shared.domain.offers import Offer


@dataclass(frozen=True, slots=True)
class Point:
    """Something that somebody should see first: what it is, more about it, and the command that deals with it."""

    tone: Tone
    text: str
    more: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Fact:
    """A word and what it stands for, for a small table."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Section:
    """A heading and its lines."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host in the table of hosts; all in words."""

    host: str
    master: bool
    tone: Tone
    state: str
    because: str
    packages: str
    away: str
    took: str
    versions: str
    turn: str


@dataclass(frozen=True, slots=True)
class Letter:
    """What is told. `points` is the first block, `calm` what stands there when there are none; `numbers` the figures
    that are shown large; `report` is None for an occasion without a run; `offers` is what waits to be installed, where
    that is the news."""

    occasion: Occasion
    subject: str
    title: str
    sentence: str
    tone: Tone
    points: tuple[Point, ...]
    calm: str = ""
    numbers: tuple[Fact, ...] = ()
    facts: tuple[Fact, ...] = ()
    hosts: tuple[HostRow, ...] = ()
    sections: tuple[Section, ...] = ()
    report: Report | None = None
    offers: tuple[Offer, ...] = ()
