"""The schedule of a run played through in thought: which turn is at what when, and where each VM is. Pure.

The rules are those by which a run really goes on (`pacing`, `stepping`): a turn begins when the limits let it, moves
share the slots of their hosts, one installation at a time, nothing moves while the master is away. A move takes its
memory over one stream's rate; what a link shared by more does to it is in the upper end of the estimate.

`values` are what goes in and what comes out, `stage` plays it.
"""

from services.planner.rehearsal.stage import play
from services.planner.rehearsal.values import Leg, Move, Moved, Part, Played, Rehearsal, Terms

__all__ = ["Leg", "Move", "Moved", "Part", "Played", "Rehearsal", "Terms", "play"]
