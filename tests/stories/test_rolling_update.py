"""A whole rolling update under a clock that jumps: the real services on a simulated pool, from order to report."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import commands, facts
from tests.stories.house import House, tell

START = commands.StartRun(pool="lab")


def changed(house: House) -> list[dict[str, Any]]:
    """Everything in the simulator's journal that changed the pool after its beginning."""
    return [line for line in house.sim.journal if line["t"] > 0 and line["kind"] in ("vm", "host", "pool", "install")]


def test_the_demo_pool_is_updated_from_order_to_report(tmp_path: Path) -> None:
    """Every host patched and rebooted once and empty, the master first; every VM home and never stopped."""

    async def story(house: House) -> None:
        run = await house.order(START)
        ended = await house.until("run_ended")
        await house.until("report_sent")

        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "succeeded", ended
        assert judge.violations(house.sim.journal) == []
        assert (tmp_path / "reports" / f"lab-{run}.html").exists()

    tell(story, tmp_path)


def test_two_of_each_service_do_it_once(tmp_path: Path) -> None:
    """Two planners decide as one, two executors do no step twice, two watchers and reporters do no harm."""

    async def story(house: House) -> None:
        for service in [*house.tasks]:
            house.employ(service, f"{service}-2")
        await house.order(START)
        ended = await house.until("run_ended")

        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "succeeded", ended
        assert judge.violations(house.sim.journal) == []

    tell(story, tmp_path, world="small")


@pytest.mark.parametrize("service", ["planner", "executor", "watcher", "reporter"])
def test_a_service_that_dies_again_and_again_is_followed_by_one_that_goes_on(tmp_path: Path, service: str) -> None:
    """Killed every forty seconds of the whole run, whatever it was doing; a new one comes two seconds later."""

    async def story(house: House) -> None:
        await house.order(START)
        end = asyncio.create_task(house.until("run_ended"))
        while not end.done():
            await asyncio.wait([end], timeout=40)
            if not end.done():
                await house.dismiss(service)
                await asyncio.sleep(2)
                house.employ(service)
        ended = end.result()

        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome in ("succeeded", "succeeded_with_warnings"), ended
        assert judge.violations(house.sim.journal) == []

    tell(story, tmp_path, world="small")


def test_a_forecast_changes_nothing(tmp_path: Path) -> None:
    """plan_pool only reads: the simulator's journal has no change after its beginning."""

    async def story(house: House) -> None:
        await house.order(commands.PlanPool(pool="lab"))
        made = await house.until("forecast_made")

        assert isinstance(made, facts.ForecastMade)
        assert [turn.master for turn in made.forecast.turns] == [True, False, False]
        assert changed(house) == []

    tell(story, tmp_path)


def test_wrong_credentials_refuse_the_run_in_one_sentence(tmp_path: Path) -> None:
    """Thing, cause, what to do; nothing on the pool has been changed."""

    async def story(house: House) -> None:
        await house.order(START)
        ended = await house.until("run_ended")

        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "refused"
        assert house.sim.master_url in ended.sentence
        assert "put right username and password_file" in ended.sentence
        assert changed(house) == []

    tell(story, tmp_path, world="small", password="wrong")


def test_a_cancel_now_while_a_host_is_emptied_brings_its_vms_home(tmp_path: Path) -> None:
    """Moves under way end, the host is enabled, its VMs go home, the settings are put back, nothing is rebooted."""

    async def story(house: House) -> None:
        run = await house.order(START)
        await house.until("turn_planned")
        while not any(line["kind"] == "migration" for line in house.sim.journal):
            await asyncio.sleep(1)
        await house.order(commands.CancelRun(pool="lab", run=run, now=True), id="cancel-1")
        ended = await house.until("run_ended")

        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "cancelled", ended
        state = house.sim.state()
        assert all(host["enabled"] for host in state["hosts"].values())
        assert not [line for line in changed(house) if line.get("state") == "rebooting"]
        beginning = {line["vm"]: line["host"] for line in house.sim.journal if line["kind"] == "vm" and line["t"] == 0}
        assert {name: vm["host"] for name, vm in state["vms"].items()} == beginning

    tell(story, tmp_path)


def test_a_read_only_pool_is_never_changed(tmp_path: Path) -> None:
    """read_only = true: the planner refuses the run."""

    async def story(house: House) -> None:
        await house.order(START)
        refused = await house.until("order_refused")

        assert isinstance(refused, facts.OrderRefused)
        assert "read_only" in refused.because
        assert changed(house) == []

    tell(story, tmp_path, world="small", pool={"read_only": True}, staff=["planner", "executor"])


def test_a_pool_can_be_undone_by_a_rota_whose_journal_is_lost(tmp_path: Path) -> None:
    """Everything of Rota's dies in the middle of emptying and its bus is gone: a new one refuses the pool with the
    holder's name, and undoes from what stands in the pool alone."""

    async def story(house: House) -> None:
        first = await house.order(START)
        await house.until("turn_planned")
        while not any(line["kind"] == "host" and line.get("state") == "disabled" for line in house.sim.journal):
            await asyncio.sleep(1)
        for name in [*house.tasks]:
            await house.dismiss(name)
        await house.forget()

        for service in ("planner", "executor", "watcher"):
            house.employ(service)
        await house.order(START, id="order-2")
        refused = await house.until("run_ended")
        assert isinstance(refused, facts.RunEnded)
        assert f"run {first}, ordered by ann@desk" in refused.sentence

        run = await house.order(commands.UndoPool(pool="lab"), id="undo-1")
        ended = await house.until(f"{run}.run.run_ended")
        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "succeeded", ended
        state = house.sim.state()
        assert all(host["enabled"] for host in state["hosts"].values())
        begun = {
            line["setting"]: line["value"] for line in house.sim.journal if line["kind"] == "pool" and not line["t"]
        }
        now: dict[str, Any] = {}
        for line in house.sim.journal:
            if line["kind"] == "pool":
                now[line["setting"]] = line["value"]
        assert {key: value for key, value in now.items() if value is not None} == begun

    tell(story, tmp_path)
