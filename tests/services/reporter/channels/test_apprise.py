"""What apprise reaches, by the real library, to a receiver on loopback."""

from __future__ import annotations

import importlib
from datetime import UTC
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr

from services.reporter import folding, occasions, wording
from services.reporter.channels.apprise import AppriseChannel
from services.reporter.channels.port import Parcel
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import AppriseDestination
from tests.services.reporter import story


def parcel() -> Parcel:
    """The end of a night that left something behind."""
    recorded = story.left_behind().recorded()
    occasion = next(found for one in reversed(recorded) if (found := occasions.occasion(one)))
    return Parcel(wording.letter(occasion, folding.fold(story.POOL, story.RUN, recorded), UTC))


def channel(address: str) -> AppriseChannel:
    """A destination with this address for its secret."""
    settings = AppriseDestination().model_copy(update={"password": SecretStr(address)})
    return AppriseChannel("phone", settings, lambda text: text)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # the library's own imports
@pytest.mark.parametrize("status", [200, 503])
async def test_a_message_reaches_a_service_or_is_tried_again(status: int) -> None:
    """With the subject, the first block and its commands; the address is told to nobody."""
    pytest.importorskip("apprise", reason="the extra apprise is not installed: its channel was not tried")
    came: list[dict[str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        came.append(await request.json())
        return web.Response(status=status)

    app = web.Application()
    app.router.add_post("/secret-path", take)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        one = channel(f"json://127.0.0.1:{port}/secret-path")
        if status == 200:
            await one.deliver(parcel())
        else:
            with pytest.raises(TryAgain) as raised:
                await one.deliver(parcel())
            assert "secret-path" not in raised.value.because
    finally:
        await runner.cleanup()
    assert came[0]["title"] == parcel().letter.subject
    assert "rota start lab" in came[0]["message"]
    assert came[0]["type"] == "failure"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_an_address_that_is_none_is_given_up() -> None:
    """It will not be better tomorrow."""
    pytest.importorskip("apprise", reason="the extra apprise is not installed: its channel was not tried")
    with pytest.raises(GiveUp, match="no address that apprise knows"):
        await channel("").deliver(parcel())


async def test_without_the_library_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing else is harmed."""

    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(GiveUp, match=r"pip install 'rota\[apprise\]'"):
        await channel("json://127.0.0.1:9/").deliver(parcel())
