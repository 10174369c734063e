"""People at work beside a run: somebody takes the memory that was planned with; orders while services are down."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import acts, commands, facts, names
from shared.xapi.port import Access
from shared.xapi.session import Session
from tests.stories.house import House, tell

RUN = names.run_id("lab", "order-1")

LEFT = re.compile(r"was never rebooted|updates still waiting")
"""What the judge says of a host that a cancelled run left as it was."""

HOST = {"memory": "96 GiB", "boot": 60, "install": 30}
ROOMY: dict[str, Any] = {
    "name": "roomy",
    "hosts": [
        {"name": name, "memory": "96 GiB", "boot": 60, "install": 30} for name in ("alpha", "beta", "gamma", "delta")
    ],
    "vms": [
        {"name": "web", "host": "alpha", "memory": "16 GiB"},
        {"name": "db", "host": "beta", "memory": "4 GiB"},
        {"name": "hog", "state": "halted", "memory": "80 GiB"},
    ],
}


async def somebody_starts(house: House, vm: str, host: str) -> None:
    """A person, with nothing but XAPI."""
    told = house.settings.pool["lab"]
    session = await Session.open(Access(told.url, told.username, told.password), members=(), tags={})
    try:
        (ref,) = await session.read("VM.get_by_name_label", vm)
        (there,) = await session.read("host.get_by_name_label", host)
        await session.act("VM.start_on", ref, there, False, False)
    finally:
        await session.close()


def test_somebody_starts_a_vm_where_another_was_to_go(tmp_path: Path) -> None:
    """The memory that the plan counted on is gone in the middle of emptying: that move is planned again, elsewhere,
    and the run ends as any other; the new VM is emptied off its host too, and stays running."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        planned = await house.until("turn_planned")
        assert isinstance(planned, facts.TurnPlanned)
        (act,) = [step.act for step in planned.steps if isinstance(step.act, acts.MigrateVM) and _leaves(step.act)]
        await somebody_starts(house, "hog", act.to.name)
        ended = await house.until("run_ended")
        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "succeeded", ended
        journal = await house.journal()
        failed = [fact for fact in journal if isinstance(fact, facts.StepFailed)]
        assert {fact.code for fact in failed} == {"HOST_NOT_ENOUGH_FREE_MEMORY"}
        (again,) = [one for one in _moves(journal) if one.instead_of]
        assert (again.vm.name, again.instead_of) == ("web", failed[0].step)
        assert again.to != act.to
        assert "hog" in {one.vm.name for one in _moves(journal)}
        assert not [fact for fact in journal if isinstance(fact, facts.RunHeld)]
        assert [one for one in judge.violations(house.sim.journal) if not one.startswith("hog ")] == []

    tell(story, tmp_path, world=ROOMY)


def _leaves(act: acts.MigrateVM) -> bool:
    return act.purpose == "empty"


def _moves(journal: list[facts.Fact]) -> list[acts.MigrateVM]:
    ordered = [fact.act for fact in journal if isinstance(fact, facts.StepOrdered)]
    return [act for act in ordered if isinstance(act, acts.MigrateVM)]


@pytest.mark.parametrize("down", [("executor",), ("watcher",), ("executor", "watcher"), ("reporter",)])
def test_an_order_is_answered_at_once_and_takes_effect_while_other_services_are_down(
    tmp_path: Path, down: tuple[str, ...]
) -> None:
    """A run is paused, told to go on and cancelled while nobody carries out its steps, follows its hosts or tells of
    it; when they are back the run ends as it was told to, and every VM is at home."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab"))
        await house.until("turn_planned")
        for service in down:
            await house.dismiss(service)
        await house.order(commands.PauseRun(pool="lab", run=RUN), id="pause-1")
        await house.until("run_paused", within=60)
        await house.order(commands.ResumeRun(pool="lab", run=RUN), id="resume-1")
        await house.until("run_resumed", within=60)
        await house.order(commands.CancelRun(pool="lab", run=RUN, now=True), id="cancel-1")
        cancelling = await house.until("run_cancelling", within=60)
        assert isinstance(cancelling, facts.RunCancelling)
        assert cancelling.sentences
        for service in down:
            house.employ(service)
        ended = await house.until("run_ended")
        assert isinstance(ended, facts.RunEnded)
        assert ended.outcome == "cancelled", ended
        await house.until("report_sent", within=3600)
        assert [
            one for one in judge.violations(house.sim.journal) if "rebooted" not in one and "updates" not in one
        ] == []

    tell(story, tmp_path, world="small")
