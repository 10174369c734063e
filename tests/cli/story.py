"""A small run told in facts, for views and verbs: three hosts, six VMs, from the order to the end."""

from __future__ import annotations

from collections.abc import Iterator

from shared.domain import acts, facts, names
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.summary import HostLine, Outstanding, RunSummary

POOL, ORDER, BY = "lab", "order-1", "anna@desk"
RUN = names.run_id(POOL, ORDER)
HOSTS = tuple(Named(f"host-{n}", f"xcp-{n}") for n in (1, 2, 3))
VMS = {host: tuple(Named(f"vm-{host.name}-{n}", f"{host.name}-vm{n}") for n in (1, 2)) for host in HOSTS}
START = 1_795_000_000.0


def other(host: Named) -> Named:
    """Where a host's VMs go meanwhile."""
    return HOSTS[(HOSTS.index(host) + 1) % 3]


def forecast() -> facts.Forecast:
    """The plan of the run."""
    turns = tuple(
        facts.ForecastTurn(
            turn=names.turn_id(number),
            host=host,
            master=number == 1,
            updates=(),
            moves=tuple(facts.ForecastMove(vm=vm, to=other(host), memory=2**31) for vm in VMS[host]),
            seconds=900.0,
            because="The master is first." if number == 1 else "",
        )
        for number, host in enumerate(HOSTS, 1)
    )
    return facts.Forecast(
        pool_name="Lab",
        turns=turns,
        left_alone=(),
        blockers=(),
        warnings=("Snapshots are refused meanwhile.",),
        settings=("HA is off for the run.",),
        seconds=2700.0,
        digest="d1",
        sentence="3 hosts are updated in about 45 minutes.",
    )


def planned(turn: str, number: int, act: acts.Act, why: str) -> facts.StepPlanned:
    """A step of a turn."""
    return facts.StepPlanned(step=names.step_id(turn, number), act=act, why=why)


def turn_steps(turn: str, host: Named) -> tuple[facts.StepPlanned, ...]:
    """All steps of a host's turn but its survey."""
    away, here = other(host), host
    doing: list[tuple[acts.Act, str]] = [(acts.DisableHost(here), f"Disable {here}.")]
    doing += [(acts.MigrateVM(vm, to=away, away_from=here), f"Move {vm} to {away}.") for vm in VMS[host]]
    doing += [
        (acts.EvacuateRest(here), f"See that {here} is empty."),
        (acts.InstallUpdates(here), f"Install the updates on {here}."),
        (acts.ReadHost(here), f"Read {here}."),
        (acts.RebootHost(here), f"Reboot {here}."),
        (acts.AwaitHost(here), f"Wait for {here}."),
        (acts.CheckGate(here), f"Check {here}."),
        (acts.EnableHost(here), f"Enable {here}."),
    ]
    doing += [(acts.MigrateVM(vm, to=here, away_from=away, purpose="home"), f"Bring {vm} home.") for vm in VMS[host]]
    return tuple(planned(turn, number, act, why) for number, (act, why) in enumerate(doing, 1))


def result_of(act: acts.Act) -> acts.Result:
    """What comes of an act that goes well."""
    if isinstance(act, acts.MigrateVM):
        return acts.Moved()
    if isinstance(act, acts.Survey):
        return acts.SurveyTaken("s", "d", 3, 6)
    if isinstance(act, acts.EvacuateRest):
        return acts.Swept()
    return acts.Done()


def step_facts(step: facts.StepPlanned) -> Iterator[facts.Fact]:
    """A step that goes well, from its order to its end."""
    id = step.step
    if isinstance(step.act, acts.AwaitHost):
        host = step.act.host
        yield facts.WaitBegan(pool=POOL, run=RUN, step=id, until=START + 3600, because=f"{host} boots.")
        yield facts.HostUnreachable(pool=POOL, host=host.uuid, name=host.name, seen_at=START)
        yield facts.HostCameBack(
            pool=POOL, host=host.uuid, name=host.name, seen_at=START, boot_time=START, agent_start_time=None,
            servertime=None,
        )  # fmt: skip
        yield facts.WaitOver(pool=POOL, run=RUN, step=id, because=f"{host} is back.")
        return
    yield facts.StepOrdered(pool=POOL, run=RUN, step=id, attempt=1, act=step.act, sentence=step.why)
    yield facts.StepStarted(pool=POOL, run=RUN, step=id, attempt=1, token=(1, 1), session="s", by="executor@box:1")
    yield facts.StepSucceeded(pool=POOL, run=RUN, step=id, attempt=1, result=result_of(step.act))


def run_facts() -> Iterator[facts.Fact]:
    """The whole run."""
    survey = planned("t00", 0, acts.Survey("Lab"), "Look at the pool.")
    yield facts.RunRequested(pool=POOL, run=RUN, order=ORDER, by=BY, policy=Policy(), survey=survey)
    yield from step_facts(survey)
    off = planned("t00", 1, acts.ChangePoolSetting("wlb", "true"), "WLB off.")
    back = planned("t99", 1, acts.RestorePoolSetting("wlb", "true"), "WLB on again.")
    yield facts.RunPlanned(pool=POOL, run=RUN, forecast=forecast(), snapshot="s", preparation=(off,), always=(back,))
    homes = tuple(facts.Home(vm=vm, host=host) for host in HOSTS for vm in VMS[host])
    yield facts.HomesNoted(pool=POOL, run=RUN, homes=homes)
    yield facts.RunBegan(pool=POOL, run=RUN, sentence="The run begins with xcp-1.")
    yield from step_facts(off)
    for number, host in enumerate(HOSTS, 1):
        yield from turn_facts(number, host)
    yield facts.RunFinishing(pool=POOL, run=RUN, sentence="What was changed is put back.")
    yield from step_facts(back)
    yield facts.RunEnded(pool=POOL, run=RUN, outcome="succeeded", sentence="3 of 3 hosts are updated.")


def turn_facts(number: int, host: Named) -> Iterator[facts.Fact]:
    """A host's turn."""
    turn = names.turn_id(number)
    survey = planned(turn, 0, acts.Survey("Lab"), "Look again.")
    yield facts.TurnBegun(pool=POOL, run=RUN, turn=turn, host=host, master=number == 1, survey=survey)
    yield from step_facts(survey)
    steps = turn_steps(turn, host)
    yield facts.TurnPlanned(pool=POOL, run=RUN, turn=turn, steps=steps, seconds=900.0)
    for step in steps:
        yield from step_facts(step)
    yield facts.TurnEnded(pool=POOL, run=RUN, turn=turn, host=host, outcome="done", sentence=f"{host} is updated.")


def summary(**changed: object) -> RunSummary:
    """The run's summary in its first turn, with some of its fields changed."""
    value = RunSummary(
        pool=POOL,
        run=RUN,
        seq=10,
        state="running",
        sentence="Waiting for xcp-1 to come back.",
        order=ORDER,
        by=BY,
        pool_name="Lab",
        requested_at=START,
        began_at=START + 60,
        hosts=(
            HostLine(
                host=HOSTS[0], master=True, turn="t01", stage="away", steps_done=8, steps_total=13, sentence="Away."
            ),
        ),
        steps_done=10,
        steps_total=42,
        outstanding=(
            Outstanding(
                step="t01-s008", kind="await_host", attempt=1, since=START + 600, until=START + 3300,
                sentence="Wait for xcp-1.",
            ),
        ),
    )  # fmt: skip
    return value.model_copy(update=changed)
