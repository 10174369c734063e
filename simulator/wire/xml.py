"""XML-RPC as XAPI writes and reads it: ints and strings untyped, one envelope struct around every answer.

Encodings from mirage/ocaml-rpc src/lib/xmlrpc.ml and xen-api doc/content/xen-api/wire-protocol.md.
"""

from __future__ import annotations

import xmlrpc.client
from typing import Any
from xml.parsers.expat import ExpatError
from xml.sax.saxutils import escape

from simulator.values import DateTime, Int32
from simulator.wire.shown import Shown

HEAD = '<?xml version="1.0"?><methodResponse><params><param>'
FOOT = "</param></params></methodResponse>"
MEMBER = "<member><name>{}</name>"


class Malformed(Exception):
    """The body is not a call."""


def value(one: Any) -> str:
    """A value as `<value>…</value>`."""
    if isinstance(one, Shown):
        return one.text("xml", struct)
    if isinstance(one, DateTime):
        return f"<value><dateTime.iso8601>{one}</dateTime.iso8601></value>"
    if isinstance(one, str):
        return f"<value>{escape(one)}</value>"
    if isinstance(one, bool):
        return f"<value><boolean>{int(one)}</boolean></value>"
    if isinstance(one, Int32):
        return f"<value><i4>{int(one)}</i4></value>"
    if isinstance(one, int):
        return f"<value>{one}</value>"
    if isinstance(one, float):
        return f"<value><double>{one:.16g}</double></value>"
    return collection(one)


def collection(one: Any) -> str:
    """A map, a set, or nothing at all."""
    if isinstance(one, dict):
        return struct(one)
    if isinstance(one, (list, tuple)):
        return f"<value><array><data>{''.join([value(each) for each in one])}</data></array></value>"
    if one is None:
        return "<value></value>"
    raise TypeError(f"XAPI has no value like {one!r}")


def struct(one: dict[Any, Any]) -> str:
    members = [f"<member><name>{escape(str(key))}</name>{value(each)}</member>" for key, each in one.items()]
    return f"<value><struct>{''.join(members)}</struct></value>"


def success(result: Any) -> str:
    """The answer to a call that went well."""
    parts = [HEAD, "<value><struct>", MEMBER.format("Status"), value("Success"), "</member>", MEMBER.format("Value")]
    write(result, parts)
    parts += ["</member></struct></value>", FOOT]
    return "".join(parts)


def write(one: Any, parts: list[str]) -> None:
    """Puts a value's text together from parts, so that a large one is copied only once."""
    if isinstance(one, dict) and one:
        parts.append("<value><struct>")
        for key, each in one.items():
            parts.append(MEMBER.format(escape(str(key))))
            write(each, parts)
            parts.append("</member>")
        parts.append("</struct></value>")
    elif isinstance(one, list) and one:
        parts.append("<value><array><data>")
        for each in one:
            write(each, parts)
        parts.append("</data></array></value>")
    else:
        parts.append(value(one))


def failure(details: list[str]) -> str:
    """The answer to a call that was refused."""
    return f"{HEAD}{struct({'Status': 'Failure', 'ErrorDescription': details})}{FOOT}"


def bare(result: Any) -> str:
    """The answer without an envelope that only system.listMethods gets."""
    return f"{HEAD}{value(result)}{FOOT}"


def read_call(body: bytes) -> tuple[str, list[Any]]:
    """The method and parameters of a call; raises Malformed."""
    try:
        params, method = xmlrpc.client.loads(body)
    except (ExpatError, xmlrpc.client.Error, ValueError, TypeError, LookupError) as broken:
        raise Malformed(str(broken)) from None
    if method is None:
        raise Malformed("no method")
    return method, [plain(one) for one in params]


def plain(one: Any) -> Any:
    """A parsed value in our own terms: dates as DateTime, binaries as text."""
    if isinstance(one, xmlrpc.client.DateTime):
        text = str(one)
        return DateTime(text if text.endswith("Z") else f"{text}Z")
    if isinstance(one, xmlrpc.client.Binary):
        return one.data.decode("latin-1")
    if isinstance(one, dict):
        return {key: plain(each) for key, each in one.items()}
    if isinstance(one, (list, tuple)):
        return [plain(each) for each in one]
    return one
