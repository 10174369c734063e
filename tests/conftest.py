"""What holds for every ring: where the repository is, and how the suite tells what each ring took.

Fixtures of one ring live in that ring's own conftest.py.
"""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.rings import RingTimes


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rings", action="store_true", help="tell the seconds of each ring and the slowest tests")


def pytest_configure(config: pytest.Config) -> None:
    # A shell without job control starts what it puts into the background with SIGINT ignored, which every child
    # inherits: nobody's Ctrl-C would be heard in a suite that was started so.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.getoption("--rings") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(RingTimes(), "ring-times")


@pytest.fixture(scope="session")
def repository() -> Path:
    """The top folder of the repository."""
    return Path(__file__).resolve().parent.parent
