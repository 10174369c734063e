"""`rota demo` as a new user runs it: everything real, judged from the simulator's journal; and stopped half-way."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from cli import demo, judge
from tests.e2e.conftest import LINUX, LONG, environment

MOST = 60.0
"""Seconds that a demo may take."""


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    """`rota demo` in a folder, with its temporary files there too."""
    (folder / "tmp").mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, "-m", "cli.main", "demo", *arguments],
        cwd=folder,
        env=environment(TMPDIR=str(folder / "tmp")),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def children_of(pid: int) -> set[int]:
    """The processes that a process has started and that live."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                stat = (entry / "stat").read_text()
            except OSError:
                continue
            if int(stat.rpartition(")")[2].split()[1]) == pid:
                found.add(int(entry.name))
    return found


def lives(pid: int) -> bool:
    """Whether a process is there."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_the_demo_updates_a_pool_from_order_to_report_and_keeps_exactly_what_it_says(tmp_path: Path) -> None:
    """The files, their form, the judgement, and the status."""
    done = start(tmp_path, "--keep", "kept", "--json")
    out, err = done.communicate(timeout=LONG)
    assert done.returncode == 0, err
    document = json.loads(out)
    kept = tmp_path / "kept"
    names = sorted(path.name for path in kept.iterdir())
    assert document["files"] == names
    assert document["violations"] == []
    assert document["seconds"] < MOST
    plain = {"world.yaml", "journal.ndjson", "facts.ndjson", "report.html", "logs"}
    form = re.compile(r"mail-\d+-(\w+)\.eml|webhook-\d+-(\w+)\.json")
    assert plain <= set(names)
    assert all(form.fullmatch(name) for name in set(names) - plain)
    assert not list((tmp_path / "tmp").iterdir())
    judged(kept)
    reported(kept)


def judged(kept: Path) -> None:
    """The simulator's own journal shows a good run of the whole pool."""
    lines = demo.read_lines(kept / "journal.ndjson")
    assert judge.violations(lines) == []
    sums = judge.tally(lines)
    assert (sums.hosts, sums.vms, sums.reboots) == (3, 12, 3)
    assert sums.moves == 2 * sums.vms


def reported(kept: Path) -> None:
    """Mails are mails, webhooks are JSON, facts are CloudEvents, and numbers count from 1."""
    for kind in ("mail", "webhook"):
        files = sorted(kept.glob(f"{kind}-*"))
        assert [int(path.name.split("-")[1]) for path in files] == list(range(1, len(files) + 1))
        assert any("-ended." in path.name for path in files)
    for path in kept.glob("mail-*"):
        message = email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        assert message["X-Rota-Occasion"] == path.stem.split("-")[2]
        assert message["Message-ID"]
    for path in kept.glob("webhook-*"):
        assert isinstance(json.loads(path.read_bytes()), dict)
    facts = [json.loads(line) for line in (kept / "facts.ndjson").read_text().splitlines()]
    assert {"specversion", "id", "source", "type", "time", "data", "subject", "seq"} <= set(facts[0])
    assert sum(fact["type"] == "rota.run.run_ended" for fact in facts) == 1
    assert "<html" in (kept / "report.html").read_text()[:500].lower()


@LINUX
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_stopping_the_demo_leaves_nothing_running_and_nothing_behind(tmp_path: Path, how: signal.Signals) -> None:
    """Whatever had been started is ended, the folder is not there, and the status says interrupted."""
    process = start(tmp_path, "--keep", "kept")
    assert process.stdout is not None
    timer = threading.Timer(LONG, process.kill)
    timer.start()
    for line in process.stdout:
        if "takes its turn" in line:
            break
    mine = children_of(process.pid)
    assert len(mine) == 6  # the bus, the pool, and four services
    process.send_signal(how)
    _, err = process.communicate(timeout=LONG)
    timer.cancel()
    assert process.returncode == 130, err
    assert "everything that the demo had started is ended" in err
    assert not [pid for pid in mine if lives(pid)]
    assert not (tmp_path / "kept").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["tmp"]
    assert not list((tmp_path / "tmp").iterdir())


@LINUX
def test_a_killed_demo_takes_its_children_with_it(tmp_path: Path) -> None:
    """On Linux even kill -9 leaves nothing running."""
    process = start(tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    mine = children_of(process.pid)
    process.kill()
    process.communicate()
    gone = threading.Event()
    for _ in range(600):
        if not any(lives(pid) for pid in mine):
            break
        gone.wait(0.05)
    assert mine
    assert not [pid for pid in mine if lives(pid)]


def test_a_folder_that_is_not_empty_is_refused(tmp_path: Path) -> None:
    """Nothing is started, nothing is touched."""
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "mine").write_text("x")
    process = start(tmp_path, "--keep", "kept")
    out, err = process.communicate(timeout=LONG)
    assert (process.returncode, out) == (2, "")
    assert "not empty" in err
    assert (tmp_path / "kept" / "mine").read_text() == "x"
