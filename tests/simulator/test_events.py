"""event.from: tokens, subscriptions, coalesced differences, time-out and batching."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.simulator.pools import Xapi, played, refused


def told(batch: dict[str, Any]) -> list[tuple[str, str]]:
    return [(event["class"], event["operation"]) for event in batch["events"]]


def test_the_empty_token_gives_everything_as_added() -> None:
    """One consistent reading: snapshots equal get_record, counts equal what came."""

    async def story(xapi: Xapi) -> None:
        batch = await xapi("event.from", ["*"], "", 10.0)
        assert {event["operation"] for event in batch["events"]} == {"add"}
        vms = {event["ref"]: event["snapshot"] for event in batch["events"] if event["class"] == "vm"}
        assert len(vms) == batch["valid_ref_counts"]["vm"]
        for ref, snapshot in vms.items():
            assert snapshot == await xapi("VM.get_record", ref)
        assert batch["events"][0]["timestamp"] == "0.0"
        assert not any(event["class"] == "session" for event in batch["events"])

    played(story)


def test_nothing_new_is_an_empty_batch_after_the_time_out() -> None:
    async def story(xapi: Xapi) -> None:
        token = (await xapi("event.from", ["vm"], "", 1.0))["token"]
        began = xapi.now
        batch = await xapi("event.from", ["vm"], token, 20.0)
        assert batch["events"] == []
        assert xapi.now - began == pytest.approx(20.0, abs=0.1)

    played(story)


def test_one_object_comes_once_as_it_is_now() -> None:
    """Two changes are one mod; a VM made and destroyed in between never shows."""

    async def story(xapi: Xapi) -> None:
        vm = await xapi.ref("web")
        token = (await xapi("event.from", ["vm", "network"], "", 1.0))["token"]
        await xapi("VM.set_name_description", vm, "one")
        await xapi("VM.set_name_description", vm, "two")
        short = await xapi("network.create", {"name_label": "short", "other_config": {}, "MTU": 1500})
        await xapi("network.destroy", short)
        made = await xapi("network.create", {"name_label": "made", "other_config": {}, "MTU": 1500})
        await xapi("network.set_name_label", made, "kept")
        batch = await xapi("event.from", ["vm", "network"], token, 1.0)
        assert told(batch) == [("network", "add"), ("vm", "mod")], "all that were added come before all that changed"
        assert batch["events"][1]["snapshot"]["name_description"] == "two"
        assert batch["events"][0]["snapshot"]["name_label"] == "kept"

    played(story)


def test_a_deleted_object_comes_without_a_snapshot_and_last() -> None:
    async def story(xapi: Xapi) -> None:
        made = await xapi("network.create", {"name_label": "gone soon", "other_config": {}, "MTU": 1500})
        token = (await xapi("event.from", ["*"], "", 1.0))["token"]
        await xapi("VM.set_name_description", await xapi.ref("web"), "changed")
        await xapi("network.destroy", made)
        batch = await xapi("event.from", ["*"], token, 1.0)
        assert told(batch)[-1] == ("network", "del")
        assert "snapshot" not in batch["events"][-1]

    played(story)


def test_a_subscription_names_a_class_in_any_case_or_one_object() -> None:
    async def story(xapi: Xapi) -> None:
        web, db = await xapi.ref("web"), await xapi.ref("db")
        token = (await xapi("event.from", ["*"], "", 1.0))["token"]
        for vm in (web, db):
            await xapi("VM.set_name_description", vm, "changed")
        assert len((await xapi("event.from", ["VM"], token, 1.0))["events"]) == 2
        one = await xapi("event.from", [f"vm/{web}"], token, 1.0)
        assert [event["ref"] for event in one["events"]] == [web]
        assert (await xapi("event.from", ["unicorn"], token, 1.0))["events"] == []

    played(story)


def test_a_change_wakes_who_waits_within_the_batching_delay() -> None:
    async def story(xapi: Xapi) -> None:
        token = (await xapi("event.from", ["vm"], "", 1.0))["token"]
        waiting = asyncio.create_task(xapi("event.from", ["vm"], token, 600.0))
        await asyncio.sleep(30)
        vm = await xapi.ref("web")
        began = xapi.now
        await xapi("VM.set_name_description", vm, "now")
        batch = await waiting
        assert told(batch) == [("vm", "mod")]
        assert xapi.now - began == pytest.approx(0.05, abs=0.01)

    played(story)


@pytest.mark.parametrize("token", ["nonsense", "1", "1,2,3", "a,b"])
def test_a_token_that_cannot_be_read_is_refused(token: str) -> None:
    async def story(xapi: Xapi) -> None:
        assert await refused(xapi("event.from", ["vm"], token, 1.0)) == ["EVENT_FROM_TOKEN_PARSE_FAILURE", token]

    played(story)


def test_deletions_beyond_what_is_remembered_are_lost_in_silence() -> None:
    """600 tasks come and go; the counts tell what the events do not."""

    async def story(xapi: Xapi) -> None:
        made = [await xapi("network.create", {"name_label": str(n), "other_config": {}, "MTU": 1}) for n in range(600)]
        batch = await xapi("event.from", ["network"], "", 1.0)
        for one in made:
            await xapi("network.destroy", one)
        after = await xapi("event.from", ["network"], batch["token"], 1.0)
        assert 0 < len(after["events"]) < 600
        assert after["valid_ref_counts"]["network"] == 1

    played(story)


def test_inject_gives_a_token_from_just_before_the_object_was_touched() -> None:
    async def story(xapi: Xapi) -> None:
        vm = await xapi.ref("web")
        token = await xapi("event.inject", "VM", vm)
        assert [event["ref"] for event in (await xapi("event.from", ["vm"], token, 1.0))["events"]] == [vm]
        assert await refused(xapi("event.inject", "VM", "x")) == ["HANDLE_INVALID", "VM", "x"]

    played(story)
