"""Commands of the programme around reading: `evidence`, `alerts`, `roster`, `break-glass`.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocol import terminal

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="The low side's configuration, receiver.toml.", readable=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Some = list[str] | None


@app.command()
def evidence(
    file: File,
    vendor: Annotated[str, typer.Argument(help="Whose month: the vendor's name as enrolments carry it.")] = "",
    month: Annotated[str, typer.Argument(help="Which: 2026-11, in the plant's time zone.")] = "",
    out: Annotated[Path, typer.Option(help="Folder for evidence.html and evidence.json.")] = Path("evidence"),
    check: Annotated[
        bool, typer.Option("--check", help="Instead: compare every read of everybody with the grants of its time.")
    ] = False,
    pub: Annotated[Path | None, typer.Option(help="The trail.pub of who signed checkpoints.")] = None,
    checkpoints: Annotated[
        list[Path] | None, typer.Option(help="Checkpoints that have left this machine, a folder or a note. Repeatable.")
    ] = None,
    anchor: Annotated[Some, typer.Option(help="NUMBER:HASH from paper. Repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """A vendor's month as one pack. Exit 0: complete, 1: not, or something was read that no grant allowed."""
    from protocol.errors import ConfigError
    from protocol.written import counted
    from receiver.commands.programme import evidence_work as work

    if check:
        reads, faults = work.checked(file)
        if as_json:
            told = [{"number": one.number, "text": one.text} for one in faults]
            terminal.data({"reads": reads, "faults": told})
        else:
            for one in faults[: work.NAMED]:
                terminal.say(f"NOT ALLOWED: entry {one.number}: {one.text}")
            terminal.say(
                f"{reads} reads compared with the grants in force at their time: {counted(len(faults), 'fault')}"
            )
        raise typer.Exit(int(bool(faults)))
    if not vendor or not month:
        raise ConfigError("a vendor and a month are missing", hint="checkvalve evidence RECEIVER.toml VENDOR 2026-11")

    def progress(done: int, of: int) -> None:
        if done < of and of > 100_000:
            terminal.progress(f"{done:,} of {of:,} entries")

    pack, paths = work.made(
        file, vendor, month, out, pub=pub, elsewhere=checkpoints or [], anchors=anchor or [], progress=progress
    )
    terminal.progress("")
    if as_json:
        terminal.data({"complete": not pack.incomplete, "incomplete": list(pack.incomplete), "counts": pack.counts()})
        raise typer.Exit(pack.exit_code)
    for line in (*pack.incomplete, *pack.faults[: work.NAMED]):
        terminal.say(f"NOT COMPLETE: {line}" if line in pack.incomplete else f"NOT ALLOWED: {line}")
    terminal.say(", ".join(f"{count} {name}" for name, count in pack.counts().items()))
    for path in paths:
        terminal.say(path)
    raise typer.Exit(pack.exit_code)


alerts = typer.Typer(no_args_is_help=True, help="What somebody must look at, with the next step.")
roster = typer.Typer(no_args_is_help=True, help="Who approves, and who keeps break-glass, in which hours.")
glass = typer.Typer(no_args_is_help=True, help="The credential of an emergency.")
app.add_typer(alerts, name="alerts")
app.add_typer(roster, name="roster")
app.add_typer(glass, name="break-glass")


@alerts.command("list")
def list_alerts(file: File, as_json: AsJson = False) -> None:
    """Every open alert, the longest open first. Exit 1: there is one that nobody has acknowledged."""
    from dataclasses import asdict

    from receiver.commands.programme import programme_work as work

    found, zone = work.alerts(file)
    if as_json:
        terminal.data({"alerts": [asdict(one) for one in found]})
    else:
        for line in work.alert_lines(found, zone):
            terminal.say(line)
    raise typer.Exit(int(any(one.acknowledged is None for one in found)))


@alerts.command()
def acknowledge(
    file: File,
    number: Annotated[int, typer.Argument(help="The alert's, as `list` shows it.")],
    note: Annotated[str, typer.Option(help="What was found and done, in a sentence; it is kept.")],
) -> None:
    """Say that you know of it, and what was found."""
    from receiver.commands.programme import programme_work as work

    terminal.say(work.acknowledged(file, number, note))


@roster.command("show")
def show_roster(file: File, as_json: AsJson = False) -> None:
    """Who is on duty now and who comes next, to be printed. Exit 1: a custodian is missing within a day."""
    from receiver.commands.programme import programme_work as work

    told = work.roster_told(file)
    if as_json:
        terminal.data(told)
    else:
        for line in work.roster_lines(told):
            terminal.say(line)
    raise typer.Exit(int(told["no_custodian_ns"] is not None))


@roster.command("set")
def set_roster(
    file: File,
    role: Annotated[str, typer.Argument(help="Approver, engineer or custodian, in lower case.")],
    who: Annotated[str, typer.Argument(help="Key or login of the person.")],
    first: Annotated[str, typer.Option("--from", help="From when, in the plant's time: 2026-12-01, or with 06:00.")],
    until: Annotated[str, typer.Option(help="Until when; there is none without an end.")],
    hours: Annotated[str, typer.Option(help="Only in these: Mon-Fri 06:00-14:00, Sat 08:00-12:00.")] = "",
    asset: Annotated[list[str] | None, typer.Option(help="Only for these; left out, every asset. Repeatable.")] = None,
) -> None:
    """Put somebody on the roster; a shift has one custodian."""
    from receiver.commands.programme import programme_work as work

    terminal.say(work.roster_set(file, role, who, first=first, until=until, hours=hours, assets=asset or []))


@roster.command("end")
def end_roster(
    file: File,
    line: Annotated[str, typer.Argument(help="Key of the roster's line, d-..")],
    why: Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")],
) -> None:
    """Take a line off the roster before its end."""
    from receiver.commands.programme import programme_work as work

    terminal.say(work.roster_end(file, line, why))


@glass.command()
def prepare(
    file: File,
    place: Annotated[str, typer.Option(help="Where the sealed code will lie, for the next shift.")],
    as_json: AsJson = False,
) -> None:
    """Make the credential, print its code this once, and void the one before: at the start, and after each use."""
    from receiver.commands.programme import programme_work as work

    made = work.prepared(file, place)
    if as_json:
        terminal.data(made)
        return
    terminal.say(
        f"{made['credential']}: write it down, seal it, and lay it there: {made['place']}; it is shown this once"
    )
    terminal.say(made["code"])
    if made["replaces"]:
        terminal.say(f"{made['replaces']}, which lay ready, opens nothing any more: destroy its envelope")
