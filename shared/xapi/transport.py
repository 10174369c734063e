"""How a call of the XenAPI package travels: once, within a time-out, over TLS that is verified, tagged with its step.

The package's own transport sends a call a second time when a kept-alive connection drops before the answer, which
would reboot twice. Here each call has a connection of its own, and a call that was not answered was not answered.
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import socket
import ssl
import xmlrpc.client
from collections.abc import Mapping
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit
from xml.parsers.expat import ExpatError

from shared.xapi import address
from shared.xapi.answers import NoAnswer, Untrusted
from shared.xapi.port import Access

TAG = "x-http-other-config-"
"""The header that leaves `http:<key>` in the other_config of the task a call makes (xen-api context.ml)."""


CONNECT = 10.0
"""Seconds of machine time in which a connection must be made, its certificate seen."""


class Pinned(http.client.HTTPSConnection):
    """A connection to a host whose certificate is known by its SHA-256; it is compared before anything is sent."""

    def __init__(self, host: str, *, pins: frozenset[bytes], timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, timeout=timeout, context=context)
        self._pins = pins

    def connect(self) -> None:
        """Raises ssl.SSLCertVerificationError for any other certificate."""
        super().connect()
        certificate = self.sock.getpeercert(binary_form=True) or b""
        seen = hashlib.sha256(certificate).digest()
        if not any(hmac.compare_digest(seen, pin) for pin in self._pins):
            self.close()
            raise ssl.SSLCertVerificationError(f"the certificate's SHA-256 is {seen.hex()}")


class Transport(xmlrpc.client.Transport):
    """One try a call. `timeout` is seconds of machine time, for each wait for bytes."""

    def __init__(self, access: Access, *, timeout: float, tags: Mapping[str, str]) -> None:
        super().__init__(headers=[(TAG + key, value) for key, value in tags.items()])
        self._access = access
        self._timeout = timeout
        self._pins = pins(access.fingerprint) if access.fingerprint else frozenset()
        self._context = None if _in_clear(access) else _context(access)
        self._open: http.client.HTTPConnection | None = None

    def request(self, host: Any, handler: str, request_body: Any, verbose: bool = False) -> Any:
        """Send once. Raises NoAnswer when nothing usable came back, and of that Untrusted before anything was sent."""
        try:
            return self.single_request(host, handler, request_body, verbose)
        except ssl.SSLCertVerificationError as error:
            raise Untrusted(
                f"The certificate of {host} is not one that this pool's ca_file or fingerprint vouches for;"
                " add the host's certificate there, or find out who answers."
            ) from error
        except TimeoutError as error:
            raise NoAnswer(f"{host} did not answer within {self._timeout:g} s.") from error
        except (OSError, http.client.HTTPException, xmlrpc.client.Error, ExpatError) as error:
            raise NoAnswer(f"{host} did not answer: {_told(error)}.") from error
        finally:
            self.close()

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        """A new connection for every call, made within a time-out of its own: it cannot be cut while it is made."""
        self._open = self._connect(str(host))
        self._connection = host, self._open
        self._open.connect()
        self._open.sock.settimeout(self._timeout)
        return self._open

    def abort(self) -> None:
        """From another thread: cut the call that waits, so that its thread is free at once."""
        connection = self._open
        if connection is not None and connection.sock is not None:
            with suppress(OSError):
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _connect(self, host: str) -> http.client.HTTPConnection:
        if self._context is None:
            name = urlsplit(f"//{host}").hostname or ""
            if not address.is_loopback(name):
                raise address.Unencrypted(f"http://{host} would be sent the session unencrypted; use https.")
            return http.client.HTTPConnection(host, timeout=CONNECT)
        if self._pins:
            return Pinned(host, pins=self._pins, timeout=CONNECT, context=self._context)
        return http.client.HTTPSConnection(host, timeout=CONNECT, context=self._context)


def pins(fingerprint: str) -> frozenset[bytes]:
    """SHA-256 digests written in hex, with or without colons, divided by blanks or commas. Raises ValueError."""
    found = frozenset(bytes.fromhex(word.replace(":", "")) for word in fingerprint.replace(",", " ").split())
    if not found or any(len(pin) != hashlib.sha256().digest_size for pin in found):
        raise ValueError(f"{fingerprint!r} is no SHA-256 fingerprint: it has 64 hexadecimal digits.")
    return found


def _in_clear(access: Access) -> bool:
    """Without TLS, which is for simulated pools on this machine: reading the system's authorities takes 40 ms."""
    return urlsplit(access.url).scheme == "http"


def _context(access: Access) -> ssl.SSLContext:
    """What a certificate is held against: the pool's ca_file, the system's authorities, or, where it is pinned,
    nothing but its fingerprint (`Pinned` compares). Raises OSError for a file that cannot be read."""
    if not access.fingerprint:
        return ssl.create_default_context(cafile=None if access.ca_file is None else str(access.ca_file))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _told(error: Exception) -> str:
    if isinstance(error, xmlrpc.client.ProtocolError):
        return f"HTTP status {error.errcode}"
    return str(error) or type(error).__name__
