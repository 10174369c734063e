"""How long a turn will take, in seconds of pool time. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from services.planner import placement

SURVEY_SECONDS = 20.0
MIGRATION_BYTES_PER_SECOND = 400 * 1024**2
INSTALL_SECONDS = 300.0
REBOOT_SECONDS = 420.0
"""Defaults of the estimate until a pool has a history: three migrations share a 10 Gbit link at some hundred MB/s each
(experience values of field reports), a package step of five minutes, seven from reboot to back."""


def of_turn(moves: Sequence[placement.Move], *, installs: bool) -> float:
    """Seconds of pool time of one turn: its moves there and back, the install where there is one, the reboot."""
    there_and_back = 2 * sum(move.memory for move in moves) / MIGRATION_BYTES_PER_SECOND
    return round(SURVEY_SECONDS + there_and_back + (INSTALL_SECONDS if installs else 0.0) + REBOOT_SECONDS, 1)
