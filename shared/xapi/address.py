"""Addresses of a pool's hosts: scheme and port of the configured URL are kept when another address is followed.

XAPI gives bare addresses (HOST_IS_SLAVE and host.address: IPv4 or IPv6 without brackets, no port). Pure.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

_PORTS = {"https": 443, "http": 80}


class Unencrypted(ValueError):
    """The password would cross a network in the clear."""


def at(url: str, address: str) -> str:
    """The pool's URL with another host in it: `at("https://a:8443", "::1")` is `https://[::1]:8443`.

    Raises Unencrypted when the scheme is http and the address is not this very machine.
    """
    parts = urlsplit(url)
    bare = address.strip("[]")
    host = f"[{bare}]" if isinstance(_ip(bare), IPv6Address) else bare
    followed = f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")
    if parts.scheme != "https" and not is_loopback(bare):
        raise Unencrypted(f"{followed} would be sent the password unencrypted; use https.")
    return followed


def host(url: str) -> str:
    """The bare host of a URL, as XAPI would write it."""
    return urlsplit(url).hostname or ""


def port(url: str) -> int:
    """The port of a URL."""
    parts = urlsplit(url)
    return parts.port or _PORTS.get(parts.scheme, 443)


def is_loopback(host: str) -> bool:
    """Whether a host's name or address is this very machine."""
    address = _ip(host)
    return host == "localhost" or (address is not None and address.is_loopback)


def _ip(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text)
    except ValueError:
        return None
