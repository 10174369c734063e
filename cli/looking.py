"""The verbs that only look: status, runs, show, journal, why."""

from __future__ import annotations

import json
from collections.abc import Sequence

from cli import client as client_
from cli import view, watching
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from cli.scene import Seen
from shared.bus import wire
from shared.domain import facts, names
from shared.domain.errors import Unreadable
from shared.domain.summary import RunSummary

REJECTED_FOR, MOST_REJECTED = 7 * 86_400.0, 5
"""Seconds of pool time for which `rota` shows a message that was rejected, and how many of them at the most."""

_SEEN: dict[type[facts.HostFact], Seen] = {
    facts.HostAnswering: "answering",
    facts.HostCameBack: "answering",
    facts.HostUnreachable: "unreachable",
    facts.HostDown: "down",
}


async def status() -> Ending:
    """What is going on, what is owed, what ended last."""
    async with client_.connected() as client:
        found = await client_.summaries(client)
        rejected = await _rejected(client)
        now, warning = client.clock.now(), client.warning
    going = [one for one in found if view.is_open(one)]
    ended = sorted((one for one in found if not view.is_open(one)), key=lambda one: one.ended_at or 0.0)
    document: dict[str, object] = {
        "going": _documents(going),
        "owed": [{"pool": one.pool, "run": one.run, **owed.model_dump()} for one in found for owed in one.owed],
        "last": ended[-1].model_dump(mode="json") if ended else None,
        "rejected": [_document(one) for one in rejected],
    }
    document["warning"] = warning
    shown = (*view.warned(warning), view.status(found, now), *view.rejected(rejected, now))
    return Ending(document, shown, Exit.DONE, view.overview(found, now))


async def _rejected(client: Client) -> list[wire.Recorded]:
    """The messages that were rejected lately, the newest last."""
    since = client.clock.now() - REJECTED_FOR
    found = await client_.recorded(client, [facts.MessageRejected.subject])
    return [one for one in found if one.at >= since][-MOST_REJECTED:]


def _document(one: wire.Recorded) -> dict[str, object]:
    return {"at": one.at, **one.fact.model_dump(mode="json")}


async def runs(limit: int) -> Ending:
    """The newest runs."""
    async with client_.connected() as client:
        found = (await client_.summaries(client))[:limit]
        sentence = view.overview(found, client.clock.now())
    return Ending({"runs": _documents(found)}, (view.runs(found),) if found else (), Exit.DONE, sentence)


async def show(prefix: str) -> Ending:
    """One run."""
    async with client_.connected() as client:
        pool, run = await client_.find_run(client, prefix)
        summary = await client_.summary(client, pool, run)
        if summary is None:
            raise Stop(Exit.USAGE, f"Run {run} has no summary yet; `rota journal {run}` shows what is recorded of it.")
        shown = view.run(summary, client.clock.now())
    return Ending({"run": summary.model_dump(mode="json")}, (shown,), Exit.DONE, summary.sentence)


async def journal(prefix: str) -> Ending:
    """Every fact of a run, in order."""
    async with client_.connected() as client:
        pool, run = await client_.find_run(client, prefix)
        recorded, documents, unreadable = [], [], list[str]()
        async for stored in client.bus.read([wire.run_filter(pool, run)]):
            try:
                recorded.append(wire.read_fact(stored))
            except Unreadable as error:
                unreadable.append(f"The fact at {stored.seq} cannot be read: {error.because}")
                continue
            documents.append(watching.fact_document(stored, json.loads(stored.data)))
    document: dict[str, object] = {"pool": pool, "run": run, "facts": documents, "unreadable": unreadable}
    shown = (*(line for told in unreadable for line in view.warned(told)), view.journal(recorded))
    return Ending(document, shown, Exit.DONE, f"Run {run} has {len(recorded)} facts.")


async def why(pool: str) -> Ending:
    """Why a pool's run waits, since when and until when."""
    if not names.is_token(pool):
        raise Stop(Exit.USAGE, f"{pool!r} is no pool's key: keys have a-z, 0-9 and -, at most 40 characters.")
    async with client_.connected() as client:
        found = await client_.summaries(client, pool)
        summary = next((one for one in found if view.is_open(one)), found[0] if found else None)
        seen = await _seen(client, pool)
        now, warning = client.clock.now(), client.warning
    document: dict[str, object] = {
        "pool": pool,
        "run": summary.run if summary else None,
        "state": summary.state if summary else None,
        "outstanding": [one.model_dump() for one in summary.outstanding] if summary else [],
        "held": summary.held.model_dump() if summary and summary.held else None,
        "owed": [one.model_dump() for one in summary.owed] if summary else [],
        "hosts": dict(seen),
    }
    document["warning"] = warning
    shown = (*view.warned(warning), view.why(summary, pool, seen, now))
    return Ending(document, shown, Exit.DONE, view.why_sentence(summary, pool))


async def _seen(client: Client, pool: str) -> list[tuple[str, Seen]]:
    """How each host was last seen, by name."""
    found: dict[str, tuple[int, str, Seen]] = {}
    for one in await client_.recorded(client, [f"rota.fact.host.{pool}.>"], last=True):
        if isinstance(one.fact, facts.HostFact) and one.seq >= found.get(one.fact.host, (0,))[0]:
            found[one.fact.host] = (one.seq, one.fact.name, _SEEN[type(one.fact)])
    return sorted((name, seen) for _, name, seen in found.values())


def _documents(found: Sequence[RunSummary]) -> list[dict[str, object]]:
    return [one.model_dump(mode="json") for one in found]
