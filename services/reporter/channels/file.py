"""The page of a run as a file in a folder: written beside its place and moved there; nobody ever reads half of it."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from services.reporter.channels.port import Parcel
from services.reporter.rendering import Renderer
from services.reporter.report import Report
from shared.domain.errors import GiveUp, TryAgain

NAME = "file"


class FileChannel:
    """Writes `<folder>/<pool>-<run>.html`; each time the newest state of the run, whatever the occasion."""

    def __init__(self, folder: Path, renderer: Renderer) -> None:
        self._folder = folder
        self._renderer = renderer

    @property
    def name(self) -> str:
        return NAME

    async def deliver(self, parcel: Parcel) -> str:
        """Write the page; the reference is its path."""
        report = parcel.latest or parcel.letter.report
        if report is None:
            raise GiveUp("There is no run to write a page about.")
        path = self._folder / f"{report.pool}-{report.run}.html"
        try:
            await asyncio.to_thread(self._write, path, report)
        except OSError as error:
            because = f"The report cannot be written to {path.parent}: {error.strerror or error}."
            raise TryAgain(because, after=0.0) from error
        return str(path)

    def _write(self, path: Path, report: Report) -> None:
        page = self._renderer.page(report).encode()
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.{os.getpid()}.part")
        try:
            with beside.open("wb") as file:
                file.write(page)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)
