"""Random turns, placed and carried out: what is held to without any solver."""

from __future__ import annotations

from services.planner import placement
from tests.prove.judged import broken
from tests.prove.worlds import world

SEEDS = 300


def test_a_placement_keeps_every_rule_in_whatever_order_its_needs_allow() -> None:
    """Room at each moment, storage, networks, CPU, versions, closed hosts, and who may make room."""
    placed = 0
    for seed in range(1, SEEDS + 1):
        asked = world(seed)
        found = placement.place(asked.snapshot, asked.leaving, asked.vms, asked.conditions)
        if found.short:
            continue
        placed += 1
        assert [*broken(asked, found)] == [], f"seed {seed}"
    assert placed > SEEDS / 2
