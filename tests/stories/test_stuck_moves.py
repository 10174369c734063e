"""A migration that hangs: its VM goes elsewhere, and what hung is cancelled, by the services and a simulated pool."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli import judge
from shared.domain import acts, commands, facts
from tests.stories.house import House, tell

GIB = {"memory": "64 GiB"}
STUCK: dict[str, Any] = {
    "name": "stuck",
    "hosts": [{"name": name, **GIB} for name in ("alpha", "beta", "gamma")],
    "vms": [{"name": name, "host": host, "memory": "8 GiB"} for name, host in (("web", "alpha"), ("db", "beta"))],
    "faults": [{"kind": "migration_hangs", "vm": "db", "seconds": 1e9}],
}


def test_a_vm_whose_move_hangs_goes_to_another_host(tmp_path: Path) -> None:
    """No progress for the minutes that policy gives: given up, cancelled inside the pool, planned anew; the run ends
    as any other, nobody is asked, and the VM runs all the while."""

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"migration_minutes": 5}))
        await house.until("run_ended")
        journal = await house.journal()
        (late,) = [fact for fact in journal if isinstance(fact, facts.StepTimedOut)]
        (anew,) = [fact.act for fact in journal if isinstance(fact, facts.StepOrdered) and _instead(fact.act)]
        (ended,) = [fact for fact in journal if isinstance(fact, facts.RunEnded)]
        assert isinstance(anew, acts.MigrateVM)
        assert (anew.vm.name, anew.instead_of) == ("db", late.step)
        assert ended.outcome == "succeeded"
        assert not [fact for fact in journal if isinstance(fact, facts.RunHeld)]
        assert judge.violations(house.sim.journal) == []
        hung = [line for line in house.sim.journal if line.get("kind") == "migration" and line.get("vm") == "db"]
        assert [line["outcome"] for line in hung].count("success") == 2

    tell(story, tmp_path, world=STUCK)


def _instead(act: acts.Act) -> bool:
    return isinstance(act, acts.MigrateVM) and bool(act.instead_of)
