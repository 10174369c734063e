"""The updater plugin: what waits, the lock, the install that outlives its caller, and how it goes wrong."""

from __future__ import annotations

import asyncio
import json
import xmlrpc.client
from typing import Any

import pytest

from tests.simulator.pools import Xapi, played, refused, world


async def plugin(xapi: Xapi, fn: str, args: dict[str, str] | None = None, host: str = "north") -> Any:
    return json.loads(await xapi("host.call_plugin", await xapi.ref(host), "updater.py", fn, args or {}))


def test_check_update_lists_what_waits_and_is_empty_after_the_install() -> None:
    """Names, versions and changelogs; the task's result is an XML value around JSON."""

    async def story(xapi: Xapi) -> None:
        waiting = await plugin(xapi, "check_update")
        assert {"xapi-core", "xen-hypervisor", "kernel"} <= {one["name"] for one in waiting}
        assert set(waiting[0]) == {"name", "version", "release", "description", "changelog", "url", "size", "license"}
        record = await xapi.task("host.call_plugin", await xapi.ref("north"), "updater.py", "update", {})
        whole = f"<params><param>{record['result']}</param></params>"
        ((text,), _) = xmlrpc.client.loads(whole)
        assert json.loads(str(text))["returncode"] == 0
        assert await plugin(xapi, "check_update") == []
        (line,) = xapi.lines("install")
        assert (line["host"], line["outcome"]) == ("north", "success")
        assert sorted(line["packages"]) == sorted(one["name"] for one in waiting)

    played(story)


def test_query_installed_tells_name_version_release_and_architecture() -> None:
    async def story(xapi: Xapi) -> None:
        told = await plugin(xapi, "query_installed", {"packages": "kernel,xapi-core nothing"})
        assert told == {
            "kernel": "kernel-4.19.19-8.0.43.1.xcpng8.3.x86_64",
            "xapi-core": "xapi-core-25.33.1-2.1.xcpng8.3.x86_64",
            "nothing": "",
        }

    played(story)


def test_an_install_takes_its_time_and_shows_a_task_of_the_pool() -> None:
    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        began = xapi.now
        task = await xapi("Async.host.call_plugin", north, "updater.py", "update", {})
        await asyncio.sleep(10)
        names = [one["name_label"] for one in (await xapi("task.get_all_records")).values()]
        uuid = await xapi("host.get_uuid", north)
        assert f"Update host north ({uuid})" in names
        while await xapi("task.get_status", task) == "pending":
            await asyncio.sleep(1)
        assert xapi.now - began == pytest.approx(60, abs=1)
        names = [one["name_label"] for one in (await xapi("task.get_all_records")).values()]
        assert f"Update host north ({uuid})" not in names

    played(story)


def test_the_lock_refuses_in_the_plugins_own_words() -> None:
    """A second update at once, a check without waiting; installed packages can be asked for all the same."""

    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        await xapi("Async.host.call_plugin", north, "updater.py", "update", {})
        await asyncio.sleep(1)
        code, message, *_ = await refused(plugin(xapi, "check_update"))
        assert (code, message) == ("-1", "The updater plugin is busy (current operation: update)")
        code, message, *_ = await refused(plugin(xapi, "update"))
        assert (code, message) == ("-1", "Update already in progress")
        assert await plugin(xapi, "query_installed", {"packages": "kernel"})
        assert await plugin(xapi, "check_update", host="south"), "each host has its own lock"

    played(story)


def test_a_toolstack_that_restarts_does_not_stop_the_install() -> None:
    """The caller's connection is gone; yum runs on, and what is installed can be asked afterwards."""

    async def story(xapi: Xapi) -> None:
        await xapi("Async.host.call_plugin", await xapi.ref("north"), "updater.py", "update", {})
        await asyncio.sleep(5)
        await xapi("host.restart_agent", await xapi.ref("north"))
        await asyncio.sleep(30)
        await xapi.login()
        assert (await refused(plugin(xapi, "check_update")))[0] == "-1"
        await asyncio.sleep(40)
        assert await plugin(xapi, "check_update") == []

    played(story)


def test_a_plugin_or_function_that_is_not_there_is_told_as_xapi_does() -> None:
    async def story(xapi: Xapi) -> None:
        north = await xapi.ref("north")
        answer = await refused(xapi("host.call_plugin", north, "nope.py", "x", {}))
        assert answer == ["XENAPI_MISSING_PLUGIN", "nope.py"]
        assert await refused(xapi("host.call_plugin", north, "updater.py", "x", {})) == [
            "UNKNOWN_XENAPI_PLUGIN_FUNCTION",
            "x",
        ]

    played(story)


def test_a_failed_install_gives_yums_exit_status_as_the_code() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("install_fails", host="north")
        record = await xapi.task("host.call_plugin", await xapi.ref("north"), "updater.py", "update", {})
        assert record["error_info"][0] == "1"
        assert "failed with code: 1" in record["error_info"][1]
        assert await plugin(xapi, "check_update")
        assert [line["outcome"] for line in xapi.lines("install")] == ["failed"]

    played(story)


def test_an_install_may_say_success_and_have_installed_nothing() -> None:
    async def story(xapi: Xapi) -> None:
        xapi.sim.fault("install_lies", host="north")
        record = await xapi.task("host.call_plugin", await xapi.ref("north"), "updater.py", "update", {})
        assert record["status"] == "success"
        assert await plugin(xapi, "check_update")

    played(story)


def test_an_install_may_restart_the_toolstack_and_so_enable_the_host() -> None:
    async def story(xapi: Xapi) -> None:
        south = await xapi.ref("south")
        await xapi("host.disable", south)
        xapi.sim.fault("install_restarts_toolstack", host="south", at_second=20)
        hosts = xapi.sim.site.machines
        hosts[south].offered = {name: one for name, one in hosts[south].offered.items() if name == "kernel"}
        await xapi("Async.host.call_plugin", south, "updater.py", "update", {})
        await asyncio.sleep(100)
        assert await xapi("host.get_enabled", south)
        assert await plugin(xapi, "check_update", host="south") == []

    played(story)


def test_xenserver_has_no_updater_plugin() -> None:
    async def story(xapi: Xapi) -> None:
        assert await refused(plugin(xapi, "check_update")) == ["XENAPI_MISSING_PLUGIN", "updater.py"]

    played(story, world(profile="xenserver-8"))
