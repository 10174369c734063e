"""`rota demo`: one rolling update of a simulated pool from order to report, watched live and judged from outside.

Everything is built in a folder of its own and becomes the kept folder in one move, or nothing does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import tempfile
import time
from collections.abc import Coroutine, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.text import Text

from cli import children, judge, output, rehearsal, watching
from cli import client as client_
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from cli.rehearsal import POOL, Folders, Stage
from shared.bus import port
from shared.domain import commands

INTERRUPTED = "Interrupted: everything that the demo had started is ended, and nothing is kept."
AT_MOST = 240.0
"""Seconds of machine time after which a demo that has not ended has failed."""
REPORTED_WITHIN = 15.0
"""Seconds of machine time from the run's end to the last report."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What came of the run, seen by the client: the watcher's ending, and how long all of it took."""

    run: str
    ending: Ending
    seconds: float
    missing: tuple[str, ...]


async def demo(keep: Path | None, factor: float, *, as_json: bool) -> Ending:
    """Run the demo. Status 0 only if the run succeeded, the judge finds nothing, and every report arrived."""
    check_folder(keep)
    try:
        async with children.stoppable():
            with _building(keep) as base:
                folders = Folders(base / "out", base / "state")
                ending = await _outcome(folders, factor, as_json=as_json)
                return _kept(ending, _keep(folders, keep, all_of_it=keep is not None or ending.code is not Exit.DONE))
    except asyncio.CancelledError:
        return Ending({}, (), Exit.INTERRUPTED, INTERRUPTED)


async def _outcome(folders: Folders, factor: float, *, as_json: bool) -> Ending:
    """How the play ended; a play that broke off has left its journals and logs."""
    try:
        seen = await _play(folders, factor, as_json=as_json)
    except Stop as stop:
        return stop.ending
    return _judged(folders, seen)


def check_folder(keep: Path | None) -> None:
    """Refuse a folder that is not new or empty. Raises Stop (2)."""
    if keep is None:
        return
    try:
        if keep.exists() and (not keep.is_dir() or any(keep.iterdir())):
            raise Stop(Exit.USAGE, f"{keep} is there already and not empty; name a new or an empty folder.")
        if not keep.absolute().parent.is_dir():
            raise Stop(Exit.USAGE, f"There is no folder {keep.absolute().parent} to make {keep.name} in.")
    except OSError as error:
        raise Stop(Exit.USAGE, f"{keep} cannot be used: {error.strerror}.") from error


# --- the play ---------------------------------------------------------------------------------------------------------


async def _play(folders: Folders, factor: float, *, as_json: bool) -> Seen:
    began = time.monotonic()
    if not as_json:
        output.say("Starting a bus, a simulated pool and the services on this machine…")
    async with rehearsal.stage(folders, factor) as stage, client_.connected(stage.place, within=30) as client:
        try:
            async with asyncio.timeout(AT_MOST):
                return await _unless_one_dies(stage, _run(client, stage, folders, began, as_json=as_json))
        except TimeoutError:
            raise Stop(Exit.FAILED, f"The run had not ended after {AT_MOST:g} s; the demo gives up.") from None
        finally:
            await _write_facts(client, folders.out / "facts.ndjson")


async def _run(client: Client, stage: Stage, folders: Folders, began: float, *, as_json: bool) -> Seen:
    command = commands.StartRun(pool=POOL, reason="the demo")
    sent = await client_.send(client, command)
    manner = watching.Manner("silent") if as_json else watching.Manner.for_terminal()
    ending = await watching.watch(client, POOL, sent.run, manner)
    missing = await _missing_reports(stage, folders) if ending.code is not Exit.WAITING else []
    return Seen(sent.run, ending, time.monotonic() - began, tuple(missing))


async def _unless_one_dies(stage: Stage, play: Coroutine[object, object, Seen]) -> Seen:
    playing = asyncio.ensure_future(play)
    dying = asyncio.ensure_future(stage.until_one_dies())
    try:
        await asyncio.wait([playing, dying], return_when=asyncio.FIRST_COMPLETED)
        if playing.done():
            return playing.result()
        child = dying.result()
        ended = f"The {child.name} ended by itself with status {child.process.returncode}"
        raise Stop(Exit.FAILED, f"{ended}: {child.last_words() or 'it said nothing'}")
    finally:
        for task in (playing, dying):
            task.cancel()
        await asyncio.gather(playing, dying, return_exceptions=True)


async def _missing_reports(stage: Stage, folders: Folders) -> list[str]:
    """Which forms of the final report have not arrived in time."""
    waits = {
        "the e-mail": stage.mails.until("ended"),
        "the webhook": stage.webhooks.until("ended"),
        "the HTML report": _until_html(folders),
    }
    tasks = {asyncio.ensure_future(wait): what for what, wait in waits.items()}
    _, pending = await asyncio.wait(tasks, timeout=REPORTED_WITHIN)
    for task in pending:
        task.cancel()
    return sorted(tasks[task] for task in pending)


async def _until_html(folders: Folders) -> None:
    while _html(folders) is None:  # noqa: ASYNC110 - a folder rings no bell
        await asyncio.sleep(0.05)


def _html(folders: Folders) -> Path | None:
    """The last report that the reporter has written."""
    found = sorted(folders.reports.rglob("*.html"), key=lambda path: path.stat().st_mtime)
    return found[-1] if found else None


async def _write_facts(client: Client, path: Path) -> None:
    """The whole journal, one fact a line; as much of it as the bus still gives."""
    broken = (OSError, TimeoutError, ValueError, port.BusUnreachable, port.BusRefused)
    with contextlib.suppress(*broken), path.open("w", encoding="utf-8") as file:
        async with asyncio.timeout(10):
            async for stored in client.bus.read(["rota.fact.>"]):
                fact = watching.fact_document(stored, json.loads(stored.data))
                file.write(json.dumps(fact, ensure_ascii=False) + "\n")


# --- the judgement ----------------------------------------------------------------------------------------------------


def _judged(folders: Folders, seen: Seen) -> Ending:
    lines = read_lines(folders.journal)
    wrong = judge.violations(lines)
    if seen.ending.code is not Exit.DONE:
        wrong.append(f"The run did not succeed: {seen.ending.sentence}")
    wrong += [f"{what[:1].upper()}{what[1:]} did not arrive." for what in seen.missing]
    if (html := _html(folders)) is not None:
        shutil.copy(html, folders.out / "report.html")
    sums = judge.tally(lines)
    document: dict[str, object] = {
        "run": seen.run,
        "violations": wrong,
        "seconds": round(seen.seconds, 1),
        "hosts": sums.hosts,
        "vms": sums.vms,
        "moves": sums.moves,
        "packages": sums.packages,
        "simulated_minutes": round(sums.minutes, 1),
    }
    told = (
        f"{sums.hosts} hosts patched and rebooted one after the other, the master first; {sums.vms} VMs moved"
        f" {sums.moves} times, never stopped, all home; {sums.minutes:.0f} simulated minutes in {seen.seconds:.0f} s."
    )
    if wrong:
        return Ending(document, _bad(wrong), Exit.FAILED, "The demo failed: " + wrong[0])
    return Ending(document, (Text(), Text("✓ ", style="green").append(told, style="bold")), Exit.DONE, told)


def _bad(wrong: Sequence[str]) -> tuple[Text, ...]:
    return (Text(), *(Text("✗ ", style="red").append(sentence) for sentence in wrong))


def read_lines(path: Path) -> list[dict[str, object]]:
    """The lines of a journal; a last line that was cut off is left out."""
    lines = []
    with contextlib.suppress(FileNotFoundError):
        for text in path.read_text(encoding="utf-8").splitlines():
            with contextlib.suppress(ValueError):
                lines.append(json.loads(text))
    return lines


# --- what stays -------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _building(keep: Path | None) -> Iterator[Path]:
    """A folder to build in, beside the one that is kept so that it can be moved in one step; gone afterwards."""
    where = str(keep.absolute().parent) if keep is not None else None
    try:
        base = Path(tempfile.mkdtemp(prefix=".rota-demo-", dir=where))
    except OSError as error:
        where = where or tempfile.gettempdir()
        raise Stop(Exit.USAGE, f"No folder can be made in {where}: {error.strerror}.") from error
    try:
        yield base
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _keep(folders: Folders, keep: Path | None, *, all_of_it: bool) -> Path:
    """Move what was made to where it stays: `keep`, or a new folder for temporary files. Returns that folder.
    Where somebody has filled `keep` meanwhile, it stays in a new folder beside it."""
    if keep is None:
        target = Path(tempfile.mkdtemp(prefix="rota-demo-"))
    else:
        target = keep.absolute()
        target.mkdir(exist_ok=True)
        if any(target.iterdir()):
            target = Path(tempfile.mkdtemp(prefix=f"{target.name}-", dir=target.parent))
    for path in sorted(folders.out.iterdir()):
        if all_of_it or path.name.startswith(("report", "mail-", "webhook-")):
            shutil.move(path, target / path.name)
    return target


def _kept(ending: Ending, folder: Path) -> Ending:
    """The ending with where everything lies."""
    files = sorted(path.name for path in folder.iterdir())
    lines = [Text()]
    for label, start in (("Report", "report.html"), ("E-mail", "mail-"), ("Webhook", "webhook-")):
        mine = [folder / name for name in files if name.startswith(start)]
        lines += [Text(f"  {label:8}").append(str(path), style="cyan") for path in mine]
    if "journal.ndjson" in files:
        lines.append(Text("  Journals and logs ").append(str(folder), style="cyan"))
    document = {**ending.document, "folder": str(folder), "files": files}
    return Ending(document, (*ending.shown, *lines), ending.code, ending.sentence)
