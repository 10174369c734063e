"""Where a client finds the bus, and what it says when it finds none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cli import client, place
from cli.exits import Exit, Stop
from shared.bus import embedded
from shared.clock import Clock
from shared.domain import commands
from tests.cli.conftest import Ground, Rota


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing names a bus."""
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    for name in ("ROTA_CONFIG", "ROTA_DATA", "ROTA_NATS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(client, "CONNECT_WITHIN", 0.5)


def test_the_environment_wins_over_the_settings_and_they_over_a_rota_up_here(tmp_path: Path) -> None:
    """The nearest word counts."""
    data = Path("rota-data")
    data.mkdir()
    (data / place.URL_FILE).write_text("nats://127.0.0.1:3\n")
    assert place.find({}).url == "nats://127.0.0.1:3"
    Path("rota.toml").write_text('[bus]\nurl = "nats://127.0.0.1:2"\n')
    assert place.find({}).url == "nats://127.0.0.1:2"
    assert place.find({"ROTA_NATS_URL": "nats://127.0.0.1:1"}).url == "nats://127.0.0.1:1"


def test_a_simulated_pools_clock_is_the_clients_too() -> None:
    """Count-downs follow the pool's time."""
    Path("rota.toml").write_text('[bus]\nurl = "nats://127.0.0.1:2"\n[clock]\nfactor = 60\norigin = 5\n')
    assert place.find({}).clock.factor == 60


async def test_without_any_word_of_a_bus_the_sentence_says_what_to_do(rota: Rota) -> None:
    """Status 5, and a document all the same."""
    said = await rota("--json")
    assert (said.code, said.document["exit"]) == (5, 5)
    assert said.err.startswith("No bus is named: set ROTA_NATS_URL")
    assert said.document["sentence"] + "\n" == said.err


def test_settings_that_cannot_be_read_are_a_mistake_of_usage() -> None:
    """The sentence names the file and the key."""
    Path("rota.toml").write_text("[bus]\nurll = 1\n")
    with pytest.raises(Stop, match=r"rota\.toml: bus\.urll:") as stop:
        place.find({})
    assert stop.value.ending.code is Exit.USAGE


async def test_a_bus_that_does_not_answer_ends_with_5_in_one_sentence(
    rota: Rota, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And no password in it."""
    monkeypatch.setenv("ROTA_NATS_URL", "nats://anna:secret@127.0.0.1:9")
    said = await rota()
    assert (said.code, said.out) == (5, "")
    assert "127.0.0.1:9" in said.err
    assert "secret" not in said.err
    assert said.err.count("\n") == 1


async def test_wrong_credentials_for_the_bus_end_with_5(
    rota: Rota, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The bus's own reason is told."""
    server = await embedded.start(tmp_path / "nats", extra="authorization { user: anna, password: right }")
    try:
        monkeypatch.setenv("ROTA_NATS_URL", server.url.replace("nats://", "nats://anna:wrong@"))
        said = await rota("runs")
    finally:
        await server.stop()
    assert said.code == 5
    assert "uthorization" in said.err
    assert "wrong@" not in said.err


async def test_a_bus_without_rotas_streams_is_told_apart_from_none(
    rota: Rota, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It answers, but nobody of Rota was there: nothing hangs."""
    server = await embedded.start(tmp_path / "nats")
    try:
        monkeypatch.setenv("ROTA_NATS_URL", server.url)
        said = await rota("start", "lab")
    finally:
        await server.stop()
    assert said.code == 5
    assert "no Rota has been on it yet" in said.err


async def test_a_bus_that_goes_away_in_the_middle_ends_with_5(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verb never hangs because of it."""
    monkeypatch.setattr(client, "SEND_WITHIN", 0.5)

    async def verb() -> None:
        async with client.connected(place.Place(ground.url, Clock())) as connected:
            await ground.server.kill()
            await client.send(connected, commands.PlanPool(pool="lab"))

    with pytest.raises(Stop) as stop:
        await verb()
    assert stop.value.ending.code is Exit.UNREACHABLE
