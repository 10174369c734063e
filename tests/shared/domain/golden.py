"""The golden files: one for each message, the very bytes that a reader of an older or newer Rota must understand.

`python -m tests.shared.domain.golden` writes them anew; look at the difference before committing it.
"""

from __future__ import annotations

import json
from pathlib import Path

from shared.bus import wire
from shared.domain import commands, messages
from tests.shared.domain import examples

FOLDER = Path(__file__).resolve().parents[2] / "golden"
AT = 1_795_300_123.25


def expected() -> dict[str, str]:
    """File name to text, for every message that has an example."""
    files = {}
    for command in examples.COMMANDS:
        subject, data = _command(command)
        files[f"command.{command.verb}.json"] = _text(subject, data)
    for fact in examples.FACTS:
        message = wire.fact_message(fact, source="example", at=AT, id="example-1")
        files[f"{messages.fact_type(type(fact))}.json"] = _text(message.subject, message.data)
    return files


def written() -> dict[str, str]:
    """File name to text, as the files stand."""
    return {path.name: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.json"))}


def write() -> None:
    """Write all files anew and remove those that no message has."""
    FOLDER.mkdir(exist_ok=True)
    files = expected()
    for stale in set(written()) - set(files):
        (FOLDER / stale).unlink()
    for name, text in files.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


def _command(command: commands.Command) -> tuple[str, bytes]:
    if isinstance(command, commands.DoStep):
        message = wire.step_message(command)
    else:
        message = wire.command_message(command, by=examples.BY)
    return message.subject, message.data


def _text(subject: str, data: bytes) -> str:
    return json.dumps({"subject": subject, "message": json.loads(data)}, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    write()
