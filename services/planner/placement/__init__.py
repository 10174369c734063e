"""Where VMs can go. Pure: a snapshot, a host to be emptied, room already promised; out comes a place for each VM and
the order of the moves, or by how much a VM is short.

The planner chooses, not XAPI: XAPI's own planner refuses a VM that any one host cannot take, and packs by memory only.
`values` are what is asked and answered, `constraints` what forbids a host to a VM, `ground` the room there is,
`fill` the first attempt, `search` what is tried when that leaves one without a place, `sequence` the order of moves;
`level` evens out the hosts at the end.
"""

from services.planner.placement.constraints import backwards, comfortable, obstacle, older, tight
from services.planner.placement.level import WITHIN, level, loads, moved
from services.planner.placement.placing import Placer, place
from services.planner.placement.values import Conditions, Move, Placement, Short

__all__ = [
    "WITHIN",
    "Conditions",
    "Move",
    "Placement",
    "Placer",
    "Short",
    "backwards",
    "comfortable",
    "level",
    "loads",
    "moved",
    "obstacle",
    "older",
    "place",
    "tight",
]
