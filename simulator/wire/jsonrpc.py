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
    if isinstance(one, Shown):
        return one.text("json", compact)
    if isinstance(one, dict):
        return "{" + ",".join([f"{quoted(str(key))}:{value(each)}" for key, each in one.items()]) + "}"
    if isinstance(one, list):
        return "[" + ",".join([value(each) for each in one]) + "]"
    return compact("" if one is None else one)


def compact(one: Any) -> str:
    return json.dumps(one, separators=(",", ":"))


def success(question: Question, result: Any) -> str:
    """The answer to a call that went well."""
    id_ = json.dumps(question.id)
    if question.version == 2:
        return f'{{"jsonrpc":"2.0","result":{value(result)},"id":{id_}}}'
    return f'{{"result":{value(result)},"error":null,"id":{id_}}}'


def failure(question: Question, details: list[str]) -> str:
    """The answer to a call that was refused: 1.0 tells an array, 2.0 a code, message and data."""
    if question.version == 2:
        error = {"code": 1, "message": details[0], "data": details[1:]}
        return json.dumps({"jsonrpc": "2.0", "error": error, "id": question.id}, separators=(",", ":"))
    return json.dumps({"result": None, "error": details, "id": question.id}, separators=(",", ":"))


def before_dispatch(details: list[str]) -> str:
    """An error raised before the call was even looked at: version 2.0, a plain array, id 0 (api_server.ml)."""
    return json.dumps({"jsonrpc": "2.0", "error": details, "id": 0}, separators=(",", ":"))
