"""Messages to bytes and back, and every subject, stream and header name there is.

Facts travel as CloudEvents 1.0 in structured JSON; commands of people as plain JSON. What cannot be read raises
`Unreadable` with one sentence; what is too large never gets on the bus.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from pydantic import ValidationError

from shared.bus import streams
from shared.bus.port import Guard, Message, Stored
from shared.domain import commands, facts, messages
from shared.domain.errors import Unreadable

COMMANDS_STREAM = streams.COMMANDS
FACTS_STREAM = streams.FACTS
RUNS_BUCKET = streams.RUNS
SCHEDULES_BUCKET = streams.SCHEDULES
SNAPSHOTS_BUCKET = streams.SNAPSHOTS

MSG_ID = "Nats-Msg-Id"
BY = "Rota-By"

LIFECYCLE = "rota.fact.run.*.*.run.*"
HOSTS_SEEN = "rota.fact.host.>"
POOLS_SEEN = "rota.fact.pool.>"
EXECUTOR_ORDERS = "rota.command.executor.>"
PLANNER_ORDERS = "rota.command.planner.>"
SCHEDULER_ORDERS = "rota.command.scheduler.>"
SCHEDULES_SAID = "rota.fact.schedule.>"

LARGEST = 900_000
"""Bytes of one message; the server's own limit is 1 MiB with headers."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A fact as it was read: what, when (pool time, seconds since 1970), by whom, and its place in the journal."""

    fact: facts.Fact
    at: float
    source: str
    seq: int
    stored_at: float


def pool_guard(pool: str, after: int) -> Guard:
    """The guard over all of a pool's run facts; also the lock that lets one run at a time have the pool."""
    return Guard(f"rota.fact.run.{pool}.>", after)


def runs_guard(after: int) -> Guard:
    """The guard over the run facts of all pools, for what is decided from more than one."""
    return Guard("rota.fact.run.>", after)


def step_filter(pool: str, run: str, step: str) -> str:
    """Everything that anybody has recorded of one step."""
    return f"rota.fact.*.{pool}.{run}.{step}.*"


def run_filter(pool: str, run: str) -> str:
    """Everything that was recorded of one run."""
    return f"rota.fact.*.{pool}.{run}.>"


def pool_filter(pool: str) -> str:
    """Everything that the planner recorded of a pool's runs."""
    return f"rota.fact.run.{pool}.>"


def progress_subject(pool: str, run: str, step: str) -> str:
    """Where a step's progress comes and goes; not in the journal."""
    return f"rota.progress.{pool}.{run}.{step}"


def report_object(pool: str, run: str, form: str) -> str:
    """Where ROTA_SNAPSHOTS holds a run's report; `form` is html, txt, csv or json."""
    return f"{pool}/{run}/report.{form}"


def schedule_key(schedule: str) -> str:
    """Where a schedule that an order has set stands in ROTA_SCHEDULES."""
    return f"schedule.{schedule}"


def mark_key(schedule: str) -> str:
    """Where ROTA_SCHEDULES holds up to which tick a schedule is dealt with."""
    return f"mark.{schedule}"


def fact_message(fact: facts.Fact, *, source: str, at: float, id: str) -> Message:
    """A fact as a CloudEvent. `at` is pool time, `id` unique within `source`. Raises Unreadable if it is too large."""
    body = {
        "specversion": "1.0",
        "id": id,
        "source": f"rota/{source}",
        "type": messages.fact_type(type(fact)),
        "time": datetime.fromtimestamp(at, UTC).isoformat(),
        "datacontenttype": "application/json",
        "data": fact.model_dump(mode="json"),
    }
    subject = messages.fact_subject(fact)
    return Message(subject, _bounded(subject, json.dumps(body, separators=(",", ":")).encode()))


def read_fact(stored: Stored) -> Recorded:
    """The fact in a stored message. Raises Unreadable for bytes, versions, types or subjects that do not fit;
    a fact whose subject is not the one its own fields give is a forgery for another run and is refused too."""
    body = _json(stored.subject, stored.data)
    class_ = messages.fact_class(str(body.get("type", "")))
    if body.get("specversion") != "1.0" or class_ is None:
        raise Unreadable(
            f"The message on {stored.subject} is not a fact this version of Rota knows"
            f" (type {body.get('type')!r}); is a newer Rota on this bus?"
        )
    try:
        fact = class_.model_validate(body.get("data"))
        at = datetime.fromisoformat(str(body.get("time"))).timestamp()
    except ValidationError as error:
        raise Unreadable(f"The fact on {stored.subject} cannot be read: {_first(error)}.") from error
    except ValueError as error:
        raise Unreadable(f"The fact on {stored.subject} has no usable time: {error}.") from error
    if messages.fact_subject(fact) != stored.subject:
        raise Unreadable(
            f"The fact on {stored.subject} names {messages.fact_subject(fact)}; it was put on a wrong subject."
        )
    return Recorded(fact, at, str(body.get("source", "")).removeprefix("rota/"), stored.seq, stored.stored_at)


def command_message(command: commands.Command, *, by: str) -> Message:
    """A person's or a schedule's order as plain JSON with who gave it."""
    return Message(command.subject, _bounded(command.subject, command.model_dump_json().encode()), {BY: by})


def read_command(message: Message) -> commands.Command:
    """A person's order to the planner or the scheduler. Raises Unreadable with the first thing that is wrong."""
    reader, _, verb = message.subject.removeprefix("rota.command.").partition(".")
    class_ = messages.command_class(reader, verb)
    if class_ is None:
        raise Unreadable(f"There is no order {verb!r}; the orders are {', '.join(_verbs(reader))}.")
    body = _json(message.subject, message.data)
    try:
        return class_.model_validate(body)
    except ValidationError as error:
        raise Unreadable(f"The order {verb} cannot be read: {_first(error)}.") from error


def step_message(command: commands.DoStep) -> Message:
    """An executor's order."""
    subject = messages.step_subject(command)
    return Message(subject, _bounded(subject, command.model_dump_json().encode()))


def read_step(message: Message) -> commands.DoStep:
    """An executor's order. Raises Unreadable; an order whose subject is not its own is refused."""
    body = _json(message.subject, message.data)
    try:
        command = commands.DoStep.model_validate(body)
    except ValidationError as error:
        raise Unreadable(f"The order on {message.subject} cannot be read: {_first(error)}.") from error
    if messages.step_subject(command) != message.subject:
        raise Unreadable(f"The order on {message.subject} names {messages.step_subject(command)}.")
    return command


def order_id(message: Message, *, stream: str, seq: int) -> str:
    """An order's id: its message id where the client gave one, else stream and sequence."""
    return message.headers.get(MSG_ID) or f"{stream}-{seq}"


def ordered_by(message: Message) -> str:
    """Who gave an order, as the client says; at most 200 characters."""
    return (message.headers.get(BY) or "somebody who did not say")[:200]


def _verbs(reader: str) -> list[str]:
    return [row.message.verb for row in messages.COMMANDS if row.reader == reader]


def _json(subject: str, data: bytes) -> Mapping[str, Any]:
    if len(data) > LARGEST:
        raise Unreadable(f"The message on {subject} has {len(data)} bytes; at most {LARGEST} are read.")
    try:
        body = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The message on {subject} is not JSON: {error}.") from error
    if not isinstance(body, dict):
        raise Unreadable(f"The message on {subject} is not a JSON object.")
    return body


def _bounded(subject: str, data: bytes) -> bytes:
    if len(data) > LARGEST:
        raise Unreadable(f"A message for {subject} has {len(data)} bytes; at most {LARGEST} can be sent.")
    return data


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"]) or "the message"
    if first["type"] == "extra_forbidden":
        return f"it has no field {place!r}"
    return f"{place}: {first['msg']}"
