"""What `rota up` guards and says, without starting anything."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cli import disk, up
from cli.exits import Exit, Stop

DATA = Path("/srv/rota")


def test_a_second_one_is_refused_with_the_holders_process_id(tmp_path: Path) -> None:
    """The lock is the operating system's: it goes with its holder."""
    with up.lock(tmp_path):
        code = (
            "import sys; from pathlib import Path; from cli import exits, up\n"
            "try:\n    with up.lock(Path(sys.argv[1])): print('in')\n"
            "except exits.Stop as stop: print(int(stop.ending.code), stop)"
        )
        arguments = [sys.executable, "-c", code, str(tmp_path)]
        said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
        assert said.startswith("4 Another `rota up` (process ")
        assert f"process {os.getpid()}" in said
    said = subprocess.run(arguments, capture_output=True, text=True, check=True).stdout
    assert said == "in\n"


@pytest.mark.parametrize(
    ("free", "words"),
    [
        (10 * 2**30, ""),
        (200 * 2**20, "Only 200 MiB are free on the disk of /srv/rota; below 48 MiB open runs are held."),
        (30 * 2**20, "Only 30 MiB are free on the disk of /srv/rota, so open runs are held;"),
        (3 * 2**20, "3 MiB are free on the disk of /srv/rota: the bus cannot store facts"),
    ],
)
def test_a_disk_that_fills_up_is_told_in_time(free: int, words: str) -> None:
    """With what it means for runs."""
    told = disk.sentence(disk.level(free), free, DATA)
    assert told.startswith(words)
    assert bool(told) == bool(words)


@pytest.mark.parametrize(("number", "words"), [(errno.ENOSPC, "is full"), (errno.EACCES, "Permission denied")])
def test_a_data_folder_that_cannot_be_used_says_why(number: int, words: str) -> None:
    """One sentence, with the folder in it."""
    told = disk.error_sentence(OSError(number, os.strerror(number)), DATA)
    assert words in told
    assert str(DATA) in told


def test_a_bus_that_had_to_stop_writing_is_known_by_its_log(tmp_path: Path) -> None:
    """Each line is read once."""
    log = tmp_path / "nats.log"
    assert disk.stopped_writing(log, 0) == (False, 0)
    log.write_text("[ERR] Filestore: write 1.blk: no space left on device\n")
    hurt, read = disk.stopped_writing(log, 0)
    assert hurt
    assert disk.stopped_writing(log, read) == (False, read)


async def test_settings_with_faults_are_told_before_anything_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Secrets that are missing count, because services would die of them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ROTA_CONFIG", raising=False)
    (tmp_path / "rota.toml").write_text('[pool.lab]\nurl = "https://127.0.0.1"\npassword_file = "nowhere"\n')
    with pytest.raises(Stop, match=r"pool\.lab\.password_file cannot be read") as stop:
        await up.up(None)
    assert stop.value.ending.code is Exit.USAGE
    assert not (tmp_path / "rota-data").exists()
