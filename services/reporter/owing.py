"""What is said of one debt: that it still stands, that it is paid. Pure; the rest stands in `wording`."""

from __future__ import annotations

from datetime import tzinfo

from services.reporter import doing
from services.reporter.letter import Letter, Point
from services.reporter.occasions import Occasion
from services.reporter.report import Report
from services.reporter.spoken import capital, duration, moment
from shared.domain import facts


def still_owed(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    """What stands too long."""
    fact = occasion.fact
    assert isinstance(fact, facts.SettingOwed)
    name, waited = doing.setting(fact.setting), duration(occasion.again * 60.0)
    point = Point("bad", fact.because, f"It can be put back when {fact.condition.rstrip('.')}.", fact.command)
    return Letter(
        occasion,
        f"{report.pool}: {name} is still owed after {waited}",
        f"{capital(name)} is still owed after {waited}",
        f"It is off since {moment(occasion.at, zone)}, and Rota tries again by itself from time to time.",
        "bad",
        (point,),
    )


def paid(occasion: Occasion, report: Report, zone: tzinfo) -> Letter:
    """What nobody need think of any more."""
    fact = occasion.fact
    assert isinstance(fact, facts.SettingPaid)
    name = doing.setting(fact.setting)
    return Letter(
        occasion,
        f"{report.pool}: {name} is no longer owed",
        f"{capital(name)} is as it was before",
        f"What was owed on {report.pool_name or report.pool} since an earlier run is put back: {name}.",
        "good",
        (),
        "Nothing is asked of you.",
    )
