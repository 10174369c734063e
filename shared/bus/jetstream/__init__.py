"""The bus on a NATS server with JetStream. `connect` makes a client of it; the rooms behind it are nobody else's."""

from shared.bus.jetstream.client import JetStreamBus, connect, ensure_streams
from shared.bus.jetstream.link import Access

__all__ = ["Access", "JetStreamBus", "connect", "ensure_streams"]
