"""The page as a file: whole or not there, and always the newest."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from services.reporter.channels.file import FileChannel
from services.reporter.rendering import Renderer
from shared.domain.errors import TryAgain
from tests.services.reporter import story
from tests.services.reporter.channels.parcels import parcels

RENDERER = Renderer(UTC)


def read(reference: str) -> str:
    """What stands in the page that a reference names."""
    return Path(reference).read_text(encoding="utf-8")


async def test_the_page_is_written_into_a_folder_that_need_not_be_there(tmp_path: Path) -> None:
    """Named after pool and run; the reference is its path; nothing else is left there."""
    folder = tmp_path / "new" / "reports"
    reference = await FileChannel(folder, RENDERER).deliver(parcels(story.all_well())["ended"])
    assert reference == str(folder / f"lab-{story.RUN}.html")
    assert [path.name for path in folder.iterdir()] == [f"lab-{story.RUN}.html"]
    assert "All 3 hosts are updated" in read(reference)


async def test_a_late_page_does_not_take_the_place_of_a_newer_one(tmp_path: Path) -> None:
    """A hold's page that is written after the end says how it ended."""
    night = story.left_behind()
    channel = FileChannel(tmp_path, RENDERER)
    await channel.deliver(parcels(night)["ended"])
    reference = await channel.deliver(parcels(night)["held"])
    assert "Cancelled with 1 of 3 hosts updated" in read(reference)


async def test_a_folder_that_cannot_be_written_is_tried_again(tmp_path: Path) -> None:
    """A file stands where the folder should be: one sentence that names it."""
    (tmp_path / "reports").write_text("in the way")
    with pytest.raises(TryAgain, match="cannot be written to"):
        await FileChannel(tmp_path / "reports", RENDERER).deliver(parcels(story.all_well())["ended"])
