"""Which version is newer, what is above the ceiling, and what runs."""

from __future__ import annotations

import pytest

from shared.domain.model import Package, Versions
from shared.xapi import packages


@pytest.mark.parametrize(
    ("lower", "upper"),
    [
        ("26.1.3-1.2", "26.1.3-1.10"),
        ("25.33.1-2.1", "26.1.3-1.2"),
        ("4.17.5-9", "4.17.5-20.1"),
        ("4.17.5-20.1", "4.17.5-20.1.xcpng8.3"),
        ("9.8p1-1", "9.8p2-1"),
        ("1.0~rc1-1", "1.0-1"),
        ("1.0-1", "1.0^git1-1"),
        ("1.0^git1-1", "1.0.1-1"),
        ("1.a-1", "1.1-1"),
        ("2.1-26.xs31", "2.1-26.xs33"),
        ("1:1.0-1", "9.0-1"),
    ],
)
def test_versions_are_in_rpms_order(lower: str, upper: str) -> None:
    """One way, and never both ways; an epoch is left out."""
    assert packages.newer(upper, lower)
    assert not packages.newer(lower, upper)
    assert not packages.newer(upper, upper)


def test_version_and_release_stand_in_a_packages_full_name() -> None:
    """The name may have dashes, the architecture stands at the end."""
    assert packages.evr("xen-hypervisor", "xen-hypervisor-4.17.5-20.1.xcpng8.3.x86_64") == "4.17.5-20.1.xcpng8.3"
    assert packages.evr("kernel", "") == ""


def test_an_offer_above_the_masters_is_seen() -> None:
    """Equal is allowed, higher is not, and what the master has not sets no ceiling."""
    offered = (Package("kernel", "4.19", "44"), Package("xen", "4.17.6", "3"), Package("new", "1", "1"))
    master = {"kernel": "kernel-4.19-44.x86_64", "xen": "xen-4.17.6-2.x86_64", "new": ""}
    assert [package.name for package in packages.above(offered, master)] == ["xen"]


def test_installed_above_the_masters_is_seen() -> None:
    """The same of what is installed."""
    member = {"kernel": "kernel-4.19-45.x86_64", "xapi-core": "xapi-core-26.1-1.x86_64"}
    master = {"kernel": "kernel-4.19-44.x86_64", "xapi-core": "xapi-core-26.1-1.x86_64"}
    assert packages.higher(member, master) == ("kernel",)
    assert packages.higher(master, master) == ()


def test_what_was_offered_and_is_not_installed_is_missing() -> None:
    """An installation that says success and installed nothing; a later version than offered is fine."""
    offered = (Package("kernel", "4.19", "44"), Package("xen", "4.17.6", "2"), Package("gone", "1", "1"))
    has = {"kernel": "kernel-4.19-43.x86_64", "xen": "xen-4.17.6-3.x86_64", "gone": ""}
    assert [package.name for package in packages.missing(offered, has)] == ["kernel", "gone"]


def test_what_runs_is_compared_only_where_it_can_be_told() -> None:
    """Xen says its release; XCP-ng's kernel says 4.19.0+1 whatever is installed."""
    has = {"xen-hypervisor": "xen-hypervisor-4.17.6-2.1.xcpng8.3.x86_64", "kernel": "kernel-4.19.19-8.0.44.x86_64"}
    assert packages.not_running(has, Versions(xen="4.17.6-2.1", linux="4.19.0+1")) == ()
    assert packages.not_running(has, Versions(xen="4.17.6-2", linux="4.19.0+1")) == ()
    (wrong,) = packages.not_running(has, Versions(xen="4.17.5-20.1", linux="4.19.0+1"))
    assert "Xen 4.17.5-20.1 runs although 4.17.6-2.1.xcpng8.3 is installed" in wrong
    assert packages.not_running({}, Versions(xen="4.17.5-20.1")) == ()


def test_a_reboot_is_pending_as_far_as_it_can_be_told() -> None:
    """Xen by its release, xapi by its version; nothing installed, nothing known: nothing pending."""
    has = {"xen-hypervisor": "xen-hypervisor-4.17.6-2.1.x86_64", "xapi-core": "xapi-core-26.1.3-1.2.x86_64"}
    assert not packages.reboot_is_pending(has, Versions(xen="4.17.6-2.1", xapi_build="26.1.3"))
    assert packages.reboot_is_pending(has, Versions(xen="4.17.5-20.1", xapi_build="26.1.3"))
    assert packages.reboot_is_pending(has, Versions(xen="4.17.6-2.1", xapi_build="25.33.1"))
    assert not packages.reboot_is_pending(has, Versions())
    assert not packages.reboot_is_pending({}, Versions(xen="4.17.5-20.1", xapi_build="25.33.1"))
