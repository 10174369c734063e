"""Settings: read once, checked all at once, frozen, printed with secrets masked.

They stand in one TOML file (rota.toml); secrets only in files or environment variables that it names. What is wrong
is told in one go, each fault in one sentence. A service that needs no secrets reads none.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, SecretStr, ValidationError, field_validator, model_validator

from shared.domain.facts import Occasion
from shared.domain.policy import Policy, strange_gate
from shared.domain.schedule import Schedule, strangers
from shared.domain.window import Window
from shared.gates import Gate
from shared.sections import Key, Secret, Section

ALL_OCCASIONS: tuple[Occasion, ...] = (
    "announced", "started", "held", "approval", "rejected", "ended", "owed", "paid", "updates", "missed",
)  # fmt: skip
"""What a destination hears of unless it says otherwise; `host_done` is asked for."""

Share = Annotated[float, Field(gt=0)]


class SettingsError(Exception):
    """The settings cannot be used; the text has one sentence for each fault."""


class BusSettings(Section):
    """Where the bus is. Seconds are machine time."""

    url: str = ""
    replicas: Annotated[int, Field(ge=1, le=5)] = 1
    ack_wait: Share = 2.0


class ClockSettings(Section):
    """The clock of a simulated pool; a real pool has factor 1."""

    factor: Annotated[float, Field(gt=0, le=1000)] = 1.0
    origin: float = 0.0


class RunsSettings(Section):
    """Runs of several pools side by side."""

    at_once: Annotated[int, Field(ge=0, le=1000)] = 0
    """How many may be under way at once, those that are held counted; 0: any number."""
    order: tuple[Key, ...] = ()
    """Pools, or tags of pools: of those that wait, which begins first. Who is not named comes last, and among equals
    the run that was asked for first."""


class StorageVMTable(Section):
    """A VM on a host of the pool that exports an SR (NFS) to the pool itself: each by name or uuid. That it stands here
    is the consent to have it shut down for its host's turn, and to lift a block of its shutdown for that."""

    vm: Annotated[str, Field(min_length=1)]
    sr: Annotated[str, Field(min_length=1)]
    """The SR that it serves."""
    host: Annotated[str, Field(min_length=1)]
    """The host that it lives on."""


class PoolAccess(Secret):
    """How a pool is reached, and what its owner wants. `fingerprint` is the SHA-256 of its certificate in hex."""

    url: str
    username: str = "root"
    ca_file: Path | None = None
    fingerprint: str = ""
    read_only: bool = False
    down_after: Share = 180.0
    """Seconds of pool time a host may be not live before it is down; a toolstack restart makes it so for less."""
    tags: tuple[Key, ...] = ()
    """Words by which schedules name this pool together with others."""
    rota_vms: tuple[str, ...] = ()
    """VMs of this pool, by name or uuid, that Rota and its bus run in; its own machine is found where Xen tells it."""
    needed_vms: tuple[str, ...] = ()
    """VMs that Rota needs: DNS, the firewall or VPN between it and the hosts, the mail relay, a proxy."""
    storage_vm: tuple[StorageVMTable, ...] = ()
    """VMs that export an SR to the pool itself, a table `[[pool.KEY.storage_vm]]` for each SR; or a tag on the VM,
    `rota:serves:<sr>`, with the SR's name or uuid."""
    replicated: tuple[str, ...] = ()
    """SRs, by name or uuid, whose data lies on the hosts themselves though XAPI does not say so (HA-mirrored storage of
    two hosts): one host away at a time, and a gate must say that it is whole. XOSTOR and GFS2 are known as such."""
    policy: Policy = Policy()

    @field_validator("storage_vm")
    @classmethod
    def _one_server_for_each_sr(cls, value: tuple[StorageVMTable, ...]) -> tuple[StorageVMTable, ...]:
        seen: dict[str, StorageVMTable] = {}
        for one in value:
            if other := seen.get(one.sr):
                raise ValueError(f"{one.sr!r} is served by {other.vm!r} and again by {one.vm!r}; an SR has one server")
            seen[one.sr] = one
        return value

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        parts = urlsplit(value)
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise ValueError(f"{value!r} is no address of a pool; write https://host-or-ip")
        if parts.scheme == "http" and not is_loopback(value):
            raise ValueError(f"{value!r} would send the password unencrypted; use https")
        return value.rstrip("/")


class Destination(Section):
    """Somebody who is told: of which occasions, for which pools (empty: all)."""

    occasions: tuple[Occasion, ...] = ALL_OCCASIONS
    pools: tuple[Key, ...] = ()
    again_minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    """A hold that nobody answers is told again each time so many minutes have passed, for a week; 0: once."""
    owed_hours: Annotated[int, Field(ge=0, le=120)] = 24
    """What is still owed after so many hours is told; 0: never."""


class MailDestination(Secret, Destination):
    """A mailbox and the server that takes mail for it."""

    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 25
    tls: Literal["starttls", "implicit", "none"] = "starttls"
    ca_file: Path | None = None
    username: str = ""
    sender: str
    to: Annotated[tuple[str, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _no_password_in_the_clear(self) -> MailDestination:
        if self.tls == "none" and self.username:
            raise ValueError("tls = 'none' would send the password unencrypted; use 'starttls' or 'implicit'")
        if any(bad in address for address in (*self.to, self.sender) for bad in "\r\n"):
            raise ValueError("an address has a line break in it")
        return self


class WebhookDestination(Secret, Destination):
    """An address that facts are posted to. The secret, where there is one, signs the body. A `shape` other than Rota's
    own is for the incoming webhooks of that chat."""

    url: str
    shape: Literal["rota", "slack", "mattermost"] = "rota"
    ca_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("https", "http") or not urlsplit(value).hostname:
            raise ValueError(f"{value!r} is no address; write https://…")
        return value


class AppriseDestination(Secret, Destination):
    """A service that the library apprise reaches (Telegram, Matrix, SMS and many others). Its address is a secret and
    stands where `password_file` or `password_env` says. Needs the extra: pip install 'rota[apprise]'."""


class HeartbeatDestination(Section):
    """An address outside, healthchecks-style, that is called while a run goes: `/start` at its beginning and each
    `every_minutes`, the bare address when it ends well, `/fail` when it does not. Who hears nothing, calls."""

    url: str
    ca_file: Path | None = None
    pools: tuple[Key, ...] = ()
    every_minutes: Annotated[float, Field(gt=0, le=1440)] = 5.0
    """Minutes of pool time."""

    @field_validator("url")
    @classmethod
    def _an_address(cls, value: str) -> str:
        if urlsplit(value).scheme not in ("https", "http") or not urlsplit(value).hostname:
            raise ValueError(f"{value!r} is no address; write https://…")
        return value


class ScheduleTable(Schedule):
    """Pools that are updated by themselves, at the ticks of a cron expression."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Settings(Section):
    """Everything that rota.toml says."""

    bus: BusSettings = BusSettings()
    clock: ClockSettings = ClockSettings()
    runs: RunsSettings = RunsSettings()
    pool: Mapping[Key, PoolAccess] = Field(default_factory=dict)
    mail: Mapping[Key, MailDestination] = Field(default_factory=dict)
    webhook: Mapping[Key, WebhookDestination] = Field(default_factory=dict)
    apprise: Mapping[Key, AppriseDestination] = Field(default_factory=dict)
    heartbeat: Mapping[Key, HeartbeatDestination] = Field(default_factory=dict)
    schedule: Mapping[Key, ScheduleTable] = Field(default_factory=dict)
    window: Mapping[Key, Window] = Field(default_factory=dict)
    gate: Mapping[Key, Gate] = Field(default_factory=dict)
    reports: Path | None = None
    """A folder for the HTML file of each report; none: no file."""
    templates: Path | None = None
    """A folder of your own `mail.txt`, `mail.html` and `report.html`; what it does not have is Rota's."""
    data: Path = Path("rota-data")
    """Where `rota up` keeps the bus's files and its logs."""

    @model_validator(mode="after")
    def _a_scaled_clock_only_on_loopback(self) -> Settings:
        real = [key for key, access in self.pool.items() if not is_loopback(access.url)]
        if self.clock.factor != 1 and real:
            raise ValueError(f"clock.factor is for simulated pools; {', '.join(real)} is not on a loopback address")
        return self

    @model_validator(mode="after")
    def _schedules_windows_and_gates_name_what_is_there(self) -> Settings:
        tags = self.tags
        for key, schedule in self.schedule.items():
            if stranger := strangers(schedule, tags):
                raise ValueError(f"schedule.{key}: {stranger.rstrip('.')}")
        policies: dict[str, Policy | Mapping[str, Any]] = {
            **{f"pool.{key}": access.policy for key, access in self.pool.items()},
            **{f"schedule.{key}": schedule.policy for key, schedule in self.schedule.items()},
        }
        for place, policy in policies.items():
            if stranger := strange_gate(policy, self.gate):
                raise ValueError(f"{place}.policy: {stranger.rstrip('.')}")
        asked = {f"pool.{key}": access.policy.window for key, access in self.pool.items()}
        asked |= {f"schedule.{key}": schedule.policy.get("window", "") for key, schedule in self.schedule.items()}
        for place, window in asked.items():
            if window and window not in self.window:
                listed = ", ".join(self.window) or "none"
                raise ValueError(f"{place}.policy.window: there is no window {window!r} (windows: {listed})")
        return self

    @model_validator(mode="after")
    def _the_order_names_pools_and_tags(self) -> Settings:
        known = {*self.pool, *(tag for access in self.pool.values() for tag in access.tags)}
        if strange := [name for name in self.runs.order if name not in known]:
            raise ValueError(f"runs.order: there is no pool and no tag {strange[0]!r}")
        return self

    @property
    def queue(self) -> tuple[str, ...]:
        """The pools that runs.order names, by key or tag, each once, in its order."""
        found = (key for name in self.runs.order for key, one in self.pool.items() if name in (key, *one.tags))
        return tuple(dict.fromkeys(found))

    @property
    def tags(self) -> Mapping[str, tuple[str, ...]]:
        """Each pool's tags."""
        return {key: access.tags for key, access in self.pool.items()}


def is_loopback(url: str) -> bool:
    """Whether an address names this very machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def read(path: Path | None, environment: Mapping[str, str], *, secrets: bool = False) -> Settings:
    """The settings of a file with the environment laid over it (ROTA_NATS_URL, ROTA_DATA).

    `path` None means ROTA_CONFIG, else rota.toml in this folder. With `secrets` the files and variables that it names
    are read too. Relative paths are relative to the file. Raises SettingsError with every fault.
    """
    file = path or Path(environment.get("ROTA_CONFIG") or "rota.toml")
    tables = _tables(file)
    if url := environment.get("ROTA_NATS_URL"):
        tables.setdefault("bus", {})["url"] = url
    if data := environment.get("ROTA_DATA"):
        tables["data"] = data
    try:
        settings = Settings.model_validate(_absolute(tables, file.parent))
    except ValidationError as error:
        raise SettingsError("\n".join(_sentences(error, file))) from error
    return _with_secrets(settings, environment, file) if secrets else settings


def shown(settings: Settings) -> str:
    """The settings as JSON with every secret masked, for logs and for people."""
    return settings.model_dump_json(indent=2, exclude_defaults=True)


def _tables(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise SettingsError(
            f"There is no {file}; copy rota.example.toml to it, or name another file in ROTA_CONFIG."
        ) from error
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be read: {error}.") from error


def _absolute(tables: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Relative paths made relative to the file they stand in."""

    def walk(value: object, key: str) -> object:
        if isinstance(value, dict):
            return {name: walk(inner, name) for name, inner in value.items()}
        if key in _PATHS and isinstance(value, str):
            return str((folder / value).absolute())
        return value

    return {name: walk(value, name) for name, value in tables.items()}


def _sentences(error: ValidationError, file: Path) -> Iterator[str]:
    for fault in error.errors():
        place = ".".join(str(part) for part in fault["loc"]) or "the file"
        yield f"{file}: {place}: {fault['msg'].removeprefix('Value error, ')}."


def _with_secrets(settings: Settings, environment: Mapping[str, str], file: Path) -> Settings:
    faults: list[str] = []

    def secret(place: str, holder: Secret) -> SecretStr:
        if holder.password_file is not None:
            try:
                return SecretStr(holder.password_file.read_text(encoding="utf-8").rstrip("\r\n"))
            except (OSError, UnicodeDecodeError) as error:
                faults.append(f"{file}: {place}.password_file cannot be read: {error}.")
        elif holder.password_env:
            if holder.password_env in environment:
                return SecretStr(environment[holder.password_env])
            faults.append(f"{file}: {place}.password_env names {holder.password_env}, which is not set.")
        return SecretStr("")

    def with_password(table: str, items: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: item.model_copy(update={"password": secret(f"{table}.{key}", item)})
            if isinstance(item, Secret)
            else item
            for key, item in items.items()
        }

    result = settings.model_copy(
        update={
            name: with_password(name, getattr(settings, name))
            for name in ("pool", "mail", "webhook", "apprise", "gate")
        }
    )
    if faults:
        raise SettingsError("\n".join(faults))
    return result


_PATHS = frozenset({"password_file", "ca_file", "reports", "templates", "data"})


def from_environment(*, secrets: bool = False) -> Settings:
    """The settings as the process's own environment names them."""
    return read(None, os.environ, secrets=secrets)
