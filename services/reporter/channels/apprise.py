"""What the library apprise reaches: the first block of a letter as plain text, to any of its services.

The library is an extra and is imported when it is first needed. It says whether a service took a message and not why
not, so a failure is tried again like any other.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from services.reporter.channels.port import Parcel
from services.reporter.letter import Letter
from services.reporter.report import Tone
from services.reporter.spoken import clean
from shared.domain.errors import GiveUp, TryAgain
from shared.settings import AppriseDestination

ALTOGETHER = 60.0
"""Seconds of machine time for one message."""

KEEPER = "whoever keeps rota.toml"


class AppriseChannel:
    """One service. Its address is a secret and is never told."""

    def __init__(self, key: str, settings: AppriseDestination, hide: Callable[[str], str]) -> None:
        self._key = key
        self._settings = settings
        self._hide = hide

    @property
    def name(self) -> str:
        return f"apprise.{self._key}"

    async def deliver(self, parcel: Parcel) -> str:
        """Hand it to the service; the reference is the occasion's id. No service of apprise knows a copy for one."""
        letter = parcel.letter
        try:
            async with asyncio.timeout(ALTOGETHER):
                taken = await asyncio.to_thread(self._notify, letter)
        except TimeoutError as error:
            raise TryAgain(f"{self.name} did not answer in time.", after=0.0) from error
        if not taken:
            raise TryAgain(f"{self.name} did not take the message; apprise does not say why.", after=0.0)
        return letter.occasion.id

    def _notify(self, letter: Letter) -> bool:
        library = self._library()
        address = self._settings.password.get_secret_value()
        service = library.Apprise.instantiate(address, suppress_exceptions=True) if address else None
        if service is None:
            because = (
                f"{self.name} has no address that apprise knows; write it where password_file or password_env says."
            )
            raise GiveUp(because, who_can_help=KEEPER)
        try:
            return bool(service.notify(body=text(letter), title=letter.subject, notify_type=KINDS[letter.tone]))
        except Exception as error:  # a plug-in of the library may raise anything
            said = self._hide(clean(str(error), 300)) or type(error).__name__
            raise TryAgain(f"{self.name} failed: {said.rstrip('.')}.", after=0.0) from error

    def _library(self) -> Any:
        try:
            return importlib.import_module("apprise")
        except ImportError as error:
            because = f"{self.name} needs the library apprise, which is not installed: pip install 'rota[apprise]'."
            raise GiveUp(because, who_can_help=KEEPER) from error


def text(letter: Letter) -> str:
    """What an admin needs first, as plain text."""
    lines = [letter.sentence]
    for point in letter.points[:15]:
        lines += [one for one in (point.text, point.more, point.command) if one]
    if letter.calm and not any(point.tone in ("bad", "warn") for point in letter.points):
        lines.append(letter.calm)
    return "\n".join(dict.fromkeys(lines))[:4000]


KINDS: Mapping[Tone, str] = MappingProxyType({"good": "success", "plain": "info", "warn": "warning", "bad": "failure"})
"""How apprise calls a tone."""
