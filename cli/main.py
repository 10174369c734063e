"""The command `rota`: its verbs and their options. What a verb does is imported when it is called, so that help and
mistakes answer at once; nothing heavy may be imported here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

app = typer.Typer(
    help="Rolling updates of XCP-ng and XenServer pools, without stopping the virtual machines on them.",
    epilog="Exit status: 0 done, 1 failed, 2 usage, 3 held or waiting for a person, 4 refused, 5 unreachable,"
    " 6 cancelled, 130 interrupted. The bus is found by ROTA_NATS_URL, rota.toml, or `rota up` in this folder.",
    rich_markup_mode=None,
    add_completion=False,
    pretty_exceptions_enable=False,
)

AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, sentences on stderr.")]
Pool = Annotated[str, typer.Argument(metavar="POOL", help="The pool's key in rota.toml.")]
Run = Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or as much of it as is unique.")]
Key = Annotated[str, typer.Argument(metavar="KEY", help="The schedule's name: small letters, digits and hyphens.")]
Step = Annotated[str, typer.Argument(metavar="STEP", help="A step; without one the step that holds the run.")]
PolicyWords = Annotated[
    list[str], typer.Option("--policy", metavar="KEY=VALUE", help="What differs from the pool's policy; repeat it.")
]

Only = Annotated[list[str], typer.Option("--only", metavar="HOST", help="Only this host, and others so named.")]
Skip = Annotated[list[str], typer.Option("--skip", metavar="HOST", help="Not this host; repeat it for more.")]
Order = Annotated[list[str], typer.Option("--order", metavar="HOST", help="This host first, after the master; repeat.")]

schedule = typer.Typer(help="Set, delete and look at one schedule.", rich_markup_mode=None)
app.add_typer(schedule, name="schedule")

ORDER_STAYS = "You stopped waiting; the order is on the bus and is carried out. `rota` says what is going on."


def main() -> None:
    """The entry point."""
    app()


@app.callback(invoke_without_command=True)
def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Say what is going on, what is owed, and what ended last; or do what a verb says."""
    if context.invoked_subcommand is None:
        from cli import looking, output

        output.run(looking.status, as_json=as_json)
    elif as_json:
        context.default_map = _json_for(context.command)


def _json_for(command: object) -> dict[str, Any]:
    """`rota --json VERB` is `rota VERB --json`, for every verb."""
    verbs: dict[str, object] = getattr(command, "commands", {})
    return {name: _json_for(verb) for name, verb in verbs.items()} or {"as_json": True}


@app.command()
def plan(
    pool: Pool,
    policy: PolicyWords = [],  # noqa: B006 - typer copies it
    mode: Annotated[
        list[str], typer.Option("--mode", help="Where VMs end: home, level or stay; repeat to compare.")
    ] = [],  # noqa: B006 - typer copies it
    max_away: Annotated[
        list[str],
        typer.Option("--max-away", metavar="N", help="So many hosts away at once, or 25%; repeat to compare."),
    ] = [],  # noqa: B006 - typer copies it
    skip_: Annotated[
        list[str], typer.Option("--skip", metavar="HOST", help="What if not this host; repeat for more.")
    ] = [],  # noqa: B006 - typer copies it
    html: Annotated[
        bool, typer.Option("--html", help="A page with the timeline: hosts as lanes, VMs as bars.")
    ] = False,
    to: Annotated[
        Path | None, typer.Option("--to", metavar="FILE", help="The page into this file, not stdout.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Show what an update of a pool would do, as a table and a timeline, or compare ways to do it. Changes nothing."""
    from cli import output, planning

    if html and as_json:
        raise typer.BadParameter("--html and --json exclude each other.")
    if to is not None and not html:
        raise typer.BadParameter("--to says where the page goes; it needs --html.")
    what_if = planning.WhatIf(tuple(mode), tuple(max_away), tuple(skip_))
    output.run(lambda: planning.plan(pool, policy, what_if, html=html, to=to), as_json=as_json)


@app.command()
def updates(
    pool: Annotated[str, typer.Argument(metavar="POOL", help="A pool; without one all of rota.toml.")] = "",
    as_json: AsJson = False,
) -> None:
    """Show what waits to be installed, with changelogs and advisories. Changes nothing."""
    from cli import output
    from cli import updates as updates_

    output.run(lambda: updates_.updates(pool), as_json=as_json)


@app.command()
def start(
    pool: Pool,
    watch: Annotated[bool, typer.Option("--watch", help="Show the run to its end.")] = False,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Print the run's id and leave.")] = False,
    policy: PolicyWords = [],  # noqa: B006 - typer copies it
    only: Only = [],  # noqa: B006 - typer copies it
    skip_: Skip = [],  # noqa: B006 - typer copies it
    order: Order = [],  # noqa: B006 - typer copies it
    reason: Annotated[str, typer.Option("--reason", help="Why; it stands in the report.")] = "",
    digest: Annotated[str, typer.Option("--digest", help="Only if the plan is still this one (see plan --json).")] = "",
    now: Annotated[bool, typer.Option("--now", help="Do not wait for the pool's window.")] = False,
    consent: Annotated[
        list[str], typer.Option("--consent", metavar="VM", help="This VM may be stopped; repeat for more.")
    ] = [],  # noqa: B006 - typer copies it
    as_json: AsJson = False,
) -> None:
    """Update a pool. Waits until the run has begun or was refused."""
    from cli import ordering, output
    from cli.exits import Ending

    if watch and no_wait:
        raise typer.BadParameter("--watch and --no-wait exclude each other.")

    async def verb() -> Ending:
        words = [*policy, *ordering.selecting(only, skip_, order)]
        command = ordering.start_command(pool, words, reason, digest, now=now, consents=consent)
        return await ordering.start(command, "watch" if watch else "leave" if no_wait else "begun", as_json=as_json)

    output.run(verb, as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def undo(pool: Pool, as_json: AsJson = False) -> None:
    """Put back what Rota noted in the pool itself as changed; the journal may be empty."""
    from cli import ordering, output
    from cli.exits import Ending

    async def verb() -> Ending:
        return await ordering.start(ordering.undo_command(pool), "watch", as_json=as_json)

    output.run(verb, as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def watch(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run; without one the only open run.")] = "",
    stay: Annotated[bool, typer.Option("--stay", help="Watch on while the run waits for a person.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One fact a line on stdout, sentences on stderr.")] = False,
) -> None:
    """Watch a run, live on a terminal, to its end or to where it waits for a person."""
    from cli import output, watching

    manner = watching.Manner.for_terminal(as_json=as_json, stay=stay)
    output.run(lambda: watching.watch_prefix(run, manner), as_json=False, interrupted=watching.GOES_ON)


@app.command()
def runs(
    limit: Annotated[int, typer.Option("--limit", min=1, help="How many, the newest first.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    from cli import looking, output

    output.run(lambda: looking.runs(limit), as_json=as_json)


@app.command()
def show(run: Run, as_json: AsJson = False) -> None:
    """Show one run: its hosts, what it waits for, what is owed."""
    from cli import looking, output

    output.run(lambda: looking.show(run), as_json=as_json)


@app.command()
def journal(run: Run, as_json: AsJson = False) -> None:
    """Show every fact of a run, in order."""
    from cli import looking, output

    output.run(lambda: looking.journal(run), as_json=as_json)


@app.command()
def report(
    run: Run,
    html: Annotated[bool, typer.Option("--html", help="The page with the timeline.")] = False,
    csv: Annotated[bool, typer.Option("--csv", help="One flat table for machines.")] = False,
    pdf: Annotated[bool, typer.Option("--pdf", help="The page as a PDF; needs a Chromium on this machine.")] = False,
    browse: Annotated[bool, typer.Option("--open", help="Show the page in the browser.")] = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FILE", help="Into this file instead of stdout.")] = None,
    as_json: AsJson = False,
) -> None:
    """Fetch the report of a run: as text, or in another form."""
    from cli import output, reporting

    flags: dict[reporting.Form, bool] = {"html": html, "csv": csv, "pdf": pdf, "open": browse, "json": as_json}
    forms = [form for form, asked in flags.items() if asked]
    if len(forms) > 1:
        raise typer.BadParameter("--html, --csv, --pdf, --open and --json exclude each other.")
    output.run(lambda: reporting.report(run, forms[0] if forms else "txt", to), as_json=as_json)


@app.command()
def why(pool: Pool, as_json: AsJson = False) -> None:
    """Say why a pool's run waits, since when, and until when."""
    from cli import looking, output

    output.run(lambda: looking.why(pool), as_json=as_json)


@app.command()
def cancel(
    run: Run,
    now: Annotated[bool, typer.Option("--now", help="Not after this turn but now, as far as is safe.")] = False,
    as_json: AsJson = False,
) -> None:
    """End a run after this turn, or now."""
    from cli import ordering, output

    output.run(lambda: ordering.cancel(run, now=now), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def pause(run: Run, as_json: AsJson = False) -> None:
    """Begin nothing new in a run until it is resumed."""
    from cli import ordering, output

    output.run(lambda: ordering.pause(run), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def resume(run: Run, as_json: AsJson = False) -> None:
    """Let a run go on after a pause or a hold."""
    from cli import ordering, output

    output.run(lambda: ordering.resume(run), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def ack(run: Run, as_json: AsJson = False) -> None:
    """Say that you look after a hold: nobody is told of it again, and the window's end does not cancel the run."""
    from cli import ordering, output

    output.run(lambda: ordering.acknowledge(run), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def approve(
    run: Run,
    turn: Annotated[str, typer.Option("--turn", metavar="HOST", help="The turn of this host, and nothing else.")] = "",
    digest: Annotated[str, typer.Option(help="The plan or turn with this digest, and no other.")] = "",
    as_json: AsJson = False,
) -> None:
    """Approve what a run asks for: its plan, or a turn."""
    from cli import ordering, output

    output.run(lambda: ordering.approve(run, turn, digest), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def reject(
    run: Run,
    because: Annotated[str, typer.Option(help="Why, for the report.")] = "",
    as_json: AsJson = False,
) -> None:
    """Refuse what a run asks for: one that has not begun is over, another ends as far as is safe."""
    from cli import ordering, output

    output.run(lambda: ordering.reject(run, because), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def retry(run: Run, step: Step = "", as_json: AsJson = False) -> None:
    """Try a step again that gave up or timed out."""
    from cli import ordering, output

    output.run(lambda: ordering.retry(run, step), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def skip(
    run: Run,
    host: Annotated[str, typer.Argument(metavar="HOST", help="A host's name or uuid.")],
    as_json: AsJson = False,
) -> None:
    """Leave a host out of a run: its turn is not begun, or goes back where it still can."""
    from cli import ordering, output

    output.run(lambda: ordering.skip(run, host), as_json=as_json, interrupted=ORDER_STAYS)


@app.command("skip-step")
def skip_step(run: Run, step: Step = "", as_json: AsJson = False) -> None:
    """Let a run go on without a step that gave up or timed out."""
    from cli import ordering, output

    output.run(lambda: ordering.skip_step(run, step), as_json=as_json, interrupted=ORDER_STAYS)


@app.command()
def schedules(as_json: AsJson = False) -> None:
    """List the schedules and when each comes due next."""
    from cli import output
    from cli import schedules as schedules_

    output.run(schedules_.listed, as_json=as_json)


@schedule.command("add")
def schedule_add(
    key: Key,
    cron: Annotated[str, typer.Argument(metavar="CRON", help="Minute, hour, day, month, weekday: '0 2 * * SUN#2'.")],
    pool: Annotated[list[str], typer.Option("--pool", metavar="POOL", help="A pool's key; repeat it.")] = [],  # noqa: B006 - typer copies it
    tag: Annotated[list[str], typer.Option("--tag", metavar="TAG", help="All pools with this tag; repeat it.")] = [],  # noqa: B006 - typer copies it
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="CRON's time zone, as Europe/Rome.")] = "UTC",
    late: Annotated[
        float, typer.Option("--late", metavar="HOURS", min=0, help="Start a missed tick up to so late; else skip it.")
    ] = 0.0,
    policy: PolicyWords = [],  # noqa: B006 - typer copies it
    tell: Annotated[bool, typer.Option("--tell", help="Only tell people what waits to be installed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Update pools by themselves; a schedule of this name is replaced."""
    from cli import output
    from cli import schedules as schedules_
    from cli.exits import Ending

    async def verb() -> Ending:
        return await schedules_.order(schedules_.set_command(key, cron, zone, pool, tag, late, policy, tell=tell))

    output.run(verb, as_json=as_json, interrupted=ORDER_STAYS)


@schedule.command("remove")
def schedule_remove(key: Key, as_json: AsJson = False) -> None:
    """Take a schedule away that was set by an order; runs that it started go on."""
    from cli import output
    from cli import schedules as schedules_
    from cli.exits import Ending

    async def verb() -> Ending:
        return await schedules_.order(schedules_.delete_command(key))

    output.run(verb, as_json=as_json, interrupted=ORDER_STAYS)


@schedule.command("next")
def schedule_next(
    key: Key,
    count: Annotated[int, typer.Option("--count", min=1, max=1000, help="How many times.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Show when a schedule comes due next."""
    from cli import output
    from cli import schedules as schedules_

    output.run(lambda: schedules_.following(key, count), as_json=as_json)


@app.command()
def demo(
    keep: Annotated[
        Path | None, typer.Option("--keep", metavar="DIR", help="Leave everything in this folder, new or empty.")
    ] = None,
    factor: Annotated[float, typer.Option("--factor", min=1, max=100, help="How much faster than life.")] = 60.0,
    as_json: AsJson = False,
) -> None:
    """Update a simulated pool on this machine, from order to report."""
    from cli import demo as demo_
    from cli import output

    output.run(lambda: demo_.demo(keep, factor, as_json=as_json), as_json=as_json, interrupted=demo_.INTERRUPTED)


@app.command()
def up(
    data: Annotated[Path | None, typer.Option("--data", metavar="DIR", help="The data folder.")] = None,
) -> None:
    """Run the bus, if none is named, and all services on this machine, until Ctrl-C."""
    from cli import output
    from cli import up as up_

    output.run(lambda: up_.up(data), as_json=False, interrupted=up_.STOPPED)


if __name__ == "__main__":
    main()
