"""The bus without a server: one `MemoryServer`, any number of `MemoryBus` clients on it, all in one process.

It copies what the real one does, the awkward parts too. It never touches a disk or a socket, and knows no real time
but the event loop's, so that it also runs on a clock that jumps.
"""

from shared.bus.memory.client import Hook, MemoryBus
from shared.bus.memory.server import MemoryServer

__all__ = ["Hook", "MemoryBus", "MemoryServer"]
