"""Short words for what these tests write and wait for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from shared.bus import streams
from shared.bus.port import Guard, Intake, Message

T = TypeVar("T")

ORDERS = Intake(streams.COMMANDS, "executor", ("rota.command.executor.>",), ack_wait=0.3)
PATIENCE = 10.0
"""Seconds after which a test gives up on what should come at once."""


def fact(name: str, pool: str = "lab", data: bytes = b"", run: str = "r1") -> Message:
    """A fact of the planner's about a run."""
    return Message(f"rota.fact.run.{pool}.{run}.run.{name}", data)


def seen(name: str, pool: str = "lab", data: bytes = b"") -> Message:
    """A fact of the watcher's."""
    return Message(f"rota.fact.host.{pool}.h1.{name}", data)


def order(step: str = "t01-s001", attempt: int = 1, verb: str = "reboot_host") -> Message:
    """An order to the executor."""
    return Message(f"rota.command.executor.{verb}.lab.r1.{step}-{attempt}", b"{}")


def guard(after: int, pool: str = "lab") -> Guard:
    """The guard over all of a pool's run facts."""
    return Guard(f"rota.fact.run.{pool}.>", after)


async def soon(messages: AsyncIterator[T], within: float = PATIENCE) -> T:
    """The next one; fails when it does not come."""
    async with asyncio.timeout(within):
        return await anext(messages)


async def some(messages: AsyncIterator[T], count: int) -> list[T]:
    """The next few."""
    return [await soon(messages) for _ in range(count)]


async def nothing_comes(messages: AsyncIterator[object], within: float = 0.15) -> bool:
    """Whether nothing comes for that long."""
    try:
        async with asyncio.timeout(within):
            await anext(messages)
    except TimeoutError:
        return True
    return False
