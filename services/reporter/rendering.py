"""Letters and reports as text and HTML, from the templates beside this file. Everything is escaped; nothing outside of
the page is ever asked for (no pictures, fonts or scripts from anywhere).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import tzinfo
from pathlib import Path

import css_inline
import jinja2

from services.reporter import sections, spoken, wording
from services.reporter.letter import Letter
from services.reporter.report import Report
from services.reporter.timeline import PHASES, cells, timeline

TEMPLATES = Path(__file__).parent / "templates"

MOST_ROWS = 1000
"""Rows of one table of the page; the JSON form has the rest."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter in the two forms of one mail."""

    text: str
    html: str


class Renderer:
    """The templates, read once. `zone` is the zone of every time that is shown."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(TEMPLATES),
            autoescape=jinja2.select_autoescape(("html", "svg"), ("txt",), default=True),
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._inliner = css_inline.CSSInliner(keep_at_rules=True, load_remote_stylesheets=False)

    def mail(self, letter: Letter) -> Mail:
        """A letter as a mail: text, and HTML with its styles at each element, as mail programs want it."""
        text = self._render("mail.txt", letter)
        html = self._inliner.inline(self._render("mail.html", letter))
        return Mail(text.strip() + "\n", html)

    def page(self, report: Report) -> str:
        """A run as one self-contained HTML page with its timeline."""
        return self._render("report.html", wording.page(report, self.zone))

    def _render(self, name: str, letter: Letter) -> str:
        report = letter.report
        picture = timeline(report, self.zone) if report else None
        return self._templates.get_template(name).render(
            letter=letter,
            report=report,
            picture=picture,
            lanes={lane.turn: lane for lane in picture.lanes} if picture else {},
            phases=PHASES,
            cells=cells,
            most=MOST_ROWS,
            versions=sections.versions,
            moment=lambda at: spoken.moment(at, self.zone),
            clock=lambda at: spoken.clock(at, self.zone, seconds=True),
            duration=spoken.duration,
            count=spoken.count,
        )
