"""Webhooks, to a real receiver: slow, down, 500, 429, 404, redirections; signed so that others can check it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from email.utils import formatdate
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from pydantic import SecretStr

from services.reporter import spoken
from services.reporter.channels import webhook
from services.reporter.channels.webhook import WebhookChannel, wished
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import WebhookDestination
from tests.services.reporter import story
from tests.services.reporter.channels.parcels import parcels
from tests.services.reporter.channels.post import certificates

NIGHT = parcels(story.all_well())
SECRET = "a-shared-secret"
NOW = 1_800_000_000.0


@dataclass
class Receiver:
    """Keeps what it is posted and answers as told: a status and headers for each, 204 when it was told nothing."""

    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)
    hold: asyncio.Event | None = None
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    async def receive(self, request: web.Request) -> web.Response:
        self.got.append((dict(request.headers), await request.read()))
        if self.hold is not None:
            await self.hold.wait()
        status, headers, text = self.answers.pop(0) if self.answers else (204, {}, "")
        return web.Response(status=status, headers=headers, text=text or None)


@contextlib.asynccontextmanager
async def receiving(receiver: Receiver, **site: object) -> AsyncIterator[str]:
    """A receiver's address."""
    application = web.Application(client_max_size=4 * 2**20)
    application.router.add_post("/secret-path", receiver.receive)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, **site).start()  # type: ignore[arg-type]
    try:
        scheme = "https" if "ssl_context" in site else "http"
        yield f"{scheme}://127.0.0.1:{runner.addresses[0][1]}/secret-path?token=secret-token"
    finally:
        await runner.cleanup()


@contextlib.asynccontextmanager
async def channel(url: str, secret: str = "", **more: object) -> AsyncIterator[WebhookChannel]:
    """A channel to that address."""
    settings = WebhookDestination.model_validate({"url": url, **more}).model_copy(
        update={"password": SecretStr(secret)}
    )
    async with aiohttp.ClientSession() as session:
        yield WebhookChannel("chat", settings, session, lambda: NOW, spoken.hiding([secret]))


async def test_a_report_is_posted_as_json() -> None:
    """With its occasion, and a key by which a copy is known."""
    receiver = Receiver()
    async with receiving(receiver) as url, channel(url) as chat:
        reference = await chat.deliver(NIGHT["ended"])
    headers, body = receiver.got[0]
    assert json.loads(body)["report"]["updated"] == 3
    assert headers["Content-Type"] == "application/json; charset=utf-8"
    assert headers["X-Rota-Occasion"] == "ended"
    assert headers["Idempotency-Key"] == reference == json.loads(body)["id"]
    assert "X-Rota-Signature" not in headers


async def test_a_signature_can_be_checked_by_its_description() -> None:
    """HMAC-SHA256 over timestamp, full stop and body, as the description says and nothing else."""
    receiver = Receiver()
    async with receiving(receiver) as url, channel(url, SECRET) as chat:
        await chat.deliver(NIGHT["ended"])
    headers, body = receiver.got[0]
    assert headers["X-Rota-Timestamp"] == str(int(NOW))
    expected = hmac.new(SECRET.encode(), b"1800000000." + body, hashlib.sha256).hexdigest()
    assert headers["X-Rota-Signature"] == f"sha256={expected}"


async def test_every_try_carries_the_same_key_and_body() -> None:
    """A receiver that has seen the key may forget the copy."""
    receiver = Receiver(answers=[(500, {}, "oops")])
    async with receiving(receiver) as url, channel(url, SECRET) as chat:
        with pytest.raises(TryAgain):
            await chat.deliver(NIGHT["ended"])
        await chat.deliver(parcels(story.all_well())["ended"])
    (first, one), (second, other) = receiver.got
    assert first["Idempotency-Key"] == second["Idempotency-Key"]
    assert one == other


@pytest.mark.parametrize(
    ("status", "headers", "after"),
    [(500, {}, 0.0), (503, {"Retry-After": "90"}, 90.0), (429, {"Retry-After": "7"}, 7.0), (408, {}, 0.0)],
)
async def test_a_refusal_for_now_is_tried_again(status: int, headers: dict[str, str], after: float) -> None:
    """When the receiver says when, that is heard."""
    async with receiving(Receiver([(status, headers, "not now")])) as url, channel(url) as chat:
        with pytest.raises(TryAgain, match=rf"127\.0\.0\.1 answered {status}: not now") as caught:
            await chat.deliver(NIGHT["ended"])
    assert caught.value.after == after


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413])
async def test_a_refusal_for_ever_is_given_up(status: int) -> None:
    """All 4xx but 408, 425 and 429."""
    async with receiving(Receiver([(status, {}, "no")])) as url, channel(url) as chat:
        with pytest.raises(GiveUp, match=str(status)):
            await chat.deliver(NIGHT["ended"])


async def test_a_redirection_is_not_followed() -> None:
    """A report goes where the owner said, and nowhere else."""
    elsewhere = Receiver()
    receiver = Receiver()
    async with receiving(elsewhere) as there, receiving(receiver) as url, channel(url) as chat:
        receiver.answers.append((307, {"Location": there}, ""))
        with pytest.raises(GiveUp, match="redirection"):
            await chat.deliver(NIGHT["ended"])
    assert len(receiver.got) == 1
    assert elsewhere.got == []


async def test_a_slow_receiver_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has its time, then it is tried again."""
    monkeypatch.setattr(webhook, "ALTOGETHER", 0.2)
    receiver = Receiver(hold=asyncio.Event())
    async with receiving(receiver) as url, channel(url) as chat:
        with pytest.raises(TryAgain, match="did not answer in time"):
            await chat.deliver(NIGHT["ended"])
        assert receiver.hold is not None
        receiver.hold.set()


async def test_nobody_there_is_tried_again_and_the_address_is_not_told() -> None:
    """Paths and queries of webhooks are secrets."""
    async with receiving(Receiver()) as url:
        pass
    async with channel(url) as chat:
        with pytest.raises(TryAgain) as caught:
            await chat.deliver(NIGHT["ended"])
    assert "secret" not in caught.value.because
    assert "127.0.0.1 could not be reached" in caught.value.because


async def test_what_a_receiver_echoes_of_the_secret_is_hidden() -> None:
    """Its answer stands in a fact."""
    async with receiving(Receiver([(400, {}, f"bad secret {SECRET}\r\nX: y")])) as url, channel(url, SECRET) as chat:
        with pytest.raises(GiveUp) as caught:
            await chat.deliver(NIGHT["ended"])
    assert SECRET not in caught.value.because
    assert "\n" not in caught.value.because


async def test_a_receiver_s_own_authority_is_trusted(tmp_path: Path) -> None:
    """By ca_file; without it the same receiver is not."""
    context, ca = certificates(tmp_path)
    receiver = Receiver()
    async with receiving(receiver, ssl_context=context) as url:
        async with channel(url, ca_file=ca) as chat:
            await chat.deliver(NIGHT["ended"])
        async with channel(url) as chat:
            with pytest.raises(TryAgain):
                await chat.deliver(NIGHT["ended"])
    assert len(receiver.got) == 1


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("", 0.0),
        ("soon", 0.0),
        ("30", 30.0),
        ("-5", 0.0),
        ("1e9", 3600.0),
        ("nan", 0.0),
        (formatdate(NOW + 60, usegmt=True), 60.0),
    ],
)
def test_a_wish_is_read_as_number_or_date(header: str, seconds: float) -> None:
    """And kept within bounds: nobody puts a report off for a year."""
    assert wished(header, NOW) == pytest.approx(seconds, abs=1.0)
