"""The room on the hosts of a rehearsal, which stay in its order as VMs come and go. Lives for one rehearsal."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Mapping


class Rooms:
    """Bytes that VMs take on each host, what they may take, and the most they ever took with when; a host whose room is
    not known takes everything. Times are seconds."""

    def __init__(self, used: Mapping[str, int], usable: Mapping[str, int], begins: float) -> None:
        self.usable = usable
        self.high = {host: (size, begins) for host, size in used.items()}
        self._used = dict(used)
        self._places = {host: -number for number, host in enumerate(usable)}
        self._free = sorted((room - used.get(host, 0), self._places[host], host) for host, room in usable.items())

    def fits(self, host: str, size: int) -> bool:
        """Whether a host has room for so many bytes."""
        return host not in self.usable or self._used.get(host, 0) + size <= self.usable[host]

    def roomiest(self, size: int) -> Iterator[str]:
        """The hosts that have room for so many bytes, the roomiest first."""
        first = bisect_left(self._free, (size, -len(self._free), ""))
        return (self._free[place][2] for place in range(len(self._free) - 1, first - 1, -1))

    def take(self, host: str, size: int, now: float) -> None:
        """A host's VMs take so many bytes more, or less."""
        before = self._used.get(host, 0)
        self._used[host] = after = before + size
        if after > self.high.get(host, (0, 0.0))[0]:
            self.high[host] = (after, now)
        if host in self.usable:
            place = self._places[host]
            del self._free[bisect_left(self._free, (self.usable[host] - before, place, host))]
            insort(self._free, (self.usable[host] - after, place, host))
