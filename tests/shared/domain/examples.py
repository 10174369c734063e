"""One example of every message, as a person would meet it: what the golden files hold.

`python -m tests.shared.domain.golden` writes the files anew after a deliberate change of a message.
"""

from __future__ import annotations

from shared.domain import acts, commands, facts
from shared.domain.model import HA, Package, Versions
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.schedule import Schedule

POOL, RUN, STEP, ORDER, BY = "lab", "r4f0c21a9", "t01-s004", "8d1f6a52c0de4d0f", "anna@desk"
H1 = Named("0a6f1c52-6d0e-4c58-9d53-3c1f0a2b4e11", "xcp-1")
H2 = Named("7be2f9d4-52b1-4f0e-8c11-90f2d1c3aa22", "xcp-2")
VM = Named("c0ffee00-1111-4222-8333-444455556666", "db1")
OLD = Versions(platform="3.4.0", xapi="24.19", xapi_build="24.19.2", xen="4.17.5", linux="4.19.0+1", product="8.3.0")
NEW = Versions(platform="3.4.0", xapi="24.39", xapi_build="24.39.1", xen="4.17.6", linux="4.19.0+1", product="8.3.0")
PACKAGE = Package("xen-hypervisor", "4.17.6", "1.xcpng8.3", "The hypervisor", "XSA-481")
MOVE = acts.MigrateVM(VM, to=H2, away_from=H1, purpose="empty", network="")
SURVEY = facts.StepPlanned(step="t00-s000", act=acts.Survey("Lab"), why="Look at the pool first.")
HA_BEFORE = HA(True, ("5a1b3f00-0000-4000-8000-000000000001",), {"timeout": "60"}, 1)
FORECAST = facts.Forecast(
    pool_name="Lab",
    turns=(
        facts.ForecastTurn(
            turn="t01",
            host=H1,
            master=True,
            updates=(PACKAGE,),
            moves=(facts.ForecastMove(vm=VM, to=H2, memory=8 * 2**30),),
            seconds=1260.0,
            because="The master is first, always.",
        ),
    ),
    left_alone=(H2,),
    blockers=(),
    warnings=("db1 has no guest tools, so nobody can see whether it is well.",),
    settings=("HA is off for the run.",),
    seconds=1320.0,
    digest="5c9d0e1f",
    sentence="1 host is updated in about 22 minutes; 1 VM moves and comes home.",
)

COMMANDS: tuple[commands.Command, ...] = (
    commands.StartRun(pool=POOL, policy={"max_away": 1}, reason="XSA-481", digest="5c9d0e1f"),
    commands.PlanPool(pool=POOL),
    commands.CancelRun(pool=POOL, run=RUN, now=True),
    commands.PauseRun(pool=POOL, run=RUN),
    commands.HoldRun(pool=POOL, run=RUN, because="The disk of rota-data is full."),
    commands.ResumeRun(pool=POOL, run=RUN),
    commands.AcknowledgeHold(pool=POOL, run=RUN),
    commands.ApproveRun(pool=POOL, run=RUN, digest="5c9d0e1f"),
    commands.RejectRun(pool=POOL, run=RUN, because="Not before Friday."),
    commands.RetryStep(pool=POOL, run=RUN, step=STEP),
    commands.SkipStep(pool=POOL, run=RUN, step=STEP),
    commands.SkipHost(pool=POOL, run=RUN, host="xcp-2"),
    commands.UndoPool(pool=POOL),
    commands.SetSchedule(
        schedule="monthly",
        cron="0 2 * * SUN#2",
        zone="Europe/Rome",
        pools=(POOL,),
        tags=("night",),
        missed="run_late",
        late_hours=2.0,
        policy={"max_away": 1},
    ),
    commands.DeleteSchedule(schedule="monthly"),
    commands.DoStep(pool=POOL, run=RUN, step=STEP, attempt=1, act=MOVE),
)

_NOTED = acts.HostNoted(1_795_000_000.0, 1_795_300_000.0, OLD, {"xen-hypervisor": "4.17.6-1.xcpng8.3"})
_RESTORE = acts.RestorePoolSetting("ha", HA_BEFORE)

FACTS: tuple[facts.Fact, ...] = (
    facts.RunRequested(pool=POOL, run=RUN, order=ORDER, by=BY, policy=Policy(), reason="XSA-481", survey=SURVEY),
    facts.RunRefused(pool=POOL, run=RUN, order=ORDER, by=BY, because="Pool lab has a run already: r00000001."),
    facts.RunPlanned(
        pool=POOL,
        run=RUN,
        forecast=FORECAST,
        snapshot="lab.r4f0c21a9.t00-s000",
        preparation=(facts.StepPlanned(step="t00-s001", act=acts.ChangePoolSetting("ha", HA_BEFORE), why="HA off."),),
        always=(facts.StepPlanned(step="t99-s001", act=_RESTORE, if_it_fails="warn", why="HA as it was."),),
    ),
    facts.HomesNoted(pool=POOL, run=RUN, homes=(facts.Home(vm=VM, host=H1),)),
    facts.RunBegan(pool=POOL, run=RUN, sentence="The run begins with the master xcp-1."),
    facts.TurnBegun(
        pool=POOL,
        run=RUN,
        turn="t01",
        host=H1,
        master=True,
        survey=facts.StepPlanned(step="t01-s000", act=acts.Survey("Lab"), why="Look again."),
    ),
    facts.TurnPlanned(
        pool=POOL,
        run=RUN,
        turn="t01",
        steps=(
            facts.StepPlanned(step="t01-s001", act=acts.DisableHost(H1), why="No VM starts on xcp-1 any more."),
            facts.StepPlanned(
                step=STEP,
                act=MOVE,
                needs=(facts.Need(step="t01-s001", because="nothing new may start on xcp-1"),),
                why="Move db1 to xcp-2.",
            ),
            facts.StepPlanned(step="t01-s008", act=acts.RebootHost(H1), why="Reboot xcp-1."),
        ),
        differences=("db2 was started on xcp-1 meanwhile.",),
        seconds=1260.0,
    ),
    facts.TurnTurnedBack(
        pool=POOL,
        run=RUN,
        turn="t01",
        steps=(facts.StepPlanned(step="t01-s020", act=acts.EnableHost(H1), why="Enable xcp-1 again."),),
        because="The run was cancelled before xcp-1 was changed.",
    ),
    facts.TurnEnded(
        pool=POOL, run=RUN, turn="t01", host=H1, outcome="done", sentence="xcp-1 is updated and has its VMs again."
    ),
    facts.StepsAdded(
        pool=POOL,
        run=RUN,
        turn="t01",
        steps=(facts.StepPlanned(step="t01-s021", act=MOVE, why="Move db1 away, it was started here."),),
        homes=(facts.Home(vm=VM, host=H1),),
        because="db1 was started on xcp-1 after it was planned.",
    ),
    facts.StepsReopened(
        pool=POOL, run=RUN, turn="t01", steps=("t01-s001",), because="xcp-1 was enabled by a toolstack restart."
    ),
    facts.StepOrdered(pool=POOL, run=RUN, step=STEP, attempt=1, act=MOVE, sentence="Move db1 from xcp-1 to xcp-2."),
    facts.StepTimedOut(pool=POOL, run=RUN, step=STEP, attempt=1, because="db1 has not moved for 60 min."),
    facts.StepGaveUp(pool=POOL, run=RUN, step=STEP, because="db1 did not move in 5 attempts."),
    facts.StepSkipped(pool=POOL, run=RUN, step=STEP, because="Skipped by anna@desk.", by=BY, order=ORDER),
    facts.StepRetried(pool=POOL, run=RUN, step=STEP, by=BY, order=ORDER),
    facts.WaitBegan(pool=POOL, run=RUN, step="t01-s009", until=1_795_302_700.0, because="xcp-1 boots."),
    facts.WaitOver(pool=POOL, run=RUN, step="t01-s009", because="xcp-1 is back: it booted, it answers, it is live."),
    facts.HostSkipped(pool=POOL, run=RUN, host=H2, because="xcp-2 is left out by ann.", by=BY, order=ORDER),
    facts.MasterNoted(pool=POOL, run=RUN, host=H2, because="xcp-2 is master now instead of xcp-1."),
    facts.HostLost(pool=POOL, run=RUN, host=H2, because="xcp-2 is down, and nobody here asked for it."),
    facts.RunHeld(pool=POOL, run=RUN, because="db1 did not move.", step=STEP, who_can_help="the pool's administrator"),
    facts.HoldAcknowledged(pool=POOL, run=RUN, by=BY, order=ORDER),
    facts.RunWaiting(pool=POOL, run=RUN, until=1795400000.0, because="Waiting for the window 'night'."),
    facts.RunWentOn(pool=POOL, run=RUN, because="The window 'night' is open."),
    facts.ApprovalAsked(
        pool=POOL, run=RUN, about="plan", digest="5c9d0e1f", sentence="Is this to be done?", until=1795400000.0
    ),
    facts.ApprovalGiven(pool=POOL, run=RUN, about="plan", digest="5c9d0e1f", by=BY, order=ORDER),
    facts.RunApproved(pool=POOL, run=RUN, about="plan", digest="5c9d0e1f", by=(BY,)),
    facts.ApprovalRefused(pool=POOL, run=RUN, about="plan", because="Not before Friday.", by=BY, order=ORDER),
    facts.RunPaused(pool=POOL, run=RUN, by=BY, order=ORDER),
    facts.RunResumed(pool=POOL, run=RUN, by=BY, order=ORDER),
    facts.RunCancelling(
        pool=POOL, run=RUN, by=BY, now=False, order=ORDER, sentences=("xcp-1 finishes its turn, about 12 min.",)
    ),
    facts.SettingOwed(
        pool=POOL,
        run=RUN,
        step="t99-s001",
        setting="ha",
        because="HA cannot be switched on while xcp-2 is down.",
        condition="xcp-2 is live again.",
        command="xe pool-ha-enable heartbeat-sr-uuids=5a1b3f00-0000-4000-8000-000000000001",
        act=_RESTORE,
    ),
    facts.SettingPaid(pool=POOL, run=RUN, step="t99-s001", setting="ha"),
    facts.RunFinishing(pool=POOL, run=RUN, sentence="Every host had its turn; the pool's settings are put back."),
    facts.OrderAnswered(
        pool=POOL, run=RUN, order=ORDER, by=BY, verb="pause_run", taken=False, because="The run is held already."
    ),
    facts.RunEnded(
        pool=POOL,
        run=RUN,
        outcome="succeeded_with_warnings",
        sentence="1 of 1 hosts is updated; HA is owed.",
        warnings=("HA could not be put back yet.",),
        blockers=(facts.Blocker(sentence="xcp-2 is down.", code="HOST_OFFLINE", host=H2),),
    ),
    facts.ForecastRequested(pool=POOL, run="p4f0c21a9", order=ORDER, by=BY, policy=Policy()),
    facts.ForecastStepOrdered(pool=POOL, run="p4f0c21a9", step="t00-s000", attempt=1, act=acts.Survey("Lab")),
    facts.ForecastMade(pool=POOL, run="p4f0c21a9", order=ORDER, forecast=FORECAST),
    facts.ForecastFailed(pool=POOL, run="p4f0c21a9", order=ORDER, because="Pool lab at 192.0.2.7 does not answer."),
    facts.StepStarted(
        pool=POOL,
        run=RUN,
        step=STEP,
        attempt=1,
        token=(412, 1),
        session="f3d2c1b0-0000-4000-8000-00000000abcd",
        by="executor@box:4711",
    ),
    facts.StepProgressed(pool=POOL, run=RUN, step=STEP, attempt=1, share=0.4, sentence="db1 is 40 % there."),
    facts.StepSucceeded(
        pool=POOL,
        run=RUN,
        step="t01-s007",
        attempt=1,
        result=_NOTED,
        seconds=1.5,
        sentence="xcp-1 was read before its reboot.",
    ),
    facts.StepFailed(
        pool=POOL,
        run=RUN,
        step="t99-s001",
        attempt=1,
        because="HA cannot be switched on while xcp-2 is down.",
        code="HOST_OFFLINE",
        again_after=30.0,
        who_can_help="the pool's administrator",
        debt=facts.Debt(setting="ha", condition="xcp-2 is live again.", command="xe pool-ha-enable"),
    ),
    facts.HostAnswering(pool=POOL, host=H1.uuid, name=H1.name, seen_at=1_795_300_100.0, boot_time=1_795_000_000.0),
    facts.HostUnreachable(
        pool=POOL, host=H1.uuid, name=H1.name, seen_at=1_795_300_200.0, because="192.0.2.7 refuses connections."
    ),
    facts.HostDown(pool=POOL, host=H1.uuid, name=H1.name, seen_at=1_795_300_260.0, because="Not live for 3 min."),
    facts.HostCameBack(
        pool=POOL,
        host=H1.uuid,
        name=H1.name,
        seen_at=1_795_300_700.0,
        boot_time=1_795_300_500.0,
        agent_start_time=1_795_300_560.0,
        servertime=1_795_300_700.0,
        versions=NEW,
    ),
    facts.MasterUnreachable(pool=POOL, seen_at=1_795_300_200.0, address="192.0.2.7", because="Refused."),
    facts.MasterChanged(pool=POOL, seen_at=1_795_300_700.0, host=H1, address="192.0.2.7"),
    facts.ReportSent(
        pool=POOL, run=RUN, occasion="ended", destination="mail.admins", about=913, reference="<r4f0c21a9.913@rota>"
    ),
    facts.ReportFailed(
        pool=POOL,
        run=RUN,
        occasion="ended",
        destination="webhook.chat",
        about=913,
        because="hooks.example answered 503.",
        attempt=2,
        again_after=4.0,
    ),
    facts.ScheduleSet(
        schedule="monthly",
        order=ORDER,
        by=BY,
        value=Schedule(cron="0 2 * * SUN#2", zone="Europe/Rome", pools=(POOL,), policy={"max_away": 1}),
        sentence="Schedule monthly updates lab; next on Sun 13 Dec 2026 02:00 (Europe/Rome).",
    ),
    facts.ScheduleDeleted(schedule="monthly", order=ORDER, by=BY, sentence="Schedule monthly is deleted."),
    facts.TickMissed(
        schedule="monthly",
        tick=1_797_123_600.0,
        ticks=2,
        pools=(POOL,),
        because="No scheduler was there for the tick of Sun 13 Dec 2026 02:00 (Europe/Rome); the schedule skips it.",
    ),
    facts.OrderRefused(
        order=ORDER, by=BY, verb="start_run", pool="lob", because="There is no pool 'lob' in rota.toml (pools: lab)."
    ),
    facts.MessageRejected(
        rejected_subject="rota.command.planner.start_run",
        seq=77,
        because="The message is not JSON.",
        service="planner",
        excerpt="{pool: lab",
    ),
)
