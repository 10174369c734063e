"""One XAPI session: its login, its calls, its tasks, and its end. It belongs to one step in hand.

Reading goes as JSON-RPC on the loop; acts go through the XenAPI package in a worker thread of the session's own, each
call once, tagged with run and step. A session that was ended is never logged in again here.
"""

from __future__ import annotations

import asyncio
import xmlrpc.client
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any
from xml.parsers.expat import ExpatError

import XenAPI

from shared.xapi import address as addresses
from shared.xapi import answers
from shared.xapi.mirror import Mirror
from shared.xapi.port import Access, Told
from shared.xapi.reading import Records
from shared.xapi.stream import Reader
from shared.xapi.transport import Transport

ORIGINATOR = "rota-executor"
"""Stable: XAPI bounds the sessions of each originator and evicts the oldest in silence (xapi_globs.ml)."""

ANSWER = 60.0
"""Seconds of machine time that a call may take. Whatever can take longer is an Async call."""

LOGIN = 10.0
"""Seconds of machine time for each call of a login."""

LONG_POLL = 30.0
"""Seconds of machine time that one event.from waits; then it is seen whether what is waited for still exists."""

ALWAYS_THERE = ("pool",)
"""Read along with what may be empty: event.from waits while it has nothing at all to tell, with an empty token too."""

HOPS = 8


class TaskLost(answers.NoAnswer):
    """The pool forgot a task before it ended, as it does when the master's xapi restarts: its outcome is unknown."""


class Session:
    """Made by `open`. Every method may raise what `answers` names; `SessionGone` means that this one is over."""

    def __init__(self, access: Access, reader: Reader, tags: Mapping[str, str]) -> None:
        self._reader = reader
        self._transport = Transport(access, timeout=ANSWER, tags=tags)
        self._proxy = XenAPI.Session(reader.url, transport=self._transport)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="xapi")

    @classmethod
    async def open(cls, access: Access, *, members: Iterable[str], tags: Mapping[str, str]) -> Session:
        """Log in on the master, wherever it is: asked are the configured host, then each known member.

        HOST_IS_SLAVE is followed only to an address among `members` (bare addresses) or to the configured host, so
        that no host can send the password elsewhere; to any other it is raised. Raises what the last one answered.
        """
        return cls(access, await _login(access, sorted(members)), tags)

    @property
    def uuid(self) -> str:
        """The session's uuid; its ref is a credential and is never told."""
        return self._reader.session_uuid

    async def read(self, method: str, *params: object, timeout: float = ANSWER) -> Any:
        """Ask something that changes nothing. `timeout` in seconds of machine time."""
        return await self._reader.call(method, *params, timeout=timeout)

    async def get(self, path: str) -> bytes:
        """What a path of the master answers to a GET with this session."""
        return await self._reader.get(path)

    async def act(self, method: str, *params: object) -> Any:
        """Call something once, and wait for its answer."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, self._send, method, params)

    async def run(self, method: str, *params: object, told: Told | None = None) -> str:
        """Begin `method` as an Async call and wait by events until its task is over. Returns the task's result.

        Raises Failure with what the task failed of, and TaskLost when the pool forgot it.
        """
        return await self.over(str(await self.act(f"Async.{method}", *params)), told)

    async def over(self, task: str, told: Told | None = None) -> str:
        """Wait until a task is over; see `run`. Its status is written last (xen-api taskHelper.ml)."""
        batch = await self._reader.events([f"task/{task}", *ALWAYS_THERE], "", LONG_POLL)
        if all(event.ref != task for event in batch.events):
            raise TaskLost("The pool forgot a task before it ended.")
        while True:
            for event in batch.events:
                if event.ref != task:
                    continue
                if event.snapshot is None:
                    raise TaskLost("The pool forgot a task before it ended.")
                if (result := _result(event.snapshot)) is not None:
                    return result
                if told is not None:
                    await told(float(event.snapshot["progress"]))
            batch = await self._reader.events([f"task/{task}"], batch.token, LONG_POLL)
            if not batch.events:
                await self._still_known(task)

    async def records(self, classes: Sequence[str]) -> Records:
        """All records of some classes, in one consistent reading."""
        mirror = Mirror(classes)
        mirror.apply(await self._reader.events([*classes, *ALWAYS_THERE], "", ANSWER))
        return mirror.records

    async def until(self, classes: Sequence[str], seen: Callable[[Records], bool], seconds: float) -> bool:
        """Wait by events until the records satisfy `seen`, or `seconds` of machine time have passed; whether they did.

        Class names only; records are by class in lower case and ref.
        """
        loop = asyncio.get_running_loop()
        mirror, deadline = Mirror(classes), loop.time() + seconds
        while True:
            left = deadline - loop.time()
            await mirror.catch_up(self._reader, min(LONG_POLL, max(0.05, left)))
            if seen(mirror.records):
                return True
            if left <= 0:
                return False

    async def until_record(
        self, class_: str, ref: str, seen: Callable[[Mapping[str, Any] | None], bool], seconds: float
    ) -> bool:
        """As `until`, of one object alone: `seen` is given its record, None when it is gone."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        one = f"{class_}/{ref}"
        batch = await self._reader.events([one, *ALWAYS_THERE], "", LONG_POLL)
        record: Mapping[str, Any] | None = None
        while True:
            for event in batch.events:
                record = event.snapshot if event.ref == ref else record
            if seen(record):
                return True
            if (left := deadline - loop.time()) <= 0:
                return False
            batch = await self._reader.events([one], batch.token, min(LONG_POLL, max(0.05, left)))

    async def end_other(self, uuid: str) -> bool:
        """End another session by its uuid: `session.get_by_uuid`, then `session.logout` in its name. Whether it lived.

        Its event.from is woken and any later call of it gets SESSION_INVALID (read in xen-api, not tried; see the ADR).
        """
        try:
            ref = await self._reader.call("session.get_by_uuid", uuid)
        except answers.SessionGone:
            raise
        except answers.Failure:
            return False
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._thread, self._call, "session.logout", (str(ref),))
        except answers.SessionGone:
            return False
        return True

    async def end(self, ref: str) -> None:
        """End a session that the pool opened for us, by its ref. One that is over, or that nobody can be asked about,
        is left to the pool."""
        with suppress(answers.SessionGone, answers.Failure, answers.NoAnswer):
            await asyncio.get_running_loop().run_in_executor(self._thread, self._call, "session.logout", (ref,))

    async def close(self) -> None:
        """Log out and let the thread go, even one that waits for an answer."""
        self._transport.abort()
        self._thread.shutdown(wait=False, cancel_futures=True)
        await self._reader.close()

    async def _still_known(self, task: str) -> None:
        try:
            await self._reader.call("task.get_status", task)
        except answers.SessionGone:
            raise
        except answers.Failure as error:
            raise TaskLost("The pool forgot a task before it ended.") from error

    def _send(self, method: str, params: tuple[object, ...]) -> Any:
        return self._call(method, (self._reader.session_ref, *params))

    def _call(self, method: str, params: tuple[object, ...]) -> Any:
        """In the worker thread: the package's own proxy, without its habit of logging in again."""
        reply = getattr(self._proxy, method)(*params)
        if not isinstance(reply, dict) or "Status" not in reply:
            raise answers.NoAnswer(f"{self._reader.url} gave an answer to {method} that is none of XAPI's.")
        if reply["Status"] == "Success":
            return reply.get("Value", "")
        raise answers.failure(reply.get("ErrorDescription", []))


def value(result: str) -> str:
    """The text in a task's result, which is an XML-RPC value (xen-api taskHelper.ml); empty for none.

    Raises NoAnswer for anything else."""
    if not result:
        return ""
    try:
        (text,), _ = xmlrpc.client.loads(f"<params><param>{result}</param></params>")
    except (ExpatError, xmlrpc.client.Error, ValueError) as error:
        raise answers.NoAnswer("The pool gave a task's result that cannot be read.") from error
    return str(text)


async def _login(access: Access, members: Sequence[str]) -> Reader:
    configured = addresses.host(access.url)
    known = {configured, *members}
    waiting, asked = [configured, *members], set[str]()
    said: Exception | None = None
    while waiting and len(asked) < HOPS:
        host = waiting.pop(0)
        if host in asked:
            continue
        asked.add(host)
        try:
            return await Reader.open(access, host, timeout=LOGIN, originator=ORIGINATOR)
        except answers.HostIsSlave as error:
            if error.master not in known:
                raise
            waiting.insert(0, error.master)
        except answers.Untrusted:
            raise
        except (answers.NoAnswer, answers.Emergency) as error:
            said = error
    raise said or answers.NoAnswer(f"No host of the pool at {access.url} says that it is the master.")


def _result(task: Mapping[str, Any]) -> str | None:
    """A task's result once it is over, None while it is not. Raises Failure with what it failed of."""
    status = task["status"]
    if status == "success":
        return str(task["result"])
    if status in ("failure", "cancelled"):
        raise answers.failure(task["error_info"] or ["TASK_CANCELLED", "the task"])
    return None
