"""The guards on a simulated pool: what a late call meets, and what a take-over finds. Memory bus, real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import structlog
from pydantic import SecretStr

from services.executor import handlers
from shared import service
from shared.bus import wire
from shared.bus.memory import MemoryBus, MemoryServer
from shared.domain import acts, facts
from shared.domain.commands import DoStep
from shared.domain.model import HA
from shared.domain.names import Named
from shared.service import Context
from shared.settings import BusSettings, PoolAccess, Settings
from shared.xapi import answers, client
from simulator import running
from simulator.virtual import run_virtual
from tests.services.executor.simulated import Simulated, world

ACK_WAIT = 3.0


class Stage:
    """A simulated pool, a memory bus, and executors on both; the tests play the planner."""

    def __init__(self, pool: Simulated) -> None:
        self.pool = pool
        self.server = MemoryServer(now=pool.clock.now)
        self.bus = MemoryBus(self.server, "planner")

    @asynccontextmanager
    async def executor(
        self, name: str, login: handlers.Login = client.login, url: str = "", password: str = ""
    ) -> AsyncIterator[MemoryBus]:
        """An executor at work; gives its line to the bus."""
        simulation = self.pool.simulation
        access = PoolAccess(url=url or simulation.master_url).model_copy(
            update={"password": SecretStr(password or simulation.password)}
        )
        settings = Settings(bus=BusSettings(ack_wait=ACK_WAIT), pool={"lab": access})
        bus = MemoryBus(self.server, name)
        context = Context("executor", name, settings, self.pool.clock, bus, structlog.get_logger())
        work = asyncio.create_task(service.until_stopped(context, handlers.Executor(context, login).run()))
        try:
            yield bus
        finally:
            context.stop.set()
            await work

    async def order(self, act: acts.Act, step: str = "t01-s001") -> None:
        """Record an order, and send it."""
        await self.fact(facts.StepOrdered(pool="lab", run="r1", step=step, attempt=1, act=act))
        command = DoStep(pool="lab", run="r1", step=step, attempt=1, act=act)
        assert await self.bus.send_order(wire.step_message(command))

    async def fact(self, fact: facts.Fact) -> None:
        """Any fact, unguarded."""
        id = f"test-{await self.bus.last_seq()}"
        await self.bus.append(wire.fact_message(fact, source="test", at=self.pool.clock.now(), id=id), id=id)

    def told(self, class_: type[facts.Fact]) -> list[Any]:
        """The facts of a class, in order."""
        read = [wire.read_fact(stored).fact for stored in self.server.facts()]
        return [fact for fact in read if isinstance(fact, class_)]

    async def until(self, seen: Callable[[], object], within: float = 3600.0) -> None:
        """Wait for something to be so, in seconds of the clock that jumps."""
        async with asyncio.timeout(within):
            while not seen():
                await asyncio.sleep(0.5)

    async def ended(self) -> facts.StepSucceeded | facts.StepFailed:
        """The first result of a step."""
        await self.until(lambda: self.told(facts.StepSucceeded) or self.told(facts.StepFailed))
        (result,) = [*self.told(facts.StepSucceeded), *self.told(facts.StepFailed)]
        assert isinstance(result, facts.StepSucceeded | facts.StepFailed)
        return result


def story(test: Callable[[Stage], Awaitable[None]], *, tls: bool = False, **changed: Any) -> None:
    """Run a test on a stage of its own."""

    async def run() -> None:
        async with running(world(**changed), drive="virtual", tls=tls) as simulation:
            pool = Simulated(simulation)
            if not tls:
                await pool.learn()
            await test(Stage(pool))

    run_virtual(run())


class Paused:
    """A login whose session stops exactly between looking and one call, as a SIGSTOP would make it."""

    def __init__(self, method: str) -> None:
        self.method = method
        self.reached = asyncio.Event()
        self.gate = asyncio.Event()

    async def __call__(self, *given: Any, **named: Any) -> client.Client:
        pool = await client.login(*given, **named)
        session = vars(pool)["_session"]
        act = session.act

        async def late(method: str, *params: Any) -> Any:
            if method == self.method:
                self.reached.set()
                await self.gate.wait()
            return await act(method, *params)

        session.act = late
        return pool


def test_an_executor_that_wakes_between_look_and_act_does_no_harm() -> None:
    """A is stopped just before it calls reboot; B takes over, ends A's session, waits out the pool's own delay and
    reboots. A wakes after that: its call gets SESSION_INVALID, and A drops its message. One reboot."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        act = await pool.ready_for_reboot("porthos")
        paused = Paused("Async.host.reboot")
        async with stage.executor("a", paused) as a:
            await stage.order(act)
            await paused.reached.wait()
            a.cut()
            async with stage.executor("b"):
                await stage.until(lambda: pool.reboots("porthos"))
                paused.gate.set()
                a.mend()
                result = await stage.ended()
                await asyncio.sleep(300)
        assert isinstance(result, facts.StepSucceeded)
        assert pool.reboots("porthos") == 1
        assert sorted(str(call["code"]) for call in pool.calls("host.reboot")) == ["None", "SESSION_INVALID"]
        assert [started.by for started in stage.told(facts.StepStarted)] == ["a", "b"]
        assert not stage.server.orders()

    story(run)


def test_a_take_over_waits_for_the_move_that_is_under_way() -> None:
    """A is cut off while its VM moves; B finds the task by its tags, waits for its end, and moves nothing."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        async with stage.executor("a") as a:
            await stage.order(acts.MigrateVM(pool["gitlab"], pool["porthos"], pool["athos"]))
            await stage.until(lambda: pool.calls("event.from") and stage.told(facts.StepStarted))
            await asyncio.sleep(2)
            a.cut()
            async with stage.executor("b"):
                result = await stage.ended()
                a.mend()
                await asyncio.sleep(60)
        assert isinstance(result, facts.StepSucceeded)
        assert result.result == acts.Moved(already=False)
        assert len(pool.calls("VM.pool_migrate")) == 1
        assert pool.where("gitlab") == "porthos"

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "16 GiB"}])


def test_a_master_whose_toolstack_restarts_is_waited_for() -> None:
    """Every session and task is lost in the middle of a move: the same executor begins at the journal, with a new
    session that it records, and the move is not made twice."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        async with stage.executor("a"):
            await stage.order(acts.MigrateVM(pool["gitlab"], pool["porthos"], pool["athos"]))
            await stage.until(lambda: stage.told(facts.StepStarted))
            await asyncio.sleep(3)
            pool.simulation.fault("toolstack_restart", host="athos")
            result = await stage.ended()
        assert isinstance(result, facts.StepSucceeded)
        assert pool.where("gitlab") == "porthos"
        started = stage.told(facts.StepStarted)
        assert len({one.session for one in started}) == len(started) == 2
        assert len([call for call in pool.calls("VM.pool_migrate") if call["outcome"] != "failure"]) == 1

    story(run, vms=[{"name": "gitlab", "host": "athos", "memory": "16 GiB"}])


def test_a_master_that_restarts_its_toolstack_while_it_installs_is_installed_once() -> None:
    """The step waits for the updater's lock and looks; no attempt of the planner's is used up."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        pool.simulation.fault("install_restarts_toolstack", host="athos", at_second=30)
        async with stage.executor("a"):
            await stage.order(acts.InstallUpdates(pool["athos"]))
            result = await stage.ended()
        assert isinstance(result, facts.StepSucceeded)
        assert pool.simulation.state()["hosts"]["athos"]["updates"] == 0

    story(run)


def test_a_lost_reply_of_a_reboot_reboots_once() -> None:
    """Within one attempt: a new session, a settled pool, and a host that is seen to go down."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        act = await pool.ready_for_reboot("porthos")
        pool.simulation.fault("reply_lost", method="host.reboot", host="athos")
        async with stage.executor("a"):
            await stage.order(act)
            result = await stage.ended()
            await asyncio.sleep(300)
        assert isinstance(result, facts.StepSucceeded)
        assert (pool.reboots("porthos"), len(pool.calls("host.reboot"))) == (1, 1)

    story(run)


def test_a_call_that_never_arrived_is_made_again_after_the_pools_own_delay() -> None:
    """Cut before it was read: nobody can tell from here. 30 s later the fence says the same boot, and so it is made."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        act = await pool.ready_for_reboot("porthos")
        lost: list[str] = []

        async def login(*given: Any, **named: Any) -> client.Client:
            opened = await client.login(*given, **named)
            session = vars(opened)["_session"]
            act = session.act

            async def losing(method: str, *params: Any) -> Any:
                if method == "Async.host.reboot" and not lost:
                    lost.append(method)
                    raise answers.NoAnswer("The connection was reset.")
                return await act(method, *params)

            session.act = losing
            return opened

        began = pool.clock.now()
        async with stage.executor("a", login):
            await stage.order(act)
            result = await stage.ended()
            await asyncio.sleep(300)
        assert isinstance(result, facts.StepSucceeded)
        assert result.result == acts.Done(already=False)
        (call,) = pool.calls("host.reboot")
        assert pool.simulation.clock.drive.origin + call["began"] - began >= 30
        assert pool.reboots("porthos") == 1

    story(run)


def test_another_master_is_found_among_the_hosts_that_were_seen() -> None:
    """A person made porthos the master: the next step is refused by athos, told where, and follows."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        async with stage.executor("a"):
            await stage.order(acts.Survey("lab", updates=False))
            await stage.ended()
            pool.simulation.fault("master_change", host="porthos")
            await asyncio.sleep(120)
            await stage.order(acts.DisableHost(pool["aramis"]), step="t01-s002")
            await stage.until(lambda: len(stage.told(facts.StepSucceeded)) == 2)
        (call,) = pool.calls("host.disable")
        assert (call["host"], call["outcome"]) == ("porthos", "success")

    story(run)


def test_an_executor_that_comes_while_the_master_is_away_waits_for_it() -> None:
    """A called the master's reboot and was killed; B finds nobody, waits, and finds it rebooted."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        act = await pool.ready_for_reboot("athos")
        async with stage.executor("a") as a:
            await stage.order(act)
            await stage.until(lambda: pool.calls("host.reboot"))
            a.drop()
        await stage.until(lambda: pool.simulation.state()["hosts"]["athos"]["answers"] == "closed")
        async with stage.executor("b"):
            result = await stage.ended()
            await asyncio.sleep(300)
        assert isinstance(result, facts.StepSucceeded)
        assert result.result == acts.Done(already=True)
        assert pool.reboots("athos") == 1

    story(run)


def test_a_host_that_was_filled_again_sends_the_run_back() -> None:
    """The fact names the kind of step that comes first, and is no attempt to be made again as it is."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        act = await pool.ready_for_reboot("porthos")
        await pool.do(acts.EnableHost(pool["porthos"]))
        async with stage.executor("a"):
            await stage.order(act)
            result = await stage.ended()
        assert isinstance(result, facts.StepFailed)
        assert (result.go_back_to, result.again_after) == ("disable_host", None)
        assert pool.reboots("porthos") == 0

    story(run)


def test_a_setting_that_cannot_be_put_back_is_a_debt_in_the_fact() -> None:
    """Condition and command travel with the failure."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        before = HA(True, (pool["Shared NFS"].uuid,), {}, 1)
        pool.simulation.fault("power_loss", host="porthos")
        async with stage.executor("a"):
            await stage.order(acts.RestorePoolSetting("ha", before))
            result = await stage.ended()
        assert isinstance(result, facts.StepFailed)
        assert result.debt is not None
        assert result.debt.setting == "ha"
        assert result.again_after is not None

    story(run)


def test_a_member_in_the_settings_is_followed_to_a_master_that_the_watcher_told() -> None:
    """And to no other: the password goes to hosts that are known to be of this pool."""

    async def run(stage: Stage) -> None:
        pool = stage.pool
        member = pool.simulation.hosts["porthos"]
        async with stage.executor("a", url=member):
            await stage.order(acts.Survey("lab", updates=False))
            refused = await stage.ended()
            assert isinstance(refused, facts.StepFailed)
            assert refused.code == "HOST_IS_SLAVE"
            assert "put the master's address in rota.toml" in refused.because
            address = pool.simulation.state()["hosts"]["athos"]["address"]
            await stage.fact(
                facts.MasterChanged(pool="lab", seen_at=0.0, host=Named(pool["athos"].uuid, "athos"), address=address)
            )
            await stage.order(acts.Survey("lab", updates=False), step="t01-s002")
            await stage.until(lambda: stage.told(facts.StepSucceeded))
        assert len(pool.calls("session.login_with_password")) >= 3

    story(run)


def test_a_wrong_password_is_one_sentence_that_says_what_to_do() -> None:
    """Without the password in it."""

    async def run(stage: Stage) -> None:
        async with stage.executor("a", password="wr0ng"):
            await stage.order(acts.Survey("lab"))
            result = await stage.ended()
        assert isinstance(result, facts.StepFailed)
        assert (result.code, result.again_after) == ("SESSION_AUTHENTICATION_FAILED", None)
        assert result.because.endswith("put right username and password_file in rota.toml.")
        assert "wr0ng" not in result.because

    story(run)


def test_a_pool_that_is_not_there_is_one_sentence() -> None:
    """With its address; it may be tried again."""

    async def run(stage: Stage) -> None:
        async with stage.executor("a", url="http://127.0.0.1:9"):
            await stage.order(acts.Survey("lab"))
            result = await stage.ended()
        assert isinstance(result, facts.StepFailed)
        assert (result.code, result.again_after) == ("NO_ANSWER", 10.0)
        assert result.because == (
            "The pool at http://127.0.0.1:9 cannot be used:"
            " http://127.0.0.1:9 did not answer session.login_with_password: Connection refused."
        )

    story(run)


def test_a_certificate_that_nobody_vouches_for_is_one_sentence() -> None:
    """Nothing was sent; it says where to add it."""

    async def run(stage: Stage) -> None:
        async with stage.executor("a"):
            await stage.order(acts.Survey("lab"))
            result = await stage.ended()
        assert isinstance(result, facts.StepFailed)
        assert (result.code, result.again_after) == ("UNTRUSTED", None)
        assert "ca_file or fingerprint" in result.because
        assert stage.pool.calls("session.login_with_password") == []

    story(run, tls=True)
