"""A block of loopback addresses for one simulator, 127.a.b.0/24, held by a lock so that many may run beside each other.

One port serves all hosts of a block, so that clients that follow the master keep theirs.
"""

from __future__ import annotations

import errno
import random
import socket
from dataclasses import dataclass

LOCK_PORT = 17253
LOCK_HOST = 254
TRIES = 200


class NoAddress(Exception):
    """No block of addresses is to be had, as one sentence that says what to do."""


@dataclass(slots=True)
class Block:
    """A block held by this process until `release`."""

    prefix: str
    lock: socket.socket

    def address(self, number: int) -> str:
        """The address of the n-th host, from 1."""
        return f"{self.prefix}.{number}"

    def release(self) -> None:
        self.lock.close()


def claim(block: str = "") -> Block:
    """A free block, or the one named as `A.B`; raises NoAddress."""
    chance = random.SystemRandom()
    for _ in range(1 if block else TRIES):
        prefix = f"127.{block or f'{chance.randrange(1, 255)}.{chance.randrange(1, 255)}'}"
        lock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            lock.bind((f"{prefix}.{LOCK_HOST}", LOCK_PORT))
            lock.listen(1)
        except OSError as refused:
            lock.close()
            if refused.errno == errno.EADDRNOTAVAIL:
                raise NoAddress(
                    f"The loopback addresses {prefix}.* do not exist on this machine; add one for each "
                    f"host, as in 'sudo ifconfig lo0 alias {prefix}.1'."
                ) from None
            continue
        return Block(prefix, lock)
    raise NoAddress(
        f"The loopback block 127.{block}.0/24 is in use by another simulator."
        if block
        else "No free loopback block was found; other simulators hold them."
    )


def free_port(addresses: list[str], wanted: int = 0) -> int:
    """A port that is free on every one of these addresses; raises NoAddress when the wanted one is not."""
    reason = "no port was free"
    for _ in range(1 if wanted else TRIES):
        try:
            return try_port(addresses, wanted)
        except OSError as refused:
            reason = refused.strerror or reason
    raise NoAddress(f"Port {wanted} cannot be used on {addresses[0]}: {reason}.")


def try_port(addresses: list[str], wanted: int) -> int:
    held: list[socket.socket] = []
    try:
        port = wanted
        for address in addresses:
            probe = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            held.append(probe)
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((address, port))
            port = probe.getsockname()[1]
        return port
    finally:
        for probe in held:
            probe.close()
