"""Commands of the trail: `trail show|verify|export|checkpoint|clock`.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from protocol import terminal

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
trail = typer.Typer(no_args_is_help=True, help="The record of who did and saw what.")
app.add_typer(trail, name="trail")

File = Annotated[Path, typer.Argument(help="The low side's configuration, receiver.toml.", readable=False)]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
KeyFile = Annotated[Path, typer.Option("--key", help="The trail.key, as `checkvalve keys new trail DIR` makes it.")]
Some = list[str] | None


@trail.command()
def show(
    file: File,
    who: Annotated[Some, typer.Option(help="Only what they did: the key of a person, or `system`. Repeatable.")] = None,
    kind: Annotated[Some, typer.Option(help="Only these: `read`, or `read.trend`. Repeatable.")] = None,
    grant: Annotated[Some, typer.Option(help="Only under these grants. Repeatable.")] = None,
    request: Annotated[Some, typer.Option(help="Only of these requests. Repeatable.")] = None,
    asset: Annotated[Some, typer.Option(help="Only of these assets. Repeatable.")] = None,
    person: Annotated[Some, typer.Option(help="Only what was done to them. Repeatable.")] = None,
    before: Annotated[int | None, typer.Option(help="Only entries of smaller number: the next page.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100_000, help="Most entries.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The newest entries, newest first."""
    from receiver.catch_file import load
    from receiver.commands import trail_lines
    from receiver.commands.trail_work import reader

    opened = reader(load(file).state)
    try:
        records = opened.page(
            before=before,
            limit=limit,
            kinds=kind or (),
            who=who or (),
            grant=grant or (),
            request=request or (),
            asset=asset or (),
            person=person or (),
        )
    finally:
        opened.close()
    if as_json:
        terminal.data({"entries": [trail_lines.as_json(one) for one in records]})
        return
    for line in trail_lines.table(records):
        terminal.say(line)
    if len(records) == limit and records[-1].number > 1:
        terminal.say(f"older ones: --before {records[-1].number}")


@trail.command()
def verify(
    what: Annotated[list[Path], typer.Argument(help="receiver.toml; or segments of `export`, without a server.")],
    pub: Annotated[Path | None, typer.Option(help="The trail.pub of who signed checkpoints or segments.")] = None,
    checkpoints: Annotated[
        list[Path] | None, typer.Option(help="Checkpoints that have left this machine, a folder or a note. Repeatable.")
    ] = None,
    anchor: Annotated[Some, typer.Option(help="NUMBER:HASH from paper. Repeatable.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read every entry: what is not as it was written, and what that proves. Exit 0: sound, 1: not."""
    from protocol.errors import ConfigError
    from receiver.commands import trail_lines
    from receiver.commands.trail_work import public

    if any(path.suffix == ".toml" for path in what):
        if len(what) > 1:
            raise ConfigError("a configuration and segments", hint="verify one of them at a time")
        _verify_trail(what[0], pub, checkpoints or [], anchor or [], as_json)
        return
    if pub is None or checkpoints or anchor:
        raise ConfigError(
            "segments prove themselves with the key that signed them, and with nothing else", hint="--pub"
        )
    from receiver.governed.trail.exporting import check_files
    from receiver.governed.trail.trail_error import TrailError

    try:
        found = check_files(what, public(pub))
    except TrailError as error:
        if as_json:
            terminal.data({"sound": False, "fault": str(error)})
        else:
            terminal.say(f"NOT SOUND: {error}")
        raise typer.Exit(1) from None
    if as_json:
        told = [{"file": str(path), "segment": one.number, "first": one.first, "last": one.last} for path, one in found]
        terminal.data({"sound": True, "trail": found[0][1].trail, "segments": told})
        return
    for line in trail_lines.segments(found):
        terminal.say(line)


def _verify_trail(file: Path, pub: Path | None, checkpoints: list[Path], anchors: list[str], as_json: bool) -> None:
    from receiver.catch_file import load
    from receiver.commands import trail_lines
    from receiver.commands.trail_work import public, verified

    def progress(done: int, of: int) -> None:
        if done < of and of > 100_000:
            terminal.progress(f"{done:,} of {of:,} entries")

    done = verified(load(file).state, pub=pub, elsewhere=checkpoints, anchors=anchors, progress=progress)
    terminal.progress("")
    if as_json:
        terminal.data(trail_lines.verified_json(done))
    else:
        for line in trail_lines.verified(done, ", ".join(one.fingerprint for one in public(pub)) if pub else ""):
            terminal.say(line)
    raise typer.Exit(0 if done.sound else 1)


@trail.command()
def export(
    file: File,
    to: Annotated[Path, typer.Option(help="The folder of segments, gone on with from the last one in it.")],
    key: KeyFile,
    form: Annotated[
        Literal["jsonl", "log"], typer.Option("--format", help="JSON lines, or log: syslog as RFC 5424 has it.")
    ] = "jsonl",
    size: Annotated[int, typer.Option(min=1, max=10_000_000, help="Most entries of a segment.")] = 100_000,
    as_json: AsJson = False,
) -> None:
    """What is new as numbered, signed files for a SIEM: never a gap, never a double."""
    from receiver.catch_file import load
    from receiver.commands.trail_work import exported

    made = exported(load(file).state, to, key, form=form, size=size)
    if as_json:
        terminal.data({"segments": [str(path) for path in made]})
        return
    for path in made:
        terminal.say(path)
    if not made:
        terminal.say("nothing is new")


@trail.command()
def checkpoint(file: File, key: KeyFile, as_json: AsJson = False) -> None:
    """Verify, sign the end, and print it: it proves something once it has left this machine. Exit 1: not sound."""
    from receiver.catch_file import load
    from receiver.commands import trail_lines
    from receiver.commands.trail_work import made_checkpoint

    done, note = made_checkpoint(load(file).state, key)
    if as_json:
        terminal.data(trail_lines.verified_json(done) | {"note": note})
    elif note is not None:
        terminal.document(note)
        terminal.say(f"for paper: {trail_lines.end_of(done).anchor}")
    elif done.sound:
        terminal.say("the trail is empty: there is nothing to sign yet")
    else:
        for line in trail_lines.verified(done, ""):
            terminal.say(line)
        terminal.say("no checkpoint was made: its signature would say that all is well")
    raise typer.Exit(0 if done.sound else 1)


@trail.command()
def clock(
    file: File,
    why: Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")],
) -> None:
    """Believe the clock again that once stood ahead; what it ended stays ended."""
    from receiver.commands.programme.programme_work import clock_accepted

    terminal.say(clock_accepted(file, why))
