"""session: logging in and out, and ending somebody else's session.

xen-api ocaml/xapi/xapi_session.ml: a member redirects before it looks at the password.
"""

from __future__ import annotations

from simulator.calls.context import Context
from simulator.failure import Failure
from simulator.housekeeping import end_session


def login_with_password(ctx: Context, uname: str, pwd: str, version: str = "", originator: str = "") -> str:
    """A new session; `version` is ignored. HOST_IS_SLAVE [master's address] on a member, before the password."""
    site = ctx.site
    if ctx.machine is not site.master:
        raise Failure("HOST_IS_SLAVE", site.master.address)
    if (uname, pwd) != (site.spec.username, site.spec.password):
        raise Failure("SESSION_AUTHENTICATION_FAILED", uname, "Authentication failure")
    return site.world.add(
        "session",
        f"session {site.count('session')}",
        this_host=ctx.machine.ref,
        last_active=site.today(),
        pool=True,
        is_local_superuser=True,
        auth_user_name=uname,
        originator=originator,
        validation_time=site.today(),
    )


def slave_local_login_with_password(ctx: Context, uname: str, pwd: str) -> str:
    """A session on this host alone, for emergencies; works without a master."""
    site = ctx.site
    if (uname, pwd) != (site.spec.username, site.spec.password):
        raise Failure("SESSION_AUTHENTICATION_FAILED", uname, "Authentication failure")
    return site.world.add(
        "session",
        f"local session {site.count('session')}",
        this_host=ctx.machine.ref,
        pool=False,
        last_active=site.today(),
        is_local_superuser=True,
        originator="local",
    )


def logout(ctx: Context) -> None:
    """Ends the session it is called with, whoever holds it."""
    end_session(ctx.site, ctx.session)


def local_logout(ctx: Context) -> None:
    end_session(ctx.site, ctx.session)


def get_all_subject_identifiers(ctx: Context) -> list[str]:
    return []


CALLS = {
    "session.login_with_password": login_with_password,
    "session.slave_local_login_with_password": slave_local_login_with_password,
    "session.logout": logout,
    "session.local_logout": local_logout,
    "session.get_all_subject_identifiers": get_all_subject_identifiers,
}
