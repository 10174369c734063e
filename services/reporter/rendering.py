"""Letters and reports as text and HTML, from the templates beside this file, or from the owner's own in their place.

Everything is escaped; of Rota's own pages nothing asks for anything outside (no pictures, fonts or scripts). The
owner's templates run in a sandbox: they see the values, and no more. One that cannot be used is told of in the letter,
and Rota's own takes its place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from pathlib import Path
from typing import Any

import css_inline
import jinja2
import jinja2.sandbox

from services.reporter import sections, spoken, wording
from services.reporter.letter import Fact, Letter
from services.reporter.report import Report
from services.reporter.timeline import PHASES, cells, timeline

TEMPLATES = Path(__file__).parent / "templates"

MOST_ROWS = 1000
"""Rows of one table of the page; the JSON form has the rest."""


LARGEST = 4_000_000
"""Characters that a template of the owner's may make."""

SLOWEST = 10.0
"""Seconds of machine time that it may take."""


@dataclass(frozen=True, slots=True)
class Mail:
    """A letter in the two forms of one mail."""

    text: str
    html: str


class Renderer:
    """The templates. `zone` is the zone of every time that is shown, `own` the folder of the owner's templates, which
    are read again when they change."""

    def __init__(self, zone: tzinfo, own: Path | None = None) -> None:
        self.zone = zone
        self._templates = _environment(jinja2.Environment, TEMPLATES)
        self._own = None if own is None else _environment(jinja2.sandbox.SandboxedEnvironment, own)
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
        """By the owner's template, where there is a good one, else by Rota's, with a line on what is wrong with it."""
        if self._own is not None:
            try:
                return _bounded(self._own.get_template(name), self._values(letter))
            except jinja2.TemplateNotFound as missing:
                wrong = "" if missing.name == name else f"it asks for {missing.name}, which is not there"
            except Exception as error:  # noqa: BLE001 - a template is a program of the owner's and may raise anything
                wrong = _wrong(error)
            if wrong:
                letter = replace(letter, facts=(*letter.facts, Fact("template", _not_used(name, wrong))))
        return self._templates.get_template(name).render(self._values(letter))

    def _values(self, letter: Letter) -> Mapping[str, Any]:
        report = letter.report
        picture = timeline(report, self.zone) if report else None
        return {
            "letter": letter,
            "report": report,
            "picture": picture,
            "lanes": {lane.turn: lane for lane in picture.lanes} if picture else {},
            "phases": PHASES,
            "cells": cells,
            "most": MOST_ROWS,
            "versions": sections.versions,
            "moment": lambda at: spoken.moment(at, self.zone),
            "clock": lambda at: spoken.clock(at, self.zone, seconds=True),
            "duration": spoken.duration,
            "count": spoken.count,
        }


def _environment(kind: type[jinja2.Environment], folder: Path) -> jinja2.Environment:
    return kind(
        loader=jinja2.FileSystemLoader(folder),
        autoescape=jinja2.select_autoescape(("html", "svg"), ("txt",), default=True),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def _bounded(template: jinja2.Template, values: Mapping[str, Any]) -> str:
    """What a template makes: at most `LARGEST` characters, within `SLOWEST`, which is looked at between pieces."""
    pieces: list[str] = []
    size, until = 0, time.monotonic() + SLOWEST
    for piece in template.generate(values):
        pieces.append(piece)
        size += len(piece)
        if size > LARGEST:
            raise ValueError(f"it makes more than {LARGEST} characters")
        if time.monotonic() > until:
            raise ValueError(f"it takes longer than {SLOWEST:g} s")
    return "".join(pieces)


def _wrong(error: Exception) -> str:
    line = f" (line {error.lineno})" if isinstance(error, jinja2.TemplateSyntaxError) else ""
    return f"{spoken.clean(str(error), 200) or type(error).__name__}{line}"


def _not_used(name: str, wrong: str) -> str:
    return f"Your own {name} could not be used, so this is Rota's: {wrong.rstrip('.')}."
