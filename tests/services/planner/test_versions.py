"""What versions will do to a run is told before it; and who goes home first."""

from __future__ import annotations

from dataclasses import replace

from services.planner import canaries, versions
from shared.domain.model import Package, PoolSettings
from tests.services.planner.play import NEW, host, pool, vm

KERNEL = (Package("kernel", "4.19.19"),)


def test_versions_will_differ_where_a_package_that_xapi_compares_is_offered() -> None:
    """A kernel is not compared; a pool that differs already differs; what cannot be asked cannot be told."""
    assert versions.will_differ(pool()) is True
    assert versions.will_differ(pool((host("a", updates=KERNEL), host("b", updates=())))) is False
    assert versions.will_differ(pool((host("a", updates=()), host("b", updates=None)))) is None
    assert versions.will_differ(pool((host("a", updates=(), versions=NEW), host("b", updates=None)))) is True


def test_the_upgrade_flag_is_set_by_the_platform_or_by_xapis_minor_version() -> None:
    """A patch of xapi does not set it; a flag that is set already is."""
    patched = (Package("xapi-core", "25.33.9"),)
    assert versions.flag_will_be_set(pool((host("a", updates=(Package("xapi-core", "26.1.3"),)),))) is True
    assert versions.flag_will_be_set(pool((host("a", updates=patched),))) is False
    assert versions.flag_will_be_set(pool((host("a", updates=KERNEL), host("b", updates=None)))) is None
    assert versions.flag_will_be_set(pool((host("a", updates=(Package("xcp-ng-release", "8.4.0"),)),))) is True
    assert versions.flag_will_be_set(pool((host("a", updates=(Package("xcp-ng-release", "8.3.0"),)),))) is False
    assert versions.flag_will_be_set(pool(settings=PoolSettings(rolling_upgrade_in_progress=True))) is True


def test_an_old_xapi_sets_the_flag_by_the_platform_alone() -> None:
    """Until 25.31 its own version did not count."""
    old = replace(host("a", updates=(Package("xapi-core", "24.20.0"),)))
    old = replace(old, versions=replace(old.versions, xapi="24.19", xapi_build="24.19.2"))
    assert versions.flag_will_be_set(pool((old,))) is False


def test_the_canaries_are_those_that_are_tagged_else_the_smallest() -> None:
    """Only guests that run and report can be watched."""
    small, large = vm("small", "athos", 1), vm("large", "athos", 8)
    mute, off = vm("mute", "athos", 1, tools=False), vm("off", None, 1)
    tagged = vm("tagged", "athos", 16, tags=("rota:canary", "web"))
    assert canaries.choose([large, mute, off, small], 1) == (small,)
    assert canaries.choose([large, small], 2) == (small, large)
    assert canaries.choose([large, small, tagged], 2) == (tagged,)
    assert canaries.choose([large, small], 0) == ()
    assert canaries.choose([mute, off], 2) == ()
