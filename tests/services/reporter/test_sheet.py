"""The report as CSV: every host, move and debt a line, and nothing that a spreadsheet would carry out."""

from __future__ import annotations

import csv
import io
from collections import Counter

import pytest

from services.reporter import folding, sheet
from tests.services.reporter import evil, story
from tests.services.reporter.story import Story

NIGHTS = (story.announced, story.all_well, story.held, story.left_behind, story.refused, story.second_order)


def read(night: Story) -> list[dict[str, str]]:
    """A night's sheet as a reader has it."""
    text = sheet.sheet(folding.fold(night.pool, night.run, night.recorded()))
    return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))


def test_a_night_is_counted_by_lines() -> None:
    """Three hosts, twelve VMs that moved away and home again."""
    rows = read(story.all_well())
    counted = Counter(row["what"] for row in rows)
    assert (counted["run"], counted["host"], counted["vm"], counted["move"]) == (1, 3, 12, 24)
    assert rows[0]["state"] == "succeeded"
    host = next(row for row in rows if row["what"] == "host")
    assert (host["name"], host["uuid"], host["state"]) == ("xcp-graz-1", story.HOSTS[0].uuid, "done")
    assert float(host["away_seconds"]) > 0
    assert host["began"].endswith("+00:00")


def test_what_is_owed_stands_in_it() -> None:
    """With its cause."""
    (owed,) = [row for row in read(story.left_behind()) if row["what"] == "owed"]
    assert owed["name"] == "ha"
    assert owed["because"]


@pytest.mark.parametrize("night", NIGHTS)
def test_every_line_has_every_column(night: object) -> None:
    """Whatever became of the run."""
    for row in read(night()):  # type: ignore[operator]
        assert tuple(row) == sheet.COLUMNS
        assert None not in row.values()


@pytest.mark.parametrize("begins", sheet.FORMULA)
def test_no_name_is_a_formula(begins: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A VM called =cmd|... is a name and no more, and one with quotes and line breaks stays in its cell."""
    harm = f'{begins}HYPERLINK("http://x","y")\n{begins}2'
    monkeypatch.setitem(evil.NAMES, "mail", harm)
    rows = read(evil.all_well())
    named = {row["name"] for row in rows if row["what"] == "vm"}
    assert f'\'{begins}HYPERLINK("http://x","y") {begins}2' in named
    assert not any(value.startswith(sheet.FORMULA) for row in rows for value in row.values())
