"""Whatever befalls a run: steps that end in any order or fail, facts that come twice and late, planners that start
anew, hosts that come back when they like, people who pause, cancel and leave hosts out. It ends, and nothing is done
twice.

Facts are written and orders sent apart: a planner that dies between the two is one that decides and does nothing more.
"""

from __future__ import annotations

import random
from collections import Counter

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from services.planner import advance, orders
from shared.domain import acts, commands, facts
from shared.domain.book import Book, fold
from shared.domain.policy import Policy
from shared.domain.run import RunState
from tests.services.planner.play import Play, failed, host, pool, vm

NAMES = ("athos", "porthos", "aramis", "treville")
MOST_AWAY = 2


def _pool() -> Play:
    world = pool([host(name) for name in NAMES], [vm(f"{name}-{n}", name, 4) for name in NAMES for n in (1, 2)])
    return Play(world, Policy(max_away=MOST_AWAY, on_failure="skip_host", failure_budget=9))


class Fate(RuleBasedStateMachine):
    """One run on a pool of four, and everything that may come over it."""

    def __init__(self) -> None:
        super().__init__()
        self.play = _pool()
        self.most_away = 0

    @initialize()
    def ordered(self) -> None:
        """Somebody orders it."""
        self.play.start()

    def _decide(self) -> advance.Decision:
        decision = advance.decide(self.play.book, self.play.now, self.play.snapshots)
        for fact in decision.facts:
            self.play.say(fact)
        return decision

    @rule()
    def a_planner_writes_and_dies_before_it_sends(self) -> None:
        """What it wrote stands; what it would have sent is found outstanding by the next."""
        self._decide()

    @rule(chance=st.randoms(use_true_random=False))
    def some_order_is_carried_out(self, chance: random.Random) -> None:
        """Any of those outstanding, not the first."""
        decision = self._decide()
        if decision.orders:
            self.play.do(chance.choice(decision.orders))

    @rule(chance=st.randoms(use_true_random=False))
    def some_order_fails(self, chance: random.Random) -> None:
        """For now, or for good."""
        decision = self._decide()
        if decision.orders:
            order = chance.choice(decision.orders)
            self.play.now += 1.0
            self.play.say(failed(order, "It did not work.", again_after=chance.choice([5.0, 5.0, 5.0, None])))

    @precondition(lambda self: self.play.away)
    @rule()
    def a_host_comes_back(self) -> None:
        """And is seen."""
        self.play.boot()

    @precondition(lambda self: self.play.journal)
    @rule(chance=st.randoms(use_true_random=False))
    def an_old_fact_comes_again(self, chance: random.Random) -> None:
        """An executor's or the watcher's, delivered twice, or late."""
        old = [fact for fact, _ in self.play.journal if isinstance(fact, (facts.StepFact, facts.HostFact))]
        if old:
            self.play.say(chance.choice(old))

    @rule(seconds=st.floats(1.0, 400.0))
    def time_passes(self, seconds: float) -> None:
        """Nothing else."""
        self.play.now += seconds

    @rule(command=st.sampled_from([commands.PauseRun, commands.ResumeRun, commands.CancelRun]), now=st.booleans())
    def somebody_gives_an_order(self, command: type[commands.RunCommand], now: bool) -> None:
        """To a run that may be over."""
        more = {"now": now} if command is commands.CancelRun else {}
        order = command.model_validate({"pool": "lab", "run": self.play.run.id, **more})
        self.play.order(order, orders.Given(f"order-{self.play.seq}", "bob"))

    @rule(name=st.sampled_from(NAMES))
    def somebody_leaves_a_host_out(self, name: str) -> None:
        """In its turn or before."""
        order = commands.SkipHost(pool="lab", run=self.play.run.id, host=name)
        self.play.order(order, orders.Given(f"order-{self.play.seq}", "bob"))

    @rule()
    def a_planner_starts_anew(self) -> None:
        """The journal is the state: who folds it afresh knows the same."""
        book = Book("lab")
        for seq, (fact, at) in enumerate(self.play.journal, 1):
            book = fold(book, fact, seq=seq, at=at)
        assert book == self.play.book

    @invariant()
    def no_harm_is_done(self) -> None:
        """No host rebooted or installed twice, none before the master, never more away than allowed."""
        reboots = [act.host.name for act in self.play.done if isinstance(act, acts.RebootHost)]
        installs = Counter(act.host.name for act in self.play.done if isinstance(act, acts.InstallUpdates))
        assert len(set(reboots)) == len(reboots), reboots
        assert not reboots or reboots[0] == "athos", reboots
        assert all(count == 1 for count in installs.values()), installs
        assert len(self.play.away) <= MOST_AWAY

    def teardown(self) -> None:
        """Left alone, and resumed where it waits for a person, it ends; what was changed is put back."""
        if not self.play.journal:
            return
        for number in range(40):
            self.play.play()
            if not self.play.run.open:
                break
            resume = commands.ResumeRun(pool="lab", run=self.play.run.id)
            self.play.order(resume, orders.Given(f"at-last-{number}", "ann"))
        assert not self.play.run.open, (self.play.run.state, self.play.sentences[-3:])
        self.no_harm_is_done()
        assert self.play.run.state is RunState.ENDED
        assert self.play.world.settings.ha.enabled or "ha" in self.play.book.owed
        assert all(one.enabled for one in self.play.world.hosts if one.uuid not in self.play.away)
        assert {one.uuid for one in self.play.world.vms} == {one.uuid for one in _pool().world.vms}


TestFate = Fate.TestCase
TestFate.settings = settings(
    max_examples=60, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
)
