"""The estimate of a run: a range, from the pool's own history where there is one, told anew as the run goes."""

from __future__ import annotations

import pytest

from services.planner import fitting, forecasting, remaining, stopping
from shared.domain import commands, facts
from shared.domain import history as histories
from shared.domain.history import History
from shared.domain.model import PoolSettings
from shared.domain.names import Named
from shared.domain.policy import Policy
from shared.domain.run import RunState
from shared.domain.window import Window
from tests.services.planner.play import GIB, Play, host, pool, vm


def forecast(history: History | None = None, **policy: object) -> facts.Forecast:
    """The plan of the three musketeers."""
    return forecasting.forecast(pool(), Policy.model_validate(policy), history or History())


def ended(name: str, install: float, boot: float, moved: int = 0, seconds: float = 0.0) -> facts.TurnEnded:
    """A turn that was measured."""
    took = facts.Measured(install_seconds=install, boot_seconds=boot, moved_bytes=moved, moving_seconds=seconds)
    here = Named(f"host-{name}", name)
    return facts.TurnEnded(
        pool="lab", run="r1", turn="t01", host=here, outcome="done", sentence="", measured=took
    )  # fmt: skip


def measured(*turns: facts.TurnEnded) -> History:
    """The history after turns."""
    history = History()
    for turn in turns:
        history = histories.after(history, turn)
    return history


def test_the_forecast_has_a_range_and_says_when_each_turn_is_at_what() -> None:
    """Turns follow each other, each with its parts; the upper end is above what is expected."""
    shown = forecast()
    assert 0 < shown.seconds < shown.upper
    assert [turn.begins for turn in shown.turns] == sorted(turn.begins for turn in shown.turns)
    assert all(turn.seconds == pytest.approx(turn.ends - turn.begins, abs=0.2) for turn in shown.turns)
    assert all(len(move.times) == 4 for turn in shown.turns for move in turn.moves)
    assert shown.basis.startswith("The times are estimated from defaults")


def test_a_pools_own_history_is_what_is_expected_of_it() -> None:
    """The median of the host's own, and of a host without any that of the pool."""
    known = measured(
        ended("athos", 60, 100), ended("athos", 70, 120), ended("athos", 90, 900), ended("porthos", 50, 60)
    )
    reboots = {turn.host.name: _length(turn, "reboot") for turn in forecast(known).turns}
    assert reboots == {"athos": 120.0, "porthos": 60.0, "aramis": 90.0}
    assert _length(forecast(known).turns[0], "install") == 70.0
    assert forecast(known).basis == "The times are estimated from the last 4 turns on this pool."


def test_a_slow_boot_of_the_past_is_in_the_upper_end() -> None:
    """It counts although it is not the rule."""
    calm = measured(ended("athos", 60, 100), ended("athos", 60, 100), ended("athos", 60, 100))
    wild = measured(ended("athos", 60, 100), ended("athos", 60, 1800), ended("athos", 60, 100))
    assert forecast(wild).turns[0].seconds == forecast(calm).turns[0].seconds
    assert forecast(wild).turns[0].upper > forecast(calm).turns[0].upper + 1800


def test_the_rate_of_migrations_is_measured() -> None:
    """A pool on a slow link is emptied slowly."""
    slow = measured(ended("athos", 0, 0, moved=8 * GIB, seconds=800.0))
    assert _length(forecast(slow).turns[0], "empty") > 5 * _length(forecast().turns[0], "empty")


def test_a_history_is_bounded_and_what_was_not_measured_says_nothing() -> None:
    """Of each host the last few values stay."""
    known = measured(*(ended("athos", n, n) for n in range(1, 50)))
    assert known.boots["host-athos"] == (45.0, 46.0, 47.0, 48.0, 49.0)
    turned_back = ended("athos", 0, 0).model_copy(update={"measured": None})
    assert histories.after(known, turned_back) == known


def test_the_digest_names_the_plan_and_not_its_estimate() -> None:
    """A plan that was agreed to stays agreed to when another turn was measured meanwhile."""
    assert forecast().digest == forecast(measured(ended("athos", 1000, 2000))).digest
    assert forecast().digest != forecast(skip=("aramis",)).digest


def test_the_tightest_host_and_the_most_memory_of_each_are_told() -> None:
    """Each host takes its own VMs and, while another is away, some of that one's."""
    shown = forecast()
    assert {load.host.name for load in shown.loads} == {"athos", "porthos", "aramis"}
    assert all(12 * GIB <= load.most <= load.usable == 62 * GIB for load in shown.loads)
    fullest = max(shown.loads, key=lambda load: load.most)
    assert shown.tightest == fullest.host


def test_the_time_without_high_availability_is_told() -> None:
    """From the beginning until it is put back; none where it is off anyhow."""
    assert 0 < forecast().ha_off <= forecast().seconds
    without = forecasting.forecast(pool(settings=PoolSettings()), Policy())
    assert (without.ha_off, without.ha_off_upper) == (0.0, 0.0)


def test_vms_that_are_stopped_take_their_time_and_memory_goes_through_one_disk() -> None:
    """Guests shut down a few at once; suspended memory is written and read one after the other."""
    shut = [
        facts.ForecastStop(vm=vm(str(n), "a").named, strategy="shutdown", cause="device", because="") for n in "abc"
    ]
    kept = [one.model_copy(update={"strategy": "suspend", "memory": 20 * GIB}) for one in shut]
    assert stopping.one_way([]) == 0
    assert stopping.one_way(shut[:1]) == stopping.one_way(shut) == 60
    assert stopping.one_way([*shut, *shut]) == 120
    assert stopping.one_way(kept) == pytest.approx(3 * 20 * 1024 / 200)
    down = stopping.timed(shut, (facts.ForecastPart(kind="reboot", begins=100, ends=500),))
    assert [one.seconds for one in down] == [520.0] * 3


def test_what_is_left_counts_the_stops_and_starts_that_are_still_to_come() -> None:
    """A run that has a VM to start again takes longer than one that has none."""
    bound = vm("bound", "athos", devices=("pci",))
    left = {}
    for vms in ((), (bound,)):
        play = Play(pool(vms=(vm("web", "athos"), *vms)), Policy(chains={"device": ("shutdown",)}, soak_minutes=0))
        play.start()
        while "reboot_host" not in play.kinds():
            assert play.step()
        told = remaining.of(play.run, History(), play.now)
        assert told is not None
        left[len(vms)] = told.turns["t01"]
    assert left[1] > left[0] + 30, "it starts for 60 s, and web goes home for 17 s beside it"


def test_two_at_once_are_sooner_done() -> None:
    """The estimate follows the schedule, not the number of hosts."""
    hosts = [host(name, 128) for name in ("a", "b", "c", "d", "e")]
    vms = [vm(f"{one.name}-{n}", one.name, 4) for one in hosts for n in range(2)]
    one, two = (forecasting.forecast(pool(hosts, vms), Policy(max_away=n, empty_ahead=0)) for n in (1, 2))
    assert two.seconds < 0.8 * one.seconds
    assert (one.max_away, two.max_away) == (1, 2)


def _length(turn: facts.ForecastTurn, kind: str) -> float:
    return round(sum(part.ends - part.begins for part in turn.parts if part.kind == kind), 1)


# --- windows ----------------------------------------------------------------------------------------------------------

SATURDAY = 1_795_219_200.0  # 2026-11-21 00:00 UTC


def notes(hours: float, now: float = SATURDAY) -> str:
    """What a forecast says of a window at two o'clock that is open for so many hours."""
    opening = fitting.Opening("night", Window(cron="0 2 * * *", hours=hours), now)
    return " ".join(forecasting.forecast(pool(), Policy(window="night"), History(), opening).notes)


def test_a_plan_that_fits_its_window_says_when_it_can_begin() -> None:
    """In the window's own zone."""
    assert "fits into one opening of the window 'night', which lets it begin at Sat 21 Nov 2026 02:00 (UTC)" in notes(5)


def test_a_plan_that_takes_several_nights_says_so() -> None:
    """With the hosts of each."""
    assert "It takes 3 openings of the window 'night', the first at Sat 21 Nov 2026 02:00" in notes(0.5)


def test_a_window_that_no_turn_fits_into_is_told() -> None:
    """With the host and the minutes."""
    assert "The turn of athos may take" in notes(0.1)
    assert "fits into no opening of the window 'night'" in notes(0.1)


# --- as it goes -------------------------------------------------------------------------------------------------------


def test_the_estimate_is_told_anew_with_each_turn() -> None:
    """The boots of this pool are quick: what is left shrinks faster than was thought, and the facts say so."""
    play = Play(pool(), Policy(soak_minutes=0))
    play.start().play()
    told = [fact for fact, _ in play.journal if isinstance(fact, facts.TurnPlanned)]
    assert len(told) == 3
    assert all(0 < fact.left < fact.left_upper and fact.seconds > 0 for fact in told)
    assert told[0].left > told[1].left > told[2].left
    kept = [fact.measured for fact, _ in play.journal if isinstance(fact, facts.TurnEnded)]
    assert all(one is not None and one.boot_seconds > 0 for one in kept)
    assert play.book.history.turns == 3


def test_nobody_can_tell_when_a_run_ends_that_waits_for_a_person() -> None:
    """Held or paused it has no estimated end."""
    play = Play(pool()).start()
    while play.run.state is not RunState.RUNNING:
        play.step()
    assert remaining.of(play.run, play.book.history, play.now) is not None
    play.order(commands.PauseRun(pool="lab", run=play.run.id))
    assert remaining.of(play.run, play.book.history, play.now) is None
