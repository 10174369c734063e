"""`python -m simulator` as others drive it: its one line, its control address, its end."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import XenAPI


@contextmanager
def command(*words: str) -> Iterator[tuple[dict[str, Any], subprocess.Popen[str]]]:
    """The command under way, with what it printed when it was ready; ended by SIGTERM if it still runs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        yield json.loads(process.stdout.readline()), process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=20)


def get(url: str, body: dict[str, Any] | None = None) -> Any:
    return json.loads(read(url, body))


def read(url: str, body: dict[str, Any] | None = None) -> bytes:
    data = json.dumps(body).encode() if body is not None else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data)) as answer:  # noqa: S310 - our own server
        return bytes(answer.read())


def test_it_prints_one_line_serves_a_real_client_and_ends_on_sigterm(tmp_path: Path) -> None:
    """The line has exactly the agreed keys; the journal's file is there and complete."""
    journal = tmp_path / "journal.ndjson"
    with command("small", "--factor", "60", "--journal", str(journal)) as (line, process):
        assert set(line) == {"master", "hosts", "control", "username", "password"}
        assert line["hosts"]["north"] == line["master"]
        session = XenAPI.Session(line["master"])
        session.login_with_password(line["username"], line["password"])
        assert len(session.xenapi.host.get_all()) == 2
        session("close")()
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=20) == 0
    kinds = [json.loads(one)["kind"] for one in journal.read_text().splitlines()]
    assert kinds[:5] == ["host", "host", "vm", "vm", "vm"]
    assert kinds[-1] == "call"


def test_the_control_address_tells_state_clock_and_journal_and_takes_faults() -> None:
    with command("small", "--factor", "10") as (line, _):
        control = line["control"]
        state = get(f"{control}/state")
        assert state["vms"]["web"] == {"state": "running", "host": "north"}
        clock = get(f"{control}/clock")
        assert clock["drive"] == "wall"
        assert clock["factor"] == 10
        assert clock["now"] >= clock["origin"]
        assert get(f"{control}/fault", {"kind": "power_loss", "host": "south"}) == {"ok": True}
        assert get(f"{control}/state")["hosts"]["south"]["powered"] is False
        sentence = refusal(f"{control}/fault", {"kind": "earthquake"})
        assert sentence.startswith("There is no fault 'earthquake'; there are ")
        lines = [json.loads(one) for one in read(f"{control}/journal").splitlines()]
        assert [one["state"] for one in lines if one.get("cause") == "fault"] == ["down", "halted"]


def test_a_clock_driven_by_hand_is_turned_by_the_control_address() -> None:
    with command("small", "--manual") as (line, _):
        before = get(f"{line['control']}/clock")["now"]
        after = get(f"{line['control']}/clock", {"advance": 3600})["now"]
        assert after - before == 3600


def refusal(url: str, body: dict[str, Any]) -> str:
    try:
        get(url, body)
    except urllib.error.HTTPError as refused:
        with refused:
            return str(json.loads(refused.read())["error"])
    raise AssertionError("it was not refused")


def test_a_bad_world_is_told_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "bad.yaml"
    file.write_text("name: bad\nhosts: []\n")
    done = subprocess.run([sys.executable, "-m", "simulator", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "bad.yaml, line 2: 'hosts' needs at least one host.\n"


def test_two_simulators_run_beside_each_other() -> None:
    """Each has a loopback block of its own; a block that is taken is refused with a sentence."""
    with command("small") as (one, _), command("small") as (two, _):
        assert set(one["hosts"].values()).isdisjoint(two["hosts"].values())
        block = ".".join(one["master"].removeprefix("http://").split(":")[0].split(".")[1:3])
        words = [sys.executable, "-m", "simulator", "small", "--block", block]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        assert done.stderr == f"The loopback block 127.{block}.0/24 is in use by another simulator.\n"


def test_it_lists_what_is_simulated_and_what_a_world_file_may_say() -> None:
    """`--coverage` names every class with its counts; `--schema` is a JSON Schema that knows the words."""
    words = [sys.executable, "-m", "simulator"]
    listed = subprocess.run([*words, "--coverage"], capture_output=True, text=True, check=True).stdout
    assert "PBD: 18 of 18 calls\n" in listed
    assert "dmesg_clear" in listed
    schema = json.loads(subprocess.run([*words, "--schema"], capture_output=True, text=True, check=True).stdout)
    assert "memory" in schema["properties"]["hosts"]["items"]["properties"]
    assert schema["properties"]["hosts"]["items"]["required"] == ["name"]


def test_with_tls_the_line_tells_the_ca() -> None:
    with command("small", "--tls") as (line, _):
        assert line["master"].startswith("https://")
        assert "BEGIN CERTIFICATE" in Path(line["ca"]).read_text()
