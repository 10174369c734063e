"""XenServer 8's way of updating: synchronise, read the list, apply to one host, reboot as the guidance says."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp

from tests.simulator.pools import Xapi, played, refused, world

XENSERVER = world(profile="xenserver-8")


async def updates(xapi: Xapi, host: str) -> Any:
    url = f"{xapi.sim.master_url}/updates?session_id={xapi.session}&host_refs={await xapi.ref(host)}"
    async with aiohttp.ClientSession() as http, http.get(url) as response:
        assert response.status == 200
        return await response.json()


def test_a_host_is_updated_by_the_pools_repositories() -> None:
    """The hash binds the list to the act; a reboot is mandatory, and enabling waits for it."""

    async def story(xapi: Xapi) -> None:
        (pool,) = await xapi("pool.get_all")
        south = await xapi.ref("south")
        assert await xapi("pool.check_update_readiness", pool, True) == []
        hash_ = await xapi("pool.sync_updates", pool, False, "", "")
        told = await updates(xapi, "south")
        assert told["hash"] == hash_
        (line,) = told["hosts"]
        assert line["guidance"]["mandatory"] == ["RebootHost"]
        assert set(line["updates"]) == {one["id"] for one in told["updates"]}
        assert await refused(xapi("host.apply_updates", south, "other")) == ["UPDATEINFO_HASH_MISMATCH"]
        assert await refused(xapi("host.apply_updates", south, hash_)) == ["HOST_EVACUATION_IS_REQUIRED", south]
        await xapi("VM.pool_migrate", await xapi.ref("mail"), await xapi.ref("north"), {})
        assert (await xapi.task("host.apply_updates", south, hash_))["status"] == "success"
        assert not await xapi("host.get_enabled", south)
        assert await xapi("host.get_pending_guidances", south) == ["reboot_host"]
        assert await refused(xapi("host.enable", south)) == ["HOST_PENDING_MANDATORY_GUIDANCE_NOT_EMPTY", south]
        assert (await updates(xapi, "south"))["hosts"][0]["RPMS"] == []

    played(story, XENSERVER)


def test_the_master_goes_first_here_too() -> None:
    """Updated and rebooted it comes back with nothing pending; two hosts are never updated at once."""

    async def story(xapi: Xapi) -> None:
        (pool,) = await xapi("pool.get_all")
        north, south = await xapi.ref("north"), await xapi.ref("south")
        hash_ = await xapi("pool.sync_updates", pool, False)
        await xapi("host.evacuate", north)
        await xapi("Async.host.apply_updates", north, hash_)
        await xapi("host.disable", south)
        answer = await refused(xapi("host.apply_updates", south, hash_))
        assert answer[0] in ("APPLY_UPDATES_IN_PROGRESS", "HOST_EVACUATION_IS_REQUIRED")
        await asyncio.sleep(100)
        await xapi("host.reboot", north)
        await asyncio.sleep(200)
        await xapi.login()
        assert await xapi("host.get_pending_guidances", north) == []
        assert await xapi("host.get_enabled", north)

    played(story, XENSERVER)


def test_xcp_ng_has_no_repositories() -> None:
    async def story(xapi: Xapi) -> None:
        (pool,) = await xapi("pool.get_all")
        assert await refused(xapi("pool.sync_updates", pool, False)) == ["NO_REPOSITORIES_CONFIGURED"]

    played(story)
