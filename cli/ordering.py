"""The verbs that give orders: plan, start, undo, and those to a run."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pydantic import ValidationError

from cli import client as client_
from cli import output, watching
from cli.answers import Answer, Sent
from cli.client import Client
from cli.exits import Ending, Exit, Stop
from shared.domain import commands
from shared.domain.policy import Policy

C = TypeVar("C", bound=commands.Command)

Then = Literal["begun", "watch", "leave"]

LISTS = frozenset(
    name for name, field in Policy.model_fields.items() if str(field.annotation).startswith("tuple") or name == "groups"
)
"""Fields whose values are lists, or tables of lists."""


async def start(command: commands.StartRun | commands.UndoPool, then: Then, *, as_json: bool) -> Ending:
    """Order a run, or an undoing, which is a run without turns. `then` is `begun` (wait until it has begun or will
    not), `watch` (to its end) or `leave`."""
    async with client_.connected() as client:
        if then == "leave":
            sent = await client_.send(client, command)
            return Ending({"order": sent.order, "run": sent.run, "pool": sent.pool}, (sent.run,))
        sent, answer = await client_.ask(client, command, say=asides())
        if then == "watch" and answer.code in (Exit.DONE, Exit.WAITING):
            manner = watching.Manner("silent") if as_json else watching.Manner.for_terminal()
            return await watching.watch(client, sent.pool, sent.run, manner)
    return _started(sent, answer)


def _started(sent: Sent, answer: Answer) -> Ending:
    document = {"order": sent.order, "run": sent.run, "pool": sent.pool}
    sentence = answer.sentence
    if answer.code is Exit.DONE:
        sentence = f"Run {sent.run} has begun: {sentence} `rota watch {sent.run}` shows it."
    return Ending(document, (), answer.code, sentence)


async def cancel(run: str, *, now: bool) -> Ending:
    """End a run, after this turn or now."""
    return await _to_run(run, commands.CancelRun, now=now)


async def pause(run: str) -> Ending:
    """Begin nothing new until resumed."""
    return await _to_run(run, commands.PauseRun)


async def resume(run: str) -> Ending:
    """Go on after a pause or a hold."""
    return await _to_run(run, commands.ResumeRun)


async def acknowledge(run: str) -> Ending:
    """Say that somebody looks after a hold."""
    return await _to_run(run, commands.AcknowledgeHold)


async def approve(run: str, host: str, digest: str) -> Ending:
    """Say yes to what a run asks for: its plan, or the turn of a host."""
    return await _to_run(run, commands.ApproveRun, host=host, digest=digest)


async def reject(run: str, because: str) -> Ending:
    """Say no to what a run asks for."""
    return await _to_run(run, commands.RejectRun, because=because)


async def retry(run: str, step: str) -> Ending:
    """Try a step again; without a step the one that the run is held by."""
    return await _to_step(run, step, commands.RetryStep)


async def skip_step(run: str, step: str) -> Ending:
    """Go on without a step; without a step the one that the run is held by."""
    return await _to_step(run, step, commands.SkipStep)


async def skip(run: str, host: str) -> Ending:
    """Leave a host out of a run."""
    return await _to_run(run, commands.SkipHost, host=host)


async def _to_step(run: str, step: str, class_: type[commands.RunCommand]) -> Ending:
    async with client_.connected() as client:
        pool, run = await client_.find_run(client, run)
        step = step or await _held_step(client, pool, run)
        return await _ordered(client, made(class_, pool=pool, run=run, step=step))


async def _to_run(run: str, class_: type[commands.RunCommand], **more: object) -> Ending:
    async with client_.connected() as client:
        pool, run = await client_.find_run(client, run)
        return await _ordered(client, made(class_, pool=pool, run=run, **more))


async def _ordered(client: Client, command: commands.Command) -> Ending:
    sent, answer = await client_.ask(client, command, say=asides())
    return Ending({"order": sent.order, "pool": sent.pool, "run": sent.run}, (), answer.code, answer.sentence)


async def _held_step(client: Client, pool: str, run: str) -> str:
    summary = await client_.summary(client, pool, run)
    if summary is None or summary.held is None or summary.held.step is None:
        raise Stop(Exit.USAGE, f"Run {run} is not held by a step; name the step that is meant.")
    return summary.held.step


def asides() -> Callable[[Answer], None]:
    """Say what comes before the answer, and nothing twice in a row."""
    last = ""

    def say(answer: Answer) -> None:
        nonlocal last
        if answer.sentence != last:
            output.say(answer.sentence)
        last = answer.sentence

    return say


def made(class_: type[C], **fields: object) -> C:
    try:
        return class_.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        raise Stop(Exit.USAGE, f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}.") from error


def start_command(
    pool: str, policy: Sequence[str], reason: str, digest: str, *, now: bool, consents: Sequence[str] = ()
) -> commands.StartRun:
    """The order that starts a run; `consents` are VMs that may be stopped. Raises Stop (2)."""
    said = {"policy": policy_of(policy), "reason": reason, "digest": digest, "now": now, "consents": tuple(consents)}
    return made(commands.StartRun, pool=pool, **said)


def undo_command(pool: str) -> commands.UndoPool:
    """The order that puts back what is noted in the pool itself. Raises Stop (2)."""
    return made(commands.UndoPool, pool=pool)


def policy_of(words: Sequence[str]) -> Mapping[str, Any]:
    """`key=value` words as a policy. A value is read as JSON where it is JSON, else as text; lists may be written
    with commas (`skip=h1,h2`), and `strategies.VM=block` names one VM. The planner judges it. Raises Stop (2)."""
    policy: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals or not key:
            raise Stop(Exit.USAGE, f"--policy {word!r} is not key=value, as in --policy max_away=1.")
        table, dot, name = key.partition(".")
        if dot:
            policy.setdefault(table, {})[name] = _value(table, text)
        else:
            policy[key] = _value(key, text)
    return policy


def selecting(only: Sequence[str], skip: Sequence[str], order: Sequence[str]) -> list[str]:
    """The options that choose hosts, as words of a policy; what is not given says nothing."""
    chosen = {"only": only, "skip": skip, "order": order}
    return [f"{field}={json.dumps(list(hosts))}" for field, hosts in chosen.items() if hosts]


def _value(key: str, text: str) -> Any:
    try:
        value = json.loads(text)
    except ValueError:
        value = text
    if key in LISTS and not isinstance(value, list):
        return [part.strip() for part in text.split(",") if part.strip()]
    return value
