"""Writes the simulator's own tables of fields and calls from a copy of XAPI's published data model.

Run by hand when XAPI grows: `python -m simulator.tables.from_datamodel DATAMODEL.json`.
Only facts are taken over (class, field, type, default, release); no documentation and no code.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
IMPLICIT_EXTRAS = ("create", "destroy")
WITHOUT_ROWS = ("event",)


def short_type(text: str) -> str:
    """The data model's words for a type in the tables' short form: `VM ref set` is `set(ref:VM)`."""
    text = text.strip()
    if found := re.fullmatch(r"\((.*) -> (.*)\) map", text):
        return f"map({short_type(found[1])},{short_type(found[2])})"
    if text.endswith(" set"):
        return f"set({short_type(text[:-4])})"
    if text.endswith(" ref"):
        return f"ref:{text[:-4]}"
    if text.endswith(" record"):
        return f"record:{text[:-7]}"
    if text.startswith("enum "):
        return f"enum:{text[5:]}"
    return "batch" if text == "an event batch" else text


def since(changes: list[str]) -> str:
    """The xapi version that brought it, or `-` for anything as old as a release with a name."""
    for kind in ("prototyped", "published"):
        for change in changes:
            word, release = change.split(maxsplit=1)
            if word == kind:
                return release if release[0].isdigit() else "-"
    return "-"


def default_text(field: dict[str, Any]) -> str:
    value = field.get("default")
    if value is None or value in ("{}", "Null", "OpaqueRef:NULL", '""'):
        return "-"
    return json.dumps({"address": "localhost", "port": "27000"}) if "->" in value else str(value).rstrip(".").strip('"')


def field_lines(body: dict[str, Any]) -> list[str]:
    lines = []
    for name, field in body["fields"].items():
        access = "RW" if field["qualifier"] == "RW" else "RO"
        lines.append("\t".join([name, short_type(field["type"]), access, default_text(field), since(field["changes"])]))
    return lines


def call_lines(body: dict[str, Any]) -> list[str]:
    lines = []
    for name, message in sorted(body["messages"].items()):
        if message.get("implicit"):
            continue
        params = message["params"]
        anonymous = not (params and params[0][0] == "session_id")
        given = params if anonymous else params[1:]
        shown = [f"{one}:{short_type(type_)}{'' if needed else '?'}" for one, type_, needed in given]
        lines.append(
            "\t".join(
                [
                    name,
                    short_type(message["result"]),
                    " ".join(shown) or "-",
                    since(message["changes"]) + (" anonymous" if anonymous else ""),
                ]
            )
        )
    return lines


def header(name: str, body: dict[str, Any]) -> str:
    messages = body["messages"]
    marks = [extra for extra in IMPLICIT_EXTRAS if messages.get(extra, {}).get("implicit")]
    marks += ["get_all"] if "get_all" in messages else []
    marks += ["by_name"] if "get_by_name_label" in messages else []
    marks += ["getters"] if "get_uuid" in messages else []
    return f"[{name}] {' '.join(marks)}".rstrip()


def enum_lines(classes: dict[str, Any]) -> list[str]:
    enums: dict[str, list[str]] = {}
    for body in classes.values():
        for name, values in body["enums"].items():
            enums[name] = list(values)
    return [f"{name}\t{' '.join(values)}" for name, values in sorted(enums.items())]


def main(path: str) -> None:
    """Reads the data model at `path` and rewrites fields.txt, calls.txt and enums.txt beside this file."""
    classes = json.loads(Path(path).read_text())["classes"]
    fields: list[str] = []
    calls: list[str] = []
    for name, body in sorted(classes.items()):
        if name not in WITHOUT_ROWS:
            fields += [f"[{name}]", *field_lines(body)]
        calls += [header(name, body), *call_lines(body)]
    (HERE / "fields.txt").write_text("\n".join(fields) + "\n")
    (HERE / "calls.txt").write_text("\n".join(calls) + "\n")
    (HERE / "enums.txt").write_text("\n".join(enum_lines(classes)) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
