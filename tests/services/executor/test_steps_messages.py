"""Messages on a simulated pool, and the run's name on its hosts."""

from __future__ import annotations

from typing import Any

from services.executor.steps import noted
from shared.domain import acts
from tests.services.executor.simulated import Simulated, story


async def on_the_pool(pool: Simulated) -> list[dict[str, Any]]:
    """Rota's messages, as any client reads them."""
    session = await pool.login("look")
    try:
        there = await session._session.read("message.get_all_records")
    finally:
        await session.close()
    return [one for one in there.values() if one["name"].startswith("ROTA_")]


async def note_on(pool: Simulated, host: str) -> str | None:
    """What a host's own other_config says of the run."""
    session = await pool.login("look")
    try:
        record = await session._session.read("host.get_other_config", await session._ref("host", pool[host]))
    finally:
        await session.close()
    return record.get(noted.RUN) if isinstance(record, dict) else None


def test_a_message_stands_on_the_pool() -> None:
    """For its users: on the pool, with the run's name, on one line, and what warns above what informs."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.PostMessage("began", "Rota began.\x00\nBcc: all"))
        await pool.do(acts.PostMessage("held", "Rota waits: <b>web</b> & db."))
        began, held = sorted(await on_the_pool(pool), key=lambda one: str(one["name"]))
        assert (began["cls"], began["body"]) == ("Pool", "Rota began. Bcc: all (Rota, run r1, t01-s001)")
        assert held["body"].startswith("Rota waits: <b>web</b> & db.")
        assert int(held["priority"]) < int(began["priority"])

    story(run)


def test_who_takes_the_step_over_leaves_no_second_message() -> None:
    """The first may have been left by whoever had it before."""

    async def run(pool: Simulated) -> None:
        for again in (False, True):
            await pool.do(acts.PostMessage("ended", "It is over."), again=again)
        assert len(await on_the_pool(pool)) == 1

    story(run)


def test_a_host_in_its_turn_names_the_run() -> None:
    """In its own other_config, from when it is disabled until it is enabled; other keys stay."""

    async def run(pool: Simulated) -> None:
        await pool.do(acts.DisableHost(pool["porthos"]))
        assert await note_on(pool, "porthos") == "r1"
        assert await note_on(pool, "aramis") is None
        await pool.do(acts.EnableHost(pool["porthos"]))
        assert await note_on(pool, "porthos") is None

    story(run)
