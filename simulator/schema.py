"""The tables of XAPI's classes, fields and calls, read from `tables/`, cut down to what one xapi version has.

Facts only: what a call does lives in `calls/`, what a row holds lives in `world.py`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from simulator.failure import NULL
from simulator.values import NEVER, DateTime

TABLES = Path(__file__).parent / "tables"
Version = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a class: its type in short form, whether clients may set it, and its default."""

    name: str
    type: str
    writable: bool
    default: Any
    since: Version

    @property
    def is_map(self) -> bool:
        return self.type.startswith("map(")

    @property
    def is_set(self) -> bool:
        return self.type.startswith("set(")


@dataclass(frozen=True, slots=True)
class Param:
    name: str
    type: str
    required: bool = True


@dataclass(frozen=True, slots=True)
class Call:
    """One call: `name` is `class.method`, `params` exclude the session, `anonymous` calls take none."""

    name: str
    result: str
    params: tuple[Param, ...]
    since: Version = ()
    anonymous: bool = False
    implicit: bool = False

    @property
    def mandatory(self) -> int:
        return sum(param.required for param in self.params)


Implied = tuple[str, str, tuple[Param, ...], Version]


@dataclass(frozen=True, slots=True)
class Schema:
    """The classes with their fields, and every call, of one xapi version."""

    fields: dict[str, dict[str, Field]]
    calls: dict[str, Call]
    defaults: dict[str, dict[str, Any]] = field(default_factory=dict)
    by_lower: dict[str, str] = field(default_factory=dict)


def version_of(text: str) -> Version:
    """`25.31.0` as numbers that compare; the empty tuple for `-`, older than everything."""
    parts = text.replace("-", ".").split(".")
    return tuple(int(part) for part in parts if part.isdigit())


def blank(type_: str) -> Any:
    """The value a field has when nothing was ever written to it."""
    if type_.startswith("set("):
        return []
    if type_.startswith("map("):
        return {}
    if type_.startswith("ref:"):
        return NULL
    return {"int": 0, "float": 0.0, "bool": False, "datetime": DateTime(NEVER)}.get(type_, "")


def default_of(type_: str, text: str) -> Any:
    """A default as the tables write it, as a value of its type."""
    if text == "-":
        return blank(type_)
    if type_.startswith("map("):
        return json.loads(text)
    if type_ == "set(int)":
        return [int(part) for part in text.strip("{}").split(";")]
    if type_ == "bool":
        return text == "true"
    convert: dict[str, type] = {"int": int, "float": float, "datetime": DateTime}
    return convert.get(type_, str)(text)


def sections(file: str) -> list[tuple[str, list[list[str]]]]:
    """The `[class] marks` blocks of a table with their tab-separated rows."""
    found: list[tuple[str, list[list[str]]]] = []
    for line in (TABLES / file).read_text().splitlines():
        if line.startswith("["):
            found.append((line, []))
        else:
            found[-1][1].append(line.split("\t"))
    return found


def read_fields() -> dict[str, dict[str, Field]]:
    classes: dict[str, dict[str, Field]] = {}
    for head, rows in sections("fields.txt"):
        classes[head.strip("[]")] = {
            name: Field(name, type_, access == "RW", default_of(type_, default), version_of(since))
            for name, type_, access, default, since in rows
        }
    return classes


def read_params(text: str) -> tuple[Param, ...]:
    if text == "-":
        return ()
    params = []
    for word in text.split(" "):
        name, type_ = word.split(":", 1)
        params.append(Param(name, type_.rstrip("?"), not type_.endswith("?")))
    return tuple(params)


def read_calls(fields: dict[str, dict[str, Field]]) -> dict[str, Call]:
    calls: dict[str, Call] = {}
    for head, rows in sections("calls.txt"):
        name, _, marks = head.lstrip("[").partition("]")
        calls.update({call.name: call for call in implied(name, marks.split(), fields.get(name, {}))})
        for method, result, params, since in rows:
            version, _, anonymous = since.partition(" ")
            full = f"{name}.{method}"
            calls[full] = Call(full, result, read_params(params), version_of(version), bool(anonymous))
    return calls | {call.name: call for call in UNPUBLISHED}


def implied(name: str, marks: list[str], fields: dict[str, Field]) -> list[Call]:
    """The calls XAPI generates for a class: getters, setters, lookups (xen-api ocaml/idl/datamodel_utils.ml)."""
    self_ = Param("self", f"ref:{name}")
    found: list[Implied] = []
    if "get_all" in marks:
        found.append(("get_all", f"set(ref:{name})", (), ()))
        found.append(("get_all_records", f"map(ref:{name},record:{name})", (), ()))
    if "by_name" in marks:
        found.append(("get_by_name_label", f"set(ref:{name})", (Param("label", "string"),), ()))
    if "create" in marks:
        found.append(("create", f"ref:{name}", (Param("args", f"record:{name}"),), ()))
    if "destroy" in marks:
        found.append(("destroy", "void", (self_,), ()))
    if "getters" in marks:
        found.append(("get_by_uuid", f"ref:{name}", (Param("uuid", "string"),), ()))
        found.append(("get_record", f"record:{name}", (self_,), ()))
        for one in fields.values():
            found.append((f"get_{one.name}", one.type, (self_,), one.since))
            found += setters(one, self_)
    return [Call(f"{name}.{method}", result, params, since, implicit=True) for method, result, params, since in found]


def setters(one: Field, self_: Param) -> list[Implied]:
    if not one.writable:
        return []
    found: list[Implied] = [(f"set_{one.name}", "void", (self_, Param("value", one.type)), one.since)]
    if one.is_map:
        key, value = one.type[4:-1].split(",", 1)
        added = (self_, Param("key", key), Param("value", value))
        found.append((f"add_to_{one.name}", "void", added, one.since))
        found.append((f"remove_from_{one.name}", "void", added[:2], one.since))
    if one.is_set:
        found.append((f"add_{one.name}", "void", (self_, Param("value", one.type[4:-1])), one.since))
        found.append((f"remove_{one.name}", "void", (self_, Param("value", one.type[4:-1])), one.since))
    return found


@cache
def enums() -> dict[str, tuple[str, ...]]:
    """The values of each enum, by the enum's name."""
    rows = [line.split("\t") for line in (TABLES / "enums.txt").read_text().splitlines()]
    return {name: tuple(values.split()) for name, values in rows}


@cache
def newest() -> Schema:
    """Everything the tables know, with no regard to version."""
    fields = read_fields()
    return complete(fields, read_calls(fields))


@cache
def schema_of(version: Version) -> Schema:
    """What an xapi of this version has: younger fields and calls are left out."""
    whole = newest()
    fields = {
        name: {one.name: one for one in body.values() if one.since <= version} for name, body in whole.fields.items()
    }
    return complete(fields, {call.name: call for call in whole.calls.values() if call.since <= version})


def complete(fields: dict[str, dict[str, Field]], calls: dict[str, Call]) -> Schema:
    # an enum without a default begins with its first value, as a row made by XAPI never has an empty one
    def first(one: Field) -> Any:
        if one.type.startswith("enum:") and one.default == "":
            return enums()[one.type[5:]][0]
        return one.default

    defaults = {name: {one.name: first(one) for one in body.values()} for name, body in fields.items()}
    return Schema(fields, calls, defaults, {name.lower(): name for name in fields})


# calls that XAPI has and its published model does not show (xen-api ocaml/idl/datamodel.ml emergency_calls)
UNPUBLISHED = (Call("host.is_in_emergency_mode", "bool", ()),)
