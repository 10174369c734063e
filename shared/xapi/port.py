"""What Rota needs of a pool, in our words: how it is reached, and (written by the executor's author) what can be asked.

For whoever extends this file: `Access` is what `stream.Reader` is opened with; add to this file freely, keep `Access`.
`address.py` has the one rule for following an address, `answers.py` the errors that both ways of asking share.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr


@dataclass(frozen=True, slots=True)
class Access:
    """How a pool is reached. `url` has scheme and port, which stay when another host's address is followed; `ca_file`
    holds certificates (PEM) to trust, `fingerprint` the SHA-256 of one or several hosts' certificates in hex, divided
    by blanks or commas. With neither the system's authorities are asked."""

    url: str
    username: str
    password: SecretStr
    ca_file: Path | None = None
    fingerprint: str = ""
