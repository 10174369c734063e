"""Everybody who is told, as the settings name them, and the secrets that none of them is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import aiohttp
from pydantic import SecretStr

from services.reporter.channels.apprise import AppriseChannel
from services.reporter.channels.file import FileChannel
from services.reporter.channels.mail import channels as mail_channels
from services.reporter.channels.webhook import WebhookChannel
from services.reporter.rendering import Renderer
from services.reporter.telling import Recipient
from shared import service
from shared.domain import facts
from shared.sections import Secret
from shared.settings import Destination, Settings

FILE_OCCASIONS: tuple[facts.Occasion, ...] = ("held", "ended")
"""When the page of a run is written."""


def recipients(
    context: service.Context, session: aiohttp.ClientSession, renderer: Renderer, hide: Callable[[str], str]
) -> Iterator[Recipient]:
    """Everybody who is told: each mailbox, each webhook, and the folder of pages."""
    settings = context.settings
    for key, mail in settings.mail.items():
        for mailbox in mail_channels(key, mail, renderer, hide):
            yield Recipient(mailbox, mail)
    for key, webhook in settings.webhook.items():
        yield Recipient(WebhookChannel(key, webhook, session, context.clock.machine, hide), webhook)
    for key, service_ in settings.apprise.items():
        yield Recipient(AppriseChannel(key, service_, hide), service_)
    if settings.reports is not None:
        yield Recipient(FileChannel(settings.reports, renderer), Destination(occasions=FILE_OCCASIONS, again_minutes=0))


def secrets(settings: Settings) -> Iterator[str]:
    """Every secret this process was given, so that none is ever told."""
    holders: tuple[SecretStr, ...] = (
        *(one.password for one in settings.pool.values()),
        *(one.password for one in settings.mail.values()),
        *(one.password for one in settings.webhook.values()),
        *(one.password for one in settings.apprise.values()),
        *(one.password for one in settings.gate.values() if isinstance(one, Secret)),
    )
    yield from (holder.get_secret_value() for holder in holders)
