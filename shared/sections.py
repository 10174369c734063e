"""The tables of rota.toml have a root: a key that is not known is a fault, and a secret never stands in the file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from shared.domain.names import TOKEN_PATTERN

Key = Annotated[str, Field(pattern=TOKEN_PATTERN)]


class Section(BaseModel):
    """A table of the file. A key that is not known is a fault."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Secret(Section):
    """A secret that stands in a file or an environment variable, never in rota.toml."""

    password_file: Path | None = None
    password_env: str = ""
    password: SecretStr = Field(default=SecretStr(""), exclude=True)

    @field_validator("password", mode="before")
    @classmethod
    def _never_in_the_file(cls, value: object) -> object:
        if isinstance(value, str):
            raise ValueError("a password may not stand in this file; use password_file or password_env")
        return value


def web_address(value: str) -> str:
    """An address that something is sent to or asked of. Raises ValueError with a sentence."""
    parts = urlsplit(value)
    if parts.scheme not in ("https", "http") or not parts.hostname:
        raise ValueError(f"{value!r} is no address; write https://…")
    if parts.username or parts.password:
        raise ValueError("a password may not stand in an address; use password_file or password_env")
    return value
