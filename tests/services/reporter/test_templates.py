"""The owner's own templates: used where they are good, replaced by Rota's with a word where they are not."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path

import pytest

from services.reporter import rendering
from services.reporter.rendering import Renderer
from tests.services.reporter import evil, story
from tests.services.reporter.channels.parcels import parcels

LETTER = parcels(story.all_well())["ended"].letter
NOT_USED = "could not be used"


def own(folder: Path, **files: str) -> Renderer:
    """A renderer with these templates of the owner's; `mail_txt` is mail.txt."""
    for name, text in files.items():
        (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
    return Renderer(UTC, folder)


def test_the_owner_s_template_takes_the_place_of_rota_s(tmp_path: Path) -> None:
    """Only the one that is there; the other form is Rota's, without a word."""
    mail = own(tmp_path, mail_txt="{{ letter.title }} / {{ report.updated }} of {{ report.total }}").mail(LETTER)
    assert mail.text == "All 3 hosts are updated / 3 of 3\n"
    assert "<h1" in mail.html
    assert NOT_USED not in mail.html


def test_a_template_that_is_changed_counts_at_once(tmp_path: Path) -> None:
    """No restart."""
    renderer = own(tmp_path, mail_txt="one")
    assert renderer.mail(LETTER).text == "one\n"
    (tmp_path / "mail.txt").write_text("another")
    assert renderer.mail(LETTER).text == "another\n"


def test_names_are_escaped_in_the_owner_s_html_too(tmp_path: Path) -> None:
    """By the file's name, without their asking."""
    letter = parcels(evil.left_behind())["ended"].letter
    told = own(tmp_path, mail_html="<p>{% for row in letter.hosts %}{{ row.host }}{% endfor %}</p>").mail(letter)
    assert evil.SCRIPT not in told.html
    assert "&lt;script" in told.html


@pytest.mark.parametrize(
    "bad",
    [
        "{% if %}",
        "{{ nothing_of_this_name }}",
        "{{ letter.__class__.__mro__ }}",
        "{{ ''.__class__.__base__.__subclasses__() }}",
        "{{ count.__globals__ }}",
        "{% include 'gone.txt' %}",
        "{% include '../secret.txt' %}",
        "{{ 1 / 0 }}",
        "{% for n in range(10**9) %}x{% endfor %}",
    ],
)
def test_a_bad_template_is_told_of_and_rota_s_is_used(tmp_path: Path, bad: str) -> None:
    """In the very mail, with why; whether it is a slip of the pen or a try to get out of the sandbox."""
    (tmp_path / "secret.txt").write_text("hunter2")
    folder = tmp_path / "own"
    folder.mkdir()
    text = own(folder, mail_txt=bad).mail(LETTER).text
    assert "All 3 hosts are updated" in text
    assert f"Your own mail.txt {NOT_USED}" in text
    assert "hunter2" not in text


def test_the_line_of_a_slip_is_named(tmp_path: Path) -> None:
    """So that it is found."""
    assert "(line 3)" in own(tmp_path, mail_txt="a\nb\n{% if %}\n").mail(LETTER).text


def test_a_template_that_makes_too_much_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Too long, or too slowly."""
    endless = "{% for n in range(90000) %}{{ letter.title }}{% endfor %}"
    monkeypatch.setattr(rendering, "LARGEST", 1000)
    assert "more than 1000 characters" in own(tmp_path, mail_txt=endless).mail(LETTER).text
    monkeypatch.setattr(rendering, "LARGEST", 10**9)
    monkeypatch.setattr(rendering, "SLOWEST", 0.0)
    assert "longer than 0 s" in own(tmp_path, mail_txt=endless).mail(LETTER).text


def test_a_page_of_the_owner_s(tmp_path: Path) -> None:
    """The page has its template as well, and says so when it is bad."""
    report = LETTER.report
    assert report is not None
    assert own(tmp_path, report_html="<h1>{{ report.run }}</h1>").page(report) == f"<h1>{story.RUN}</h1>"
    assert f"Your own report.html {NOT_USED}" in own(tmp_path, report_html="{{").page(report)


def test_a_folder_that_is_not_there_changes_nothing(tmp_path: Path) -> None:
    """Every form is Rota's."""
    assert Renderer(UTC, tmp_path / "gone").mail(LETTER) == Renderer(UTC).mail(LETTER)
