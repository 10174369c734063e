"""Schedules, windows and tags in rota.toml: what is read, and what is told before the first night."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared import settings

POOL = '[pool.lab]\nurl = "https://192.0.2.10"\ntags = ["night"]\n'


def read(folder: Path, text: str) -> settings.Settings:
    """The settings of a file with one pool and more."""
    file = folder / "rota.toml"
    file.write_text(POOL + text)
    return settings.read(file, {})


def test_schedules_and_windows_are_read(tmp_path: Path) -> None:
    """With what a person may leave out."""
    found = read(
        tmp_path,
        '[schedule.monthly]\ncron = "0 2 * * SUN#2"\ntags = ["night"]\n[schedule.monthly.policy]\nupdates = false\n'
        '[window.night]\ncron = "0 22 * * *"\nhours = 6\nclosed = [2026-12-24, "2026-12-31..2027-01-01"]\n',
    )
    assert found.schedule["monthly"].policy == {"updates": False}
    assert (found.schedule["monthly"].zone, found.schedule["monthly"].missed) == ("UTC", "skip")
    assert len(found.window["night"].closed) == 2
    assert found.tags == {"lab": ("night",)}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('[schedule.x]\ncron = "0 2 * * *"\npools = ["lob"]\n', r"schedule\.x: There is no pool 'lob'"),
        ('[schedule.x]\ncron = "0 2 * * *"\ntags = ["nihgt"]\n', r"schedule\.x: No pool .* has the tag 'nihgt'"),
        ('[schedule.x]\ncron = "0 2 * * *"\npools = ["lab"]\nmised = "skip"\n', r"schedule\.x\.mised: Extra inputs"),
        ('[schedule.X]\ncron = "0 2 * * *"\npools = ["lab"]\n', "pattern"),
        (
            '[window.night]\ncron = "0 22 * *"\nhours = 6\n',
            r"window\.night\.cron: '0 22 \* \*' has not the five fields",
        ),
        ('[pool.lab.policy]\nwindow = "night"\n', r"pool\.lab\.policy\.window: there is no window 'night'"),
    ],
)
def test_a_slip_of_the_pen_is_told_when_the_file_is_read(tmp_path: Path, text: str, sentence: str) -> None:
    """With its place in the file."""
    with pytest.raises(settings.SettingsError, match=sentence):
        read(tmp_path, text)
