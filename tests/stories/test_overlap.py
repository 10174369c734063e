"""Several turns at once: the real services and a simulated pool of six hosts, judged from the pool's own journal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from cli import judge
from shared.domain import acts, commands, facts
from tests.stories.house import House, tell

SIX = {
    "name": "six",
    "generate": {"hosts": 6, "vms": 18, "memory_share": 0.5, "seed": 8},
}


def _run(folder: Path, policy: dict[str, Any]) -> tuple[list[facts.Fact], list[dict[str, Any]]]:
    """A whole run; the facts and the pool's own journal."""
    told: list[tuple[list[facts.Fact], list[dict[str, Any]]]] = []

    async def story(house: House) -> None:
        await house.order(commands.StartRun(pool="lab", policy=policy))
        await house.until("run_ended")
        told.append((await house.journal(), list(house.sim.journal)))

    tell(story, folder, world=SIX)
    return told[0]


def _away(lines: Sequence[dict[str, Any]]) -> Iterator[int]:
    """How many hosts are away, after each change."""
    away: set[str] = set()
    for line in lines:
        if line.get("kind") == "host" and line.get("state") in ("rebooting", "down"):
            away.add(line["host"])
        elif line.get("kind") == "host" and line.get("state") == "up":
            away.discard(line["host"])
        yield len(away)


@pytest.mark.parametrize("most", [1, 2])
def test_as_many_hosts_are_away_as_policy_allows_and_no_more(tmp_path: Path, most: int) -> None:
    """Each VM moves away and home, once; no promise is broken; the limit is used, and never passed."""
    journal, lines = _run(tmp_path, {"max_away": most})

    (ended,) = [fact for fact in journal if isinstance(fact, facts.RunEnded)]
    assert (ended.outcome, ended.warnings) == ("succeeded", ())
    assert judge.violations(lines, judge.Promise(max_away=most)) == []
    assert max(_away(lines)) == most
    assert sum(line.get("kind") == "migration" for line in lines) == 2 * 18


def test_the_next_host_is_emptied_while_another_is_away(tmp_path: Path) -> None:
    """From the second member on; and installs never overlap."""
    journal, lines = _run(tmp_path, {})

    order = [
        (type(fact).__name__, fact.step[:3])
        for fact in journal
        if isinstance(fact, (facts.StepOrdered, facts.WaitOver)) and _tells(fact)
    ]
    ahead = [
        turn for index, (name, turn) in enumerate(order) if name == "StepOrdered" and _away_before(order[:index], turn)
    ]
    assert ahead
    assert not {"t01", "t02", "t03"} & set(ahead)
    assert judge.violations(lines) == []
    assert _one_install_at_a_time(journal)


def _tells(fact: facts.StepOrdered | facts.WaitOver) -> bool:
    return isinstance(fact, facts.WaitOver) or fact.act.kind in ("disable_host", "reboot_host")


def _away_before(order: Sequence[tuple[str, str]], turn: str) -> bool:
    """Whether another host was away when this turn's host was ordered something."""
    away: set[str] = set()
    seen: dict[str, int] = {}
    for name, other in order:
        if name == "WaitOver":
            away.discard(other)
            continue
        seen[other] = seen.get(other, 0) + 1
        if seen[other] == 2:
            away.add(other)
    return bool(away - {turn}) and turn not in seen


def _one_install_at_a_time(journal: Sequence[facts.Fact]) -> bool:
    going: set[str] = set()
    for fact in journal:
        if isinstance(fact, facts.StepOrdered) and isinstance(fact.act, acts.InstallUpdates):
            if going:
                return False
            going.add(fact.step)
        if isinstance(fact, (facts.StepSucceeded, facts.StepFailed)):
            going.discard(fact.step)
    return True
