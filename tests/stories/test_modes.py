"""The modes in which VMs stay: the real services and a simulated pool, judged from the pool's own journal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import worlds
from cli import judge
from shared.domain import acts, commands, facts
from simulator.generate import generate
from tests.stories.house import House, tell

FOUR = generate(4, 28, 0.5, 8)


@pytest.mark.parametrize("mode", ["level", "stay"])
def test_vms_stay_where_they_were_put_and_the_hosts_end_as_the_mode_has_it(tmp_path: Path, mode: str) -> None:
    """No VM is brought home and none is called a stray; `level` ends with the hosts' loads within 10 points of each
    other, in few moves; the report says where VMs are."""
    told: list[tuple[list[facts.Fact], list[dict[str, Any]]]] = []

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy={"mode": mode}))
        await house.until("run_ended")
        await house.until("report_sent")
        told.append((await house.journal(), list(house.sim.journal)))

    tell(story, tmp_path, world=FOUR)
    journal, lines = told[0]
    page = next(tmp_path.glob("reports/**/*.html")).read_text()

    (ended,) = [fact for fact in journal if isinstance(fact, facts.RunEnded)]
    assert (ended.outcome, ended.warnings) == ("succeeded", ())
    even = worlds.memory_of(FOUR) if mode == "level" else None
    assert judge.violations(lines, judge.Promise(home=False, even=even)) == []
    moved = [
        fact.act.purpose
        for fact in journal
        if isinstance(fact, facts.StepOrdered) and isinstance(fact.act, acts.MigrateVM)
    ]
    assert "home" not in moved
    assert ("level" in moved) == (mode == "level")
    assert len(moved) <= 1.4 * 28
    (planned,) = [fact for fact in journal if isinstance(fact, facts.RunPlanned)]
    assert len(moved) == sum(len(turn.moves) for turn in planned.forecast.turns)
    assert "not home" not in page
    assert "stay where they were put" in page
