"""What the simulator's own journal says of a run, whoever carried it out. Pure: lines to figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.worlds import GIB

Line = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Measured:
    """Figures of one run; times in minutes."""

    moves_per_vm: float
    gib_moved: float
    minutes: float
    not_home: int
    longest_away_minutes: float
    total_away_minutes: float
    ha_off_minutes: float
    installs: int


def read(lines: Sequence[Line], sizes: Mapping[str, int], began: float, ended: float) -> Measured:
    """The figures of what happened between two moments, in seconds of the journal. `sizes`: bytes of each VM."""
    moves = [line for line in lines if line["kind"] == "migration" and line["outcome"] == "success"]
    gone = [back - off for off, back in _away(lines, ended)]
    return Measured(
        moves_per_vm=round(len(moves) / len(sizes), 3),
        gib_moved=round(sum(sizes[line["vm"]] for line in moves) / GIB, 1),
        minutes=_minutes(ended - began),
        not_home=sum(first != last for first, last in _places(lines).values()),
        longest_away_minutes=_minutes(max(gone, default=0.0)),
        total_away_minutes=_minutes(sum(gone)),
        ha_off_minutes=_minutes(_ha_off(lines, ended)),
        installs=sum(line["kind"] == "install" and line["outcome"] == "success" for line in lines),
    )


def _away(lines: Iterable[Line], ended: float) -> Iterator[tuple[float, float]]:
    """From when to when a host was away: it went down, and it takes VMs again."""
    gone: dict[str, float] = {}
    for line in lines:
        if line["kind"] != "host":
            continue
        if line["state"] in ("rebooting", "down"):
            gone.setdefault(line["host"], float(line["t"]))
        elif line["state"] == "enabled" and line["host"] in gone:
            yield gone.pop(line["host"]), float(line["t"])
    for since in gone.values():
        yield since, ended


def _places(lines: Iterable[Line]) -> dict[str, tuple[Any, Any]]:
    """Where each VM was first and last."""
    places: dict[str, tuple[Any, Any]] = {}
    for line in lines:
        if line["kind"] == "vm":
            first, _ = places.get(line["vm"], (line["host"], None))
            places[line["vm"]] = (first, line["host"])
    return places


def _ha_off(lines: Iterable[Line], ended: float) -> float:
    """Seconds without high availability."""
    off: float | None = None
    seconds = 0.0
    for line in lines:
        if line["kind"] != "pool" or line["setting"] != "ha_enabled":
            continue
        if not line["value"]:
            off = float(line["t"])
        elif off is not None:
            seconds, off = seconds + float(line["t"]) - off, None
    return seconds + (ended - off if off is not None else 0.0)


def _minutes(seconds: float) -> float:
    return round(seconds / 60, 2)
