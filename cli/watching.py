"""Following a run: a live view on a terminal, one line a fact elsewhere, or one JSON fact a line.

It ends with the run, or where the run waits for a person; Ctrl-C ends the watching and never the run.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from rich.console import Console
from rich.live import Live

from cli import client as client_
from cli import drawing, folding, output, scene, telling, view
from cli.client import Client
from cli.exits import WAITING_FOR_A_PERSON, Ending, Exit, Stop, of_outcome
from shared.bus import port, wire
from shared.domain import facts
from shared.domain.errors import Unreadable
from shared.domain.summary import RunSummary

GOES_ON = "You stopped watching; the run goes on. `rota watch` shows it again, `rota cancel` ends it."
LAST_PICTURE_WITHIN = 3.0
"""Seconds of machine time that the projection may be behind the journal at a run's end."""
SUMMARY_EACH = 0.3
REDRAWS = 8
"""Redraws of the live view in a second of machine time."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How a run is watched. With `stay` a run that waits for a person is watched on."""

    form: Literal["live", "lines", "json", "silent"]
    stay: bool = False

    @classmethod
    def for_terminal(cls, *, as_json: bool = False, stay: bool = False) -> Manner:
        """A live view on a terminal, else lines; facts as JSON where asked."""
        if as_json:
            return cls("json", stay)
        return cls("live" if sys.stdout.isatty() else "lines", stay)


class Watched:
    """What was seen of a run so far; the one place where the follower's tasks meet."""

    def __init__(self, pool: str, run: str) -> None:
        self.scene = scene.Scene(pool, run)
        self.ended: facts.RunEnded | facts.RunRefused | None = None
        self.news = asyncio.Event()

    @property
    def summary(self) -> RunSummary | None:
        return self.scene.summary

    def waits_for_a_person(self) -> bool:
        """Whether the run stands still until somebody acts, as the projection says."""
        return self.summary is not None and self.summary.state in WAITING_FOR_A_PERSON


async def watch_prefix(prefix: str, manner: Manner) -> Ending:
    """Watch the run that a prefix names, or without one the only open run. Raises Stop."""
    async with client_.connected() as client:
        if prefix:
            pool, run = await client_.find_run(client, prefix)
            return await watch(client, pool, run, manner)
        going = [one for one in await client_.summaries(client) if view.is_open(one)]
        if not going:
            return Ending({}, (), Exit.DONE, "No run is going on.")
        if len(going) > 1:
            raise Stop(Exit.USAGE, f"Several runs are going on: {', '.join(one.run for one in going)}; name one.")
        return await watch(client, going[0].pool, going[0].run, manner)


async def watch(
    client: Client, pool: str, run: str, manner: Manner, *, on_fact: Callable[[wire.Recorded], None] | None = None
) -> Ending:
    """Follow a run to its end, or to where it waits for a person; `on_fact` hears every fact of it."""
    watched = Watched(pool, run)
    hear = _hearer(manner, on_fact)
    tasks = [
        asyncio.ensure_future(_follow(client, watched, hear)),
        asyncio.ensure_future(_listen(client, watched)),
        asyncio.ensure_future(_summarise(client, watched)),
    ]
    drawn = _draw(client, watched) if manner.form == "live" else contextlib.nullcontext()
    try:
        async with drawn:
            await _until_over(watched, manner, tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return _ending(watched)


def fact_document(stored: port.Stored, body: Mapping[str, object]) -> dict[str, object]:
    """A fact as `--json` prints it and facts.ndjson keeps it: the CloudEvent with its subject and place."""
    return {**body, "subject": stored.subject, "seq": stored.seq}


async def _follow(client: Client, watched: Watched, hear: Callable[[port.Stored, wire.Recorded], None]) -> None:
    pool, run = watched.scene.pool, watched.scene.run
    # The bus takes no two filters that overlap, so a run's families are named one by one.
    filters = [f"rota.fact.{family}.{pool}.{run}.>" for family in ("run", "step", "report")]
    async with client.bus.follow([*filters, f"rota.fact.host.{pool}.>"], after=0) as following:
        async for stored in following:
            try:
                recorded = wire.read_fact(stored)
            except Unreadable:
                continue
            watched.scene = folding.after(watched.scene, recorded.fact, recorded.at)
            if getattr(recorded.fact, "run", run) == run and _has_begun(watched, recorded.fact):
                hear(stored, recorded)
            if isinstance(recorded.fact, facts.RunEnded | facts.RunRefused):
                watched.ended = recorded.fact
            watched.news.set()


def _has_begun(watched: Watched, fact: facts.Fact) -> bool:
    """Facts of hosts from before the run are folded and not told."""
    return bool(watched.scene.steps) or not isinstance(fact, facts.HostFact)


async def _listen(client: Client, watched: Watched) -> None:
    async with client.bus.listen(wire.progress_subject(watched.scene.pool, watched.scene.run, "*")) as said:
        async for message in said:
            with contextlib.suppress(ValueError, TypeError, AttributeError):
                body = json.loads(message.data)
                step = message.subject.rpartition(".")[2]
                share, sentence = float(body.get("share", 0.0)), str(body.get("sentence", ""))
                watched.scene = folding.with_progress(watched.scene, step, share, sentence)


async def _summarise(client: Client, watched: Watched) -> None:
    """Read the projection, again and again: a small value, and the port has no way to follow a bucket."""
    while True:
        summary = await client_.summary(client, watched.scene.pool, watched.scene.run)
        if summary is not None:
            watched.scene = folding.with_summary(watched.scene, summary)
        watched.news.set()
        await asyncio.sleep(SUMMARY_EACH)


async def _until_over(watched: Watched, manner: Manner, tasks: Sequence[asyncio.Future[None]]) -> None:
    over = asyncio.ensure_future(_over(watched, manner))
    try:
        done, _ = await asyncio.wait([over, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        over.cancel()


async def _over(watched: Watched, manner: Manner) -> None:
    """Until the run has ended, and its summary says so too (for the last picture); or until it waits for a person."""
    while watched.ended is None:
        await watched.news.wait()
        watched.news.clear()
        if watched.waits_for_a_person() and not manner.stay:
            return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LAST_PICTURE_WITHIN):
            while watched.summary is None or view.is_open(watched.summary):
                watched.news.clear()
                await watched.news.wait()


@contextlib.asynccontextmanager
async def _draw(client: Client, watched: Watched) -> AsyncIterator[None]:
    console = Console(highlight=False, markup=False)
    beat = 0

    def picture() -> object:
        size = console.size
        now, factor = client.clock.now(), client.clock.factor
        return drawing.draw(watched.scene, now, width=size.width, height=size.height, beat=beat, factor=factor)

    with Live(console=console, auto_refresh=False, transient=False) as live:

        async def redraw() -> None:
            nonlocal beat
            while True:
                live.update(picture(), refresh=True)  # type: ignore[arg-type]
                beat += 1
                await asyncio.sleep(1 / REDRAWS)

        task = asyncio.ensure_future(redraw())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            live.update(picture(), refresh=True)  # type: ignore[arg-type]


def _hearer(
    manner: Manner, on_fact: Callable[[wire.Recorded], None] | None
) -> Callable[[port.Stored, wire.Recorded], None]:
    last = ""

    def hear(stored: port.Stored, recorded: wire.Recorded) -> None:
        nonlocal last
        if on_fact is not None:
            on_fact(recorded)
        if manner.form == "json":
            print(json.dumps(fact_document(stored, json.loads(stored.data)), ensure_ascii=False), flush=True)
        elif manner.form == "lines" and telling.matters(recorded.fact):
            told = telling.sentence(recorded.fact)
            if told != last:
                output.show(view.line(recorded))
            last = told

    return hear


def _ending(watched: Watched) -> Ending:
    run, summary = watched.scene.run, watched.summary
    document: dict[str, object] = {"pool": watched.scene.pool, "run": run}
    if summary is not None:
        document["summary"] = summary.model_dump(mode="json")
    if isinstance(watched.ended, facts.RunEnded):
        return Ending(document, (), of_outcome(watched.ended.outcome), watched.ended.sentence)
    if watched.ended is not None:
        return Ending(document, (), Exit.REFUSED, watched.ended.because)
    told = telling.plain(summary.sentence) if summary else f"Run {run} waits for a person."
    how = f"`rota retry {run}`, `rota resume {run}` or `rota cancel {run}` says how it goes on."
    return Ending(document, (), Exit.WAITING, f"{told} {how}")
