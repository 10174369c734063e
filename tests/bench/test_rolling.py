"""The side-by-side benchmark is honest: it ends, says the same twice, and its bound is one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from bench import bound, measured, rolling, worlds
from bench.kept import Kept, digest

KEYS = (
    "world",
    "hosts",
    "tool",
    "mode",
    "max_away",
    "empty_ahead",
    "moves_per_vm",
    "gib_moved",
    "minutes",
    "bound_minutes",
    "not_home",
    "longest_away_minutes",
    "total_away_minutes",
    "ha_off_minutes",
    "cpu_seconds",
)


def _timeless(row: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key != "cpu_seconds"}


def test_a_tiny_world_is_updated_by_both_and_measured_alike_twice(capsys: pytest.CaptureFixture[str]) -> None:
    """Every row has every key; both tools end with all VMs at home, Rota with the fewest moves; two runs are alike but
    for the CPU's seconds; and nobody is faster than what no plan can beat."""
    both = [(worlds.TINY, rolling.Way("incumbent")), (worlds.TINY, rolling.Way("rota"))]
    rows = [*rolling.rows_of(both)]
    again = [*rolling.rows_of(both)]

    assert {tuple(row) for row in rows} == {KEYS}
    assert [_timeless(row) for row in rows] == [_timeless(row) for row in again]
    for row in rows:
        assert row["not_home"] == 0
        assert row["minutes"] >= row["bound_minutes"]
        assert row["total_away_minutes"] >= 2 * worlds.TINY.boot / 60
        assert 0 < row["ha_off_minutes"] <= row["minutes"]
    incumbent, rota = rows
    assert rota["moves_per_vm"] == 2.0 <= incumbent["moves_per_vm"]
    said = capsys.readouterr().out
    assert "broken:" not in said, said
    assert "run failed" not in said, said
    assert "run ended as" not in said, said
    assert "incumbent" in rolling.table(rows)


def test_the_bound_is_the_longest_of_what_has_to_come_one_after_another() -> None:
    """Two hosts, worked out by hand: the master empties, is patched and boots alone, then the member, then VMs go
    home. More hosts away shorten what the reboots take and never what the installations take."""
    two = bound.of_world([100, 100], 1.0, 10.0, 50.0)
    assert two.seconds == (100 + 10 + 50) * 2 + 100

    eight = [100] * 8
    one, four = (bound.of_world(eight, 1.0, 300.0, 480.0, max_away=most) for most in (1, 4))
    assert one.installs == four.installs == 880 + 100 + 7 * 300 + 480 + 100
    assert four.reboots < one.reboots
    assert bound.of_world(eight, 1.0, 300.0, 480.0, homeward=False).seconds < one.seconds

    roomy, tight = (bound.of_world(eight, 1.0, 300.0, 480.0, room=room) for room in (160, 159))
    assert roomy == one, "eight hosts' VMs fit on five"
    assert tight.turns == 8 * 880 + 100, "nothing is emptied ahead: eight turns in a row, and home"


def test_what_was_measured_is_not_measured_again_unless_the_code_is_another(tmp_path: Path) -> None:
    """A benchmark that was broken off goes on with the rows it has; a line that was cut off is measured again."""
    code, measured_ones = tmp_path / "code.py", list[int]()

    def measure() -> dict[str, Any]:
        measured_ones.append(len(measured_ones))
        return {"minutes": len(measured_ones)}

    code.write_text("first")
    rows = Kept(tmp_path / "rows.jsonl")
    assert [rows.row({"world": "4h"}, [str(code)], measure)["minutes"] for _ in range(2)] == [1, 1]
    assert rows.row({"world": "8h"}, [str(code)], measure)["minutes"] == 2

    digest.cache_clear()
    code.write_text("second")
    assert rows.row({"world": "4h"}, [str(code)], measure)["minutes"] == 3
    rows.file.write_text(rows.file.read_text()[:-20])
    assert rows.row({"world": "4h"}, [str(code)], measure)["minutes"] == 4


def test_time_away_and_without_high_availability_are_read_from_the_journal() -> None:
    """From going down until the host takes VMs again; what has not ended yet counts to the end."""
    lines: list[dict[str, Any]] = [
        {"t": 0, "kind": "vm", "vm": "web", "host": "north", "state": "running"},
        {"t": 10, "kind": "pool", "setting": "ha_enabled", "value": False},
        {"t": 30, "kind": "migration", "vm": "web", "from": "north", "to": "south", "outcome": "success"},
        {"t": 30, "kind": "vm", "vm": "web", "host": "south", "state": "running"},
        {"t": 60, "kind": "host", "host": "north", "state": "rebooting"},
        {"t": 120, "kind": "host", "host": "north", "state": "up"},
        {"t": 180, "kind": "host", "host": "north", "state": "enabled"},
        {"t": 240, "kind": "host", "host": "south", "state": "down"},
    ]
    found = measured.read(lines, {"web": 2 * worlds.GIB}, 0.0, 310.0)

    assert (found.moves_per_vm, found.gib_moved, found.not_home, found.minutes) == (1.0, 2.0, 1, 5.17)
    assert (found.longest_away_minutes, found.total_away_minutes) == (2.0, 3.17)
    assert found.ha_off_minutes == 5.0
