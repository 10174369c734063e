"""Makes the worked example of docs/planning.md from the code: `python -m tests.services.planner.page` writes it and its
picture, `--check` says whether they are stale."""

from __future__ import annotations

import io
import os
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console, RenderableType
from rich.text import Text

from cli import plan_page, plan_view
from services.planner import comparing, forecasting
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import HA, PoolSettings, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import host, pool, vm

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGE, PICTURE = DOCS / "planning.md", DOCS / "planning.svg"
MODES_BEGIN, MODES_END = "<!-- printed by `make docs`: the modes -->", "<!-- until the example -->"
BEGIN, END = "<!-- printed by `make docs`: the example -->", "<!-- until here -->"
START = 1_795_226_400.0
"""2026-11-21 02:00 UTC."""


def example() -> PoolSnapshot:
    """Four hosts with eleven VMs; HA is on."""
    hosts = [host(name, memory) for name, memory in (("anna", 128), ("bert", 128), ("cleo", 96), ("dora", 96))]
    sizes = {"anna": (24, 16, 4), "bert": (32, 8), "cleo": (16, 12, 2), "dora": (24, 8, 8)}
    vms = [vm(f"{on}-{n}", on, size) for on, own in sizes.items() for n, size in enumerate(own, 1)]
    return pool(hosts, vms, PoolSettings(ha=HA(True, ("sr-nfs",), {}, 1)))


def texts() -> tuple[str, str]:
    """The page with its example, and the picture."""
    plan = forecasting.forecast(example(), Policy())
    told = PAGE.read_text(encoding="utf-8")
    block = f"{BEGIN}\n\n```\n{_printed(plan)}\n```\n\n{END}"
    page = re.sub(re.escape(BEGIN) + ".*?" + re.escape(END), lambda _: block, told, flags=re.DOTALL)
    modes = f"{MODES_BEGIN}\n\n```\n{_modes()}\n```\n\n{MODES_END}"
    page = re.sub(re.escape(MODES_BEGIN) + ".*?" + re.escape(MODES_END), lambda _: modes, page, flags=re.DOTALL)
    return page, plan_page.svg(plan) + "\n"


def _modes() -> str:
    """`rota plan lab --mode level --mode home --mode stay`, and what the first of them says beside."""
    asked, *others = (Policy.model_validate({"mode": mode}) for mode in ("level", "home", "stay"))
    shown = forecasting.forecast(example(), asked)
    rows = comparing.compared(example(), shown, asked, others, History(), None)
    notes = [Text(f"Note: {note}") for note in shown.notes if "mode = " in note]
    return _told(plan_view.comparison(rows), *plan_view.timeline(shown, START), *notes)


def _printed(plan: facts.Forecast) -> str:
    """What `rota plan` shows on a terminal."""
    return _told(plan_view.forecast(plan, START))


def _told(*parts: RenderableType) -> str:
    console = Console(file=io.StringIO(), width=118, color_system=None, highlight=False)
    console.print(*parts, sep="\n")
    assert isinstance(console.file, io.StringIO)
    return "\n".join(line.rstrip() for line in console.file.getvalue().strip().splitlines())


def main(arguments: Sequence[str]) -> int:
    """Write both, or with --check only say whether they are stale."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    page, picture = texts()
    held = PICTURE.read_text(encoding="utf-8") if PICTURE.exists() else ""
    if "--check" in arguments:
        stale = page != PAGE.read_text(encoding="utf-8") or picture != held
        if stale:
            sys.stderr.write("docs/planning.md or its picture is stale; run `make docs`.\n")
        return int(stale)
    PAGE.write_text(page, encoding="utf-8")
    PICTURE.write_text(picture, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
