"""Gates as rota.toml has them: who is asked before and after a run and each turn, and how.

A policy names them; the order on the bus carries a gate's name alone. Addresses and secrets are the executor's, which
asks. Seconds of `timeout_seconds` are machine time, those of `again_seconds` pool time.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from shared.sections import Secret, Section, web_address

Address = Annotated[str, AfterValidator(web_address)]
Words = Annotated[str, Field(min_length=1, max_length=4000)]

OWN = ("rota.", "$", "_INBOX")
"""Subjects that are the bus's or Rota's own, and so nobody's to answer on."""


class GateTable(Section):
    """What every gate has. `silence` is what it means that nobody answers: as good as a no, which is tried again; a
    yes; or a hold at once."""

    timeout_seconds: Annotated[float, Field(gt=0, le=120)] = 10.0
    """How long an answer is waited for."""
    silence: Literal["no", "yes", "hold"] = "no"
    """What it means that nobody answers."""
    again_seconds: Annotated[float, Field(ge=1, le=3600)] = 60.0
    """After how long a gate that says no is asked again, as often as the policy's `attempts`; then the run holds."""


class HookGate(GateTable, Secret):
    """An address that is asked by a POST of JSON; with a secret the body is signed as that of a webhook is."""

    kind: Literal["hook"]
    url: Address
    ca_file: Path | None = None


class NatsGate(GateTable):
    """A request on Rota's bus, that whoever serves the subject answers."""

    kind: Literal["nats"]
    subject: Annotated[str, Field(pattern=r"^[!-)+-=?-~]{1,200}$")]

    @field_validator("subject")
    @classmethod
    def _somebody_elses(cls, value: str) -> str:
        if value.startswith(OWN) or "" in value.split("."):
            raise ValueError(f"{value!r} cannot be asked on; name a subject of your own, such as ops.backups.idle")
        return value


class TcpGate(GateTable):
    """A port that must take connections."""

    kind: Literal["tcp"]
    host: Annotated[str, Field(min_length=1, max_length=253)]
    port: Annotated[int, Field(ge=1, le=65535)]


class _Bearer(GateTable, Secret):
    """An address that is asked with GET; the secret, where there is one, is its bearer token."""

    url: Address
    ca_file: Path | None = None

    @model_validator(mode="after")
    def _no_token_in_the_clear(self) -> _Bearer:
        if self.url.startswith("http:") and (self.password_file or self.password_env):
            raise ValueError("the token would be sent unencrypted; use https")
        return self


class HttpGate(_Bearer):
    """A page that must answer with a status: one of these, or any of the 200s."""

    kind: Literal["http"]
    status: tuple[Annotated[int, Field(ge=100, le=599)], ...] = ()


class PrometheusGate(_Bearer):
    """A query each value of which must lie between bounds. `url` is where Prometheus is, without /api."""

    kind: Literal["prometheus"]
    query: Words
    at_least: float | None = None
    at_most: float | None = None

    @model_validator(mode="after")
    def _a_bound(self) -> PrometheusGate:
        if self.at_least is None and self.at_most is None:
            raise ValueError("the query is compared with nothing; give at_least or at_most")
        return self


Gate = Annotated[HookGate | NatsGate | TcpGate | HttpGate | PrometheusGate, Field(discriminator="kind")]
