"""Prints the pages of docs/ that are made from the code: messages, run states, the command line, the settings.

`python -m cli.docs` writes them, `python -m cli.docs --check` names those that are stale and exits 1. Nobody writes
these pages by hand.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import typer.main
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from cli import main as cli_main
from shared import gates, settings
from shared.domain import messages, policy, run, window

FOLDER = Path(__file__).resolve().parent.parent / "docs"
HEAD = "<!-- Printed by `python -m cli.docs` (`make docs`); do not write here. -->\n"


def pages() -> dict[str, str]:
    """File name to text of every page that is made."""
    return {name: HEAD + "\n" + make().strip() + "\n" for name, make in _PAGES.items()}


def stale(folder: Path) -> list[str]:
    """The pages that a folder does not hold as they would be made now."""

    def held(name: str) -> str | None:
        path = folder / name
        return path.read_text(encoding="utf-8") if path.exists() else None

    return [name for name, text in pages().items() if held(name) != text]


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with --check only say which are stale."""
    if "--check" in arguments:
        found = stale(FOLDER)
        for name in found:
            print(f"docs/{name} is stale; run `make docs`.", file=sys.stderr)
        return 1 if found else 0
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    return 0


# --- messages ---------------------------------------------------------------------------------------------------------


def messages_page() -> str:
    """All commands and facts: subject, who writes, who reads, what they say."""
    parts = [
        "# Messages\n",
        "Everything that is said on the bus. Commands are orders to one service; facts are what happened.",
        "Commands of people are plain JSON on their subject, with the headers `Nats-Msg-Id` (the order's id) and",
        "`Rota-By` (who gives it). Facts are CloudEvents 1.0 in structured JSON; the tables show their `data`.",
        "One example of each stands in `tests/golden/`.\n",
        "## Commands\n",
        *_index(("command", "writers", "reader"), (_command_line(row) for row in messages.COMMANDS)),
        "## Facts\n",
        *_index(("fact", "writer", "readers"), (_fact_line(row) for row in messages.FACTS)),
    ]
    for row in messages.COMMANDS:
        parts += _message(row.message.verb, row.message.subject, row.message)
    for fact_row in messages.FACTS:
        parts += _message(messages.fact_type(fact_row.message), fact_row.message.subject, fact_row.message)
    return "\n".join(parts)


def _command_line(row: messages.CommandRow) -> tuple[str, str, str]:
    return _link(row.message.verb), ", ".join(row.writers), row.reader


def _fact_line(row: messages.FactRow) -> tuple[str, str, str]:
    return _link(messages.fact_type(row.message)), row.writer, ", ".join(row.readers)


def _link(name: str) -> str:
    return f"[`{name}`](#{name.replace('.', '')})"


def _index(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield from _table(head, rows)
    yield ""


def _message(name: str, subject: str, class_: type[BaseModel]) -> Iterator[str]:
    yield f"\n### {name}\n"
    yield f"{_doc(class_)}\n"
    yield f"Subject `{subject}`\n"
    rows = [(f"`{field}`", _type_words(info.annotation), _default(info)) for field, info in class_.model_fields.items()]
    yield from _table(("field", "type", "default"), rows)


# --- run states -------------------------------------------------------------------------------------------------------


def states_page() -> str:
    """The two tables of a run's life as diagrams and as tables."""
    return "\n".join(
        (
            "# The life of a run and of a step\n",
            "Two tables in `shared/domain/run.py` say what a fact does to a state; these pictures are printed",
            "from them. A fact that fits no cell changes nothing: duplicates, late comers and forgeries fold to what",
            "was there.\n",
            "## A run\n",
            *_diagram(run.RUN_TABLE, run.RunState.REQUESTED),
            "",
            *_cells(run.RUN_TABLE),
            "\n## A step\n",
            *_diagram(run.STEP_TABLE, run.StepState.WAITING),
            "",
            *_cells(run.STEP_TABLE),
        )
    )


def _diagram(table: Mapping[tuple[Any, str], Any], first: Enum) -> Iterator[str]:
    """A mermaid state diagram; facts that lead the same way share an arrow."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for (state, fact), after in table.items():
        arrows.setdefault((state.value, after.value), []).append(fact)
    yield "```mermaid"
    yield "stateDiagram-v2"
    yield f"    [*] --> {first.value}"
    for (before, after), named in arrows.items():
        yield f"    {before} --> {after}: {', '.join(named)}"
    left = {state.value for state, _ in table}
    for last in sorted({after.value for after in table.values()} - left):
        yield f"    {last} --> [*]"
    yield "```"


def _cells(table: Mapping[tuple[Any, str], Any]) -> Iterator[str]:
    rows = [(state.value, f"`{fact}`", after.value) for (state, fact), after in table.items()]
    yield from _table(("state", "fact", "then"), rows)


# --- the command line -------------------------------------------------------------------------------------------------


def cli_page() -> str:
    """Every verb of `rota` with its arguments and options."""
    root = typer.main.get_command(cli_main.app)
    parts = ["# The command `rota`\n", _plain(cli_main.app.info.help), "", _plain(cli_main.app.info.epilog), ""]
    parts += ["`rota` alone: " + (inspect.getdoc(cli_main.status) or ""), ""]
    for name, command in _verbs(root):
        parts += _verb(name, command)
    return "\n".join(parts)


def _verbs(root: Any, before: str = "") -> Iterator[tuple[str, Any]]:
    """Every verb with its name; those of a group with the group's before it."""
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from _verbs(command, f"{before}{name} ")
        else:
            yield f"{before}{name}", command


def _verb(name: str, command: Any) -> Iterator[str]:
    arguments = [one for one in command.params if one.param_type_name == "argument"]
    shown = " ".join(_argument(one) for one in arguments)
    yield f"## {' '.join(filter(None, ('rota', name, shown)))}\n"
    yield f"{command.help}\n"
    rows = [(f"`{_argument(one)}`", one.help or "") for one in arguments]
    rows += [(f"`{_option(one)}`", one.help or "") for one in command.params if one.param_type_name == "option"]
    yield from _table(("", ""), rows)
    yield ""


def _argument(one: Any) -> str:
    name = (one.metavar or one.name).upper()
    return name if one.required else f"[{name}]"


def _option(one: Any) -> str:
    names = ", ".join(one.opts)
    if one.is_flag:
        return names
    return f"{names} {one.metavar or one.name.upper()}"


# --- settings ---------------------------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every key of rota.toml, with the policy's at the end."""
    parts = [
        "# Settings\n",
        "They stand in `rota.toml` (or the file that `ROTA_CONFIG` names); `rota.example.toml` is one to copy.",
        "`ROTA_NATS_URL` stands for `bus.url`, `ROTA_DATA` for `data`. Secrets stand in files or environment",
        "variables that the file names, never in it. An unknown key is a fault; all faults are told at once.\n",
    ]
    for title, class_ in _SECTIONS:
        fields = {name: info for name, info in class_.model_fields.items() if not info.exclude}
        fields = {name: info for name, info in fields.items() if not (class_ is settings.Settings and _is_table(info))}
        said = _said_of(class_)
        parts += [f"## {title}\n", f"{_doc(class_)}\n"]
        rows = [(f"`{n}`", _type_words(info.annotation), _default(info), said.get(n, "")) for n, info in fields.items()]
        parts += [*_table(("key", "type", "default", ""), rows), ""]
    return "\n".join(parts)


def _is_table(info: FieldInfo) -> bool:
    return "Settings" in str(info.annotation) or "Mapping" in str(info.annotation)


def _said_of(class_: type[BaseModel]) -> dict[str, str]:
    """The sentences that stand below the fields of a class and of those it is made from."""
    said: dict[str, str] = {}
    for one in reversed(class_.__mro__):
        if one.__module__.startswith("shared"):
            said |= _sentences(one)
    return said


def _sentences(class_: type) -> Iterator[tuple[str, str]]:
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(class_))).body
    assert isinstance(body, ast.ClassDef)
    for field, after in zip(body.body, body.body[1:], strict=False):
        told = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and after.value.value
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(told, str):
            yield field.target.id, _plain(told)


# --- words ------------------------------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    found = [[cell.replace("|", "\\|") for cell in row] for row in rows]
    if not found:
        return
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in found:
        yield f"| {' | '.join(row)} |"


def _doc(class_: type) -> str:
    return _plain(inspect.getdoc(class_))


def _plain(text: object) -> str:
    return " ".join(str(text or "").split())


def _type_words(annotation: object) -> str:
    """A type as people read it, without modules and limits."""
    return f"`{_type_text(annotation)}`"


def _type_text(annotation: Any) -> str:
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type_text(inner[0])
    if origin is Literal:
        return " | ".join(repr(one) for one in inner)
    if origin in (Union, types.UnionType):
        return " | ".join(_type_text(one) for one in inner)
    if origin is not None:
        return f"{origin.__name__}[{', '.join('...' if one is ... else _type_text(one) for one in inner)}]"
    return str(getattr(annotation, "__name__", annotation)).replace("NoneType", "None")


def _default(info: FieldInfo) -> str:
    if info.is_required():
        return "needed"
    value = info.get_default(call_default_factory=True, validated_data={})
    if value in ("", None, ()) or value == {} or isinstance(value, BaseModel):
        return ""
    return f"`{value}`"


_SECTIONS: tuple[tuple[str, type[BaseModel]], ...] = (
    ("At the top", settings.Settings),
    ("[bus]", settings.BusSettings),
    ("[clock]", settings.ClockSettings),
    ("[runs]", settings.RunsSettings),
    ("[pool.KEY]", settings.PoolAccess),
    ("[[pool.KEY.storage_vm]]", settings.StorageVMTable),
    ("[pool.KEY.policy]", policy.Policy),
    ("[mail.KEY]", settings.MailDestination),
    ("[webhook.KEY]", settings.WebhookDestination),
    ("[apprise.KEY]", settings.AppriseDestination),
    ("[heartbeat.KEY]", settings.HeartbeatDestination),
    ("[schedule.KEY]", settings.ScheduleTable),
    ("[window.KEY]", window.Window),
    ('[gate.KEY], kind = "hook"', gates.HookGate),
    ('[gate.KEY], kind = "nats"', gates.NatsGate),
    ('[gate.KEY], kind = "tcp"', gates.TcpGate),
    ('[gate.KEY], kind = "http"', gates.HttpGate),
    ('[gate.KEY], kind = "prometheus"', gates.PrometheusGate),
)

_PAGES: Mapping[str, Callable[[], str]] = {
    "messages.md": messages_page,
    "run-states.md": states_page,
    "cli.md": cli_page,
    "settings.md": settings_page,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
