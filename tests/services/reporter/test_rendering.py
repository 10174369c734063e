"""The forms of a letter: escaped, self-contained, the same each time; and looked at in a browser where there is one."""

from __future__ import annotations

import re
import shutil
import struct
import subprocess
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from html.parser import HTMLParser
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from services.reporter import folding, occasions, wording
from services.reporter.letter import Letter
from services.reporter.rendering import Renderer
from shared.domain import facts
from tests.services.reporter import evil, story
from tests.services.reporter.story import Story

RENDERER = Renderer(UTC)
NIGHTS = (story.announced, story.all_well, story.held, story.left_behind, story.refused, story.second_order)


def last(night: Story) -> Letter:
    """The last letter of a night."""
    recorded = night.recorded()
    occasion = next(found for one in reversed(recorded) if (found := occasions.occasion(one)))
    return wording.letter(occasion, folding.fold(night.pool, night.run, recorded), UTC)


def page(night: Story) -> str:
    """The page of a night."""
    return RENDERER.page(folding.fold(night.pool, night.run, night.recorded()))


class Markup(HTMLParser):
    """What elements and addresses a page has, and whether they are closed as they were opened."""

    VOID = frozenset({"meta", "br", "img", "link", "rect", "line", "path", "hr"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open, f"</{tag}> closes nothing"
            assert self.open.pop() == tag


def markup(html: str) -> Markup:
    """A page, parsed."""
    parsed = Markup()
    parsed.feed(html)
    parsed.close()
    return parsed


@pytest.mark.parametrize("night", NIGHTS)
def test_every_form_of_every_night_is_well_formed(night: Callable[[], Story]) -> None:
    """What is opened is closed, in mail and page."""
    for html in (RENDERER.mail(last(night())).html, page(night())):
        assert markup(html).open == []


@pytest.mark.parametrize("night", [evil.left_behind, evil.all_well])
def test_names_are_text_and_never_markup(night: Callable[[], Story]) -> None:
    """No element, attribute or handler comes out of a name; the name itself is there to be read."""
    for html in (RENDERER.mail(last(night())).html, page(night())):
        parsed = markup(html)
        assert parsed.open == []
        assert not parsed.tags & {"script", "img", "b", "iframe", "object"}
        assert not {name for name in parsed.attributes if name.startswith("on")}
        assert "&lt;script&gt;" in html
        assert "49" not in re.findall(r">([^<]*7\*7[^<]*)<", html)


def test_templates_in_names_are_not_run() -> None:
    """A VM called `{{ 7*7 }}` is called so in the page."""
    assert "{{ 7*7 }}" in page(evil.all_well())


def test_a_name_cannot_start_a_line_in_the_text() -> None:
    """In the text form, too, a name stays on the line where it is told."""
    text = RENDERER.mail(last(evil.left_behind())).text
    assert not re.search(r"^Bcc:", text, re.MULTILINE)
    assert "\r" not in text
    assert "\x1b" not in text


@pytest.mark.parametrize("night", NIGHTS)
def test_nothing_is_asked_for_from_outside(night: Callable[[], Story]) -> None:
    """No picture, font, style or script from any address; the page's own policy forbids it too."""
    for html in (RENDERER.mail(last(night())).html, page(night())):
        parsed = markup(html)
        assert not parsed.tags & {"img", "link", "script", "iframe", "base", "form"}
        assert not parsed.attributes & {"src", "href", "background", "srcset"}
        assert "@import" not in html
        assert not re.search(r"url\((?!#)", html)
    assert "default-src 'none'" in page(night())


def test_the_same_letter_is_the_same_mail() -> None:
    """To the byte: a second copy must be known for one."""
    one, other = RENDERER.mail(last(story.left_behind())), Renderer(UTC).mail(last(story.left_behind()))
    assert one == other


def test_the_text_form_has_all_of_the_first_block() -> None:
    """Whoever reads mail in a terminal is told the same, commands included."""
    letter = last(story.left_behind())
    text = " ".join(RENDERER.mail(letter).text.split())
    for point in letter.points:
        assert point.text in text
        assert point.command in text


def test_commands_stay_on_one_line_in_the_text_form() -> None:
    """They are copied from there."""
    assert f"     $ {story.ENABLE_HA}\n" in RENDERER.mail(last(story.left_behind())).text


def test_times_are_told_in_the_zone_of_the_house() -> None:
    """Vienna's night is not London's."""
    letter = wording.letter(
        last(story.all_well()).occasion,
        folding.fold(story.POOL, story.RUN, story.all_well().recorded()),
        ZoneInfo("Europe/Vienna"),
    )
    assert "Mon 23 Nov 2026, 02:00 CET" in Renderer(ZoneInfo("Europe/Vienna")).mail(letter).text


def test_a_mail_stays_below_what_mail_programs_clip() -> None:
    """Gmail clips at 102 KB; a pool of 64 hosts must still be read to its end."""
    night = story.announced()
    forecast = night.forecast()
    turns = tuple(
        forecast.turns[n % 3].model_copy(
            update={"turn": f"t{n + 1:02d}", "host": story.HOSTS[0].__class__(f"host-{n}", f"xcp-with-a-long-name-{n}")}
        )
        for n in range(64)
    )
    big = Story()
    big.requested()
    big.planned(forecast.model_copy(update={"turns": turns}))
    big.began()
    big.whole_turn(0)
    assert len(RENDERER.mail(last(big)).html.encode()) < 100_000


@pytest.mark.parametrize("purpose", ["empty", "room", "home", "level"])
def test_a_page_can_be_made_whatever_a_move_was_for(purpose: Literal["empty", "room", "home", "level"]) -> None:
    """Every purpose that the planner knows has its word."""
    night = story.all_well()
    report = folding.fold(night.pool, night.run, night.recorded())
    moves = (replace(report.moves[0], purpose=purpose), *report.moves[1:])
    assert "migrations</summary>" in RENDERER.page(replace(report, moves=moves))


def test_the_page_has_versions_before_and_after_and_where_every_vm_is() -> None:
    """For whoever asks in March what was changed in November."""
    html = page(story.left_behind())
    assert "4.17.4-3.xcpng8.3</td><td>4.17.5-15.xcpng8.3</td><td>Fix XSA-470 • Fix XSA-471" in html
    assert "<summary>12 VMs</summary>" in html
    assert "<td>at home</td>" in html


def asked() -> Story:
    """A night in which somebody is asked to approve the plan."""
    night = story.announced()
    plan = "5c9d0e1f2a3b4c5d5c9d0e1f2a3b4c5d"
    asks = facts.ApprovalAsked(
        pool=night.pool, run=night.run, about="plan", digest=plan, sentence="May it?", needed=1, until=night.at
    )
    night.say(asks)
    return night


# --- as a picture -----------------------------------------------------------------------------------------------------

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def chromium() -> str:
    """The browser; skips aloud where there is none."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine: how mails and pages look was not checked")
    return CHROMIUM


@pytest.fixture
def photographed(tmp_path: Path, chromium: str) -> Callable[[str, str, int, int], bytes]:
    """A page's picture at a width and height, by headless Chromium."""

    def photograph(name: str, html: str, width: int, height: int) -> bytes:
        file, picture = tmp_path / f"{name}.html", tmp_path / f"{name}.png"
        file.write_text(html, encoding="utf-8")
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars")
        where = (
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--screenshot={picture}",
            f"--window-size={width},{height}",
        )
        subprocess.run([chromium, *flags, *where, file.as_uri()], check=True, capture_output=True, timeout=60)
        return picture.read_bytes()

    return photograph


def framed(html: str, width: int) -> str:
    """A page in a frame as wide as a phone (Chromium itself opens no narrower window than 500). The title then says how
    far to the right anything reaches that cannot be scrolled to."""
    escaped = html.replace("&", "&amp;").replace('"', "&quot;")
    return (
        f'<iframe id=f style="width:{width}px;height:1600px;border:0" srcdoc="{escaped}"></iframe>'
        "<script>onload=()=>{const w=document.getElementById('f').contentWindow;"
        "const kept=e=>{const s=e.parentElement.closest('.scroll');return s&&w.getComputedStyle(s).overflowX=='auto'};"
        "document.title=Math.max(...[...w.document.body.querySelectorAll('*')].filter(e=>!kept(e))"
        ".map(e=>Math.ceil(e.getBoundingClientRect().right)))}</script>"
    )


def dimensions(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG."""
    assert png[:8] == b"\x89PNG\r\n\x1a\n"
    width, height = struct.unpack(">II", png[16:24])
    return int(width), int(height)


def test_a_mail_is_drawn_at_desktop_width(photographed: Callable[[str, str, int, int], bytes]) -> None:
    """The picture is there and is not blank: a blank one packs to next to nothing."""
    png = photographed("mail", RENDERER.mail(last(story.left_behind())).html, 700, 1500)
    assert dimensions(png) == (700, 1500)
    assert len(png) > 50_000


def test_a_page_is_drawn_at_desktop_width(photographed: Callable[[str, str, int, int], bytes]) -> None:
    """With its timeline."""
    png = photographed("page", page(story.all_well()), 1200, 1600)
    assert dimensions(png) == (1200, 1600)
    assert len(png) > 50_000


def test_nothing_sticks_out_on_a_phone(chromium: str, tmp_path: Path) -> None:
    """360 wide: nothing reaches beyond the edge, but for pictures and tables that scroll by themselves."""
    forms = {
        "mail": RENDERER.mail(last(story.left_behind())).html,
        "page": page(story.left_behind()),
        "question": RENDERER.mail(last(asked())).html,
    }
    for name, html in forms.items():
        file = tmp_path / f"phone-{name}.html"
        file.write_text(framed(html, 360), encoding="utf-8")
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--dump-dom")
        shown = subprocess.run(
            [chromium, *flags, f"--user-data-dir={tmp_path / 'phone'}", "--virtual-time-budget=2000", file.as_uri()],
            check=True, capture_output=True, timeout=60, text=True,
        )  # fmt: skip
        title = re.search(r"<title>(\d+)</title>", shown.stdout)
        assert title is not None
        assert int(title.group(1)) <= 360, f"the {name} is {title.group(1)} wide"


def test_on_paper_everything_is_unfolded(chromium: str, tmp_path: Path) -> None:
    """Nobody can click on paper: what is folded on the screen is printed in full."""

    def pages(name: str, html: str) -> int:
        file, pdf = tmp_path / f"{name}.html", tmp_path / f"{name}.pdf"
        file.write_text(html, encoding="utf-8")
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking")
        where = (f"--user-data-dir={tmp_path / name}", "--no-pdf-header-footer", f"--print-to-pdf={pdf}")
        subprocess.run([chromium, *flags, *where, file.as_uri()], check=True, capture_output=True, timeout=60)
        found = re.search(rb"/Count (\d+)", pdf.read_bytes())
        assert found is not None
        return int(found.group(1))

    html = page(story.left_behind())
    assert pages("whole", html) > pages("folded", html.replace("details::details-content", "details::none"))
