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


def test_gates_are_read_and_their_secrets_are_not_shown(tmp_path: Path) -> None:
    """From files and variables, never from rota.toml."""
    tmp_path.joinpath("ops").write_text("s3cret\n")
    file = tmp_path / "rota.toml"
    file.write_text(
        POOL + '[pool.lab.policy]\ngates_before_run = ["backups", "dns"]\n'
        '[gate.backups]\nkind = "hook"\nurl = "https://ops.example.org/"\npassword_file = "ops"\n'
        '[gate.dns]\nkind = "tcp"\nhost = "192.0.2.53"\nport = 53\n'
    )
    found = settings.read(file, {}, secrets=True)
    hook = found.gate["backups"]
    assert hook.kind == "hook"
    assert hook.password.get_secret_value() == "s3cret"
    assert "s3cret" not in settings.shown(found) + repr(found)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            '[pool.x]\nurl = "https://x"\npolicy.gates_before_turn = ["bakcups"]',
            r"pool\.x\.policy: There is no",
        ),
        (
            '[schedule.x]\ncron = "0 2 * * *"\npools = ["lab"]\npolicy.gates_after_run = ["n"]',
            r"schedule\.x\.policy: There",
        ),
        ('[gate.x]\nkind = "hook"\nurl = "ops.example.org"', "is no address; write https"),
        ('[gate.x]\nkind = "hook"\nurl = "https://me:pw@x/"', "a password may not stand in an address"),
        ('[gate.x]\nkind = "hook"\nurl = "https://x/"\npassword = "pw"', "a password may not stand in this file"),
        ('[gate.x]\nkind = "http"\nurl = "http://x/"\npassword_env = "T"', "sent unencrypted; use https"),
        ('[gate.x]\nkind = "prometheus"\nurl = "https://x/"\nquery = "up"', "give at_least or at_most"),
        ('[gate.x]\nkind = "nats"\nsubject = "rota.command.planner.x"', "cannot be asked on"),
        ('[gate.x]\nkind = "nats"\nsubject = "ops.*"', "pattern"),
        ('[gate.x]\nkind = "icmp"', "Input tag 'icmp'"),
        ('[gate.x]\nkind = "tcp"\nhost = "x"\nport = 99999', "less than or equal to 65535"),
    ],
)
def test_what_a_gate_cannot_be_is_told(tmp_path: Path, text: str, sentence: str) -> None:
    """Before the first night."""
    with pytest.raises(settings.SettingsError, match=sentence):
        read(tmp_path, f"{text}\n")
