"""What XAPI answers, turned into what to do next, with names where it gave refs.

`faults` says what follows from a code; here it is asked with the names of what the code is about.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from shared.domain.errors import Superseded, Unreadable
from shared.xapi import answers, faults, reading
from shared.xapi.port import NotAnswered
from shared.xapi.session import Session

NO_ANSWER = "NO_ANSWER"
"""The code of a pool that did not answer, where XAPI has none."""

AGAIN = 10.0
"""Pool seconds after which a pool that did not answer may be asked again: a toolstack restart takes about as long."""

_NAMED = ("VM", "host", "SR", "network", "VDI", "task")


@asynccontextmanager
async def told(session: Session, doing: str) -> AsyncIterator[None]:
    """Raises in place of what XAPI answers: Superseded for a session that is over, NotAnswered for no answer and for a
    master that is none any more, TryAgain or GiveUp for a code, Unreadable for an answer of another shape.

    `doing` begins the sentence, for example `gitlab could not be moved to athos`."""
    try:
        yield
    except answers.SessionGone as error:
        raise Superseded(f"{doing}: the session was ended.") from error
    except answers.HostIsSlave as error:
        raise NotAnswered(f"{doing}: the pool has another master now.", after=AGAIN, code=error.code) from error
    except answers.Failure as error:
        raise faults.error(error.code, await _with_names(session, error.params), doing) from error
    except answers.NoAnswer as error:
        raise NotAnswered(f"{doing}: {error.because}", after=AGAIN, code=NO_ANSWER) from error
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise Unreadable(f"{doing}: the pool's answer cannot be understood ({error!r}).") from error


async def _with_names(session: Session, params: Sequence[str]) -> list[str]:
    """An error's parameters with names for refs; a thing that is gone is told as such."""
    names = {ref: await _name(session, ref) for ref in reading.refs_in(params)}
    return [names.get(param, param) for param in params]


async def _name(session: Session, ref: str) -> str:
    for class_ in _NAMED:
        try:
            return str(await session.read(f"{class_}.get_name_label", ref) or "something without a name")
        except (answers.Failure, answers.NoAnswer):
            continue
    return "something that is gone"
