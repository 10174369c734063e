"""Where the bus is, for a client: named by the environment, by rota.toml, or by a `rota up` in the same folder."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cli.exits import Exit, Stop
from shared import settings as settings_
from shared.clock import Clock

URL_FILE = "nats.url"
"""The file in the data folder in which `rota up` writes the address of its bus."""


@dataclass(frozen=True, slots=True)
class Place:
    """The bus's address, and the clock of the pools behind it; `data` is the folder of a `rota up` on this machine
    whose bus it is, else None."""

    url: str
    clock: Clock
    data: Path | None = None


def find(environment: Mapping[str, str] = os.environ) -> Place:
    """The bus to talk to: ROTA_NATS_URL, else bus.url of the settings, else the `nats.url` of the data folder.

    Settings that cannot be read matter only where they are there or named. Raises Stop.
    """
    settings = read_settings(environment)
    named = environment.get("ROTA_NATS_URL") or settings.bus.url
    url = named or _written(settings.data)
    if not url:
        raise Stop(
            Exit.UNREACHABLE,
            "No bus is named: set ROTA_NATS_URL, write bus.url in rota.toml, or start everything here with `rota up`.",
        )
    data = None if named else settings.data.absolute()
    return Place(url, Clock(settings.clock.factor, settings.clock.origin), data)


def read_settings(environment: Mapping[str, str]) -> settings_.Settings:
    """The settings, or plain defaults where no file is named and none is there. Raises Stop with every fault."""
    named = environment.get("ROTA_CONFIG")
    if not named and not Path("rota.toml").exists():
        data = environment.get("ROTA_DATA")
        return settings_.Settings(data=Path(data)) if data else settings_.Settings()
    try:
        return settings_.read(None, environment)
    except settings_.SettingsError as error:
        raise Stop(Exit.USAGE, str(error)) from error


def _written(data: Path) -> str:
    try:
        return (data / URL_FILE).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""
