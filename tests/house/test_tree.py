"""Tests of what the repository's files say: no machine's own paths, no rooms for leftovers, words as agreed."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import PRODUCT, modules, tracked

ROOMS_FOR_LEFTOVERS = {"utils", "util", "common", "helpers", "helper", "base", "misc"}
OTHER_PEOPLES_WORDS = {"job", "jobs", "workflow", "workflows", "slave", "slaves"}
XAPIS_OWN = "host is slave"
"""XAPI's own name of an answer, which stays as it is; what simulates its calls is named as they are."""


def test_no_file_names_a_path_of_the_machine_it_was_written_on(repository: Path) -> None:
    """A path that exists on one machine alone breaks on every other, and tells who worked where."""
    homes = r"/(?:home|Users)/[a-z][\w.-]*/|/root/(?!\.\.)"
    own = [re.escape(f"{path}/") for path in (repository, Path.home()) if len(path.parts) > 1]
    places = re.compile(rf"(?<![\w.$*}}-])(?:{'|'.join([homes, *own])})")
    named = {
        str(path.relative_to(repository)): found[0]
        for path in tracked(repository)
        if path != Path(__file__) and (found := places.search(path.read_bytes().decode("utf-8", "replace")))
    }
    assert named == {}


def test_every_python_file_opens_with_what_lives_in_it(repository: Path) -> None:
    """The first thing in a file is its docstring; an empty file needs none."""
    silent = [
        str(path.relative_to(repository))
        for path in tracked(repository, "*.py")
        if (tree := ast.parse(path.read_text(), str(path))).body and ast.get_docstring(tree) is None
    ]
    assert silent == []


def test_every_folder_of_code_is_a_package(repository: Path) -> None:
    """One without __init__.py is passed over by the type checker, in silence."""
    folders = {path.parent for path in tracked(repository, "*.py") if path.parent != repository}
    code = {folder for folder in folders if folder.relative_to(repository).parts[0] in (*PRODUCT, "tests")}
    assert sorted(str(folder) for folder in code if not (folder / "__init__.py").exists()) == []


def test_no_module_is_a_room_for_leftovers(repository: Path) -> None:
    """A name that fits everything tells nothing; whatever would go there has a noun of its own."""
    found = [
        str(path.relative_to(repository))
        for path in tracked(repository, "*.py")
        if ROOMS_FOR_LEFTOVERS & {path.stem, *path.relative_to(repository).parts[:-1]}
    ]
    assert found == []


def test_names_in_the_code_keep_to_the_agreed_words(repository: Path) -> None:
    """A run is a run: what is defined here is not called by words of other trades, but for XAPI's own names."""
    strangers = [
        f"{path.relative_to(repository)}:{line}: {name}"
        for path in modules(repository)
        if path.parent != repository / "simulator" / "calls"
        for name, line in _defined(ast.parse(path.read_text(), str(path)))
        if OTHER_PEOPLES_WORDS & set(_words(name))
    ]
    assert strangers == []


def test_relative_links_in_the_pages_lead_somewhere(repository: Path) -> None:
    """A page that points to a file which is not there was forgotten when the file moved."""
    dead = [
        f"{page.relative_to(repository)} -> {target}"
        for page in tracked(repository, "*.md")
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())
        if "://" not in target and not target.startswith("mailto:") and not (page.parent / target).exists()
    ]
    assert dead == []


def test_every_decision_is_listed_in_the_index(repository: Path) -> None:
    """docs/adr/README.md names each record that stands beside it."""
    index = (repository / "docs" / "adr" / "README.md").read_text()
    records = [path.name for path in tracked(repository, "docs/adr/*.md") if path.name != "README.md"]
    assert [name for name in records if f"]({name})" not in index] == []


def _defined(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Every name that a file gives to something: functions, classes, arguments, variables."""
    for part in ast.walk(tree):
        if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield part.name, part.lineno
        elif isinstance(part, ast.arg):
            yield part.arg, part.lineno
        elif isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store):
            yield part.id, part.lineno


def _words(name: str) -> list[str]:
    words = " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z0-9]+", name)).lower()
    return words.replace(XAPIS_OWN, "").split()
