"""The letter that asks people to approve: what, by which digest, until when, and the two commands. Pure."""

from __future__ import annotations

from datetime import tzinfo

from services.reporter.letter import Fact, Letter, Point
from services.reporter.occasions import Occasion
from services.reporter.report import Report
from services.reporter.spoken import moment, roughly
from shared.domain import facts


def letter(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    """What is asked on this occasion; the rest of the letter is the run's."""
    asked = occasion.fact
    assert isinstance(asked, facts.ApprovalAsked)
    persons = "one person" if asked.needed == 1 else f"{asked.needed} different persons"
    until = moment(asked.until, zone)
    what = f"The turn of {asked.host.name}" if asked.host else "The plan"
    changes = tuple(Point("warn", change) for change in asked.changes)
    return Letter(
        occasion,
        f"{report.pool}: approval is needed until {until}",
        f"{report.pool_name or report.pool}: approval is needed",
        asked.sentence,
        "warn",
        (
            Point(
                "warn",
                f"To approve it ({persons}, until {until}):",
                f"{what}, digest {asked.digest}.",
                f"rota approve {occasion.run}",
            ),
            Point("plain", "To refuse it:", "", f"rota reject {occasion.run}"),
            *changes,
        ),
        f"Without an answer until {until} nothing is begun.",
        (
            Fact("hosts", str(report.total)),
            Fact("VMs that move", str(report.moving)),
            Fact("estimate", roughly(report.estimate).removeprefix("about ")),
        )
        if not asked.host
        else (),
    )
