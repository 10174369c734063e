"""The watcher's facts: what is seen of hosts and of the pool. Values, not edges."""

from __future__ import annotations

from typing import ClassVar

from shared.domain.facts.root import Fact
from shared.domain.model import Versions
from shared.domain.names import Name, Named, Sentence, Token


class HostFact(Fact):
    """What is seen of a host now: values, not edges. `seen_at` is pool time."""

    family: ClassVar[str] = "host"
    pool: Token
    host: Token
    name: Name
    seen_at: float


class HostAnswering(HostFact):
    """Its own address answers."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_answering"
    boot_time: float | None = None


class HostUnreachable(HostFact):
    """Its own address does not answer. That alone does not make it down."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_unreachable"
    because: Sentence = ""


class HostDown(HostFact):
    """It is down: not live for longer than a toolstack restart takes, or known to be off."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_down"
    because: Sentence = ""


class HostCameBack(HostFact):
    """It takes logins on its own address again and is live, with what it says of its own boot."""

    subject: ClassVar[str] = "rota.fact.host.{pool}.{host}.host_came_back"
    boot_time: float | None
    agent_start_time: float | None
    servertime: float | None
    versions: Versions = Versions()


class PoolFact(Fact):
    """What is seen of a pool."""

    family: ClassVar[str] = "pool"
    pool: Token
    seen_at: float


class MasterUnreachable(PoolFact):
    """The pool's API does not answer."""

    subject: ClassVar[str] = "rota.fact.pool.{pool}.master_unreachable"
    address: Name
    because: Sentence = ""


class MasterChanged(PoolFact):
    """Another host is master, or the first one was found."""

    subject: ClassVar[str] = "rota.fact.pool.{pool}.master_changed"
    host: Named
    address: Name
