"""JSON-RPC 1.0 and 2.0 as XAPI speaks them at /jsonrpc (mirage/ocaml-rpc src/lib/jsonrpc.ml, wire-protocol.md)."""

from __future__ import annotations

import json
from dataclasses import dataclass
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from simulator.wire.shown import Shown
from simulator.wire.xml import Malformed


@dataclass(frozen=True, slots=True)
class Question:
    """One call: what it asks, and what its answer must carry back."""

    method: str
    params: list[Any]
    id: Any
    version: int


def read_call(body: bytes) -> Question:
    """A call from its body; raises Malformed, also for a notification (no id, or a null one)."""
    try:
        told = json.loads(body)
    except ValueError as broken:
        raise Malformed(str(broken)) from None
    if not isinstance(told, dict) or not isinstance(told.get("method"), str):
        raise Malformed("not a call")
    if told.get("id") is None:
        raise Malformed("a call must have an id")
    params = told.get("params", [])
    if not isinstance(params, list):
        raise Malformed("parameters must be an array")
    return Question(told["method"], params, told["id"], 2 if told.get("jsonrpc") == "2.0" else 1)


def value(one: Any) -> str:
    """A value as JSON; records that were encoded before are put in as they stand."""
    parts: list[str] = []
    write(one, parts)
    return "".join(parts)


def write(one: Any, parts: list[str]) -> None:
    """Puts a value's text together from parts, so that a large one is copied only once."""
    if isinstance(one, Shown):
        parts.append(one.text("json", compact))
    elif isinstance(one, dict) and one:
        before = "{"
        for key, each in one.items():
            parts.append(f"{before}{quoted(str(key))}:")
            write(each, parts)
            before = ","
        parts.append("}")
    elif isinstance(one, list) and one:
        before = "["
        for each in one:
            parts.append(before)
            write(each, parts)
            before = ","
        parts.append("]")
    else:
        parts.append(compact("" if one is None else one))


def compact(one: Any) -> str:
    return json.dumps(one, separators=(",", ":"))


def success(question: Question, result: Any) -> str:
    """The answer to a call that went well."""
    head, foot = ('{"jsonrpc":"2.0","result":', "") if question.version == 2 else ('{"result":', ',"error":null')
    parts = [head]
    write(result, parts)
    parts.append(f'{foot},"id":{json.dumps(question.id)}}}')
    return "".join(parts)


def failure(question: Question, details: list[str]) -> str:
    """The answer to a call that was refused: 1.0 tells an array, 2.0 a code, message and data."""
    if question.version == 2:
        error = {"code": 1, "message": details[0], "data": details[1:]}
        return json.dumps({"jsonrpc": "2.0", "error": error, "id": question.id}, separators=(",", ":"))
    return json.dumps({"result": None, "error": details, "id": question.id}, separators=(",", ":"))


def before_dispatch(details: list[str]) -> str:
    """An error raised before the call was even looked at: version 2.0, a plain array, id 0 (api_server.ml)."""
    return json.dumps({"jsonrpc": "2.0", "error": details, "id": 0}, separators=(",", ":"))
