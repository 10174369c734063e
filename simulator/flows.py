"""Bytes that flow between hosts and share what carries them: a fluid, worked out again when a flow begins or ends.

Each flow uses one or more pipes (a NIC in one direction, a disk) and has a ceiling of its own; the pipes are shared
max-min fairly. No ticks: the next mark or end of every flow is an act on the clock.
"""

from __future__ import annotations

from simulator.clock import Clock, Timer
from simulator.processes import Signal

STEPS = 10


class Flow:
    """One transfer: `size` bytes through `pipes`; `progressed` fires at each tenth, `ended` once."""

    def __init__(self, pipes: tuple[str, ...], size: float, ceiling: float) -> None:
        self.pipes = pipes
        self.size = size
        self.ceiling = ceiling
        self.left = size
        self.rate = 0.0
        self.updated = 0.0
        self.steps = 0
        self.over = False
        self.progressed = Signal()

    @property
    def fraction(self) -> float:
        """The part that had passed at the last tenth, 0 to 1."""
        return self.steps / STEPS

    def next_stop(self) -> float:
        """Bytes that are left when the next tenth is full."""
        return max(0.0, self.size * (1 - (self.steps + 1) / STEPS))


class Flows:
    """All the flows of one world. `widths` is bytes a second for each pipe; a pipe not named is never narrow."""

    def __init__(self, clock: Clock) -> None:
        self.widths: dict[str, float] = {}
        self._clock = clock
        self._flows: dict[Flow, Timer | None] = {}

    def begin(self, pipes: tuple[str, ...], size: float, ceiling: float) -> Flow:
        """Starts a flow of `size` bytes; 0 bytes end at once."""
        flow = Flow(pipes, size, ceiling)
        flow.updated = self._clock.seconds()
        self._flows[flow] = None
        self._share()
        return flow

    def stop(self, flow: Flow) -> None:
        """Ends a flow before its time; what has passed has passed."""
        timer = self._flows.pop(flow, None)
        if timer is not None:
            timer.cancel()
        if not flow.over:
            flow.over = True
            self._share()

    def _share(self) -> None:
        now = self._clock.seconds()
        for flow in self._flows:
            flow.left = max(0.0, flow.left - flow.rate * (now - flow.updated))
            flow.updated = now
        rates = fair_shares({flow: (flow.pipes, flow.ceiling) for flow in self._flows}, self.widths)
        for flow, timer in list(self._flows.items()):
            if timer is not None and rates[flow] == flow.rate:
                continue
            flow.rate = rates[flow]
            self._plan(flow, timer)

    def _plan(self, flow: Flow, timer: Timer | None) -> None:
        if timer is not None:
            timer.cancel()
        self._flows[flow] = None
        if flow.rate > 0:
            wait = max(0.0, flow.left - flow.next_stop()) / flow.rate
            self._flows[flow] = self._clock.at(flow.updated + wait, lambda: self._reached(flow))

    def _reached(self, flow: Flow) -> None:
        flow.left, flow.updated = flow.next_stop(), self._clock.seconds()
        flow.steps += 1
        if flow.steps < STEPS:
            self._plan(flow, None)
        else:
            self.stop(flow)
        flow.progressed.fire()


def fair_shares(flows: dict[Flow, tuple[tuple[str, ...], float]], widths: dict[str, float]) -> dict[Flow, float]:
    """Max-min fair rates: the narrowest pipe or ceiling is filled first, and what it leaves goes to the others."""
    rates: dict[Flow, float] = {}
    room = dict(widths)
    open_ = dict(flows)
    while open_:
        users: dict[str, int] = {}
        for pipes, _ in open_.values():
            for pipe in pipes:
                users[pipe] = users.get(pipe, 0) + 1
        share = min((room[pipe] / count for pipe, count in users.items() if pipe in room), default=float("inf"))
        limited = [flow for flow, (_, ceiling) in open_.items() if ceiling <= share]
        if not limited:
            nearly = share * (1 + 1e-12)
            tight = {pipe for pipe, count in users.items() if pipe in room and room[pipe] / count <= nearly}
            limited = [flow for flow, (pipes, _) in open_.items() if tight.intersection(pipes)]
        for flow in limited:
            pipes, ceiling = open_.pop(flow)
            rates[flow] = min(share, ceiling)
            for pipe in pipes:
                if pipe in room:
                    room[pipe] = max(0.0, room[pipe] - rates[flow])
    return rates
