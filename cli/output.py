"""What goes to stdout and stderr: with `--json` one document on stdout and sentences on stderr, else tables and lines.

Every verb runs inside `run`, which turns errors into a sentence and a status.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from typing import NoReturn

from cli.exits import Ending, Exit, Stop

UNBROKEN = 1000
"""Columns where stdout is no terminal: a sentence stays on one line for whoever reads it there."""


def run(verb: Callable[[], Coroutine[object, object, Ending]], *, as_json: bool, interrupted: str = "") -> NoReturn:
    """Run a verb, print its ending, and leave with its status. `interrupted` is said after Ctrl-C."""
    try:
        ending = asyncio.run(verb())
    except Stop as stop:
        ending = stop.ending
    except KeyboardInterrupt:
        ending = Ending({}, (), Exit.INTERRUPTED, interrupted or "Interrupted.")
    try:
        finish(ending, as_json=as_json)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(int(ending.code))


def finish(ending: Ending, *, as_json: bool) -> None:
    """Print an ending."""
    if as_json:
        print(json.dumps(ending.json(), indent=2, ensure_ascii=False))
    elif ending.shown:
        show(*ending.shown)
    if ending.sentence and (as_json or ending.code is not Exit.DONE or not ending.shown):
        say(ending.sentence)
    sys.stdout.flush()


def show(*renderables: object) -> None:
    """Tables and lines on stdout; plain text where it is no terminal."""
    from rich.console import Console

    console = Console(highlight=False, markup=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, width=UNBROKEN)
    for one in renderables:
        console.print(one)


def say(sentence: str) -> None:
    """A sentence for people, on stderr."""
    print(sentence, file=sys.stderr, flush=True)
