"""The verbs about schedules: which there are, when they come due, and the orders that set and delete them.

Those of rota.toml are read from the file where this client has it; those that orders have set stand on the bus.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice

from pydantic import ValidationError
from rich.table import Table
from rich.text import Text

from cli import client as client_
from cli import ordering, output, place
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from cli.telling import plain
from shared import settings as settings_
from shared.bus import wire
from shared.domain import commands, cron
from shared.domain.schedule import InForce, Standing, in_force, pools_of

MOST = 1000
"""Ticks that `rota schedule next` shows at most."""


async def listed() -> Ending:
    """Every schedule that is in force, with its next tick."""
    settings = place.read_settings(os.environ)
    async with client_.connected() as client:
        found = await _in_force(client, settings)
        now = client.clock.now()
    document: dict[str, object] = {"schedules": [_document(one, now, settings) for one in found.values()]}
    sentence = f"{len(found)} in force." if found else "There is no schedule; `rota schedule add` sets one."
    return Ending(document, (_table(found, now, settings),) if found else (), Exit.DONE, sentence)


async def following(key: str, count: int) -> Ending:
    """The next ticks of one schedule."""
    async with client_.connected() as client:
        found = await _in_force(client, place.read_settings(os.environ))
        now = client.clock.now()
    if key not in found:
        raise Stop(Exit.USAGE, f"There is no schedule {key!r}; `rota schedules` lists them.")
    schedule = found[key].schedule
    ticks = list(islice(cron.ticks(schedule.cron, schedule.zone, now), min(count, MOST)))
    shown = Text("\n".join(cron.shown(tick, schedule.zone) for tick in ticks))
    sentence = f"Schedule {key} is due next at these times." if ticks else f"Schedule {key} never comes due again."
    return Ending({"schedule": key, "ticks": ticks}, (shown,) if ticks else (), Exit.DONE, sentence)


async def order(command: commands.SetSchedule | commands.DeleteSchedule) -> Ending:
    """Set or delete a schedule, and wait for the scheduler's answer."""
    async with client_.connected() as client:
        sent, answer = await client_.ask(client, command, say=lambda said: output.say(said.sentence))
    return Ending({"order": sent.order, "schedule": command.schedule}, (), answer.code, answer.sentence)


def set_command(
    key: str,
    when: str,
    zone: str,
    pools: Sequence[str],
    tags: Sequence[str],
    late: float,
    policy: Sequence[str],
    *,
    tell: bool = False,
) -> commands.SetSchedule:
    """The order that sets a schedule; `late` is how many hours late a missed tick may start, 0 for not at all.
    The scheduler judges it. Raises Stop (2)."""
    missed = {"missed": "run_late", "late_hours": late} if late > 0 else {}
    fields: dict[str, object] = {
        "schedule": key,
        "cron": when,
        "zone": zone,
        "pools": tuple(pools),
        "tags": tuple(tags),
        **missed,
    }
    fields["does"] = "tell" if tell else "update"
    try:
        return commands.SetSchedule.model_validate({**fields, "policy": ordering.policy_of(policy)})
    except ValidationError as error:
        first = error.errors()[0]
        raise Stop(Exit.USAGE, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from error


def delete_command(key: str) -> commands.DeleteSchedule:
    """The order that deletes a schedule. Raises Stop (2)."""
    if len(key) > 400:
        raise Stop(Exit.USAGE, "A schedule's key has 40 characters at most.")
    return commands.DeleteSchedule(schedule=key)


async def _in_force(client: Client, settings: settings_.Settings) -> Mapping[str, InForce]:
    standing: dict[str, Standing] = {}
    for key in await client.bus.keys(wire.SCHEDULES_BUCKET):
        kind, _, schedule = key.partition(".")
        held = await client.bus.get(wire.SCHEDULES_BUCKET, key) if kind == "schedule" else None
        if held is None:
            continue
        try:
            standing[schedule] = Standing.model_validate_json(held[0])
        except ValidationError:
            output.say(f"Schedule {schedule} on the bus cannot be read, so it gives no orders; set it again.")
    return in_force(settings.schedule, standing)


def _document(one: InForce, now: float, settings: settings_.Settings) -> dict[str, object]:
    return {
        "schedule": one.key,
        "by": one.by,
        "next": cron.next_tick(one.schedule.cron, one.schedule.zone, now),
        "updates": list(pools_of(one.schedule, settings.tags)),
        **one.schedule.model_dump(mode="json"),
    }


def _table(found: Mapping[str, InForce], now: float, settings: settings_.Settings) -> Table:
    table = Table("schedule", "cron", "next", "does", "pools", "when missed", "set by", box=None, pad_edge=False)
    for one in found.values():
        schedule = one.schedule
        tick = cron.next_tick(schedule.cron, schedule.zone, now)
        words = (
            one.key,
            schedule.cron,
            cron.shown(tick, schedule.zone) if tick is not None else "never",
            schedule.does,
            _pools(one, settings),
            "skip" if schedule.missed == "skip" else f"up to {schedule.late_hours:g} h late",
            one.by,
        )
        table.add_row(*(Text(plain(word)) for word in words))
    return table


def _pools(one: InForce, settings: settings_.Settings) -> str:
    """Pools as far as this client's settings tell; tags as they stand where they do not."""
    pools = pools_of(one.schedule, settings.tags)
    unknown = [f"tag {tag}" for tag in one.schedule.tags if not any(tag in tags for tags in settings.tags.values())]
    return ", ".join((*pools, *unknown))
