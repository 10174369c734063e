"""What XAPI answers when it refuses: a code and its parameters, all of them strings.

Nothing here decides when to refuse.
"""

from __future__ import annotations

NULL = "OpaqueRef:NULL"


class Failure(Exception):
    """A refusal as XAPI words it: `details[0]` is the code, the rest are its parameters."""

    def __init__(self, code: str, *params: str) -> None:
        super().__init__(code, *params)
        self.code = code
        self.params = list(params)

    @property
    def details(self) -> list[str]:
        return [self.code, *self.params]


class ConnectionCut(Exception):
    """The connection ends without an answer: the host went away, or a fault took the reply."""
