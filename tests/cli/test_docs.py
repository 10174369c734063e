"""The printed pages of docs/ are what the code says."""

from __future__ import annotations

from pathlib import Path

from cli import docs
from shared.domain import messages
from shared.domain.policy import Policy
from shared.domain.run import RUN_TABLE, STEP_TABLE


def test_the_pages_are_fresh(repository: Path) -> None:
    """`make docs` has nothing to change."""
    assert docs.stale(repository / "docs") == [], "run `make docs`"


def test_a_page_that_was_changed_or_is_gone_is_named(tmp_path: Path) -> None:
    """Both are stale."""
    made = docs.pages()
    for name, text in made.items():
        (tmp_path / name).write_text(text)
    assert docs.stale(tmp_path) == []
    (tmp_path / "cli.md").write_text("changed")
    (tmp_path / "messages.md").unlink()
    assert sorted(docs.stale(tmp_path)) == ["cli.md", "messages.md"]


def test_every_message_every_cell_every_verb_and_every_key_stands_on_its_page() -> None:
    """Nothing is left out."""
    made = docs.pages()
    for row in messages.FACTS:
        assert f"`{row.message.subject}`" in made["messages.md"]
    for table in (RUN_TABLE, STEP_TABLE):
        for (state, fact), after in table.items():
            assert f"| {state.value} | `{fact}` | {after.value} |" in made["run-states.md"]
    for verb in ("plan POOL", "watch [RUN]", "retry RUN [STEP]", "skip-step RUN [STEP]", "up"):
        assert f"## rota {verb}\n" in made["cli.md"]
    for key in Policy.model_fields:
        assert f"| `{key}` |" in made["settings.md"]


def test_no_page_names_pythons_own_words_for_types() -> None:
    """The pages are for people who write TOML and JSON."""
    for text in docs.pages().values():
        for word in ("typing.", "Annotated", "FieldInfo", "NoneType", "<class"):
            assert word not in text
