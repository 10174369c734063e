"""Finding a pool's master: where it was last, where that host says it is, and among the members that are known.

One round of questions, no waiting between rounds. A password is only ever sent to an address that is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection

from services.watcher import probe
from shared.xapi import address as addresses
from shared.xapi import stream
from shared.xapi.port import Access

CREDENTIALS = "SESSION_AUTHENTICATION_FAILED"


class NoMaster(Exception):
    """No master was found. `because` is the sentence, `code` what kind of trouble it is."""

    def __init__(self, because: str, code: str = "") -> None:
        super().__init__(because)
        self.because = because
        self.code = code


async def find(access: Access, first: str, known: Collection[str], *, wide: bool) -> stream.Reader:
    """A session on the master. `first` is the address to ask first; with `wide` every known member is asked too, if
    that one is no master. HOST_IS_SLAVE is followed only to an address among `known`. Raises NoMaster."""
    try:
        return await _at(access, first, known)
    except NoMaster as trouble:
        others = [address for address in known if address != first]
        if not (wide and others):
            raise
        reader = await _any_of(access, others)
        if reader is None:
            raise trouble from None
        return reader


async def _at(access: Access, address: str, known: Collection[str]) -> stream.Reader:
    try:
        return await _ask(access, address)
    except stream.HostIsSlave as slave:
        if slave.master not in known:
            raise NoMaster(
                f"{address} is a member of its pool and says that the master is {slave.master}, which is no host that"
                " Rota knows; set the pool's url to its master.",
                slave.code,
            ) from slave
        return await _at(access, slave.master, [other for other in known if other != address])
    except stream.Failure as failure:
        raise NoMaster(_sentence(address, access.username, failure), failure.code) from failure
    except stream.NoAnswer as silent:
        raise NoMaster(silent.because, type(silent).__name__) from silent
    except (ValueError, OSError) as wrong:
        raise NoMaster(f"The pool cannot be asked with these settings: {wrong}.", type(wrong).__name__) from wrong


async def _ask(access: Access, address: str) -> stream.Reader:
    if not await probe.connects(address, addresses.port(access.url)):
        raise stream.NoAnswer(f"{addresses.at(access.url, address)} takes no connections.")
    return await stream.Reader.open(access, address, timeout=probe.LOGIN, originator=probe.ORIGINATOR)


async def _any_of(access: Access, others: Collection[str]) -> stream.Reader | None:
    """The first of the members that takes a login, which only a master does; all are asked at once."""
    opened: list[stream.Reader] = []

    async def ask(address: str) -> None:
        try:
            opened.append(await _ask(access, address))
        except (stream.Failure, stream.NoAnswer, ValueError, OSError):
            return

    found = None
    try:
        await asyncio.gather(*(ask(address) for address in others))
        found = opened[0] if opened else None
    finally:
        for reader in opened:
            if reader is not found:
                await reader.close()
    return found


def _sentence(address: str, username: str, failure: stream.Failure) -> str:
    if failure.code == CREDENTIALS:
        return f"The pool at {address} does not take the password of {username}; correct it in the settings."
    if isinstance(failure, stream.Emergency):
        return f"The host at {address} runs and serves no pool yet ({failure.code})."
    return f"The pool at {address} refuses the login: {failure}."
