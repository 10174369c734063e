"""`rota report` on a real bus: every form as it was put there, to stdout or a file, and a PDF by a real browser."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from cli import printing
from shared.bus import wire
from tests.cli import story
from tests.cli.conftest import Ground, Rota

PAGE = "<!doctype html><html lang='en'><body><h1>All is well</h1></body></html>\n"
STORED = {
    "html": PAGE,
    "txt": "All 3 hosts are updated\n\n  " + "a line that is much wider than any terminal " * 5 + "\n",
    "csv": "pool,run,what\r\nlab,x,run\r\n",
    "json": '{"run": "x", "updated": 3}',
}


async def shelve(ground: Ground) -> None:
    """A run with its report."""
    await ground.publish(story.summary())
    for form, text in STORED.items():
        name = wire.report_object(story.POOL, story.RUN, form)
        await ground.bus.put_object(wire.SNAPSHOTS_BUCKET, name, text.encode())


def read(address: str) -> str:
    """What stands in the file that an address names."""
    return Path(address.removeprefix("file://")).read_text()


@pytest.mark.parametrize(("flag", "form"), [((), "txt"), (("--html",), "html"), (("--csv",), "csv")])
async def test_a_report_is_printed_as_it_was_put_there(
    ground: Ground, rota: Rota, flag: tuple[str, ...], form: str
) -> None:
    """Not a letter more on stdout, so that it can be piped."""
    await shelve(ground)
    said = await rota("report", story.RUN[:6], *flag)
    assert (said.code, said.err) == (0, "")
    assert said.out == STORED[form]


async def test_json_is_one_document_like_every_verb_s(ground: Ground, rota: Rota) -> None:
    """With the report in it."""
    await shelve(ground)
    said = await rota("report", story.RUN, "--json")
    assert said.document["report"] == {"run": "x", "updated": 3}
    assert (said.document["run"], said.document["exit"]) == (story.RUN, 0)


async def test_a_report_is_written_to_a_file(ground: Ground, rota: Rota) -> None:
    """To the byte, and the sentence names it."""
    await shelve(ground)
    said = await rota("report", story.RUN, "--csv", "--to", "night.csv")
    assert said.code == 0
    assert "night.csv" in said.err
    assert (ground.folder / "night.csv").read_bytes() == STORED["csv"].encode()


async def test_a_run_without_a_report_is_told_with_what_to_do(ground: Ground, rota: Rota) -> None:
    """It is too early, or no reporter runs."""
    await ground.publish(story.summary())
    said = await rota("report", story.RUN)
    assert said.code == 1
    assert f"There is no report of run {story.RUN} yet" in said.err
    assert f"rota show {story.RUN}" in said.err


async def test_two_forms_at_once_are_a_mistake(ground: Ground, rota: Rota) -> None:
    """And a file that cannot be written is told by its name."""
    await shelve(ground)
    assert (await rota("report", story.RUN, "--csv", "--html")).code == 2
    said = await rota("report", story.RUN, "--html", "--to", "not/there.html")
    assert (said.code, said.err.count("not/there.html")) == (1, 1)


async def test_the_page_is_shown_in_a_browser(
    ground: Ground, rota: Rota, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """From a file that is there; where no browser starts the sentence names the file."""
    shown: list[str] = []
    await shelve(ground)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def shows(url: str) -> bool:
        shown.append(url)
        return True

    monkeypatch.setattr("webbrowser.open", shows)
    assert (await rota("report", story.RUN, "--open")).code == 0
    assert read(shown[0]) == PAGE
    monkeypatch.setattr("webbrowser.open", lambda url: False)
    said = await rota("report", story.RUN, "--open", "--to", "page.html")
    assert said.code == 1
    assert "page.html" in said.err


async def test_without_a_chromium_a_sentence_says_so(
    ground: Ground, rota: Rota, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what to do instead."""
    await shelve(ground)
    monkeypatch.setenv("PATH", str(ground.folder))
    monkeypatch.delenv("ROTA_CHROMIUM", raising=False)
    said = await rota("report", story.RUN, "--pdf")
    assert said.code == 1
    assert "none was found" in said.err
    assert "--html" in said.err


async def test_a_chromium_that_fails_is_told_with_its_own_words(
    ground: Ground, rota: Rota, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last of them; no empty file is left."""
    await shelve(ground)
    broken = ground.folder / "broken"
    broken.write_text("#!/bin/sh\necho starting >&2\necho no display >&2\nexit 1\n")
    broken.chmod(broken.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("ROTA_CHROMIUM", str(broken))
    said = await rota("report", story.RUN, "--pdf")
    assert said.code == 1
    assert said.err.rstrip().endswith("no display.")
    assert not list(ground.folder.glob("*.pdf"))


async def test_a_pdf_is_printed_by_a_real_browser(ground: Ground, rota: Rota) -> None:
    """Named after pool and run."""
    if printing.found({"PATH": "/usr/local/bin:/usr/bin:/bin"}) is None:
        pytest.skip("no Chromium on this machine: printing was not checked")
    await shelve(ground)
    said = await rota("report", story.RUN, "--pdf")
    assert said.code == 0, said.err
    assert (ground.folder / f"{story.POOL}-{story.RUN}.pdf").read_bytes().startswith(b"%PDF-")


def test_a_browser_that_is_named_comes_first(tmp_path: Path) -> None:
    """And one that is named and not there is none."""
    own = tmp_path / "mine"
    own.write_text("#!/bin/sh\n")
    own.chmod(0o755)
    assert printing.found({"PATH": "/usr/bin", "ROTA_CHROMIUM": str(own)}) == str(own)
    assert printing.found({"PATH": "/usr/bin", "ROTA_CHROMIUM": "not-there"}) is None
