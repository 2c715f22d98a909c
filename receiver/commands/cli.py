"""Commands of the low side: `receive`, `accept`, `gaps`, `linktest`, `status`, `recommendation`,
`history check|rebuild`, `export`, `asset-report`, `aside list|resend|drop`.

A command only reads its arguments, calls what does the work, and prints; mistakes are raised to the front door.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

import typer

from oneway.preflight import Policy
from protocol import terminal
from protocol.process.confine import Mode
from receiver.commands.recommendation_cli import recommendation

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

app.command()(recommendation)
history = typer.Typer(no_args_is_help=True, help="The history's own files.")
app.add_typer(history, name="history")

aside = typer.Typer(no_args_is_help=True, help="What an output's destination refused, and is kept aside.")
app.add_typer(aside, name="aside")
OutputName = Annotated[str, typer.Argument(help="The output's name.")]

OLD_S = 5.0
"""What a process said longer ago than this is old [s]: it says it every second."""

FUTURE_S = 2.0
"""What lies further in the future than this was said before the clock was set back [s]."""

File = Annotated[Path, typer.Argument(help="The low side's configuration, receiver.toml.", readable=False)]
EitherFile = Annotated[
    Path, typer.Argument(help="A side's configuration: its sender.toml, or its receiver.toml.", readable=False)
]
"""Of commands that both sides have: the front door picks the side by the file."""
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


@app.command()
def receive(
    file: File,
    check: Annotated[bool, typer.Option("--check", help="Name every mistake; start nothing.")] = False,
    only: Annotated[str | None, typer.Option(help="catch, publish, portal or an output's name alone.")] = None,
    confine: Annotated[
        Mode, typer.Option(help="The kernel ends catch if it ever sends; strict allows only what it was seen to use.")
    ] = Mode.ON,
    preflight: Annotated[
        Policy,
        typer.Option(help="A fault of the diode's interface refuses the start, or is a warning in every status."),
    ] = Policy.REFUSE,
) -> None:
    """Catch what comes over the link, keep it, publish it."""
    if check:
        from receiver.config import load
        from receiver.governed.grants import policy_file

        config = load(file, look=True)
        policy = policy_file.load(config.path.parent)
        for line in (*config.warnings, *policy_file.weaknesses(policy)):
            terminal.complain(f"warning: {line}")
        (host, port), count = config.inlet.listen, len(config.outputs)
        besides = f"{count} output{'' if count == 1 else 's'} besides the history"
        terminal.say(f"{file}: no mistakes; listens on {host}:{port}, {besides}")
        if told := config.portal.open_to():
            terminal.say(f"{file}: {told}")
        return
    from receiver import main

    if confine == Mode.OFF:
        terminal.complain("catch is NOT CONFINED: --confine=off")
    raise typer.Exit(main.run(file, only, terminal.complain, mode=confine, preflight=preflight))


@app.command()
def accept(
    file: File,
    session: Annotated[str | None, typer.Argument(help="The session to confirm, as `status` shows it.")] = None,
    lower: Annotated[bool, typer.Option("--lower", help="Lower the floor, after the sender's disk went back.")] = False,
) -> None:
    """Confirm a session by its number, or lower the floor that keeps old ones out."""
    from oneway.doctor.machine import lives
    from protocol.errors import ConfigError
    from protocol.process.document import from_json
    from protocol.process.statusfile import read_status
    from receiver.catch.store.floors import session_number
    from receiver.catch_file import load
    from receiver.commands.accept import request_accept
    from receiver.status.catch import CatchStatus

    if (session is None) is not lower:
        raise ConfigError("name a session, or --lower the floor, one of them", hint="checkvalve status FILE shows it")
    state = load(file).state
    told = read_status(state, "catch")
    current = from_json(CatchStatus, told).link.session
    if session is not None and current is not None and session_number(session) != session_number(current):
        raise ConfigError(f"session {session} is not the current one, {current}", hint="compare it on both sides first")
    request_accept(state, session=session, lower=lower)
    pid = told.get("pid") if told else None
    if told is None or any(_age(told)) or type(pid) is not int or not lives(pid):
        terminal.say("left for catch, which does not run, and takes it up once it is started: checkvalve doctor FILE")
        return
    terminal.say("left for catch, which takes it up within a second")


@app.command()
def gaps(file: File, as_json: AsJson = False) -> None:
    """What is missing, since when, when it will heal by itself, and the code to type on the high side."""
    catch = _told(file).get("catch")
    if as_json:
        told: dict[str, Any] = {"gaps": [], "codes": [], "lost": [], "blocks": {}}
        told |= {key: value for key, value in (catch or {}).items() if key in told}
        terminal.data(told)
        return
    if catch is None:
        terminal.say("catch has not run here yet")
        return
    from protocol.process.document import from_json
    from protocol.process.last_words import believed
    from receiver.commands.gap_list import lines
    from receiver.status.catch import CatchStatus

    for line in believed("catch", chain(_age(catch), lines(from_json(CatchStatus, catch), _moment))):
        terminal.say(line)


@app.command()
def linktest(file: EitherFile, as_json: AsJson = False) -> None:
    """What came of the last `linktest` of the high side: loss a step, where, and the lines for sender.toml."""
    from protocol.process.document import from_json, to_json
    from protocol.process.last_words import believed
    from receiver.commands.link_test import advice, lines
    from receiver.status.catch import CatchStatus

    steps = from_json(CatchStatus, _told(file).get("catch")).linktest
    if as_json:
        terminal.data({"steps": [to_json(one) for one in steps], "advice": advice(steps) if steps else []})
        return
    for line in believed("catch", lines(steps)):
        terminal.say(line)


@app.command()
def doctor(file: EitherFile, as_json: AsJson = False) -> None:
    """Why nothing arrives, most likely, and the next step; reads only. Exit 0: nothing found, 1: something."""
    from oneway.doctor.trouble import lines
    from protocol.errors import ConfigError
    from receiver.commands.low_look import look

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
    """What the running processes of this side say of themselves. Exit 1 where one of them raises an alarm."""
    from protocol.process.last_words import believed
    from receiver.config import load
    from receiver.status.wording import read_low

    state = load(file).state
    told = read_low(state)
    if as_json:
        terminal.data(told)
    elif not told:
        terminal.say(f"nothing has run here yet: no process has left its status in {state}")
    else:
        for process, said in told.items():
            for line in believed(process, _status_lines(process, said)):
                terminal.say(line)
    raise typer.Exit(1 if any(said.get("alarm") is True or said.get("alarms") for said in told.values()) else 0)


def _status_lines(process: str, said: dict[str, Any]) -> Iterator[str]:
    from protocol.process.document import from_json
    from protocol.process.status_header import StatusHeader
    from receiver.commands import change_list
    from receiver.status.publish import OutputCounters

    header = from_json(StatusHeader, said)
    yield f"{process} (pid {header.pid or 'unknown'}): {_said(header.time_ns)}"
    if header.capabilities != "none":
        yield f"  capabilities: {header.capabilities}"
    yield from (f"  ALARM: {alarm}" for alarm in header.alarms)
    yield from (f"  warning: {warning}" for warning in header.warnings)
    if isinstance(told := said.get("open"), str) and told:
        yield f"  pages: {told}"
    if "taken" in said:
        yield from _delivered(said)
    for key in ("link", "blocks", "assets", "children"):
        held = said.get(key)
        for name, value in held.items() if isinstance(held, dict) else ():  # `blocks` of an output is a number
            least = "at least " if name == "kernel_drops" and value else ""  # it counts what it had merged as one
            yield f"  {key}.{name}: {least}{_brief(value)}"
    yield from (f"  {line}" for line in change_list.lines(from_json(OutputCounters, said).changes))


def _delivered(said: dict[str, Any]) -> Iterator[str]:
    """What an output took and delivered, and why it does not get on."""
    from protocol.process.document import from_json
    from receiver.status.publish import OutputCounters, OutputStatus

    status, counters = from_json(OutputStatus, said), from_json(OutputCounters, said)
    for name in ("taken", "acknowledged", "held", "aside"):
        value = getattr(counters, name)
        yield f"  samples.{name}: {'unknown' if value is None else value}"
    yield f"  behind: {status.behind_blocks} blocks, {status.behind_s:.1f} s"
    yield f"  scope: {status.scope or 'unknown'}"
    if counters.trouble:
        yield f"  trouble: {counters.trouble}"
    if counters.next_step:
        yield f"  next step: {counters.next_step}"


def _said(time_ns: int | None) -> str:
    """How long ago a process said something; a time to come is no age."""
    if time_ns is None:
        return "its file does not say when it was written; while the process runs it is written anew each second"
    age = (time.time_ns() - time_ns) / 1e9
    if age < -FUTURE_S:
        return f"said at {_moment(time_ns)}, which is still to come: the clock was set back, or it does not run"
    return f"said {max(age, 0.0):.1f} s ago" + (", not running?" if age > OLD_S else "")


@history.command()
def check(file: File) -> None:
    """Read every byte of the history: what is sound, what is damaged; nothing is changed. Exit 1 where something is."""
    from receiver.commands.history import check as look
    from receiver.config import load

    raise typer.Exit(0 if look(load(file), terminal.say) else 1)


@history.command()
def rebuild(file: File) -> None:
    """Make the history anew from its sound chunks and the journal, while the historian does not run."""
    from receiver.commands.history import rebuild as make_anew
    from receiver.config import load

    make_anew(load(file), terminal.say)


@app.command()
def export(
    file: File,
    out: Annotated[Path, typer.Option(help="The file to make: NAME.parquet, .csv, .csv.gz or .csv.zst.")],
    what: Annotated[str, typer.Option(help="Rows of the file: samples, events, states, tags or gaps.")] = "samples",
    asset: Annotated[list[str] | None, typer.Option(help="Only these assets; a pattern such as 'pump-*'.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="Only these tags; a pattern.")] = None,
    site: Annotated[list[str] | None, typer.Option(help="Only these sites; a pattern.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Only what this vendor may see.")] = None,
    begin: Annotated[
        str | None, typer.Option("--from", help="First time, with its zone: 2026-11-01T06:00Z, or a day and --zone.")
    ] = None,
    to: Annotated[str | None, typer.Option(help="First time that is not exported any more, or now.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone of times that name none: UTC, Europe/Berlin.")] = None,
    since: Annotated[
        str | None, typer.Option(help="Only what arrived since then: the cursor that the last export told, or a time.")
    ] = None,
    buckets: Annotated[
        str | None, typer.Option(help="Least, greatest, mean and counts in steps such as 1h, instead of samples.")
    ] = None,
    form: Annotated[
        str | None, typer.Option("--format", help="The file is csv or parquet, where its name does not say.")
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file where it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """Samples, events or states of the history as CSV or Parquet, and beside them what is missing; reads only."""
    from protocol.errors import ConfigError
    from receiver.commands.export import ExportRequest
    from receiver.commands.export import export as write
    from receiver.config import load
    from receiver.export.choice import ExportChoice

    if form not in (None, "csv", "parquet"):
        raise ConfigError(f"--format {form}", hint="csv or parquet")
    choice = ExportChoice(sites=tuple(site or ()), assets=tuple(asset or ()), tags=tuple(tag or ()))
    request = ExportRequest(
        out=out.absolute(),
        what=what,
        form=form,
        vendor=vendor,
        choice=choice,
        from_text=begin,
        to_text=to,
        zone=zone,
        since=since,
        buckets=buckets,
        replace=replace,
    )
    told = write(load(file), request)
    for line in told["warnings"]:
        terminal.complain(f"warning: {line}")
    if as_json:
        terminal.data(told)
        return
    of_tags = f" of {told['tags']:,} tags" if what == "samples" else ""
    rows = what if buckets is None else "buckets"
    terminal.say(f"{told['file']}: {told[what]:,} {rows}{of_tags}, {told['bytes']:,} bytes")
    if told["gaps_file"] is not None:
        terminal.say(f"{told['gaps_file']}: {told['gaps']:,} gaps")
    if told["next"] is not None and what not in ("tags", "gaps"):
        terminal.say(f"what arrives from now on: --since {told['next']}")


@app.command("asset-report")
def asset_report(
    file: File,
    asset: Annotated[str, typer.Argument(help="Name of the asset, as the pages show it.")],
    begin: Annotated[
        str, typer.Option("--from", help="First time: 2026-11-01T06:00Z, or without a zone in the plant's.")
    ],
    to: Annotated[str, typer.Option(help="First time that is not in it any more, or now.")] = "now",
    out: Annotated[Path, typer.Option(help="The file to make: NAME.html.")] = Path("report.html"),
    tag: Annotated[list[str] | None, typer.Option(help="Only these tags, by name.")] = None,
    zone: Annotated[str | None, typer.Option(help="Time zone instead of the plant's: UTC, Europe/Berlin.")] = None,
    vendor: Annotated[str | None, typer.Option(help="Only what this vendor may see.")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Replace the file where it is there.")] = False,
    as_json: AsJson = False,
) -> None:
    """One asset over a range, to be printed: charts, numbers, completeness, gaps, events, changes; reads only."""
    from receiver.commands.programme.report_work import WantedReport, make
    from receiver.config import load

    wanted = WantedReport(
        asset=asset,
        tags=tuple(tag or ()),
        from_text=begin,
        to_text=to,
        zone=zone,
        vendor=vendor,
        out=out.absolute(),
        replace=replace,
    )
    told = make(load(file), wanted)
    if as_json:
        terminal.data(told)
        return
    counts = ", ".join(f"{told[name]:,} {name}" for name in ("tags", "events", "gaps"))
    terminal.say(f"{told['file']}: {counts}, {told['bytes']:,} bytes")


@aside.command("list")
def list_aside(file: File, output: OutputName, as_json: AsJson = False) -> None:
    """What is set aside, group by group: when, how many samples, why, and one of them."""
    from receiver.commands.aside_list import lines, listed
    from receiver.config import load

    groups = listed(load(file), output)
    if as_json:
        terminal.data({"aside": [asdict(one) for one in groups]})
        return
    for line in lines(groups, _moment):
        terminal.say(line)


@aside.command()
def resend(file: File, output: OutputName) -> None:
    """Send all that is set aside again, after what is new."""
    from receiver.commands.aside_list import asked
    from receiver.config import load
    from receiver.outputs.aside import AsideWish

    terminal.say(asked(load(file), output, AsideWish.RESEND))


@aside.command()
def drop(file: File, output: OutputName) -> None:
    """Forget all that is set aside; the history keeps those samples."""
    from receiver.commands.aside_list import asked
    from receiver.config import load
    from receiver.outputs.aside import AsideWish

    terminal.say(asked(load(file), output, AsideWish.DROP))


def _age(said: dict[str, Any]) -> Iterator[str]:
    from protocol.process.document import from_json
    from protocol.process.status_header import StatusHeader

    time_ns = from_json(StatusHeader, said).time_ns
    age = 0.0 if time_ns is None else (time.time_ns() - time_ns) / 1e9
    if age > OLD_S:
        yield f"catch said this {age:.0f} s ago; does it run?"
    elif age < -FUTURE_S or time_ns is None:
        yield f"catch: {_said(time_ns)}"


def _moment(time_ns: int) -> str:
    """`14:05:09` where it is within half a day, else with its date; in local time."""
    at = time.localtime(time_ns / 1e9)
    near = abs(time_ns - time.time_ns()) < 43_200 * 10**9
    return time.strftime("%H:%M:%S" if near else "%Y-%m-%d %H:%M:%S", at)


def _told(file: Path) -> dict[str, dict[str, Any]]:
    from receiver.catch_file import load
    from receiver.status.wording import read_low

    return read_low(load(file).state)


def _brief(value: Any) -> str:
    if isinstance(value, dict):
        return " ".join(f"{key}={one}" for key, one in value.items()) or "none"
    return f"{value:.4g}" if isinstance(value, float) else str(value)
