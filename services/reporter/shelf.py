"""Where clients find a run's report: four forms of it in the object store, always the newest.

`rota report` reads them there, and so can anybody with the bus (ADR 8). This is no destination: nothing is recorded,
and a report that is put there twice is the same one.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Protocol

from services.reporter import envelope, sheet, wording
from services.reporter.rendering import Renderer
from services.reporter.report import Report
from shared.bus import port, wire
from shared.domain import facts

OCCASIONS: tuple[facts.Occasion, ...] = ("announced", "held", "ended")
"""When it is put there."""


class Shelf(Protocol):
    """Takes in a report."""

    async def __call__(self, report: Report) -> None: ...


class ObjectShelf:
    """The bus's object store: `<pool>/<run>/report.html`, `.txt`, `.csv` and, last, `.json`."""

    def __init__(self, bus: port.Bus, renderer: Renderer) -> None:
        self._bus = bus
        self._renderer = renderer

    async def __call__(self, report: Report) -> None:
        """Put all forms there, unless a newer report is there. Raises BusRefused where the store takes none."""
        place = wire.report_object(report.pool, report.run, "json")
        if _through(await self._bus.get_object(wire.SNAPSHOTS_BUCKET, place)) >= report.through:
            return
        for form, text in (await asyncio.to_thread(self._forms, report)).items():
            name = wire.report_object(report.pool, report.run, form)
            await self._bus.put_object(wire.SNAPSHOTS_BUCKET, name, text.encode())

    def _forms(self, report: Report) -> Mapping[str, str]:
        return {
            "html": self._renderer.page(report),
            "txt": self._renderer.mail(wording.page(report, self._renderer.zone)).text,
            "csv": sheet.sheet(report),
            "json": envelope.report_json(report),
        }


async def nowhere(report: Report) -> None:
    """A shelf that keeps nothing."""


def _through(data: bytes | None) -> float:
    """Up to when the report reads that is there already; what cannot be read is written anew."""
    try:
        return float(json.loads(data)["through"]) if data else -1.0
    except (ValueError, KeyError, TypeError):
        return -1.0
