"""A page as a PDF: printed by a Chromium of this machine, where there is one. Rota brings none."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from cli.exits import Exit, Stop

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "microsoft-edge",
    "brave",
)

LONGEST = 90.0
"""Seconds of machine time that printing may take."""

FLAGS = ("--headless", "--disable-gpu", "--disable-extensions", "--disable-background-networking", "--no-first-run")


async def pdf(html: str, to: Path) -> None:
    """Print a page to a file. The page asks for nothing outside. Raises Stop where there is no browser, or it fails."""
    browser = found(os.environ)
    if browser is None:
        raise Stop(
            Exit.FAILED,
            "A PDF is printed by Chromium, and none was found on this machine: install one, or name it in"
            " ROTA_CHROMIUM, or take --html and print it in any browser.",
        )
    with tempfile.TemporaryDirectory(prefix="rota-", ignore_cleanup_errors=True) as folder:
        page, made = Path(folder) / "report.html", Path(folder) / "report.pdf"
        page.write_text(html, encoding="utf-8")
        said = await _run(browser, page, made, Path(folder) / "profile")
        if not made.exists():
            raise Stop(Exit.FAILED, f"{browser} made no PDF of the report: {said or 'it did not say why'}.")
        try:
            shutil.move(made, to)
        except OSError as error:
            raise Stop(Exit.FAILED, f"{to} cannot be written: {error.strerror or error}.") from error


def found(environment: Mapping[str, str]) -> str | None:
    """The browser: ROTA_CHROMIUM where that names one, else the first on the PATH."""
    path = environment.get("PATH")
    named = environment.get("ROTA_CHROMIUM", "")
    if named:
        return shutil.which(named, path=path)
    return next((one for name in BROWSERS if (one := shutil.which(name, path=path))), None)


async def _run(browser: str, page: Path, to: Path, profile: Path) -> str:
    """Let it print; the last thing that it said on stderr."""
    alone = ("--no-sandbox",) if os.geteuid() == 0 else ()  # Chromium refuses its sandbox to root
    where = (f"--user-data-dir={profile}", "--no-pdf-header-footer", f"--print-to-pdf={to}", page.as_uri())
    process = await asyncio.create_subprocess_exec(
        browser, *FLAGS, *alone, *where, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        _, err = await asyncio.wait_for(process.communicate(), LONGEST)
    except TimeoutError:
        return f"it was not done after {LONGEST:g} s"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
    lines = err.decode("utf-8", "replace").strip().splitlines()
    return lines[-1][:300].rstrip(".") if lines else ""
