"""Parcels of the nights that `story` tells."""

from __future__ import annotations

from datetime import UTC

from services.reporter import folding, occasions, wording
from services.reporter.channels.port import Parcel
from tests.services.reporter.story import Story


def parcels(night: Story) -> dict[str, Parcel]:
    """The last parcel of each occasion of a night, by the occasion's name."""
    recorded = night.recorded()
    latest = folding.fold(night.pool, night.run, recorded)
    found: dict[str, Parcel] = {}
    for one in recorded:
        if (occasion := occasions.occasion(one)) is not None:
            until_then = [fact for fact in recorded if fact.seq <= one.seq]
            letter = wording.letter(occasion, folding.fold(night.pool, night.run, until_then), UTC)
            found[occasion.name] = Parcel(letter, occasions.announcement(until_then), latest)
    return found
