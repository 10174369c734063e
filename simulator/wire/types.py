"""Whether a parameter has the type its call asks for, and its value in our terms.

XML brings 64-bit numbers as text and must bring floats as doubles; JSON brings numbers
(mirage/ocaml-rpc; a mismatch is FIELD_TYPE_ERROR with the parameter's name).
"""

from __future__ import annotations

from typing import Any

from simulator.failure import Failure
from simulator.schema import Param, enums
from simulator.values import DateTime


def check(value: Any, param: Param, wire: str) -> Any:
    """The value as the call wants it; raises FIELD_TYPE_ERROR [name], or INVALID_VALUE for text that is not UTF-8."""
    try:
        return convert(value, param.type, wire)
    except (TypeError, ValueError):
        raise Failure("FIELD_TYPE_ERROR", param.name) from None


def convert(value: Any, type_: str, wire: str) -> Any:
    if type_.startswith("set("):
        if not isinstance(value, list):
            raise TypeError
        return [convert(one, type_[4:-1], wire) for one in value]
    if type_.startswith("map("):
        return convert_map(value, type_, wire)
    if type_.startswith("record:"):
        if not isinstance(value, dict):
            raise TypeError
        return value
    return scalar(value, type_, wire)


def convert_map(value: Any, type_: str, wire: str) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise TypeError
    key, inner = type_[4:-1].split(",", 1)
    return {convert(one, key, wire): convert(each, inner, wire) for one, each in value.items()}


def scalar(value: Any, type_: str, wire: str) -> Any:
    if type_ == "int":
        if isinstance(value, (bool, float)):
            raise TypeError
        return int(value)
    if type_ == "float":
        if isinstance(value, float) or (wire == "json" and type(value) is int):
            return float(value)
        raise TypeError
    if type_ == "bool":
        if not isinstance(value, bool):
            raise TypeError
        return value
    if not isinstance(value, str):
        raise TypeError
    if type_ == "datetime":
        return DateTime(value)
    if type_.startswith("enum:") and value not in enums()[type_[5:]]:
        raise ValueError
    return value
