"""The schedule played through in thought keeps the rules by which a run goes on."""

from __future__ import annotations

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from services.planner import rehearsal
from services.planner.rehearsal import Leg, Move, Rehearsal, Terms

HOSTS = ("a", "b", "c", "d", "e", "f")
GIB = 1024**3


def leg(number: int, *, vms: int = 2, seconds: float = 30.0, **changes: object) -> Leg:
    """The turn of a host, whose VMs go to the host before it."""
    host, to = HOSTS[number], HOSTS[number - 1]
    away = tuple(Move(f"{host}{n}", host, to, 4 * GIB, seconds) for n in range(vms))
    plain: dict[str, object] = {
        "turn": f"t0{number + 1}",
        "host": host,
        "master": number == 0,
        "look": 20.0,
        "away": away,
        "install": 300.0,
        "boot": 400.0,
        "check": 10.0,
        "home": tuple(Move(move.vm, to, host, move.memory, seconds) for move in away),
    }
    return Leg(**{**plain, **changes})  # type: ignore[arg-type]


def of(played: Rehearsal, kind: str) -> list[tuple[float, float]]:
    """The parts of one kind as spans, in their order in time."""
    return sorted((part.begins, part.ends) for turn in played.turns for part in turn.parts if part.kind == kind)


def most_at_once(spans: list[tuple[float, float]]) -> int:
    """How many spans overlap at most."""
    return max((sum(begin <= at < end for begin, end in spans) for at, _ in spans), default=0)


def test_vms_are_stopped_after_the_moves_and_started_beside_the_ways_home() -> None:
    """The host is rebooted when they are down; the turn is over when all are up again, and home."""
    played = rehearsal.play([leg(0, down=60.0, up=120.0)], Terms(), begins=10.0)
    assert played.ends == 10 + 20 + 30 + 60 + 300 + 400 + 10 + 120
    assert rehearsal.play([leg(0, down=60.0, up=10.0)], Terms()).ends == 20 + 30 + 60 + 300 + 400 + 10 + 30
    assert rehearsal.play([leg(0, vms=0, down=60.0, up=10.0)], Terms()).ends == 20 + 60 + 300 + 400 + 10 + 10


def test_the_next_host_begins_while_vms_are_started() -> None:
    """As soon as the one before takes VMs again."""
    first, second = rehearsal.play([leg(0, up=500.0), leg(1)], Terms()).turns
    enabled = next(part.ends for part in first.parts if part.kind == "check")
    assert (second.begins, first.ends) == (enabled, enabled + 500)


def test_ways_home_yield_to_a_host_that_is_emptied() -> None:
    """Where both want the one slot of a host, who leaves it for good of the run goes first."""
    guests = tuple(Move(f"a{n}", "a", "b", GIB, 30.0) for n in range(4))
    home = tuple(Move(move.vm, "b", "a", GIB, 30.0) for move in guests)
    first = leg(0, away=guests, home=home)
    played = rehearsal.play([first, leg(1, vms=1)], Terms(per_source=1))
    leaves = next(move.begins for move in played.turns[1].moves if not move.home)
    ways = sorted(move.begins for move in played.turns[0].moves if move.home)
    assert ways[0] < leaves < ways[1]


def test_one_turn_is_the_sum_of_its_parts() -> None:
    """Two VMs leave at once and come back at once."""
    played = rehearsal.play([leg(0)], Terms(), begins=10.0)
    assert played.ends == 10 + 20 + 30 + 300 + 400 + 10 + 30
    assert [part.kind for part in played.turns[0].parts] == ["look", "empty", "install", "reboot", "check", "home"]


def test_a_host_sends_and_takes_only_so_many_at_once() -> None:
    """Seven moves through three slots take three rounds, and home through four slots two."""
    played = rehearsal.play([leg(0, vms=7)], Terms(per_source=3, per_destination=4))
    (empty,), (home,) = of(played, "empty"), of(played, "home")
    assert empty[1] - empty[0] == 90.0
    assert home[1] - home[0] == 90.0, "they leave one host, which sends three at once"


def test_a_pool_carries_only_so_many_moves_at_once() -> None:
    """Four moves one after the other, and home as well, however many its hosts would take."""
    played = rehearsal.play([leg(0, vms=4)], Terms(per_pool=1))
    (empty,), (home,) = of(played, "empty"), of(played, "home")
    assert empty[1] - empty[0] == home[1] - home[0] == 120.0


def test_vms_go_home_while_the_next_host_is_emptied() -> None:
    """The second turn begins when the first host is enabled, not when its VMs are home."""
    first, second = rehearsal.play([leg(0), leg(1)], Terms()).turns
    home = next(part for part in first.parts if part.kind == "home")
    assert second.begins == home.begins < first.ends


def test_a_vm_that_goes_home_takes_no_slot_from_one_that_is_waited_for() -> None:
    """Both want into the first host, one at a time: a reboot waits for those that leave, so they go first, as a run's
    steps do."""
    first, second = rehearsal.play([leg(0, vms=4), leg(1, vms=2)], Terms(per_destination=1)).turns
    emptied = max(moved.ends for moved in second.moves if not moved.home)
    assert sum(moved.home and moved.begins < emptied for moved in first.moves) == 1
    assert second.begins + 20 + 10 + 60 == emptied, "the first way home, begun before, takes ten seconds more"


def test_a_host_is_empty_only_when_the_guests_of_others_have_left() -> None:
    """The second host took the first one's VMs, and they go home slowly."""
    played = rehearsal.play([leg(1, seconds=500.0), leg(0, vms=0, master=False)], Terms())
    assert of(played, "install")[1][0] >= of(played, "home")[0][1]


def test_the_master_is_away_alone_and_nothing_moves_meanwhile() -> None:
    """Also where four may be away."""
    played = rehearsal.play([leg(number) for number in range(6)], Terms(max_away=4))
    master = played.turns[0]
    away = next(part for part in master.parts if part.kind == "reboot")
    assert all(turn.begins >= away.ends for turn in played.turns[1:])


def test_the_first_guests_are_watched_before_the_others_go_home_and_the_next_turn_begins() -> None:
    """One goes home and is looked at for three minutes."""
    first, second = rehearsal.play([leg(0, vms=3, soak=180.0, canaries=1), leg(1)], Terms()).turns
    home = sorted(moved.begins for moved in first.moves if moved.home)
    assert home[1] == home[0] + 30.0 + 180.0
    assert second.begins == home[1]


def test_hosts_of_one_group_are_never_in_their_turns_together() -> None:
    """They are away one after the other, although two may be."""
    apart = Terms(max_away=2, conflicts=lambda one, other: {one, other} == {"b", "c"})
    turns = {turn.turn: turn for turn in rehearsal.play([leg(n) for n in range(4)], apart).turns}
    back = next(part for part in turns["t02"].parts if part.kind == "check")
    assert turns["t03"].begins >= back.ends


def test_a_move_waits_for_memory_and_the_fullest_moment_of_a_host_is_known() -> None:
    """The host has room for one VM of the other beside its own; the second comes only when it has left."""
    legs = [leg(1, vms=2)]
    used = {"a": 8 * GIB, "b": 8 * GIB}
    played = rehearsal.play(legs, Terms(), used=used, usable={"a": 16 * GIB, "b": 64 * GIB})
    assert played.high_water["a"][0] == 16 * GIB
    assert played.high_water["b"][0] == 8 * GIB


def test_memory_that_is_never_there_ends_the_rehearsal_all_the_same() -> None:
    """What cannot be is said by placement; a schedule has an end."""
    played = rehearsal.play([leg(1)], Terms(), used={"a": 0, "b": 8 * GIB}, usable={"a": 1, "b": 64 * GIB})
    assert played.turns[0].ends > 0


def test_a_turn_under_way_goes_on_from_where_it_is() -> None:
    """Its host is enabled again; two VMs are still to come home, and the next turn may begin at once."""
    here = leg(1, away=(), install=0.0, boot=0.0, check=0.0, look=0.0, begun=True, back=True)
    played = rehearsal.play([here, leg(2)], Terms(masters=1, members=1))
    assert (played.turns[0].ends, played.turns[1].begins) == (30.0, 0.0)


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 6), min_size=2, max_size=6),
    away=st.integers(1, 3),
    ahead=st.integers(0, 2),
    source=st.integers(1, 4),
    destination=st.integers(1, 4),
)
def test_no_limit_is_broken_at_any_moment(
    sizes: list[int], away: int, ahead: int, source: int, destination: int
) -> None:
    """Hosts away, hosts in their turns, installations, and moves per host."""
    legs = [leg(number, vms=vms) for number, vms in enumerate(sizes)]
    played = rehearsal.play(legs, Terms(away, ahead, source, destination))
    moves = [moved for turn in played.turns for moved in turn.moves]
    assert len(moves) == 2 * sum(sizes)
    assert most_at_once(of(played, "install")) <= 1
    assert most_at_once(of(played, "reboot")) <= away
    under_way = [(turn.begins, next(p.ends for p in turn.parts if p.kind == "check")) for turn in played.turns]
    assert most_at_once(under_way) <= away + ahead
    for host in HOSTS:
        assert most_at_once([(m.begins, m.ends) for m in moves if m.source == host]) <= source
        assert most_at_once([(m.begins, m.ends) for m in moves if m.to == host]) <= destination
    for one, after in itertools.pairwise(of(played, "install")):
        assert one[1] <= after[0]
