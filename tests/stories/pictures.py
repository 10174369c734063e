"""Makes the pictures of docs/reports.md: `python -m tests.stories.pictures` (`make docs`).

A night on the demo's pool is told under a clock that jumps: a schedule, a window, an approval, three hosts. What the
reporter made of its journal is then photographed by a Chromium of this machine; where there is none, the pictures stay
as they are, and that is said.
"""

from __future__ import annotations

import asyncio
import html as html_
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from zoneinfo import ZoneInfo

import structlog

from cli import printing
from services.reporter import folding, occasions, wording
from services.reporter.rendering import Renderer
from shared import settings
from shared.bus import wire
from shared.domain import commands, facts
from tests.stories.house import House, tell

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
ZONE = ZoneInfo("Europe/Vienna")
LARGEST = 200_000
"""Bytes of one picture: they are cloned by everybody."""

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-lcd-text",
    "--hide-scrollbars",
)

TABLES: dict[str, dict[str, object]] = {
    "pool.lab.policy": {"window": "night", "approval": "plan"},
    "window.night": {"cron": "0 3 * * *", "zone": "Europe/Vienna", "hours": 3},
}


@dataclass(frozen=True, slots=True)
class Picture:
    """A page and its width; a phone's stands in a frame, because Chromium opens no window so narrow."""

    name: str
    html: str
    width: int
    phone: bool = False
    highest: int = 1500


def night(folder: Path) -> list[wire.Recorded]:
    """The journal of a run that its schedule started, that waited for its window and was approved."""
    recorded: list[wire.Recorded] = []

    async def story(house: House) -> None:
        table = settings.ScheduleTable(cron="30 1 * * *", zone="Europe/Vienna", pools=("lab",))
        house.remind(nightly=table)
        asked = await house.until("approval_asked")
        assert isinstance(asked, facts.ApprovalAsked)
        await asyncio.sleep(240)
        yes = commands.ApproveRun(pool="lab", run=asked.run, digest=asked.digest)
        await house.order(yes, id="yes", by="anna@example.org")
        await house.until("run_ended", within=24 * 3600.0)
        of_runs = house.bus.read(["rota.fact.run.>", "rota.fact.step.>"])
        recorded.extend([wire.read_fact(stored) async for stored in of_runs])

    tell(story, folder, world="demo", tables=TABLES)
    return recorded


def pictures(recorded: list[wire.Recorded]) -> list[Picture]:
    """The mails and the page of a night."""
    renderer = Renderer(ZONE)
    run = next(one.fact for one in recorded if isinstance(one.fact, facts.RunRequested))

    def mail(name: facts.Occasion) -> str:
        found = next(one for each in recorded if (one := occasions.occasion(each)) is not None and one.name == name)
        report = folding.fold(run.pool, run.run, [one for one in recorded if one.seq <= found.seq])
        return renderer.mail(wording.letter(found, report, ZONE)).html

    page = renderer.page(folding.fold(run.pool, run.run, recorded))
    return [
        Picture("mail", mail("ended"), 720),
        Picture("mail-on-a-phone", mail("ended"), 375, phone=True),
        Picture("approval-on-a-phone", mail("approval"), 375, phone=True),
        Picture("report", page, 1000, highest=1400),
        Picture("report-on-a-phone", page, 375, phone=True, highest=1200),
    ]


def photograph(browser: str, picture: Picture, folder: Path) -> bytes:
    """A page in its full height, as PNG. Raises RuntimeError where the browser made none, or one that is too large."""
    height = min(picture.highest, _measured(browser, picture, folder))
    file, made = folder / f"{picture.name}.html", folder / f"{picture.name}.png"
    file.write_text(_on_a_phone(picture, height) if picture.phone else picture.html, encoding="utf-8")
    size = f"{picture.width + 2 * MARGIN if picture.phone else picture.width},{height + (2 * MARGIN) * picture.phone}"
    _run(browser, folder, f"--screenshot={made}", f"--window-size={size}", file.as_uri())
    if not made.exists():
        raise RuntimeError(f"{browser} made no picture of {picture.name}")
    data = made.read_bytes()
    if len(data) > LARGEST:
        raise RuntimeError(f"the picture {picture.name} has {len(data)} bytes, {LARGEST} are allowed")
    return data


MARGIN = 64
"""Around a phone's screen, so that the window is no narrower than Chromium opens one (500)."""


def _on_a_phone(picture: Picture, height: int) -> str:
    frame = f"width:{picture.width}px;height:{height}px;border:0;display:block;border-radius:14px"
    return (
        f'<body style="margin:0;padding:{MARGIN}px;background:#d5dae2">'
        f'<iframe style="{frame}" srcdoc="{html_.escape(picture.html)}"></iframe></body>'
    )


def _measured(browser: str, picture: Picture, folder: Path) -> int:
    """How high a page is at its width."""
    file = folder / f"{picture.name}-measured.html"
    file.write_text(
        f'<iframe id=f style="width:{picture.width}px;height:400px;border:0" srcdoc="{html_.escape(picture.html)}">'
        "</iframe><script>onload=()=>{document.title=document.getElementById('f')"
        ".contentWindow.document.body.scrollHeight}</script>",
        encoding="utf-8",
    )
    shown = _run(browser, folder, "--dump-dom", "--virtual-time-budget=2000", file.as_uri())
    found = re.search(r"<title>(\d+)</title>", shown)
    if found is None:
        raise RuntimeError(f"{browser} did not say how high {picture.name} is")
    return int(found.group(1))


def _run(browser: str, folder: Path, *arguments: str) -> str:
    profile = f"--user-data-dir={tempfile.mkdtemp(dir=folder)}"
    ended = subprocess.run(
        [browser, *FLAGS, profile, *arguments], check=True, capture_output=True, timeout=120, text=True
    )
    return ended.stdout


def say(sentence: str) -> None:
    """To whoever gave `make docs`."""
    sys.stdout.write(f"{sentence}\n")


def main(environment: Mapping[str, str], folder: Path = FOLDER) -> int:
    """Make every picture anew, where there is a browser."""
    browser = printing.found(environment)
    if browser is None:
        say("No Chromium was found on this machine: the pictures under docs/pictures stay as they are.")
        return 0
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rota-pictures-", ignore_cleanup_errors=True) as scratch:
        for picture in pictures(night(Path(scratch))):
            data = photograph(browser, picture, Path(scratch))
            (folder / f"{picture.name}.png").write_bytes(data)
            say(f"docs/pictures/{picture.name}.png: {len(data) // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(os.environ))
