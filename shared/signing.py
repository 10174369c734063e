"""How a body that Rota posts is signed, so that its receiver can tell who sent it and when."""

from __future__ import annotations

import hashlib
import hmac


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What `X-Rota-Signature` says: `sha256=` and the HMAC-SHA256, in hex, of timestamp, full stop and body."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()
