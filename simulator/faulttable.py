"""Faults that wait for their moment: armed by name and words, taken by whoever reaches that moment.

What a fault does stands where it does it, or in `faults.py` for those that strike at once.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from simulator.site import Site


def arm(site: Site, kind: str, words: dict[str, Any]) -> None:
    """Lays a fault in wait; `times` (1 if not told) says how often it strikes."""
    site.armed.append({"kind": kind, "times": 1, **words})


def take(site: Site, kind: str, **about: str) -> dict[str, Any] | None:
    """The first armed fault of this kind whose words fit, used once; a word the fault does not say fits anything."""
    for fault in site.armed:
        if fault["kind"] == kind and all(fault.get(word) in (None, value) for word, value in about.items()):
            fault["times"] -= 1
            if fault["times"] <= 0:
                site.armed.remove(fault)
            site.journal.write("fault", fault=kind, struck=True, **about)
            return fault
    return None
