"""Facts about messages that nobody could use."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.facts.root import Fact
from shared.domain.names import Name, Sentence


class OrderRefused(Fact):
    """An order without a usable pool was not taken."""

    subject: ClassVar[str] = "rota.fact.system.order_refused"
    family: ClassVar[str] = "system"
    order: Name
    by: Name
    verb: Name
    pool: Name = ""
    because: Sentence


class MessageRejected(Fact):
    """A message that cannot be read, or keeps failing, was taken off the bus."""

    subject: ClassVar[str] = "rota.fact.system.message_rejected"
    family: ClassVar[str] = "system"
    rejected_subject: Name
    seq: int
    because: Sentence
    service: Name
    excerpt: Sentence = ""
