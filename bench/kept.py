"""Rows of a benchmark kept one by one as they are measured, so that one that was broken off goes on where it stopped.

A row is only taken from there if it was measured with the same code: beside each stands a digest of the folders that
have a part in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

Row = dict[str, Any]


class Kept:
    """Rows in a file, one a line, each under a key."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def row(self, key: Mapping[str, Any], folders: Iterable[str], measure: Callable[[], Row]) -> Row:
        """The row of this key, measured with the code in these folders as it is now; measured if it is not there."""
        under = {**key, "code": digest(tuple(folders))}
        for line in self._lines():
            if line["under"] == under:
                return dict(line["row"])
        row = measure()
        cut_off = self.file.exists() and self.file.read_text(encoding="utf-8")[-1:] not in ("", "\n")
        self.file.parent.mkdir(parents=True, exist_ok=True)
        with self.file.open("a", encoding="utf-8") as lines:
            lines.write("\n" if cut_off else "")
            lines.write(json.dumps({"under": under, "row": row}) + "\n")
        return row

    def _lines(self) -> list[dict[str, Any]]:
        if not self.file.exists():
            return []
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}}")]


@cache
def digest(folders: tuple[str, ...]) -> str:
    """What names the Python of these folders and files as it is now."""
    found = hashlib.sha256()
    for folder in folders:
        path = Path(folder)
        for file in sorted(path.rglob("*.py")) if path.is_dir() else (path,):
            found.update(f"{file}\n".encode() + file.read_bytes())
    return found.hexdigest()[:16]
