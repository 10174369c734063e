"""Gates of the owner's: somebody outside is asked and must say yes before the run goes on.

How each kind asks is below; all answer with a `Word`. What it means, the gate's table in rota.toml says: a no is tried
again as policy says, silence is what `silence` makes of it. Who may be an impostor (a certificate that is not trusted,
a redirection) has said no, never nothing. What is told names the gate, and of an address its host alone.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal
from urllib.parse import urlsplit

import aiohttp

from services.executor.work import Ended, Work
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.gates import GateTable, HookGate, HttpGate, NatsGate, PrometheusGate, TcpGate
from shared.signing import signature
from shared.xapi.faults import CONFIGURATION

LARGEST = 65_536
"""Bytes of an answer that are read."""

LONGEST = 300
"""Letters of what a gate says that are told on."""

BUSY = frozenset({502, 503, 504})
"""What a door says when nobody is behind it: as good as silence."""


class _NoAuthority(Exception):
    """A ca_file that is of no use."""


@dataclass(frozen=True, slots=True)
class Word:
    """What a gate said, and its sentence."""

    said: Literal["yes", "no", "nothing"]
    because: str = ""


async def ask(act: acts.AskGate, work: Work) -> Ended:
    """Changes nothing on the pool."""
    gate = work.gates.get(act.gate)
    if gate is None:
        raise GiveUp(
            f"The executor's rota.toml has no gate {act.gate}; add [gate.{act.gate}] there.",
            who_can_help=CONFIGURATION,
            code="UNKNOWN_GATE",
        )
    word = await asked(gate, act, work)
    because = f": {word.because.rstrip('.')}." if word.because else "."
    if word.said == "yes":
        return Ended(acts.Done(), f"The gate {act.gate} says yes{because}")
    if word.said == "no":
        raise TryAgain(f"The gate {act.gate} says no{because}", after=gate.again_seconds, code="GATE_SAYS_NO")
    silent = f"The gate {act.gate} does not answer{because}"
    if gate.silence == "yes":
        return Ended(acts.Done(), f"{silent} Its silence is a yes, as rota.toml says.")
    if gate.silence == "hold":
        raise GiveUp(silent, who_can_help=f"whoever keeps the gate {act.gate}", code="GATE_SILENT")
    raise TryAgain(silent, after=gate.again_seconds, code="GATE_SILENT")


async def asked(gate: GateTable, act: acts.AskGate, work: Work) -> Word:
    """Ask once, whatever happens on the way."""
    try:
        async with asyncio.timeout(gate.timeout_seconds):
            return await ASKS[type(gate)](gate, act, work)
    except TimeoutError:
        return Word("nothing", f"nothing came within {gate.timeout_seconds:g} s.")
    except aiohttp.ClientSSLError as error:
        return Word("no", f"its certificate is not trusted ({_plain(type(error).__name__)}).")
    except aiohttp.ClientConnectionError as error:
        return Word("nothing", f"it could not be reached ({_reason(error)}).")
    except aiohttp.ClientError as error:
        return Word("no", f"its answer is no HTTP ({_plain(type(error).__name__)}).")
    except _NoAuthority as error:
        return Word("no", f"its ca_file cannot be read ({error}).")
    except OSError as error:
        return Word("nothing", f"it could not be reached ({_reason(error)}).")


# --- the kinds --------------------------------------------------------------------------------------------------------


async def _hook(gate: Any, act: acts.AskGate, work: Work) -> Word:
    assert isinstance(gate, HookGate)
    body, timestamp = question(act, work), str(int(work.clock.machine()))
    headers = {
        "Content-Type": "application/json; charset=utf-8",
        "Idempotency-Key": str(work.place),
        "X-Rota-Timestamp": timestamp,
    }
    if secret := gate.password.get_secret_value():
        headers["X-Rota-Signature"] = signature(secret, timestamp, body)
    status, data = await _http("POST", gate.url, gate.ca_file, headers, body=body)
    if word := _refusal(gate.url, status):
        return word
    return spoken_word(data) if data.strip() else Word("yes")


async def _nats(gate: Any, act: acts.AskGate, work: Work) -> Word:
    assert isinstance(gate, NatsGate)
    data = await work.request(gate.subject, question(act, work), gate.timeout_seconds)
    return Word("nothing", f"nobody answered on {gate.subject}.") if data is None else spoken_word(data[:LARGEST])


async def _tcp(gate: Any, act: acts.AskGate, work: Work) -> Word:
    assert isinstance(gate, TcpGate)
    _, writer = await asyncio.open_connection(gate.host, gate.port)
    writer.close()
    return Word("yes", f"port {gate.port} of {gate.host} takes connections.")


async def _page(gate: Any, act: acts.AskGate, work: Work) -> Word:
    assert isinstance(gate, HttpGate)
    status, _ = await _http("GET", gate.url, gate.ca_file, _bearer(gate))
    if status in gate.status or (not gate.status and 200 <= status < 300):
        return Word("yes", f"{_host(gate.url)} answers {status}.")
    return _refusal(gate.url, status) or Word("no", f"{_host(gate.url)} answered {status}.")


async def _prometheus(gate: Any, act: acts.AskGate, work: Work) -> Word:
    assert isinstance(gate, PrometheusGate)
    url = f"{gate.url.rstrip('/')}/api/v1/query"
    status, data = await _http("GET", url, gate.ca_file, _bearer(gate), query={"query": gate.query})
    return _refusal(url, status) or compared(data, gate)


ASKS: Mapping[type[GateTable], Callable[[Any, acts.AskGate, Work], Awaitable[Word]]] = MappingProxyType(
    {HookGate: _hook, NatsGate: _nats, TcpGate: _tcp, HttpGate: _page, PrometheusGate: _prometheus}
)


# --- questions and answers --------------------------------------------------------------------------------------------


def question(act: acts.AskGate, work: Work) -> bytes:
    """What a hook is asked: which run, what is about to be, and which try of it this is."""
    place = work.place
    host = {"uuid": act.host.uuid, "name": act.host.name} if act.host else None
    told = {"gate": act.gate, "when": act.when, "pool": place.pool, "run": place.run, "host": host}
    return json.dumps({**told, "step": place.step, "attempt": place.attempt}, ensure_ascii=False).encode()


def spoken_word(data: bytes) -> Word:
    """`{"yes": true}`, or `{"yes": false, "because": "…"}`; whatever else is said is no yes."""
    try:
        told = json.loads(data)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict) or not isinstance(told.get("yes"), bool):
        return Word("no", 'its answer is not {"yes": true} or {"yes": false, "because": "…"}.')
    because = _plain(told.get("because", "")) if isinstance(told.get("because", ""), str) else ""
    return Word("yes" if told["yes"] else "no", because)


def compared(data: bytes, gate: PrometheusGate) -> Word:
    """What an answer of Prometheus's says beside the bounds: each of its values must lie between them."""
    try:
        result = json.loads(data)["data"]
        rows = [result] if result["resultType"] == "scalar" else result["result"]
        values = [float(row["result"][1] if row is result else row["value"][1]) for row in rows]
    except (ValueError, KeyError, TypeError, IndexError, RecursionError):
        return Word("no", "its answer is not that of a Prometheus query with one value each.")
    if not values:
        return Word("no", "its query finds nothing.")
    least = -math.inf if gate.at_least is None else gate.at_least
    most = math.inf if gate.at_most is None else gate.at_most
    wrong = [value for value in values if not least <= value <= most]
    bounds = " and ".join(
        f"{words} {bound:g}"
        for words, bound in (("at least", gate.at_least), ("at most", gate.at_most))
        if bound is not None
    )
    if wrong:
        more = f", and {len(wrong) - 1} more" if len(wrong) > 1 else ""
        return Word("no", f"its query says {wrong[0]:g}{more}, and {bounds} is asked for.")
    return Word("yes", f"its query says {values[0]:g}, which is {bounds}.")


def _refusal(url: str, status: int) -> Word | None:
    """What a status that is no success says, or None."""
    if 200 <= status < 300:
        return None
    if 300 <= status < 400:
        return Word("no", f"{_host(url)} answered {status}, a redirection, which is not followed.")
    return Word("nothing" if status in BUSY else "no", f"{_host(url)} answered {status}.")


# --- HTTP -------------------------------------------------------------------------------------------------------------


async def _http(
    method: str,
    url: str,
    ca_file: Path | None,
    headers: Mapping[str, str],
    *,
    body: bytes | None = None,
    query: Mapping[str, str] | None = None,
) -> tuple[int, bytes]:
    """Status and the first of the body. Certificates are verified, redirections not followed."""
    trusted = await asyncio.to_thread(_authority, ca_file) if ca_file else True
    async with (
        aiohttp.ClientSession(headers={"User-Agent": "Rota"}) as session,
        session.request(
            method, url, data=body, params=query, headers=dict(headers), allow_redirects=False, ssl=trusted
        ) as answer,
    ):
        data = b""
        async for chunk in answer.content.iter_any():
            data += chunk
            if len(data) > LARGEST:
                break
        return answer.status, data[:LARGEST]


def _authority(ca_file: Path) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # which an SSLError is too
        raise _NoAuthority(_plain(error.strerror or type(error).__name__)) from error


def _bearer(gate: HttpGate | PrometheusGate) -> dict[str, str]:
    token = gate.password.get_secret_value()
    return {"Authorization": f"Bearer {token}"} if token else {}


def _host(url: str) -> str:
    """All that may be told of an address: its path and query are often secrets."""
    return urlsplit(url).hostname or "it"


def _reason(error: Exception) -> str:
    """Why, without the address: aiohttp puts the whole of it into some of its errors."""
    cause = getattr(error, "os_error", error)
    return _plain(getattr(cause, "strerror", None) or type(error).__name__)


def _plain(text: object) -> str:
    """One bounded line, of what can be printed."""
    line = " ".join("".join(one if one.isprintable() else " " for one in str(text)[: 4 * LONGEST]).split())
    return line[:LONGEST]
