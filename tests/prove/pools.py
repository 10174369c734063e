"""Random pools that are updated whole, and how long the planner says that takes. Values only, made from a seed.

Two to four hosts with up to 12 VMs; times are whole seconds, so that a forecast can be compared exactly. A pool that is
refused, or in which a VM of another host would have to make room, is drawn again.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from services.planner import forecasting
from shared.domain import facts
from shared.domain.history import History
from shared.domain.model import PoolSettings, PoolSnapshot
from shared.domain.policy import Policy
from tests.services.planner.play import GIB, host, pool, vm

NAMES = ("athos", "porthos", "aramis", "dartagnan")
VMS = 12
MIB_PER_SECOND = (16, 32, 64, 128, 256)
"""Rates of a migration by which 1 GiB takes whole seconds."""


@dataclass(frozen=True, slots=True)
class Update:
    """A pool, what its owner wants, what things took before, and the planner's forecast."""

    seed: int
    snapshot: PoolSnapshot
    policy: Policy
    history: History
    forecast: facts.Forecast

    @property
    def length(self) -> float:
        """Seconds from the beginning to the last VM's way home, as the planner foretells them."""
        return max(turn.ends for turn in self.forecast.turns)


def update(seed: int) -> Update:
    """The update of a seed."""
    for number in range(1000):
        drawn = _drawn(seed, Random(f"schedule/{seed}/{number}"))
        rooms = [move for turn in drawn.forecast.turns for move in turn.moves if move.purpose == "room"]
        if not drawn.forecast.blockers and not rooms:
            return drawn
    raise AssertionError(f"no pool was drawn from seed {seed}")


def _drawn(seed: int, rng: Random) -> Update:
    names = NAMES[: rng.choice((2, 3, 3, 4, 4))]
    hosts = [host(name, rng.choice((50, 66, 98))) for name in names]
    load = rng.uniform(0.3, 1.0) * (len(hosts) - 1) / len(hosts)
    room = {one.name: int(load * (one.memory_total - one.memory_overhead) / GIB) for one in hosts}
    vms = []
    for number in range(rng.randint(6, VMS)):
        name = rng.choice(names)
        size = rng.choice((1, 2, 4, 8, 12, 16, 24))
        if size <= room[name]:
            room[name] -= size
            vms.append(vm(f"{name}-{number}", name, size))
    vms = vms or [vm(f"{names[0]}-0", names[0], 1)]
    even = rng.random() < 0.5
    installs, boots = rng.choice((60, 120, 300, 600)), rng.choice((180, 420, 900))
    history = History(
        installs={one.uuid: (installs if even else rng.randint(60, 600),) for one in hosts},
        boots={one.uuid: (boots if even else rng.randint(180, 900),) for one in hosts},
        rates=(rng.choice(MIB_PER_SECOND) * 1024**2,),
        turns=1,
    )
    policy = Policy(
        max_away=rng.choice((1, 1, 2)),
        empty_ahead=rng.choice((None, None, 0, 1)),
        migrations_per_source=rng.choice((1, 2, 3, 3)),
        migrations_per_destination=rng.choice((1, 2, 4, 4)),
        canaries=rng.choice((0, 1, 2, 2)),
    )
    snapshot = pool(hosts, vms, PoolSettings())
    return Update(seed, snapshot, policy, history, forecasting.forecast(snapshot, policy, history))
