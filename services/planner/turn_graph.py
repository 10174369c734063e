"""The steps of a turn as a graph with reasons: on, back, and home. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from services.planner import canaries, modes, placement, stopping, storage_graph, storage_moves, strategies
from services.planner.beside import Beside
from shared.domain import acts, facts
from shared.domain.model import VM, Host, Package, PoolSnapshot
from shared.domain.names import Named, step_id
from shared.domain.policy import Policy
from shared.domain.storage import DiskMove

GIB = 1024**3

OWN = "own"
"""The first guests are watched on the turn's own host."""

WELL = "the first guests are well on {}"


class Graph:
    """The steps of one turn, numbered as they are added; the first guests are watched on the host `soaks` (uuid, or
    OWN). Lives for one call."""

    def __init__(
        self,
        turn: str,
        snapshot: PoolSnapshot,
        host: Host,
        homes: Mapping[str, facts.Home],
        policy: Policy,
        beside: Beside,
        soaks: str = "",
    ) -> None:
        self.turn = turn
        self.snapshot = snapshot
        self.host = host
        self.homes = homes
        self.policy = policy
        self.beside = beside
        self.soaks = soaks
        self.number = 1
        self.planned: list[facts.StepPlanned] = []

    def add(self, act: acts.Act, why: str, *needs: tuple[str, str], if_it_fails: str = "hold") -> str:
        self.number += 1
        step = facts.StepPlanned(
            step=step_id(self.turn, self.number),
            act=act,
            needs=tuple(facts.Need(step=before, because=because) for before, because in needs),
            why=why,
            if_it_fails="warn" if if_it_fails == "warn" else "hold",
        )
        self.planned.append(step)
        return step.step

    def steps(
        self,
        found: placement.Placement,
        stops: Sequence[strategies.Stop] = (),
        done: frozenset[str] = frozenset(),
        parked: Sequence[tuple[VM, Host]] = (),
        coming: Sequence[str] = (),
        aside: Sequence[placement.Move] = (),
    ) -> tuple[facts.StepPlanned, ...]:
        """The turn that empties a host by this placement. What cannot move is stopped as `stops` say and started
        again. VMs that are `parked` elsewhere come home with the others; hosts whose turns are `coming` (uuids) are not
        gone home to yet. Disks of VMs elsewhere are put `aside` before their storage goes away."""
        host, name = self.host.named, self.host.name
        moves = found.moves
        disabled = self.add(
            acts.DisableHost(host),
            f"No VM may come to {name} any more.",
            (step_id(self.turn, 1), "the plan is fresh"),
            *((step, f"it brings a VM to {name}") for step in self.beside.arriving.get(host.uuid, ())),
        )
        left = self._leave(found, disabled)
        off = [storage_graph.aside(self.add, move, self._network(), disabled, host) for move in aside]
        own = [stop for stop in stops if stop.serves]
        stops = [stop for stop in stops if not stop.serves]
        down = self._stopped(stops, [*left, *off], disabled, done)
        if own:
            down += self._storage_down(own, [*left, *off], down, disabled, done)
        empty = self.add(
            acts.EvacuateRest(host, self.policy.migration_network),
            f"See that {name} is empty, and move what appeared meanwhile.",
            *((step, f"frees {_gib(move.memory)} on {name}") for step, move in zip(left, moves, strict=True)),
            *((one.step, f"frees {_gib(one.size)} on {name}") for one in self.beside.leaving.get(host.uuid, ())),
            *((step, "the VM is down") for step in down),
            (disabled, "nothing new arrives"),
        )
        back = self._patched_and_back(host, empty, [sr.uuid for stop in own for sr in stop.serves])
        served = storage_graph.up(self.add, self.snapshot, self.host, own, back, self.policy)
        self._started(stops, back, served)
        settled = {
            move.vm.uuid: storage_graph.aside_home(self.add, move, self._network(), served, back) for move in aside
        }
        self._homeward(found, back, parked, coming, served, settled)
        return tuple(self.planned)

    def _stopped(
        self, stops: Sequence[strategies.Stop], left: Sequence[str], disabled: str, done: frozenset[str]
    ) -> list[str]:
        """Whatever can move has moved before anything is stopped: a failure until then has cost nobody anything."""
        needs = tuple((step, "nothing is stopped before all that can move is away") for step in left)
        needs = needs or ((disabled, f"{self.host.name} takes no new VMs"),)
        down: list[str] = []
        for group in reversed(stopping.in_start_order(stops)):
            added = [self._down(stop, done, needs) for stop in group]
            needs = tuple((step, "what starts later stops first") for step in added)
            down += added
        return down

    def _down(self, stop: strategies.Stop, done: frozenset[str], needs: tuple[tuple[str, str], ...]) -> str:
        where = self._where(stop)
        no_way_back = not stop.back_on and stopping.no_way_back(self.snapshot, where, done, self.policy)
        act = stopping.stop_act(stop, where.named, self.policy, no_way_back=no_way_back)
        how = "suspended" if stop.way == "suspend" else "shut down"
        return self.add(act, f"{stop.vm.name} is {how} while {self.host.name} is away.", *needs)

    def _where(self, stop: strategies.Stop) -> Host:
        return self.snapshot.host(stop.vm.host or "") or self.host

    def _storage_down(
        self,
        own: Sequence[strategies.Stop],
        left: Sequence[str],
        down: Sequence[str],
        disabled: str,
        done: frozenset[str],
    ) -> list[str]:
        """The storage of this host's own VMs goes last, when everything else is away or down."""
        leaving = self.beside.leaving.get(self.host.uuid, ())
        before = [
            *((step, "it has left") for step in left),
            *((one.step, "it has left") for one in leaving),
            *((step, "the VM is down") for step in down),
            (disabled, f"{self.host.name} takes no new VMs"),
        ]
        no_way_back = stopping.no_way_back(self.snapshot, self.host, done, self.policy)
        return storage_graph.down(self.add, self.snapshot, self.host, own, before, self.policy, no_way_back=no_way_back)

    def _started(self, stops: Sequence[strategies.Stop], back: str, served: Mapping[str, tuple[str, ...]]) -> None:
        """Whatever was stopped starts on its home again, in its order; what uses storage that was away once that is
        `served` (SR by uuid and the steps after which it is), on an updated host where its home has fallen behind."""
        groups = stopping.in_start_order(stops)
        needs: tuple[tuple[str, str], ...] = ((back, f"{self.host.name} is done and takes VMs"),)
        for number, group in enumerate(groups, 1):
            settle = 0.0 if number == len(groups) else float(max(stop.vm.start_delay for stop in group))
            added = []
            for stop in group:
                act = stopping.stop_act(stop, self._where(stop).named, self.policy, no_way_back=False)
                start = stopping.start_act(act, settle, stop.starts_on)
                how = "is resumed" if stop.way == "suspend" else "is started again"
                there = ((step, f"{sr.name} is there") for sr in stop.uses for step in served.get(sr.uuid, ()))
                added.append(self.add(start, f"{stop.vm.name} {how} on {start.host.name}.", *needs, *there))
            needs = tuple((step, "it starts first") for step in added)

    def _leave(self, found: placement.Placement, disabled: str) -> list[str]:
        """The moves that make room, then those of the VMs that leave, each behind what makes room for it; where the
        run's first updated host gets VMs for the first time, a few go first and are watched."""
        gone: dict[str, tuple[str, int]] = {}
        for move in found.rooms:
            gone[move.vm.uuid] = self._away(move, disabled, found, gone), move.memory
        there = [move.vm for move in found.moves if move.to.uuid == self.soaks]
        chosen = canaries.choose(there, self.policy.canaries) if there else ()
        steps = {move.vm.uuid: self._away(move, disabled, found, gone) for move in found.moves if move.vm in chosen}
        watched: tuple[tuple[str, str], ...] = ()
        if steps:
            to = next(move.to for move in found.moves if move.to.uuid == self.soaks)
            watched = ((self._watch(to.named, chosen, list(steps.values()), "it is there"), WELL.format(to.name)),)
        for move in found.moves:
            if move.vm.uuid not in steps:
                behind = watched if move.to.uuid == self.soaks else ()
                steps[move.vm.uuid] = self._away(move, disabled, found, gone, *behind)
        return [steps[move.vm.uuid] for move in found.moves]

    def _watch(self, host: Named, chosen: Sequence[VM], there: Sequence[str], because: str) -> str:
        names = " and ".join(vm.name for vm in chosen)
        return self.add(
            acts.WatchGuests(host, tuple(vm.named for vm in chosen), self._minutes()),
            f"See that {names} go on reporting on {host.name}, the first host of the run.",
            *((step, because) for step in there),
        )

    def _homeward(
        self,
        found: placement.Placement,
        back: str,
        parked: Sequence[tuple[VM, Host]],
        coming: Sequence[str],
        served: Mapping[str, tuple[str, ...]],
        settled: Mapping[str, str],
    ) -> None:
        """VMs go home, as far as the mode has it; after the run's first host a few first, which are watched before the
        others follow. Those that made room follow when it is free again, unless the turn of their host is to come: then
        they go home with it. As long as turns are to come the smallest go first: whoever leaves the next host waits
        less for a place in line. Disks go home once their SR is `served` again, and before the VM where they alone were
        away (by a step of `settled`)."""

        def home(move: placement.Move, *needs: tuple[str, str]) -> str:
            there = storage_graph.there_again(move.disks, served)
            own = ((settled[move.vm.uuid], "its disks are home"),) if move.vm.uuid in settled else ()
            return self._home(move, *needs, *there, *own)

        moves = [*found.moves, *(self._parked(vm, where) for vm, where in parked)]
        homebound = modes.homebound(self.snapshot, self.policy)
        returning = [move for move in moves if self.homes[move.vm.uuid].host.uuid == self.host.uuid and homebound(move)]
        chosen = canaries.choose([move.vm for move in returning], self.policy.canaries) if self.soaks == OWN else ()
        if coming:
            returning.sort(key=lambda move: placement.comfortable(move.vm))
        because = f"{self.host.name} is done and takes VMs"
        gone = {move.vm.uuid: home(move, (back, because)) for move in returning if move.vm in chosen}
        if gone:
            back = self._watch(self.host.named, chosen, list(gone.values()), "it is home")
            because = WELL.format(self.host.name)
        for move in returning:
            if move.vm not in chosen:
                gone[move.vm.uuid] = home(move, (back, because))
        for room in reversed(found.rooms) if self.policy.mode == "home" else ():
            if room.source and self._lives_on(room.vm, room.source) and room.source.uuid not in coming:
                came = [one for one in (*moves, *found.rooms) if one.to == room.source and one.vm.uuid in gone]
                frees = ((gone[one.vm.uuid], f"frees {_gib(one.memory)} on {room.source.name}") for one in came)
                gone[room.vm.uuid] = self._home(room, (back, because), *frees)

    def _parked(self, vm: VM, where: Host) -> placement.Move:
        disks = storage_moves.straight_home(self.snapshot, vm, self.host)
        return placement.Move(vm, where, 0, disks=tuple(disk.back for disk in disks))

    def _lives_on(self, vm: VM, host: Host) -> bool:
        home = self.homes.get(vm.uuid)
        return home is not None and home.host.uuid == host.uuid

    def _minutes(self) -> float:
        return max(canaries.SHORTEST, self.policy.soak_minutes)

    def toolstack_steps(self) -> tuple[facts.StepPlanned, ...]:
        """Packages that need no reboot: installed while the VMs run, then another toolstack."""
        host, name = self.host.named, self.host.name
        expected = tuple(Package(one.name, one.version, one.release) for one in self.host.updates or ())
        only = tuple(package.name for package in expected)
        ceiling = None if host.uuid == self.snapshot.master else self.snapshot.named(self.snapshot.master)
        installed = self.add(
            acts.InstallUpdates(host, ceiling, only),
            f"Install {len(expected)} updates on {name}, which need no reboot.",
            (step_id(self.turn, 1), "the plan is fresh"),
        )
        restarted = self.add(
            acts.RestartToolstack(host), f"Restart the toolstack of {name}.", (installed, "the updates are installed")
        )
        attached = tuple(Named(sr, self.snapshot.sr_name(sr)) for sr in self.host.attached)
        self.add(
            acts.CheckGate(host, attached, self.host.versions, True, expected),
            f"See that {name} has its storage and what was installed.",
            (restarted, "its toolstack runs anew"),
        )
        return tuple(self.planned)

    def _away(
        self,
        move: placement.Move,
        disabled: str,
        found: placement.Placement,
        gone: Mapping[str, tuple[str, int]],
        *behind: tuple[str, str],
    ) -> str:
        """A VM leaves the host, or another to make room: when what makes room for itself has `gone` (VM to its step and
        the bytes that frees)."""
        frees = (gone[vm] for vm in found.after.get(move.vm.uuid, ()))
        needs = (
            (disabled, f"{self.host.name} takes no new VMs"),
            *((step, f"frees {_gib(size)} on {move.to.name}") for step, size in frees),
            *behind,
        )
        if move.source is None:
            act = acts.MigrateVM(
                move.vm.named, move.to.named, self.host.named, "empty", self._network(), disks=move.disks
            )
            along = f" with its disks ({storage_moves.spoken(move.disks)})" if move.disks else ""
            return self.add(act, f"{move.vm.name} leaves {self.host.name} for {move.to.name}{along}.", *needs)
        act = acts.MigrateVM(move.vm.named, move.to.named, move.source.named, "room", self._network())
        return self.add(act, f"{move.vm.name} makes room on {move.source.name} and goes to {move.to.name}.", *needs)

    def _network(self) -> str:
        return self.policy.migration_network or self.snapshot.settings.migration_network

    def _patched_and_back(self, host: Named, empty: str, gone: Sequence[str] = ()) -> str:
        """Installed, rebooted, awaited, checked and enabled. SRs that have `gone` (uuids) are not the gate's: whoever
        serves them is started only then (conduct 6)."""
        ready, because = empty, f"{host.name} is empty"
        ceiling = None if host.uuid == self.snapshot.master else self.snapshot.named(self.snapshot.master)
        if self.policy.updates and self.host.updates:
            ready = self.add(
                acts.InstallUpdates(host, ceiling),
                f"Install {len(self.host.updates)} updates on {host.name}.",
                (empty, because),
            )
            because = "the updates are installed"
        noted = self.add(
            acts.ReadHost(host, ceiling),
            f"Note what {host.name} is before it is rebooted.",
            *dict.fromkeys(((ready, because), (empty, f"{host.name} is empty"))),
        )
        kept = self._database_kept(host, noted)
        reboot = self.add(
            acts.RebootHost(
                host, backup_minutes=self.policy.backup_minutes, shutdown_minutes=self.policy.shutdown_minutes
            ),
            f"Reboot {host.name}.",
            (noted, "its boot time and clock are on record"),
            *kept,
        )
        back = self.add(acts.AwaitHost(host), f"Wait until {host.name} is back.", (reboot, "it was told to reboot"))
        expected = tuple(Package(one.name, one.version, one.release) for one in self.host.updates or ())
        attached = tuple(Named(sr, self.snapshot.sr_name(sr)) for sr in self.host.attached if sr not in gone)
        gate = self.add(
            acts.CheckGate(host, attached, self.host.versions, self.policy.updates, expected),
            f"See that {host.name} has its storage and runs what was installed.",
            (back, "it is back"),
        )
        return self.add(acts.EnableHost(host), f"Let VMs come to {host.name} again.", (gate, "it passed its gate"))

    def _database_kept(self, host: Named, noted: str) -> tuple[tuple[str, str], ...]:
        """While the master is away the members have only their copy of the database, so it is made fresh before."""
        if host.uuid != self.snapshot.master:
            return ()
        dump = acts.DumpDatabase(self.snapshot.name)
        kept = self.add(
            dump, "Keep a copy of the pool's database.", (noted, "it is the last act before"), if_it_fails="warn"
        )
        return ((kept, "the members have the database"),)

    def _home(self, move: placement.Move, *needs: tuple[str, str]) -> str:
        home = self.homes[move.vm.uuid].host
        disks = tuple(disk.back for disk in move.disks)
        along = f" with its disks ({storage_moves.spoken(disks)})" if disks else ""
        return self.add(
            acts.MigrateVM(move.vm.named, home, move.to.named, "home", self._network(), disks=disks),
            f"{move.vm.name} goes home from {move.to.name} to {home.name}{along}.",
            *needs,
            if_it_fails="warn",
        )


Homeward = tuple[Named, Named, tuple[DiskMove, ...]]
"""A VM that goes home, where it is, and what of its disks goes with it."""


def steps_back(
    turn: str, first: int, host: Named, homeward: Sequence[Homeward], waits_for: Sequence[str], network: str
) -> tuple[facts.StepPlanned, ...]:
    """The steps that take a turn back: enable the host, then bring home each VM that left, once the moves under way
    have ended."""
    ended = tuple(facts.Need(step=step, because="a move under way is let to its end") for step in waits_for)
    enable = facts.StepPlanned(
        step=step_id(turn, first),
        act=acts.EnableHost(host),
        needs=ended,
        why=f"{host.name} goes back to work as it is.",
    )
    return (enable, *homeward_steps(turn, first + 1, host, homeward, enable.step, network))


def homeward_steps(
    turn: str, first: int, host: Named, homeward: Sequence[Homeward], enabled: str, network: str
) -> tuple[facts.StepPlanned, ...]:
    """Steps that bring VMs home to a host."""
    return tuple(
        facts.StepPlanned(
            step=step_id(turn, number),
            act=acts.MigrateVM(vm, host, where, "home", network, disks=disks),
            needs=(facts.Need(step=enabled, because=f"{host.name} takes VMs again"),),
            why=f"{vm.name} goes home to {host.name}{' with its disks' if disks else ''}.",
            if_it_fails="warn",
        )
        for number, (vm, where, disks) in enumerate(homeward, first)
    )


def _gib(size: int) -> str:
    return f"{size / GIB:.1f} GiB"
