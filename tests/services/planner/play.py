"""A pool that is only a value, and a play: the planner's core carried out on it without bus, XAPI or clock.

The pool obeys acts at once; a play folds what is said, lets the core decide, and does what is ordered, until the run
is over or stands still. What the acts did is kept, to be judged.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from services.planner import advance, orders, placement, storage_moves
from shared.domain import acts, commands, facts, messages
from shared.domain.book import Book, fold
from shared.domain.model import HA, SR, VM, Disc, Host, Package, PoolSettings, PoolSnapshot, Versions
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.run import Run
from shared.domain.window import Window

GIB = 1024**3
OLD = Versions("3.4.0", "25.33", "25.33.1", "4.17.5-13", "4.19.0+1", "8.3.0")
NEW = Versions("3.4.0", "26.1", "26.1.2", "4.17.6-2", "4.19.0+1", "8.3.0")
UPDATES = (Package("kernel", "4.19.19", "8.0.44"), Package("xen-hypervisor", "4.17.6", "2"))
GIVEN = orders.Given("order-1", "ann@desk")


def host(name: str, memory: int = 64, **changes: object) -> Host:
    """A host with updates waiting, 64 GiB unless told otherwise."""
    plain = Host(
        uuid=f"host-{name}",
        name=name,
        address=f"127.0.0.{len(name)}",
        enabled=True,
        live=True,
        memory_total=memory * GIB,
        memory_overhead=2 * GIB,
        boot_time=1000.0,
        agent_start_time=1010.0,
        versions=OLD,
        updates=UPDATES,
        attached=("sr-nfs",),
        networks=("net-0",),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def vm(name: str, on: str | None, memory: int = 4, **changes: object) -> VM:
    """A running VM on shared storage, 4 GiB unless told otherwise."""
    plain = VM(
        uuid=f"vm-{name}",
        name=name,
        power_state="running" if on else "halted",
        host=f"host-{on}" if on else None,
        memory=memory * GIB,
        memory_now=memory * GIB,
        memory_overhead=0,
        srs=("sr-nfs",),
        networks=("net-0",),
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def pool(hosts: Iterable[Host] = (), vms: Iterable[VM] = (), settings: PoolSettings | None = None) -> PoolSnapshot:
    """Three hosts with two VMs each, HA on and auto_poweron set, unless told otherwise."""
    hosts = tuple(hosts) or (host("athos"), host("porthos"), host("aramis"))
    vms = tuple(vms) or tuple(vm(f"{one.name}-{n}", one.name, 4 * n) for one in hosts for n in (1, 2))
    return PoolSnapshot(
        uuid="pool",
        name="Lab",
        master=hosts[0].uuid,
        hosts=hosts,
        vms=vms,
        srs=(SR("sr-nfs", "NFS", "nfs", True), SR("sr-local", "Local storage", "ext", False)),
        networks=(Named("net-0", "Pool-wide network"),),
        settings=settings or PoolSettings(ha=HA(True, ("sr-nfs",), {}, 1), auto_poweron="true"),
        taken_at=0.0,
    )


Trouble = Callable[["Play", commands.DoStep], facts.StepFact | None]


@dataclass
class Play:
    """One run on one pool. `trouble` may answer an order itself; `done` is every act that was carried out."""

    world: PoolSnapshot
    policy: Policy = field(default_factory=Policy)
    trouble: Trouble | None = None
    now: float = 10_000.0
    book: Book = field(default_factory=lambda: Book("lab"))
    seq: int = 0
    journal: list[tuple[facts.Fact, float]] = field(default_factory=list)
    done: list[acts.Act] = field(default_factory=list)
    snapshots: dict[str, PoolSnapshot] = field(default_factory=dict)
    sentences: list[str] = field(default_factory=list)
    away: dict[str, float] = field(default_factory=dict)
    after_write: Callable[[Play], None] | None = None
    windows: Mapping[str, Window] = field(default_factory=dict)
    gates: tuple[str, ...] = ()
    taken_out: Mapping[str, Disc] = field(default_factory=dict)

    @property
    def run(self) -> Run:
        """The run, open or over."""
        assert self.book.run is not None
        return self.book.run

    def say(self, fact: facts.Fact) -> None:
        """Somebody records a fact."""
        self.seq += 1
        self.journal.append((fact, self.now))
        self.book = fold(self.book, fact, seq=self.seq, at=self.now)

    def order(self, command: commands.Command, given: orders.Given = GIVEN) -> orders.Answer:
        """Somebody gives an order; its answer is recorded."""
        if isinstance(command, commands.StartRun):
            answer = orders.start(self.book, command, given, self.policy, self.windows, self.gates)
        else:
            assert isinstance(command, commands.RunCommand)
            answer = orders.answer(self.book, command, given)
        for fact in answer.facts:
            self.say(fact)
        return answer

    def start(self) -> Play:
        """The order to update the pool."""
        self.order(commands.StartRun(pool="lab"))
        return self

    def cancel(self, *, now: bool) -> None:
        """The order to end the run."""
        self.order(commands.CancelRun(pool="lab", run=self.run.id, now=now), orders.Given("cancel", "bob"))

    def play(self, moves: int = 2000) -> Play:
        """Carry on until the run is over or stands still."""
        for _ in range(moves):
            if not self.step():
                return self
        raise AssertionError(f"the play does not end; it says: {self.sentences[-3:]}")

    def step(self) -> bool:
        """One decision and what follows from it; False when nothing more happens."""
        decision = advance.decide(self.book, self.now, self.snapshots)
        assert decision.after == self.book.after
        self.sentences.append(decision.sentence)
        if decision.wants:
            raise AssertionError(f"a snapshot is wanted that nobody took: {decision.wants}")
        if decision.facts:
            for fact in decision.facts:
                self.say(fact)
            if self.after_write:
                self.after_write(self)
            return True
        if decision.orders:
            self.do(decision.orders[0])
            return True
        if self.away:
            self.boot()
            return True
        if decision.wake_at is not None and self.book.open:
            self.now = max(self.now, decision.wake_at) + 0.001
            return True
        return False

    def do(self, command: commands.DoStep) -> None:
        """An executor does a step and says how it went."""
        self.now += 1.0
        answer = self.trouble(self, command) if self.trouble else None
        if answer is None:
            self.done.append(command.act)
            answer = facts.StepSucceeded(
                pool=command.pool, run=command.run, step=command.step, attempt=command.attempt,
                result=self.carry_out(command), sentence="Done.",
            )  # fmt: skip
        self.say(answer)

    def kinds(self, host: str | None = None) -> list[str]:
        """The kinds of acts that were carried out, in order; of one host if named."""
        return [act.kind for act in self.done if host is None or _host_of(act) == f"host-{host}"]

    def names(self) -> list[str]:
        """The facts' names, in order."""
        return [messages.fact_name(fact) for fact, _ in self.journal]

    # --- the pool obeys -----------------------------------------------------------------------------------------------

    def carry_out(self, command: commands.DoStep) -> acts.Result:
        """The pool does what it is told, at once."""
        done = self._DOES.get(command.act.kind)
        return (done(self, command) if done else None) or acts.Done()

    def _survey(self, command: commands.DoStep) -> acts.Result:
        name = f"{command.run}-{command.step}-{command.attempt}"
        self.snapshots[name] = replace(self.world, taken_at=self.now)
        return acts.SurveyTaken(name, "digest", len(self.world.hosts), len(self.world.vms))

    def _migrate(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, acts.MigrateVM)
        found = next((one for one in self.world.vms if one.uuid == act.vm.uuid), None)
        if found is None or (found.power_state != "running" and not act.disks):
            return acts.Moved(gone=True)
        copied = self._send(act, found) if act.disks else 0
        self._move(act)
        return acts.Moved(copied=copied)

    def _send(self, act: acts.MigrateVM, sent: VM) -> int:
        """Disks go to their SRs, as `VM.migrate_send` takes them; the note in the pool says where they live."""
        source, target = self._host(act.away_from), self._host(act.to)
        assert not placement.older(target.versions, source.versions), f"{act.vm} went to {target.name}, which is older"
        wanted = {disk.device: disk.to.uuid for disk in act.disks}
        assert set(wanted.values()) <= set(target.attached), f"{target.name} does not reach the SRs of {act.vm}"
        leaving = [disk for disk in sent.disks if wanted.get(disk.device, disk.sr) != disk.sr]
        taken = {
            sr.uuid: sum(disk.used for disk in leaving if wanted[disk.device] == sr.uuid)
            - sum(disk.used for disk in leaving if disk.sr == sr.uuid)
            for sr in self.world.srs
        }
        srs = tuple(replace(sr, free=(sr.free or 0) - taken[sr.uuid]) for sr in self.world.srs)
        assert all((sr.free or 0) >= 0 for sr in srs if taken[sr.uuid]), f"{act.vm} found no room on an SR"
        key, notes = f"rota:disks:{act.vm.uuid}", dict(self.world.settings.notes)
        homes = {disk.device: disk.sr for disk in sent.disks if disk.device in wanted}
        notes.setdefault(key, json.dumps({"home": act.away_from.uuid, "disks": homes}))
        after = storage_moves.moved(sent, act)
        if all(disk.sr == json.loads(notes[key])["disks"].get(disk.device, disk.sr) for disk in after.disks):
            del notes[key]
        vms = tuple(after if one.uuid == sent.uuid else one for one in self.world.vms)
        self.world = replace(self.world, vms=vms, srs=srs, settings=replace(self.world.settings, notes=notes))
        return sum(disk.used for disk in leaving)

    def _stop(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, (acts.ShutdownVM, acts.SuspendVM))
        assert act.consent, f"{act.vm.name} was stopped and nobody agreed"
        found = next((one for one in self.world.vms if one.uuid == act.vm.uuid), None)
        if found is None or found.power_state != "running":
            return acts.Stopped(gone=True)
        for sr in act.serves if isinstance(act, acts.ShutdownVM) else ():
            hung = [one.name for one in self.world.hosts if sr.uuid in one.attached]
            assert not hung, f"{act.vm.name} was stopped while {', '.join(hung)} had {sr.name} attached"
        self._power(act.vm, "suspended" if isinstance(act, acts.SuspendVM) else "halted", None)
        return acts.Stopped()

    def _start(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, (acts.StartVM, acts.ResumeVM))
        home = self._host(act.host)
        assert home.enabled, f"{act.vm.name} was started on {home.name}, which is disabled"
        newest = max(one.versions.xapi_build for one in self.world.hosts)
        assert home.versions.xapi_build == newest, f"{act.vm.name} was started on {home.name}, which is not the newest"
        found = next((one for one in self.world.vms if one.uuid == act.vm.uuid), None)
        if found is None:
            return acts.Started(gone=True)
        lost = [sr for sr in found.srs if sr not in home.attached]
        assert not lost, f"{act.vm.name} was started on {home.name}, which does not reach {lost}"
        self._power(act.vm, "running", home.uuid)
        return acts.Started(600.0)

    def _unused(self, command: commands.DoStep) -> None:
        act = command.act
        assert isinstance(act, acts.CheckUnused)
        assert not self._users(act.sr), f"{act.sr.name} is still used by {self._users(act.sr)}"
        others = [one.name for one in self.world.resident(act.host.uuid) if one.uuid != act.vm.uuid]
        assert not others, f"{', '.join(others)} is still on {act.host.name}"

    def _eject(self, command: commands.DoStep) -> None:
        act = command.act
        assert isinstance(act, acts.EjectMedia)
        found = next(one for one in self.world.vms if one.uuid == act.vm.uuid)
        disc = next((one for one in found.discs if one.drive == act.drive), None)
        if disc is not None:
            self.taken_out = {**self.taken_out, act.drive: disc}
            self._with_discs(found, tuple(one for one in found.discs if one != disc), disc)

    def _insert(self, command: commands.DoStep) -> None:
        act = command.act
        assert isinstance(act, acts.InsertMedia)
        found = next(one for one in self.world.vms if one.uuid == act.vm.uuid)
        disc = self.taken_out.get(act.drive)
        if disc is None:
            return
        here = self.world.host(found.host or "")
        assert here is not None
        assert disc.sr in here.attached, f"{disc.name} was put back on {here.name}, which does not reach it"
        self.taken_out = {drive: one for drive, one in self.taken_out.items() if drive != act.drive}
        self._with_discs(found, (*found.discs, disc), disc)

    def _with_discs(self, found: VM, discs: tuple[Disc, ...], disc: Disc) -> None:
        srs = tuple(sr for sr in found.srs if sr != disc.sr) + ((disc.sr,) if disc in discs else ())
        changed = replace(found, discs=discs, srs=srs)
        self.world = replace(
            self.world, vms=tuple(changed if one.uuid == found.uuid else one for one in self.world.vms)
        )

    def _users(self, sr: Named) -> list[str]:
        return [one.name for one in self.world.vms if one.host and sr.uuid in one.srs]

    def _unplug(self, command: commands.DoStep) -> acts.Result:
        act = command.act
        assert isinstance(act, acts.UnplugPBD)
        assert not self._users(act.sr), f"{act.sr.name} was detached from {act.host.name} under {self._users(act.sr)}"
        here = self._host(act.host)
        if act.host.uuid == self.world.master:
            left = [one.name for one in self.world.hosts if act.sr.uuid in one.attached and one.uuid != here.uuid]
            assert not left, f"the master let {act.sr.name} go before {', '.join(left)}"
        already = act.sr.uuid not in here.attached
        self._change(act.host, attached=tuple(sr for sr in here.attached if sr != act.sr.uuid))
        return acts.Done(already)

    def _plug(self, command: commands.DoStep) -> None:
        act = command.act
        assert isinstance(act, acts.PlugPBD)
        server = next((one for one in self.world.vms if one.uuid == act.vm.uuid), None)
        assert server is not None, f"{act.sr.name} has no server any more"
        assert server.power_state == "running", f"{act.sr.name} was attached while {server.name} is down"
        here = self._host(act.host)
        if act.sr.uuid not in here.attached:
            self._change(act.host, attached=(*here.attached, act.sr.uuid))

    def _power(self, vm: Named, state: str, host: str | None) -> None:
        vms = tuple(
            replace(one, power_state=state, host=host) if one.uuid == vm.uuid else one for one in self.world.vms
        )
        self.world = replace(self.world, vms=vms)

    def _evacuate(self, command: commands.DoStep) -> acts.Result:
        assert isinstance(command.act, acts.EvacuateRest)
        return self._sweep(command.act.host)

    def _install(self, command: commands.DoStep) -> acts.Result:
        assert isinstance(command.act, acts.InstallUpdates)
        self._change(command.act.host, updates=())
        return acts.Installed(UPDATES)

    def _read(self, command: commands.DoStep) -> acts.Result:
        assert isinstance(command.act, acts.ReadHost)
        seen = self._host(command.act.host)
        return acts.HostNoted(seen.boot_time or 0.0, self.now, seen.versions)

    def _reboot(self, command: commands.DoStep) -> None:
        assert isinstance(command.act, acts.RebootHost)
        assert command.act.noted is not None, "a reboot was ordered without what was noted before it"
        here = self._host(command.act.host)
        assert not here.enabled, f"{here.name} was rebooted while enabled"
        assert not self.world.resident(here.uuid), f"{here.name} was rebooted with VMs on it"
        self.away[here.uuid] = self.now

    def _check(self, command: commands.DoStep) -> acts.Result:
        assert isinstance(command.act, acts.CheckGate)
        return acts.Checked((), self._host(command.act.host).versions)

    def _switch(self, command: commands.DoStep) -> None:
        assert isinstance(command.act, (acts.DisableHost, acts.EnableHost))
        self._change(command.act.host, enabled=isinstance(command.act, acts.EnableHost))

    def _setting(self, command: commands.DoStep) -> None:
        assert isinstance(command.act, (acts.ChangePoolSetting, acts.RestorePoolSetting))
        self._set(command.act)

    def _claimed(self, command: commands.DoStep) -> None:
        assert isinstance(command.act, (acts.ClaimPool, acts.ReleasePool))
        self._claim(command.act)

    def _dump(self, command: commands.DoStep) -> acts.Result:
        return acts.Dumped("database", 1)

    def _claim(self, act: acts.ClaimPool | acts.ReleasePool) -> None:
        notes = {key: text for key, text in self.world.settings.notes.items() if key != "rota:claim"}
        if isinstance(act, acts.ClaimPool):
            assert self.world.settings.notes.get("rota:claim", act.replaces) == act.replaces
            notes["rota:claim"] = act.claim
        self.world = replace(self.world, settings=replace(self.world.settings, notes=notes))

    def _set(self, act: acts.ChangePoolSetting | acts.RestorePoolSetting) -> None:
        back = isinstance(act, acts.RestorePoolSetting)
        settings = self.world.settings
        if act.setting == "ha":
            settings = replace(settings, ha=act.before if back and isinstance(act.before, HA) else HA())
        elif act.setting == "auto_poweron":
            settings = replace(settings, auto_poweron=str(act.before) if back else "false")
        else:
            settings = replace(settings, wlb_enabled=back)
        self.world = replace(self.world, settings=settings)

    def _move(self, act: acts.MigrateVM) -> None:
        target = self._host(act.to)
        assert target.enabled, f"{act.vm.name} was moved to {target.name}, which is disabled"
        vms = tuple(replace(one, host=act.to.uuid) if one.uuid == act.vm.uuid else one for one in self.world.vms)
        self.world = replace(self.world, vms=vms)
        assert sum(one.footprint for one in self.world.resident(target.uuid)) <= (
            target.memory_total - target.memory_overhead
        ), f"{target.name} was over-committed"

    def _sweep(self, host_: Named) -> acts.Swept:
        found = self.world.resident(host_.uuid)
        for one in found:
            other = next(one for one in self.world.hosts if one.uuid != host_.uuid and one.enabled)
            self._move(acts.MigrateVM(one.named, other.named, host_))
        return acts.Swept(tuple(one.named for one in found))

    def boot(self) -> None:
        """A host that was rebooted comes back and is seen."""
        uuid, since = self.away.popitem()
        self.now = max(self.now, since) + 300.0
        named = next(one.named for one in self.world.hosts if one.uuid == uuid)
        self._change(named, boot_time=self.now - 20, agent_start_time=self.now - 5, versions=NEW)
        seen = self._host(named)
        self.say(
            facts.HostCameBack(
                pool="lab",
                host=uuid,
                name=named.name,
                seen_at=self.now,
                boot_time=seen.boot_time,
                agent_start_time=seen.agent_start_time,
                servertime=self.now,
                versions=NEW,
            )
        )

    def _host(self, named: Named) -> Host:
        found = self.world.host(named.uuid)
        assert found is not None
        return found

    def _change(self, named: Named, **changes: object) -> None:
        changed = tuple(
            replace(one, **changes) if one.uuid == named.uuid else one  # type: ignore[arg-type]
            for one in self.world.hosts
        )
        self.world = replace(self.world, hosts=changed)

    _DOES: ClassVar[Mapping[str, Callable[[Play, commands.DoStep], acts.Result | None]]] = {
        "survey": _survey,
        "migrate_vm": _migrate,
        "eject_media": _eject,
        "insert_media": _insert,
        "check_unused": _unused,
        "unplug_pbd": _unplug,
        "plug_pbd": _plug,
        "evacuate_rest": _evacuate,
        "shutdown_vm": _stop,
        "suspend_vm": _stop,
        "start_vm": _start,
        "resume_vm": _start,
        "install_updates": _install,
        "read_host": _read,
        "reboot_host": _reboot,
        "check_gate": _check,
        "disable_host": _switch,
        "enable_host": _switch,
        "change_pool_setting": _setting,
        "restore_pool_setting": _setting,
        "claim_pool": _claimed,
        "release_pool": _claimed,
        "dump_database": _dump,
    }


def _host_of(act: acts.Act) -> str:
    if isinstance(act, acts.MigrateVM):
        return act.to.uuid if act.purpose == "home" else act.away_from.uuid
    found = getattr(act, "host", None)
    return found.uuid if isinstance(found, Named) else ""


def failed(command: commands.DoStep, because: str, **more: object) -> facts.StepFailed:
    """An executor's answer that a step failed."""
    return facts.StepFailed.model_validate(
        {
            "pool": command.pool,
            "run": command.run,
            "step": command.step,
            "attempt": command.attempt,
            "because": because,
            **more,
        }
    )
