"""Which of XAPI's calls are simulated, class by class, beside the whole list of them. Printed by `--coverage`."""

from __future__ import annotations

from collections.abc import Iterable

from simulator.calls import handlers, waiting
from simulator.schema import newest


def simulated() -> dict[str, list[str]]:
    """Class to its simulated calls."""
    return by_class(name for name in newest().calls if name in handlers() or name in waiting())


def missing() -> dict[str, list[str]]:
    """Class to the calls that answer MESSAGE_METHOD_UNKNOWN."""
    return by_class(name for name in newest().calls if name not in handlers() and name not in waiting())


def by_class(names: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in sorted(names):
        cls, _, method = name.partition(".")
        found.setdefault(cls, []).append(method)
    return found


def text() -> str:
    """A line for each class with the counts, then what each lacks."""
    have, lack = simulated(), missing()
    lines = []
    for cls in sorted({*have, *lack}, key=str.lower):
        yes, no = len(have.get(cls, [])), len(lack.get(cls, []))
        lines.append(f"{cls}: {yes} of {yes + no} calls" + (f"; not simulated: {', '.join(lack[cls])}" if no else ""))
    total = sum(len(calls) for calls in have.values())
    every = total + sum(len(calls) for calls in lack.values())
    return "\n".join([*lines, f"all: {total} of {every} calls", ""])
