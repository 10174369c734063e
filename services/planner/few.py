"""Names in a sentence: so many, and how many more there are. Pure."""

from __future__ import annotations

from collections.abc import Sequence


def few(names: Sequence[str], most: int = 8) -> str:
    """`a, b`, or `a, b and 3 more` where there are more than `most`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
