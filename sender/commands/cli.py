"""Commands of the high side: `send`, `apply`, `replay`, `linktest`, `doctor`, `status` (of devices: `device_cli.py`).

A command only reads its arguments, calls what does the work, and prints. Mistakes are raised: the front door
(`checkvalve.py`) prints them and chooses the exit code. Imports stand inside the commands, since `send --only emit`
must not load a collector.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from oneway.preflight import Policy
from protocol import terminal
from protocol.process.confine import Mode

if TYPE_CHECKING:
    from sender.poll.config import SenderConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="The high side's configuration, sender.toml.", readable=False)]
EitherFile = Annotated[
    Path, typer.Argument(help="A side's configuration: its sender.toml, or its receiver.toml.", readable=False)
]
"""Of commands that both sides have: the front door picks the side by the file."""
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


LINK_TOLD = ("session", "frames_total", "backlog_s", "repeats_dropped", "send_errors", "engine", "errand")
"""What `status` shows of the emitter."""


@app.command()
def send(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Name every mistake and warning; start nothing.")] = False,
    only: Annotated[
        Literal["poll", "emit"] | None, typer.Option(help="poll or emit alone, for one systemd unit each.")
    ] = None,
    confine: Annotated[
        Mode, typer.Option(help="The kernel ends emit if it ever receives; strict allows only what it was seen to use.")
    ] = Mode.ON,
    preflight: Annotated[
        Policy,
        typer.Option(help="A fault of the diode's interface refuses the start, or is a warning in every status."),
    ] = Policy.REFUSE,
    reload: Annotated[
        bool, typer.Option("--reload", help="Check, then let the running poll take the devices that have changed.")
    ] = False,
) -> None:
    """Read the devices and send what they say, one way."""
    if check or reload:
        digest = _check(file)
        if reload:
            from sender.poll.reload import ask_and_wait

            ask_and_wait(file.absolute().parent / "state", digest, terminal.say)
        return
    from sender import main

    if confine == Mode.OFF:
        terminal.complain("emit is NOT CONFINED: --confine=off")
    raise typer.Exit(main.run(file, only, terminal.complain, mode=confine, preflight=preflight))


@app.command()
def apply(
    file: File,
    why: Annotated[str, typer.Option(help="Why, in one line; it crosses the link.")] = "",
    ticket: Annotated[str, typer.Option(help="Number of the change in your own system.")] = "",
    source: Annotated[
        Path | None, typer.Option("--from", help="A file that takes the place of FILE; else FILE itself was edited.")
    ] = None,
    back: Annotated[bool, typer.Option("--back", help="Return to the configuration before.")] = False,
    by: Annotated[str, typer.Option(help="Who; by default the user behind sudo.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Ask nothing.")] = False,
    listed: Annotated[bool, typer.Option("--list", help="What was applied, newest first; nothing is done.")] = False,
) -> None:
    """Show what another configuration changes, ask, keep it with who and why, and let what runs take it."""
    import os
    import time

    from protocol.errors import ConfigError
    from sender.commands import apply_change

    if listed:
        lines = apply_change.list_lines(file, terminal.complain, wall_ns=time.time_ns())
        for line in lines or ("nothing was applied here yet",):
            terminal.say(line)
        return
    wanted = apply_change.WantedChange(
        why=why, ticket=ticket, source=source, back=back, by=by or apply_change.person(os.environ, os.getuid())
    )

    def ask(question: str) -> str:
        if not terminal.asks():
            raise ConfigError("nothing was applied: nobody can be asked, this is no terminal", hint="add --yes")
        return terminal.ask(question)

    shell = apply_change.Shell(say=terminal.say, ask=None if yes else ask, wall_ns=time.time_ns())
    apply_change.run(file, wanted, shell)


@app.command()
def recommendation(
    file: EitherFile,
    what: Annotated[Path | None, typer.Argument(metavar="FILE", help="The file that was carried in.")] = None,
    accept: Annotated[bool, typer.Option("--accept", help="Keep that it was accepted, and tell the low side.")] = False,
    reject: Annotated[bool, typer.Option("--reject", help="The same, that it was rejected.")] = False,
    why: Annotated[str, typer.Option(help="The written reason; it crosses the link.")] = "",
    by: Annotated[str, typer.Option(help="Who decides; by default the user behind sudo. It stays here.")] = "",
    as_json: AsJson = False,
) -> None:
    """A vendor's proposal: verify and show it, keep a yes or a no with its reason. Executes nothing."""
    import os
    import time

    from protocol.errors import ConfigError
    from protocol.recommendation.carried_file import RecommendationError
    from sender.commands import recommendation as work
    from sender.commands.apply_change import person
    from sender.poll.config import load

    decides = accept or reject
    if (accept and reject) or (decides and what is None) or (why and not decides):
        hint = "a FILE, one of --accept and --reject, and --why TEXT; a FILE alone is only shown"
        raise ConfigError("that decides nothing", hint=hint)
    wish = work.RecommendationWish(
        source=what,
        accepted=accept if decides else None,
        why=why,
        by=by or person(os.environ, os.getuid()),
        as_json=as_json,
    )
    try:
        work.run(load(file), wish, wall_ns=time.time_ns())
    except RecommendationError as error:
        terminal.refusal(f"{what} is not to be believed: {error}", "ask who carried it in; nothing of it was shown")
        raise typer.Exit(1) from None


@app.command()
def replay(
    file: File,
    codes: Annotated[list[str], typer.Argument(metavar="CODE..", help="Gap codes, as `gaps` on the low side prints.")],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what is here and what is gone; send nothing.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Send again what a gap code names; the code was carried over by a person."""
    from sender import link_file
    from sender.commands import replay

    replay.run(link_file.load(file), codes, dry_run=dry_run, as_json=as_json, say=terminal.say)


@app.command()
def linktest(
    file: EitherFile,
    rates: Annotated[str, typer.Option(help="Rates in turn [Mbit/s], such as 5,20,80; by default in steps.")] = "",
    up_to: Annotated[float, typer.Option(help="Highest of the default rates [Mbit/s].")] = 100.0,
    sizes: Annotated[str, typer.Option(help="IP packets in turn at the set rate [bytes]; by default some.")] = "",
    bursts: Annotated[str, typer.Option(help="Bursts in turn at the set rate [bytes]; by default some.")] = "",
    seconds: Annotated[float, typer.Option(help="Length of a step [s].")] = 2.0,
    as_json: AsJson = False,
) -> None:
    """Stepped rates, sizes and bursts through the real link; given receiver.toml, the low side says what came of it."""
    from sender import link_file
    from sender.commands import link_test

    config = link_file.load(file)
    wanted = link_test.Wanted(
        rates=link_test.numbers(rates, "--rates"),
        up_to=up_to,
        sizes=link_test.numbers(sizes, "--sizes"),
        bursts=link_test.numbers(bursts, "--bursts"),
        seconds=seconds,
    )
    link_test.run(config, wanted, as_json=as_json, say=terminal.say)


@app.command()
def doctor(file: EitherFile, as_json: AsJson = False) -> None:
    """Why nothing arrives, most likely, and the next step; reads only. Exit 0: nothing found, 1: something."""
    from oneway.doctor.trouble import lines
    from protocol.errors import ConfigError
    from sender.commands.high_look import look

    try:
        there = file.is_file()
    except PermissionError:  # its folder is shut
        raise ConfigError(f"{file}: Permission denied", hint="give a file that this user may read") from None
    if not there:
        raise ConfigError(f"{file} is no file", hint="name the sender.toml or receiver.toml of this side")
    told = look(file)
    if as_json:
        terminal.data(told.to_json())
    else:
        for line in lines(told):
            terminal.say(line)
    raise typer.Exit(1 if told.troubles else 0)


@app.command()
def status(file: EitherFile, as_json: AsJson = False) -> None:
    """What the running processes of this side say of themselves."""
    import time

    from protocol.errors import ConfigError
    from protocol.process.last_words import believed, read_statuses
    from sender.change.running import unapplied

    if not file.exists():
        hint = "name the sender.toml or receiver.toml that `checkvalve send` or `checkvalve receive` was given"
        raise ConfigError(f"{file} does not exist", hint=hint)
    state = file.absolute().parent / "state"
    told = read_statuses(state)
    if as_json:
        terminal.data(told)
        return
    if not told:
        terminal.say(f"nothing has run here yet: no process has left its status in {state}")
    for process, said in told.items():
        for line in believed(process, _status_lines(process, said, time.time_ns())):
            terminal.say(line)
    for line in unapplied(file.absolute(), None, wall_ns=time.time_ns()):
        terminal.say(line)


def _status_lines(process: str, said: dict[str, Any], now_ns: int) -> Iterator[str]:
    from protocol.process.document import from_json, to_json
    from protocol.process.status_header import StatusHeader
    from sender.status_documents import EmitStatus, PollStatus

    header = from_json(StatusHeader, said)
    if header.time_ns is None:
        yield f"{process}: its file does not say when it was written; while the process runs it is written each second"
    else:
        age = (now_ns - header.time_ns) / 1e9
        yield f"{process} (pid {header.pid}): said {age:.1f} s ago" + (", not running?" if age > 5 else "")
    if header.capabilities != "none":
        yield f"  capabilities: {header.capabilities}"
    yield from (f"  warning: {warning}" for warning in header.warnings)
    if (change := from_json(PollStatus, said).configuration.change).kind:
        yield f"  configuration: {change.told()}"
    for asset, counts in from_json(PollStatus, said).assets.items():
        yield f"  {asset}: " + " ".join(f"{key}={value}" for key, value in counts.items() if value not in ("", 0))
    emit = to_json(from_json(EmitStatus, said))
    link = {key: emit[key] for key in LINK_TOLD if key in said}
    if link:
        yield "  link: " + " ".join(f"{key}={_brief(value)}" for key, value in link.items())


def _check(file: Path) -> str:
    """Name every mistake and warning; the file's digest."""
    import time

    from protocol.written import counted
    from sender.change.running import unapplied
    from sender.poll.config import load

    config = load(file, look=True)
    _warn(config)
    tags = sum(one.point.count for asset in config.assets for one in asset.watched)
    held = ((len(config.assets), "asset"), (tags, "tag"), (len(config.warnings), "warning"))
    terminal.say(f"{file}: right ({', '.join(counted(count, one) for count, one in held)})")
    for line in unapplied(file.absolute(), config.digest, wall_ns=time.time_ns()):
        terminal.say(line)
    return config.digest


def _warn(config: SenderConfig) -> None:
    for line in config.warnings:
        terminal.complain(f"warning: {line}")


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return (
            ",".join(f"{key}:{one}" for key, one in value.items() if key != "name" and one not in (None, "")) or "none"
        )
    return f"{value:.3g}" if isinstance(value, float) else str(value)
