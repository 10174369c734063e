"""A message on the pool, where users of XenCenter and Xen Orchestra look: who disables their hosts, and why."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from services.executor.work import Ended, Work
from shared.domain import acts

LONGEST = 1000
"""Characters of a body; a hold's reason may be longer, and the report has all of it."""


async def post(act: acts.PostMessage, work: Work) -> Ended:
    """The message is there once: whoever takes the step over looks for the body, which carries run and step."""
    name, priority = KINDS[act.about]
    body = f"{_shown(act.text)} (Rota, run {work.place.run}, {work.place.step})"
    if work.again and await work.pool.posted(name, body):
        return Ended(acts.Done(), "The message stands on the pool.")
    await work.pool.post(name, priority, body)
    return Ended(acts.Done(), "A message stands on the pool, for users of XenCenter and Xen Orchestra.")


def _shown(text: str) -> str:
    """On one line, without what XML cannot carry."""
    line = " ".join("".join(one if one.isprintable() else " " for one in text).split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


KINDS: Mapping[str, tuple[str, int]] = MappingProxyType(
    {"began": ("ROTA_RUN_BEGAN", 5), "held": ("ROTA_RUN_HELD", 3), "ended": ("ROTA_RUN_ENDED", 5)}
)
"""The name and the priority of each: 5 is for information, 3 warns (xen-api xapi-consts api_messages.ml)."""
