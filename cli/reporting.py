"""The verb that fetches a run's report. The reporter puts its forms into the bus's object store (ADR 8); here they
are found, printed, written to a file, or shown in a browser. Nothing of a report is made here.
"""

from __future__ import annotations

import json
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Literal

from cli import client as client_
from cli import printing
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from shared.bus import wire

Form = Literal["txt", "html", "csv", "json", "pdf", "open"]

_STORED: dict[Form, str] = {"pdf": "html", "open": "html"}
"""What a form is made from, where that is another."""


async def report(prefix: str, form: Form, to: Path | None) -> Ending:
    """A run's report in one form: to `to`, else to stdout; a PDF without `to` to a file of the run's name in this
    folder; `open` to a file and into a browser. Raises Stop where there is none."""
    async with client_.connected() as client:
        pool, run = await client_.find_run(client, prefix)
        text = await _stored(client, pool, run, _STORED.get(form, form))
    if form == "pdf":
        path = to or Path(f"{pool}-{run}.pdf")
        await printing.pdf(text, path)
        return _written(path, run)
    if form == "open":
        return _opened(text, to or Path(tempfile.mkdtemp(prefix="rota-")) / f"{pool}-{run}.html", run)
    if to is not None:
        _write(to, text)
        return _written(to, run)
    if form == "json":
        return Ending({"pool": pool, "run": run, "report": json.loads(text)}, (), Exit.DONE, f"The report of {run}.")
    sys.stdout.write(text)
    return Ending()


async def _stored(client: Client, pool: str, run: str, form: str) -> str:
    data = await client.bus.get_object(wire.SNAPSHOTS_BUCKET, wire.report_object(pool, run, form))
    if data is None:
        raise Stop(
            Exit.FAILED,
            f"There is no report of run {run} yet: the reporter writes it when a run is planned, held and over."
            f" `rota show {run}` says how it stands.",
        )
    return data.decode("utf-8", "replace")


def _opened(text: str, path: Path, run: str) -> Ending:
    _write(path, text)
    if webbrowser.open(path.absolute().as_uri()):
        return _written(path, run)
    said = f"No browser could be started; the report of {run} is in {path}."
    return Ending({"file": str(path)}, (), Exit.FAILED, said)


def _write(path: Path, text: str) -> None:
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            file.write(text)
    except OSError as error:
        raise Stop(Exit.FAILED, f"{path} cannot be written: {error.strerror or error}.") from error


def _written(path: Path, run: str) -> Ending:
    return Ending({"file": str(path)}, (), Exit.DONE, f"The report of {run} is in {path}.")
