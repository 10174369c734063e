"""What a XAPI may answer: a value, or one of these errors. Shared by both ways of asking (JSON-RPC and XenAPI).

Pure: bodies in, values or errors out. What follows from a code is decided in `faults`, never here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any


class Failure(Exception):
    """XAPI understood and said no: its code and the code's parameters."""

    def __init__(self, code: str, params: Sequence[str] = ()) -> None:
        super().__init__(", ".join((code, *params)))
        self.code = code
        self.params = tuple(params)


class HostIsSlave(Failure):
    """The host that was asked is a member; `master` is the address (bare, no port) at which it knows its master."""

    @property
    def master(self) -> str:
        """The master's address, empty where it was not told."""
        return self.params[0] if self.params else ""


class SessionGone(Failure):
    """The session is not valid any more: the master's xapi restarted, or somebody ended it."""


class Emergency(Failure):
    """The host's xapi is up and has not joined its pool: it boots, or the master does not take it."""


class NoAnswer(Exception):
    """Nothing usable came back: refused, cut, timed out, or not XAPI's language. `because` is the sentence."""

    def __init__(self, because: str) -> None:
        super().__init__(because)
        self.because = because


class Untrusted(NoAnswer):
    """The certificate is not the one that was agreed on. Nothing was sent."""


def failure(description: Sequence[object]) -> Failure:
    """The error that XAPI's description (code first, then its parameters) stands for."""
    code, *params = [str(part) for part in description] or ["INTERNAL_ERROR", "no description"]
    return _CLASSES.get(code, Failure)(code, params)


def read(body: bytes, *, id: int) -> Any:
    """The result in a JSON-RPC 2.0 reply to request `id`.

    Raises Failure for an error: `{code, message, data}`, or the plain array with id 0 that XAPI sends when it fails
    before it dispatches, as a host in emergency mode does (xen-api ocaml/xapi/api_server.ml, jsoncallback). Raises
    NoAnswer for anything else.
    """
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError) as unreadable:
        raise NoAnswer(f"The answer is not JSON: {unreadable}.") from unreadable
    if not isinstance(reply, dict):
        raise NoAnswer("The answer is no JSON-RPC reply.")
    error = reply.get("error")
    if isinstance(error, list):
        raise _before_dispatch(error)
    if isinstance(error, Mapping):
        data = error.get("data")
        raise failure([error.get("message", ""), *(data if isinstance(data, list) else [])])
    if "result" not in reply or reply.get("id") != id:
        raise NoAnswer("The answer belongs to no question of ours.")
    return reply["result"]


def _before_dispatch(description: Sequence[object]) -> Failure:
    """Whatever is raised before dispatch comes from a host that does not do its work: INTERNAL_ERROR counts too."""
    raised = failure(description)
    return Emergency(raised.code, raised.params) if type(raised) is Failure else raised


_CLASSES: Mapping[str, type[Failure]] = {
    "HOST_IS_SLAVE": HostIsSlave,
    "SESSION_INVALID": SessionGone,
    "HOST_STILL_BOOTING": Emergency,
    "HOST_HAS_NO_MANAGEMENT_IP": Emergency,
    "HOST_MASTER_CANNOT_TALK_BACK": Emergency,
    "HOST_UNKNOWN_TO_MASTER": Emergency,
    "HOST_ITS_OWN_SLAVE": Emergency,
    "HOST_BROKEN": Emergency,
    "HOST_XAPI_VERSION_HIGHER_THAN_COORDINATOR": Emergency,
}
"""Codes that say something about the host or the session and not about the call; emergency mode's stand in
xen-api ocaml/xapi/xapi_globs.ml and xapi.ml."""
