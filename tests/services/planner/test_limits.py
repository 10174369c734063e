"""How many hosts may be away and emptied ahead: numbers, shares, and what memory and storage do not allow."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.planner import limits
from shared.domain.model import SR, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import host, pool, vm


def _hosts(number: int, *, each: int) -> PoolSnapshot:
    """So many hosts of 64 GiB (62 for VMs), each with one VM of `each` GiB."""
    hosts = [host(f"h{n:02}") for n in range(number)]
    return pool(hosts, [vm(f"vm-{one.name}", one.name, each) for one in hosts])


@pytest.mark.parametrize(
    ("hosts", "policy", "away", "ahead"),
    [
        (3, {}, 1, 0),
        (4, {}, 1, 1),
        (4, {"empty_ahead": 0}, 1, 0),
        (16, {"max_away": "25%"}, 4, 1),
        (16, {"max_away": 3, "empty_ahead": "13%"}, 3, 2),
        (5, {"max_away": "10%"}, 1, 1),
        (2, {"max_away": 9, "empty_ahead": 9}, 1, 0),
        (1, {}, 1, 0),
    ],
)
def test_numbers_and_shares_are_resolved_for_the_pool(
    hosts: int, policy: dict[str, object], away: int, ahead: int
) -> None:
    """A share is rounded down; one host may always be away; nothing is emptied ahead in a small pool."""
    found = limits.resolved(Policy.model_validate(policy), _hosts(hosts, each=4))
    assert (found.max_away, found.empty_ahead, found.because) == (away, ahead, found.because)


def test_what_memory_does_not_allow_is_lowered_and_said() -> None:
    """Eight hosts at 48 of 62 GiB: one may be empty, not three, and none ahead of it."""
    found = limits.resolved(Policy(max_away=3, empty_ahead=1), _hosts(8, each=48))

    assert (found.max_away, found.empty_ahead) == (1, 0)
    assert "1 of the 3 hosts" in found.because[0]
    assert "0 instead of 1" in found.because[1]


def test_emptying_ahead_leaves_room_for_one_host_more() -> None:
    """Four hosts: all fits on two (away and ahead), and must fit on one, should another be lost."""
    assert limits.resolved(Policy(), _hosts(4, each=15)).empty_ahead == 1
    assert limits.resolved(Policy(), _hosts(4, each=16)).empty_ahead == 0


@pytest.mark.parametrize("type_", ["linstor", "gfs2"])
def test_replicated_storage_lets_one_host_go_at_a_time(type_: str) -> None:
    """Whatever policy asks for."""
    plain = _hosts(8, each=4)
    found = limits.resolved(Policy(max_away=4), replace(plain, srs=(*plain.srs, SR("sr-x", "Replicas", type_, True))))

    assert (found.max_away, found.empty_ahead) == (1, 0)
    assert "Replicas" in found.because[0]
