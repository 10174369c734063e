"""Tests of rota.example.toml: it can be used as it is, and it shows every setting with the value it has by itself."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from shared import gates, settings
from shared.domain.policy import Policy, unsupported
from shared.domain.window import Window

SHOWN: dict[str, type[BaseModel]] = {
    "": settings.Settings,
    "bus": settings.BusSettings,
    "runs": settings.RunsSettings,
    "pool.lab": settings.PoolAccess,
    "mail.team": settings.MailDestination,
    "webhook.chat": settings.WebhookDestination,
    "apprise.phone": settings.AppriseDestination,
    "heartbeat.lab": settings.HeartbeatDestination,
    "schedule.monthly": settings.ScheduleTable,
    "window.night": Window,
    "gate.backups": gates.HookGate,
}
UNSHOWN = {
    "clock",
    "pool",
    "mail",
    "webhook",
    "apprise",
    "heartbeat",
    "schedule",
    "window",
    "gate",
    "kind",
    "policy",
    "storage_vm",
    "password",
    "password_env",
}
"""Tables of their own, the simulator's clock, and what stands in the opening words."""


def _uncommented(text: str) -> str:
    """The example with every line that shows a setting or a table in force."""
    return re.sub(r'^#(?=\[|[a-z_]+ = |"[\w-]+" = )', "", text, flags=re.MULTILINE)


@pytest.fixture
def example(repository: Path) -> str:
    """The text of rota.example.toml."""
    return (repository / "rota.example.toml").read_text()


def test_the_example_can_be_used_as_it_is(repository: Path) -> None:
    """A copy with nothing changed is read without a fault, and asks for nothing that Rota cannot do."""
    read = settings.read(repository / "rota.example.toml", {})
    assert set(read.pool) == {"lab"}
    assert unsupported(read.pool["lab"].policy) is None


def test_every_line_that_is_commented_out_is_good_too(example: str, tmp_path: Path) -> None:
    """What is shown can be switched on by taking its # away."""
    file = tmp_path / "rota.toml"
    file.write_text(_uncommented(example))
    read = settings.read(file, {})
    assert set(read.mail) == {"team"}
    assert set(read.webhook) == {"chat"}
    assert set(read.heartbeat) == {"lab"}
    assert (set(read.schedule), set(read.window)) == ({"monthly"}, {"night"})
    assert [one.kind for one in read.gate.values()] == ["hook", "nats", "tcp", "http", "prometheus"]
    assert unsupported(read.pool["lab"].policy) is None


@pytest.mark.parametrize("table", SHOWN)
def test_every_setting_is_shown(example: str, table: str) -> None:
    """A setting that is added in the code is added in the example."""
    shown = _table(tomllib.loads(_uncommented(example)), table)
    assert set(SHOWN[table].model_fields) - UNSHOWN - set(shown) == set()


def test_what_is_commented_out_shows_the_default(example: str) -> None:
    """Taking the # away changes nothing, for what has a default of its own."""
    shown = tomllib.loads(_uncommented(example))
    policy = _table(shown, "pool.lab")["policy"]
    assert _changed(Policy, policy) == {"strategies", "migrations_per_pool"}
    assert _changed(settings.PoolAccess, _table(shown, "pool.lab")) <= {
        "policy",
        "storage_vm",
        "password_file",
        "ca_file",
    }
    assert _changed(settings.BusSettings, shown["bus"]) == {"url"}
    assert _changed(settings.MailDestination, _table(shown, "mail.team")) <= {
        "port",
        "ca_file",
        "username",
        "password_file",
    }
    assert _changed(settings.WebhookDestination, _table(shown, "webhook.chat")) <= {"ca_file", "password_file"}
    assert _changed(settings.HeartbeatDestination, _table(shown, "heartbeat.lab")) <= {"ca_file"}
    assert _changed(settings.ScheduleTable, _table(shown, "schedule.monthly")) == {"zone", "pools", "policy"}
    assert _changed(Window, _table(shown, "window.night")) == {"zone"}


def _table(tables: dict[str, Any], place: str) -> dict[str, Any]:
    for key in filter(None, place.split(".")):
        tables = tables[key]
    return tables


def _changed(model: type[BaseModel], shown: dict[str, Any]) -> set[str]:
    """Settings whose shown value differs from the default; those without a default are not asked about."""
    fields = model.model_fields
    given = {key: tuple(value) if isinstance(value, list) else value for key, value in shown.items()}
    return {key for key, value in given.items() if not fields[key].is_required() and fields[key].default != value}
