"""The verb that shows what waits to be installed: a fresh survey of each pool, its packages and their changelogs."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping

from pydantic import TypeAdapter, ValidationError
from rich.console import Group, RenderableType
from rich.text import Text

from cli import client as client_
from cli import output, place
from cli.answers import Answer
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from cli.telling import count, plain
from shared.bus import wire
from shared.domain import commands, facts
from shared.domain.model import PoolSnapshot
from shared.domain.offers import Offer, offers, unknown

_SNAPSHOT = TypeAdapter(PoolSnapshot)
_OFFERS = TypeAdapter(tuple[Offer, ...])

LINES = 8
"""Lines of one package's changelog on a terminal; `--json` has all of it."""


async def updates(pool: str) -> Ending:
    """What waits on one pool, or on every pool of rota.toml. Changes nothing. Status 1 where one could not be asked."""
    pools = (pool,) if pool else tuple(place.read_settings(os.environ).pool)
    if not pools:
        raise Stop(Exit.USAGE, "No pool is named, and there is no rota.toml here that names some: rota updates POOL.")
    async with client_.connected() as client:
        found = {one: await _asked(client, one) for one in pools}
    document: dict[str, object] = {"pools": {name: one.document for name, one in found.items()}}
    shown = tuple(renderable for one in found.values() for renderable in one.shown)
    worst = max((one.code for one in found.values()), default=Exit.DONE)
    return Ending(document, shown, worst, " ".join(one.sentence for one in found.values()))


async def _asked(client: Client, pool: str) -> Ending:
    """What waits on one pool."""
    sent, answer = await client_.ask(client, commands.PlanPool(pool=pool), say=_aside)
    fact = answer.fact
    if not isinstance(fact, facts.ForecastMade):
        return Ending({"order": sent.order, "because": answer.sentence}, (), answer.code, answer.sentence)
    snapshot = await _snapshot(client, fact)
    found, unasked = offers(snapshot), unknown(snapshot)
    document: Mapping[str, object] = {
        "order": sent.order,
        "updates": json.loads(_OFFERS.dump_json(found)),
        "unknown": list(unasked),
    }
    sentence = _sentence(snapshot, found, unasked)
    code = Exit.FAILED if unasked else Exit.DONE
    return Ending(document, (_shown(sentence, found, unasked),), code, sentence)


async def _snapshot(client: Client, fact: facts.ForecastMade) -> PoolSnapshot:
    data = await client.bus.get_object(wire.SNAPSHOTS_BUCKET, fact.snapshot) if fact.snapshot else None
    try:
        if data is not None:
            return _SNAPSHOT.validate_json(data)
    except ValidationError:
        pass
    raise Stop(
        Exit.FAILED, f"What was read of pool {fact.pool} cannot be had from the bus; `rota updates` reads again."
    )


def _aside(answer: Answer) -> None:
    output.say(answer.sentence)


def _sentence(snapshot: PoolSnapshot, found: tuple[Offer, ...], unasked: tuple[str, ...]) -> str:
    hosts = {host for offer in found for host in offer.hosts}
    closes = sorted({one for offer in found for one in offer.advisories})
    waits = f"{count(len(found), 'update')} on {len(hosts)} of {count(len(snapshot.hosts), 'host')}"
    security = f", which close {', '.join(closes)}" if closes else ""
    said = f"Pool {snapshot.name}: {waits}{security}." if found else f"Pool {snapshot.name}: nothing waits."
    return " ".join((said, *unasked))


def _shown(sentence: str, found: tuple[Offer, ...], unasked: tuple[str, ...]) -> RenderableType:
    parts: list[RenderableType] = [Text(plain(sentence), style="bold")]
    for offer in found:
        head = Text(f"\n{plain(offer.package.name)} {plain(offer.version)}", style="bold")
        head.append(f"  {plain(', '.join(offer.hosts))}", style="dim")
        if offer.advisories:
            head.append(f"  {', '.join(offer.advisories)}", style="red")
        parts.append(head)
        lines = (offer.package.changelog or offer.package.description).splitlines()
        parts += [Text(f"  {plain(line)}") for line in lines[:LINES]]
        if len(lines) > LINES:
            parts.append(Text(f"  … and {count(len(lines) - LINES, 'more line')}", style="dim"))
    return Group(*parts)
