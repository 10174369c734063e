"""What a campaign adds up to, and how it goes on where it stopped."""

from __future__ import annotations

from pathlib import Path

from shared.bus import wire
from shared.domain import acts, facts
from tests.chaos import table
from tests.chaos.campaign import Outcome, carry_out
from tests.chaos.recovery import recoveries


def double(number: int) -> Outcome:
    """A case: three is wrong, four breaks."""
    if number == 4:
        raise ValueError("four")
    return {"kind": "numbers", "wrong": ["three"] if number == 3 else [], "ended": True, "recovery": float(number)}


def test_a_campaign_that_was_broken_off_goes_on_where_it_stopped(tmp_path: Path) -> None:
    """What is in its file is not done again; a case that breaks is wrong, and stops nothing."""
    file, said = tmp_path / "cases.ndjson", list[str]()
    carry_out({"1": 1, "3": 3}, double, file, at_once=1, within=20, resume=False, say=said.append)
    first = file.read_text()

    found = carry_out(
        {str(n): n for n in (1, 2, 3, 4)}, double, file, at_once=1, within=20, resume=True, say=said.append
    )

    assert file.read_text().startswith(first)
    assert sorted(one["name"] for one in found) == ["1", "2", "3", "4"]
    assert [one["name"] for one in found if one["wrong"]] == ["3", "4"]
    assert [line.partition(":")[0] for line in said] == ["WRONG  3", "WRONG  4"]


def test_the_rows_of_the_table_have_what_the_bench_reads() -> None:
    """A row for each kind of blow, each form of cancel, and for all; recoveries in seconds, absent where none."""
    run: Outcome = {
        "wrong": [], "ended": True, "blows": ["kill bus", "kill bus", "kill planner"], "cancel": "now",
        "recoveries": [("kill bus", 1.0), ("kill bus", 3.0)],
    }  # fmt: skip
    rows = {row["kind"]: row for row in table.real_rows([run, {**run, "cancel": "", "wrong": ["no"]}])}

    assert set(rows) == {"real: kill bus", "real: kill planner", "real: cancel now", "real: all runs"}
    assert rows["real: kill bus"] == {
        "kind": "real: kill bus", "injected": 4, "runs": 2, "ended": 2, "violations": 1,
        "recovery_p50": 2.0, "recovery_max": 3.0,
    }  # fmt: skip
    assert rows["real: kill planner"]["recovery_max"] is None
    assert "1.5 %" in table.bound(200, 0)


def test_a_recovery_is_from_the_blow_to_the_work_that_was_due() -> None:
    """Work that falls due long after the blow tells nothing."""
    done = facts.StepSucceeded(pool="lab", run="r1", step="t01-s002", attempt=1, result=acts.Done())
    ordered = facts.RunBegan(pool="lab", run="r1", sentence="On.")

    def journal(*words: tuple[facts.Fact, float]) -> list[wire.Recorded]:
        return [wire.Recorded(fact, at, "planner", seq, at) for seq, (fact, at) in enumerate(words)]

    soon = journal((done, 10.0), (ordered, 13.5))
    late = journal((done, 20.0), (ordered, 20.1))

    assert recoveries([("kill planner", 11.0)], soon) == [("kill planner", 2.5)]
    assert recoveries([("kill planner", 11.0)], late) == []
