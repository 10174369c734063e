"""Errors, sorted by what to do next: again later, give up, cannot be read, not mine any more.

Each carries a sentence for a person: what, why, what to do.
"""

from __future__ import annotations


class RotaError(Exception):
    """The root of what Rota raises on purpose. `because` is the sentence."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


class TryAgain(RotaError):
    """Not now: the same act may succeed in `after` seconds of pool time."""

    def __init__(self, because: str, *, after: float, code: str = "") -> None:
        super().__init__(because)
        self.after = after
        self.code = code


class GiveUp(RotaError):
    """Repeating it will not help; `who_can_help` names who can, and `code` is XAPI's error code where there is one."""

    def __init__(self, because: str, *, who_can_help: str = "the pool's administrator", code: str = "") -> None:
        super().__init__(because)
        self.who_can_help = who_can_help
        self.code = code


class Unreadable(RotaError):
    """A message, a file or an answer that cannot be understood, and never will be."""


class Refused(RotaError):
    """An order that is understood and not carried out; the sentence says why and what to do."""


class Superseded(RotaError):
    """Somebody else holds this step now: stop in silence, do nothing more to the pool."""
