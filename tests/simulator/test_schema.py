"""The simulator's tables against XAPI's published data model, where a copy of that lies beside the checkout."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from simulator.build import build
from simulator.clock import Clock, ManualDrive
from simulator.journal import Journal
from simulator.schema import newest, schema_of
from simulator.site import Site
from simulator.tables.from_datamodel import short_type
from simulator.values import DateTime
from simulator.worldfile import load


@pytest.fixture(scope="module")
def datamodel() -> dict[str, Any]:
    """The published data model, read from beside the checkout."""
    file = Path(__file__).resolve().parents[2].parent / "shared" / "xapi-datamodel.json"
    if not file.exists():
        pytest.skip(f"no copy of XAPI's data model beside the checkout ({file.name})")
    return dict(json.loads(file.read_text()))


@pytest.fixture(scope="module")
def site() -> Site:
    clock = Clock(ManualDrive())
    spec = load("demo")
    return build(spec, clock, Journal(clock), "0", [f"127.0.0.{n}" for n, _ in enumerate(spec.hosts, 1)])


def test_every_field_and_its_type_is_the_data_models(datamodel: dict[str, Any]) -> None:
    """Class by class, name by name."""
    ours = {name: {one.name: one.type for one in fields.values()} for name, fields in newest().fields.items()}
    theirs = {
        name: {field: short_type(told["type"]) for field, told in body["fields"].items()}
        for name, body in datamodel["classes"].items()
        if name != "event"
    }
    assert ours == theirs


def test_every_call_is_the_data_models(datamodel: dict[str, Any]) -> None:
    """The same names with the same number of parameters, those implied by fields too."""
    ours = {call.name: (call.mandatory, len(call.params)) for call in newest().calls.values()}
    theirs = {}
    for cls, body in datamodel["classes"].items():
        for name, told in body["messages"].items():
            params = [needed for param, _, needed in told["params"] if param != "session_id"]
            theirs[f"{cls}.{name}"] = (sum(params), len(params))
    assert {name: ours.get(name) for name in theirs} == theirs


def test_records_have_values_of_their_fields_types(site: Site) -> None:
    """Every row of the demo's world, every field."""
    for cls, rows in site.world.rows.items():
        for row in rows.values():
            assert set(row.record) == set(site.world.schema.fields[cls])
            for name, value in row.record.items():
                type_ = site.world.schema.fields[cls][name].type
                assert fits(value, type_), f"{cls}.{name} is {value!r} and should be {type_}"


def fits(value: Any, type_: str) -> bool:
    if type_.startswith("set("):
        return isinstance(value, list) and all(fits(one, type_[4:-1]) for one in value)
    if type_.startswith("map("):
        key, inner = type_[4:-1].split(",", 1)
        return isinstance(value, dict) and all(fits(one, key) and fits(each, inner) for one, each in value.items())
    kinds: dict[str, type] = {"int": int, "float": float, "bool": bool, "datetime": DateTime}
    wanted = kinds.get(type_, str)
    return isinstance(value, wanted) and (wanted is not int or not isinstance(value, bool))


def test_every_code_that_is_raised_exists_with_that_many_parameters(datamodel: dict[str, Any]) -> None:
    """Read from the source: Failure("CODE", …). What the facts say of XAPI's own disagreements stands in EXCEPT."""
    wrong = []
    for file in sorted((Path(__file__).resolve().parents[2] / "simulator").rglob("*.py")):
        for code, count, line in raised(file):
            told = datamodel["errors"].get(code)
            known = told is not None and (told["params"] is None or len(told["params"]) == count)
            if not known and (code, count) not in EXCEPT:
                wrong.append(f"{file.name}:{line} {code} with {count}")
    assert wrong == []


def raised(file: Path) -> list[tuple[str, int, int]]:
    """(code, number of parameters, line) of every Failure with a literal code and no star."""
    found = []
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Failure" and node.args:
            first = node.args[0]
            starred = any(isinstance(one, ast.Starred) for one in node.args)
            if isinstance(first, ast.Constant) and isinstance(first.value, str) and not starred:
                found.append((first.value, len(node.args) - 1, node.lineno))
    return found


# (code, parameters) as xapi-facts have them, where the data model's own list is silent or differs
EXCEPT = {
    ("HOST_NOT_ENOUGH_FREE_MEMORY", 1),
    ("NO_HOSTS_AVAILABLE", 1),
    ("SESSION_AUTHENTICATION_FAILED", 2),
    ("VM_IS_TEMPLATE", 2),
    ("-1", 3),
    ("UNKNOWN_XENAPI_PLUGIN_FUNCTION", 1),
}


def test_an_older_xapi_has_fewer_fields_and_calls() -> None:
    """8.2 knows nothing of VM groups or pending guidances."""
    old, new = schema_of((1, 249, 41)), newest()
    assert "pending_guidances" not in old.fields["host"]
    assert "pending_guidances" in new.fields["host"]
    assert "VM.set_groups" not in old.calls
    assert old.calls.keys() < new.calls.keys()
