"""A client of the bus: connect, send an order and wait for its answer, read what runs there are.

It knows the bus's port and the wire, and no service.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import socket
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from cli import answers, disk, place
from cli.answers import Answer, Sent
from cli.exits import Exit, Stop
from shared.bus import jetstream, port, wire
from shared.clock import Clock
from shared.domain import commands, facts
from shared.domain.errors import Unreadable
from shared.domain.summary import RunSummary

CONNECT_WITHIN = 5.0
SEND_WITHIN = 10.0
TAKEN_WITHIN = 20.0
"""Seconds of machine time after which an order that no planner took is left on the bus."""


@dataclass(frozen=True, slots=True)
class Client:
    """A bus, the clock of its pools, who gives the orders, and what is wrong with the bus's disk, where it is ours."""

    bus: port.Bus
    clock: Clock
    by: str
    warning: str = ""


@contextlib.asynccontextmanager
async def connected(where: place.Place | None = None, *, within: float = 0.0) -> AsyncIterator[Client]:
    """A client on the bus. Raises Stop (5) with a sentence when nobody lets it in, or when nobody has made Rota's
    streams on it, each within `within` seconds of machine time (0: CONNECT_WITHIN)."""
    where, within = where or place.find(), within or CONNECT_WITHIN
    bus = await _connect(where.url, within)
    try:
        await _furnished(bus, where.url, within)
        yield Client(bus, where.clock, orderer(), _disk_warning(where.data))
    except (port.BusUnreachable, port.BusRefused) as error:
        raise Stop(Exit.UNREACHABLE, _one_sentence(error)) from error
    finally:
        await bus.close()


def _disk_warning(data: Path | None) -> str:
    if data is None:
        return ""
    free = disk.free(data)
    return disk.sentence(disk.level(free), free, data)


def orderer() -> str:
    """Who gives an order, for people to find: user@machine."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError):
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


async def send(client: Client, command: commands.Command, *, order: str | None = None) -> Sent:
    """Put an order on the bus under a fresh message id. Raises Stop."""
    order = order or uuid.uuid4().hex
    try:
        message = wire.command_message(command, by=client.by)
    except Unreadable as error:
        raise Stop(Exit.USAGE, error.because) from error
    seq = await client.bus.append(message, id=order, within=SEND_WITHIN)
    pool = str(getattr(command, "pool", ""))
    return Sent(order, seq, message.subject, pool, answers.run_named_by(command, order))


async def ask(
    client: Client, command: commands.Command, *, say: Callable[[Answer], None], taken_within: float = TAKEN_WITHIN
) -> tuple[Sent, Answer]:
    """Send an order and wait for what ends the wait for it; `say` hears what comes before.

    Raises Stop (5) when nobody took the order within `taken_within` seconds of machine time; it stays on the bus.
    """
    pool = str(getattr(command, "pool", ""))
    after = await client.bus.last_seq()
    async with client.bus.follow(answers.filters(pool), after=after) as following:
        sent = await send(client, command)
        heard = _heard(sent, following)
        try:
            first = await asyncio.wait_for(anext(heard), taken_within)
        except TimeoutError:
            raise Stop(Exit.UNREACHABLE, _nobody(command, taken_within), {"order": sent.order}) from None
        answer = first
        while not answer.final:
            say(answer)
            answer = await anext(heard)
        return sent, answer


async def _heard(sent: Sent, following: AsyncIterator[port.Stored]) -> AsyncIterator[Answer]:
    async for stored in following:
        try:
            recorded = wire.read_fact(stored)
        except Unreadable:
            continue
        answer = answers.answer(sent, recorded.fact)
        if answer is not None:
            yield answer


async def summaries(client: Client, pool: str = "") -> list[RunSummary]:
    """All runs that the projection knows, the newest first; with `pool` only that pool's."""
    found = []
    for key in await client.bus.keys(wire.RUNS_BUCKET):
        if pool and key.partition(".")[0] != pool:
            continue
        if (value := await _summary(client, key)) is not None:
            found.append(value)
    return sorted(found, key=lambda one: one.requested_at, reverse=True)


async def summary(client: Client, pool: str, run: str) -> RunSummary | None:
    """A run's summary, or None while the projection has none."""
    return await _summary(client, f"{pool}.{run}")


async def _summary(client: Client, key: str) -> RunSummary | None:
    entry = await client.bus.get(wire.RUNS_BUCKET, key)
    if entry is None:
        return None
    try:
        return RunSummary.model_validate_json(entry[0])
    except ValidationError:
        return None


async def find_run(client: Client, prefix: str) -> tuple[str, str]:
    """Pool and run that a prefix names (of the run's id, or of `pool.run`). Raises Stop (2) for none or several."""
    keys = set(await client.bus.keys(wire.RUNS_BUCKET))
    if not _matching(keys, prefix):
        keys |= {key async for key in _journalled(client)}
    matching = _matching(keys, prefix)
    if not matching:
        raise Stop(Exit.USAGE, f"There is no run {prefix!r}; `rota runs` lists them.")
    if len(matching) > 1:
        raise Stop(Exit.USAGE, f"{prefix!r} may be {_list(matching)}; write more of it.")
    pool, _, run = matching[0].partition(".")
    return pool, run


def _matching(keys: set[str], prefix: str) -> list[str]:
    exact = [key for key in keys if prefix in (key, key.partition(".")[2])]
    return exact or sorted(key for key in keys if key.startswith(prefix) or key.partition(".")[2].startswith(prefix))


async def _journalled(client: Client) -> AsyncIterator[str]:
    async for stored in client.bus.read([facts.RunRequested.subject.format(pool="*", run="*")]):
        _, _, _, pool, run, *_ = stored.subject.split(".")
        yield f"{pool}.{run}"


async def recorded(client: Client, filters: Sequence[str], *, last: bool = False) -> list[wire.Recorded]:
    """The facts under some subjects up to now; what cannot be read is left out."""
    found = []
    async for stored in client.bus.read(filters, last_per_subject=last):
        with contextlib.suppress(Unreadable):
            found.append(wire.read_fact(stored))
    return found


async def _furnished(bus: port.Bus, url: str, within: float) -> None:
    """Wait for the streams and buckets, which the services make when they start."""
    try:
        async with asyncio.timeout(within):
            await bus.last_seq()
            await bus.keys(wire.RUNS_BUCKET)
    except TimeoutError:
        raise Stop(
            Exit.UNREACHABLE,
            f"The bus at {_hidden(url)} answers, but no Rota has been on it yet; `rota up` starts the services.",
        ) from None


async def _connect(url: str, within: float) -> port.Bus:
    try:
        return await jetstream.connect(url, name=f"rota@{socket.gethostname()}", within=within)
    except port.BusUnreachable as error:
        raise Stop(Exit.UNREACHABLE, f"{_one_sentence(error)} Is it running, and is the address right?") from error
    except port.BusRefused as error:
        raise Stop(Exit.UNREACHABLE, _one_sentence(error)) from error
    except (OSError, ValueError) as error:
        raise Stop(Exit.UNREACHABLE, f"The bus at {_hidden(url)} cannot be reached: {error}.") from error


def _one_sentence(error: BaseException) -> str:
    text = str(error).strip() or "The bus does not answer."
    return text if text.endswith(".") else f"{text}."


def _hidden(url: str) -> str:
    return ", ".join(one.strip().rpartition("//")[2].rpartition("@")[2] for one in url.split(","))


def _nobody(command: commands.Command, seconds: float) -> str:
    return (
        f"The order {command.verb} is on the bus, but no {command.subject.split('.')[2]} took it within {seconds:g} s;"
        " it takes effect when one does: is `rota up` running?"
    )


def _list(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"
