"""Gates as they are asked: real receivers that say yes, no, nothing, something else, too late or too much."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, TypeAdapter

from services.executor.steps import gates
from services.executor.work import Place, Work, nobody
from shared.clock import Clock
from shared.domain import acts
from shared.domain.errors import GiveUp, TryAgain
from shared.domain.names import Named
from shared.gates import Gate, GateTable, PrometheusGate
from shared.xapi.port import Pool
from tests.services.reporter.channels.post import certificates

ATHOS = Named("host-athos", "athos")
BEFORE = acts.AskGate("backups", "before_turn", ATHOS)
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def gate(secret: str = "", **table: Any) -> GateTable:
    """A gate as rota.toml has it; `secret` as it was read from its file."""
    read = cast("GateTable", TypeAdapter(Gate).validate_python({"timeout_seconds": 5, **table}))
    return read.model_copy(update={"password": SecretStr(secret)}) if secret else read


async def asked(table: GateTable, request: Callable[[str, bytes, float], Awaitable[bytes | None]] = nobody) -> str:
    """The sentence of a step that asks it."""

    async def say(share: float, sentence: str) -> None:
        """Nobody listens."""

    async def keep(name: str, data: bytes) -> None:
        """Nothing is kept."""

    work = Work(
        pool=cast("Pool", None), clock=Clock(), place=Place("lab", "r1", "t01-s009", 2), say=say, keep=keep,
        gates={"backups": table}, request=request,
    )  # fmt: skip
    return (await gates.ask(BEFORE, work)).sentence


@contextlib.asynccontextmanager
async def serving(answer: Answer, context: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """The address of somebody who answers so."""
    application = web.Application()
    application.router.add_route("*", "/{tail:.*}", answer)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"{'https' if context else 'http'}://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def saying(status: int, body: str = "", **headers: str) -> Answer:
    """Always the same."""

    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text=body or None, headers=headers)

    return answer


async def test_a_hook_is_told_what_is_about_to_be_and_says_yes() -> None:
    """Signed as a webhook is, with a key by which a copy is known."""
    got: list[tuple[dict[str, str], bytes]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        got.append((dict(request.headers), await request.read()))
        return web.json_response({"yes": True, "because": "No backup runs"})

    async with serving(answer) as url:
        said = await asked(gate("s3cret", kind="hook", url=f"{url}/ask"))
    assert said == "The gate backups says yes: No backup runs."
    ((headers, body),) = got
    assert json.loads(body) == {
        "gate": "backups", "when": "before_turn", "pool": "lab", "run": "r1",
        "host": {"uuid": "host-athos", "name": "athos"}, "step": "t01-s009", "attempt": 2,
    }  # fmt: skip
    signed = headers["X-Rota-Timestamp"].encode() + b"." + body
    assert headers["X-Rota-Signature"] == "sha256=" + hmac.new(b"s3cret", signed, hashlib.sha256).hexdigest()
    assert headers["Idempotency-Key"] == "lab/r1/t01-s009-2"


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, '{"yes": false, "because": "A backup\\u202e of db1\\nruns"}', "says no: A backup of db1 runs."),
        (200, '{"yes": false}', "says no."),
        (200, '{"yes": "true"}', "its answer is not"),
        (200, "<html>Please log in</html>", "its answer is not"),
        (200, "[" * 60_000, "its answer is not"),
        (302, "", "answered 302, a redirection, which is not followed."),
        (401, "", "127.0.0.1 answered 401."),
        (500, "", "127.0.0.1 answered 500."),
    ],
)
async def test_whatever_is_no_yes_is_a_no(status: int, body: str, words: str) -> None:
    """Also where silence is a yes; it is asked again after a while."""
    headers = {"Location": "https://elsewhere.example/"} if status == 302 else {}
    async with serving(saying(status, body, **headers)) as url:
        with pytest.raises(TryAgain, match="says no") as no:
            await asked(gate(kind="hook", url=f"{url}/s3cret-path", silence="yes", again_seconds=90))
    assert words in no.value.because
    assert "s3cret-path" not in no.value.because
    assert (no.value.after, no.value.code) == (90, "GATE_SAYS_NO")


@pytest.mark.parametrize("body", ["", '{"yes": true, "more": [1]}'])
async def test_a_success_that_says_nothing_is_a_yes(body: str) -> None:
    """204, or 200 without a body."""
    async with serving(saying(200 if body else 204, body)) as url:
        assert await asked(gate(kind="hook", url=url)) == "The gate backups says yes."


async def test_silence_is_what_the_table_makes_of_it() -> None:
    """A no that is tried again, a yes that is told, a hold at once; whoever is too slow is silent."""
    waits = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        await waits.wait()
        return web.Response()

    async with serving(answer) as url:
        slow: dict[str, Any] = {"kind": "hook", "url": url, "timeout_seconds": 0.05}
        with pytest.raises(TryAgain, match=r"does not answer: nothing came within 0\.05 s\.") as again:
            await asked(gate(**slow))
        assert again.value.code == "GATE_SILENT"
        with pytest.raises(GiveUp) as held:
            await asked(gate(**slow, silence="hold"))
        assert held.value.who_can_help == "whoever keeps the gate backups"
        assert (await asked(gate(**slow, silence="yes"))).endswith("Its silence is a yes, as rota.toml says.")
        waits.set()
    gone = gate(kind="hook", url=url)
    with pytest.raises(TryAgain, match="it could not be reached"):
        await asked(gone)
    async with serving(saying(503)) as url:
        with pytest.raises(TryAgain, match=r"does not answer: 127\.0\.0\.1 answered 503"):
            await asked(gate(kind="http", url=url))


async def test_a_certificate_that_nobody_vouches_for_is_a_no(tmp_path: Path) -> None:
    """Even where silence is a yes: it may be an impostor. With its ca_file it is trusted."""
    context, ca = certificates(tmp_path)
    async with serving(saying(204), context) as url:
        table: dict[str, Any] = {"kind": "hook", "url": url, "silence": "yes"}
        with pytest.raises(TryAgain, match="its certificate is not trusted"):
            await asked(gate(**table))
        with pytest.raises(TryAgain, match="its ca_file cannot be read"):
            await asked(gate(**table, ca_file=tmp_path / "none.pem"))
        assert await asked(gate(**table, ca_file=ca)) == "The gate backups says yes."


async def test_a_page_is_asked_with_its_token_and_must_have_its_status(tmp_path: Path) -> None:
    """Any of the 200s, or those that are named."""
    context, ca = certificates(tmp_path)
    tokens: list[str] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        tokens.append(request.headers.get("Authorization", ""))
        return web.Response(status=404, text="x" * 200_000)

    async with serving(answer, context) as url:
        said = await asked(gate("t0ken", kind="http", url=url, ca_file=ca, status=[404]))
        with pytest.raises(TryAgain, match="answered 404"):
            await asked(gate(kind="http", url=url, ca_file=ca))
    assert said == "The gate backups says yes: 127.0.0.1 answers 404."
    assert tokens == ["Bearer t0ken", ""]


async def test_a_port_must_take_connections() -> None:
    """And one that is closed does not."""
    server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        said = await asked(gate(kind="tcp", host="127.0.0.1", port=port))
    assert said == f"The gate backups says yes: port {port} of 127.0.0.1 takes connections."
    with pytest.raises(TryAgain, match="it could not be reached"):
        await asked(gate(kind="tcp", host="127.0.0.1", port=port))


async def test_a_request_on_the_bus_is_answered_or_not() -> None:
    """As a hook is; nobody there is silence."""
    questions: list[tuple[str, bytes]] = []

    async def request(subject: str, data: bytes, within: float) -> bytes | None:
        questions.append((subject, data))
        return b'{"yes": true}'

    table = gate(kind="nats", subject="ops.backups.idle")
    assert await asked(table, request) == "The gate backups says yes."
    assert questions[0][0] == "ops.backups.idle"
    assert json.loads(questions[0][1])["host"]["name"] == "athos"
    with pytest.raises(TryAgain, match=r"nobody answered on ops\.backups\.idle"):
        await asked(table)


def prometheus(*values: str, kind: str = "vector") -> str:
    """An answer of Prometheus's (its HTTP API, /api/v1/query)."""
    rows: Any = [{"metric": {"instance": f"host{n}"}, "value": [1.0, value]} for n, value in enumerate(values)]
    return json.dumps(
        {"status": "success", "data": {"resultType": kind, "result": [1.0, values[0]] if kind == "scalar" else rows}}
    )


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (prometheus("0.5"), "says yes: its query says 0.5, which is at least 0 and at most 1."),
        (prometheus("1", kind="scalar"), "says yes: its query says 1, which"),
        (prometheus("0.5", "1.5", "2"), "says no: its query says 1.5, and 1 more, and at least 0 and at most 1 is"),
        (prometheus("NaN"), "says no: its query says nan"),
        (prometheus(), "says no: its query finds nothing."),
        ('{"status": "success", "data": {"resultType": "matrix", "result": [{"values": []}]}}', "is not that of"),
        ("[]", "is not that of a Prometheus query"),
    ],
)
async def test_each_value_of_a_query_lies_between_its_bounds(answer: str, words: str) -> None:
    """One that does not, none at all, or what is no value, is a no."""
    queries: list[str] = []

    async def respond(request: web.Request) -> web.StreamResponse:
        queries.append(f"{request.path} {request.query['query']}")
        return web.Response(text=answer)

    async with serving(respond) as url:
        table = gate(kind="prometheus", url=f"{url}/", query='up{job="nas"} > 0', at_least=0, at_most=1)
        try:
            said = await asked(table)
        except TryAgain as no:
            said = no.because
    assert words in said
    assert queries == ['/api/v1/query up{job="nas"} > 0']


async def test_a_gate_that_the_executor_does_not_know_gives_up_with_what_to_do() -> None:
    """Its rota.toml may be another than the planner's."""
    work = Work(pool=cast("Pool", None), clock=Clock(), place=Place("lab", "r1", "s", 1), say=None, keep=None)  # type: ignore[arg-type]
    with pytest.raises(GiveUp, match=r"has no gate backups; add \[gate.backups\] there"):
        await gates.ask(BEFORE, work)


@given(st.binary(max_size=400))
def test_whatever_is_answered_is_a_word_with_one_bounded_line(data: bytes) -> None:
    """Nothing that somebody outside writes breaks the step, or its sentence."""
    bounds = PrometheusGate(kind="prometheus", url="https://x.example", query="up", at_least=1)
    for word in (gates.spoken_word(data), gates.compared(data, bounds)):
        assert word.said == "no"
        assert len(word.because) <= 400
