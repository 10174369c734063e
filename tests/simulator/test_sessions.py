"""Sessions: who may log in and where, and what ends them."""

from __future__ import annotations

import asyncio

import aiohttp

from tests.simulator.pools import Xapi, played, refused


def test_a_wrong_password_is_refused_with_the_users_name() -> None:
    async def story(xapi: Xapi) -> None:
        answer = await refused(xapi.ask("session.login_with_password", "root", "wrong"))
        assert answer[:2] == ["SESSION_AUTHENTICATION_FAILED", "root"]

    played(story)


def test_a_member_sends_to_its_master_before_it_looks_at_the_password() -> None:
    """HOST_IS_SLAVE with the master's bare address, also under a session of the pool."""

    async def story(xapi: Xapi) -> None:
        south = xapi.sim.hosts["south"]
        master = xapi.sim.master_url.removeprefix("http://").split(":")[0]
        assert await refused(xapi.ask("session.login_with_password", "x", "y", url=south)) == ["HOST_IS_SLAVE", master]
        assert await refused(xapi("host.get_all", url=south)) == ["HOST_IS_SLAVE", master]

    played(story)


def test_a_session_can_be_ended_by_another_that_knows_its_uuid() -> None:
    """What fencing rests on: session.get_by_uuid and session.logout; the ended one is refused from then on."""

    async def story(xapi: Xapi) -> None:
        uuid = await xapi("session.get_uuid", xapi.session)
        other = await xapi.ask("session.login_with_password", "root", "simulated", "1.0", "other")
        ref = await xapi.ask("session.get_by_uuid", other, uuid)
        assert ref == xapi.session
        await xapi.ask("session.logout", ref)
        assert await refused(xapi("host.get_all")) == ["SESSION_INVALID", xapi.session]
        assert await xapi.ask("host.get_all", other)

    played(story)


def test_ending_a_session_wakes_what_waits_under_it() -> None:
    """A blocked event.from answers SESSION_INVALID at once."""

    async def story(xapi: Xapi) -> None:
        token = (await xapi("event.from", ["pool"], "", 1.0))["token"]
        waiting = asyncio.create_task(refused(xapi("event.from", ["pool"], token, 600.0)))
        await asyncio.sleep(5)
        other = await xapi.ask("session.login_with_password", "root", "simulated")
        assert await xapi.ask("pool.get_all", other)
        began = xapi.now
        await xapi.ask("session.logout", xapi.session)
        assert await waiting == ["SESSION_INVALID", xapi.session]
        assert xapi.now - began < 1

    played(story)


def test_sessions_and_tasks_die_with_the_masters_toolstack() -> None:
    """The old session is unknown afterwards, and so is a task that was under way."""

    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        task = await xapi("Async.host.call_plugin", north, "updater.py", "update", {})
        await xapi("host.restart_agent", north)
        await asyncio.sleep(60)
        old = xapi.session
        assert await refused(xapi("host.get_all")) == ["SESSION_INVALID", old]
        await xapi.login()
        assert await refused(xapi("task.get_record", task)) == ["HANDLE_INVALID", "task", task]

    played(story)


def test_sessions_without_an_originator_are_evicted_oldest_first_above_four_hundred() -> None:
    async def story(xapi: Xapi) -> None:
        first = await xapi.ask("session.login_with_password", "root", "simulated")
        await asyncio.sleep(5)
        last = ""
        for _ in range(400):
            last = await xapi.ask("session.login_with_password", "root", "simulated")
        await asyncio.sleep(31)
        assert await refused(xapi.ask("host.get_all", first)) == ["SESSION_INVALID", first]
        assert await xapi.ask("host.get_all", last)
        assert await xapi("host.get_all"), "one with an originator is counted apart"

    played(story)


def test_a_booting_member_answers_every_call_with_its_emergency() -> None:
    """Also in JSON 2.0, and there in the odd form: a plain array and id 0."""

    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.restart_agent", south)
        await asyncio.sleep(1 + 12 + 0.5)
        url = xapi.sim.hosts["south"]
        body = {"jsonrpc": "2.0", "method": "session.login_with_password", "params": ["root", "x"], "id": 9}
        async with aiohttp.ClientSession() as http, http.post(f"{url}/jsonrpc", json=body) as response:
            assert await response.json() == {"jsonrpc": "2.0", "error": ["HOST_STILL_BOOTING"], "id": 0}
        assert await xapi.ask("host.is_in_emergency_mode", "", url=url) is True
        await asyncio.sleep(5)
        assert (await refused(xapi.ask("session.login_with_password", "root", "x", url=url)))[0] == "HOST_IS_SLAVE"

    played(story)
