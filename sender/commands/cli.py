"""Commands of the high side: `send`, `plan`, `discover`, `peek`, `watch`, `replay`, `linktest`, `status`.

A command only reads its arguments, calls what does the work, and prints. Mistakes are raised: the front door
(`checkvalve.py`) prints them and chooses the exit code. Imports stand inside the commands, since `send --only emit`
must not load a collector.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from oneway.preflight import Policy
from protocol import terminal
from protocol.inert import CELL, inert
from protocol.process.confine import Mode

if TYPE_CHECKING:
    from rich.table import Table

    from sender.commands.forecast import DeviceLoad
    from sender.commands.link_load import LinkLoad
    from sender.poll.config import SenderConfig

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="The high side's configuration, sender.toml.")]
EitherFile = Annotated[Path, typer.Argument(help="A side's configuration: its sender.toml, or its receiver.toml.")]
"""Of commands that both sides have: the front door picks the side by the file."""
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A key of [asset.<collector>], such as unit=3. May be repeated.")
]
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
def plan(file: File, as_json: AsJson = False) -> None:
    """Every read request that would be sent, and the load on devices and link; no traffic."""
    from sender.commands.forecast import DeviceLoad
    from sender.commands.link_load import lines, link_load
    from sender.poll.config import load

    config = load(file)
    loads = [
        DeviceLoad(device=asset.device, requests=tuple(asset.collector.plan(asset.device))) for asset in config.assets
    ]
    link = link_load(loads, config.outlet.geometry, config.outlet.spread_ms / 1000)
    if as_json:
        terminal.data({"devices": [_device_json(one) for one in loads], "link": _link_json(link)})
        return
    _warn(config)
    for load_of in loads:
        _print_device(load_of)
    for line in lines(link, config.outlet.repeat, config.spool.keep, config.spool.max_gb):
        terminal.say(line)


@app.command()
def discover(
    collector: Annotated[str, typer.Argument(help="modbus, opcua, enip, or another that is installed.")],
    url: Annotated[str, typer.Argument(help="The device, such as opc.tcp://10.0.0.7:4840.")],
    name: Annotated[str, typer.Option(help="Name of the asset; by default from the address.")] = "",
    given: Settings = None,
    timeout: Annotated[str, typer.Option(help="Longest wait for one reply.")] = "3s",
    kind: Annotated[
        Literal["process", "safety", "protection"], typer.Option("--class", help="How gently.")
    ] = "process",
    ranges: Annotated[
        list[str] | None, typer.Option("--range", help="Only this part, such as holding:0-99. May be repeated.")
    ] = None,
    table: Annotated[
        Path | None, typer.Option("--map", help="A register map as CSV: drafted from the file, nothing is sent.")
    ] = None,
    first: Annotated[int, typer.Option("--map-first", min=0, max=1, help="Number of the map's first address.")] = 0,
    never: Annotated[
        list[str] | None, typer.Option("--never-read", help="An address that must not be read. May be repeated.")
    ] = None,
) -> None:
    """Browse a device, read only, and print a draft of its section on stdout."""
    import asyncio

    from collectors import registry
    from collectors.base import Device
    from protocol.errors import ConfigError
    from protocol.text import seconds
    from protocol.written import toml
    from sender.commands.device_look import browse
    from sender.commands.draft import asset_section

    found = registry.load(collector)
    try:
        timeout_s = seconds(timeout)
    except ValueError as error:
        raise ConfigError(f"--timeout: {error}") from None
    device = Device(
        name=name or _name_of(url),
        url=url,
        kind=kind,
        settings=_settings(given),
        scans=(),
        timeout_s=timeout_s,
        never_read=tuple(never or ()),
    )
    mistakes = found.check(device)
    try:
        toml([device.name, device.url, dict(device.settings), device.never_read])
    except ValueError as error:
        mistakes.append(f"what was typed cannot stand in the draft: {error}")
    for option, key, typed in (
        ("--range", "range", ranges),
        ("--map", "map", table),
        ("--never-read", "never_read", never),
    ):
        if typed and key not in found.offers:
            mistakes.append(f"{option}: the {collector} collector does not know it; leave it out")
    if mistakes:
        raise ConfigError("\n  ".join([f"{url} cannot be asked:", *mistakes]), hint="mend the url or the --set")
    if table is not None:
        draft = found.drafted(_map(table), first)
    else:
        draft = asyncio.run(browse(found, device, terminal.complain, tuple(ranges or ())))
    terminal.document(asset_section(device, found, draft))


@app.command()
def peek(
    url: Annotated[str, typer.Argument(help="The device, such as tcp://10.0.0.7:502.")],
    address: Annotated[str, typer.Argument(help="The value's address, such as holding:0.")],
    given: Settings = None,
    as_json: AsJson = False,
) -> None:
    """One raw read: hex and every type and word order side by side."""
    import asyncio

    from rich.table import Table

    from sender.commands.device_look import peek as look

    rows = asyncio.run(look(url, address, _settings(given), terminal.complain))
    if as_json:
        names = ("as", "value", "quality")
        terminal.data({"readings": [dict(zip(names, row, strict=True)) for row in rows]})
        return
    table = Table("read as", "value", "quality")
    for row in rows:
        table.add_row(*(inert(cell, CELL) for cell in row))
    terminal.console().print(table)


@app.command()
def watch(
    file: File,
    wanted: Annotated[str, typer.Option("--only", help="Pattern of asset/tag, such as 'pump-7/*'.")] = "*",
    seconds: Annotated[float | None, typer.Option(help="End after so long; else until Ctrl-C.")] = None,
    as_json: AsJson = False,
) -> None:
    """Live values, quality and age on the high side; nothing is sent."""
    import asyncio
    import time

    from rich.live import Live

    from sender.commands.watch import Latest, plain, screen
    from sender.poll.config import load
    from sender.poll.poller import Poller

    config = load(file)
    console = terminal.console()
    if not console.is_terminal:
        console.width = 160  # a file has no edge
    latest = Latest()
    poller = Poller(config, latest)

    def table() -> Table:
        room = max(5, console.height - 8 - len(config.assets)) if console.is_terminal else len(latest.rows)
        return screen(latest, wanted, time.time_ns(), room)

    async def show() -> None:
        ends = time.monotonic() + seconds if seconds is not None else float("inf")
        polling = asyncio.create_task(poller.run())
        live = console.is_terminal and not as_json
        with Live(console=console, auto_refresh=False, transient=True) as screen_of:
            while time.monotonic() < ends and not polling.done():
                await asyncio.wait({polling}, timeout=0.5)
                screen_of.update(table() if live else "", refresh=live)
        polling.cancel()
        await asyncio.wait({polling})
        if as_json:
            terminal.data(plain(latest, wanted))
        else:
            console.print(table())
        if not polling.cancelled():
            polling.result()

    asyncio.run(show())


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

    if not file.is_file():
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
    for asset, counts in from_json(PollStatus, said).assets.items():
        yield f"  {asset}: " + " ".join(f"{key}={value}" for key, value in counts.items() if value not in ("", 0))
    emit = to_json(from_json(EmitStatus, said))
    link = {key: emit[key] for key in LINK_TOLD if key in said}
    if link:
        yield "  link: " + " ".join(f"{key}={_brief(value)}" for key, value in link.items())


def _check(file: Path) -> str:
    """Name every mistake and warning; the file's digest."""
    from protocol.written import counted
    from sender.poll.config import load

    config = load(file, look=True)
    _warn(config)
    tags = sum(one.point.count for asset in config.assets for one in asset.watched)
    held = ((len(config.assets), "asset"), (tags, "tag"), (len(config.warnings), "warning"))
    terminal.say(f"{file}: right ({', '.join(counted(count, one) for count, one in held)})")
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


def _settings(given: list[str] | None) -> dict[str, Any]:
    """`["unit=3"]` -> {"unit": 3}; what is no TOML value is taken as text."""
    from protocol.errors import ConfigError

    out: dict[str, Any] = {}
    for text in given or ():
        key, equals, value = text.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"--set {text!r} is not key=value", hint="write --set unit=3")
        try:
            out[key.strip()] = tomllib.loads(f"value = {value}")["value"]
        except tomllib.TOMLDecodeError:
            out[key.strip()] = value
    return out


def _map(path: Path) -> str:
    from protocol.errors import ConfigError

    try:
        return path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise ConfigError(f"--map {path} cannot be read: {error.strerror}") from None


def _name_of(url: str) -> str:
    """`opc.tcp://10.0.0.7:4840` -> `asset-10-0-0-7-4840`."""
    host = url.partition("://")[2] or url
    return "asset-" + "-".join("".join(letter if letter.isalnum() else " " for letter in host).split())


def _device_json(load: DeviceLoad) -> dict[str, Any]:
    from dataclasses import asdict

    return {
        "asset": load.device.name,
        "requests": [asdict(one) | {"every_s": _finite(one.every_s)} for one in load.requests],
        "requests_s": load.requests_s,
        "bytes_s": load.bytes_s,
        "samples_s": load.samples_s,
    }


def _finite(every_s: float) -> float | None:
    """None for what is sent at each connect, which JSON has no number for."""
    return every_s if every_s < float("inf") else None


def _link_json(link: LinkLoad) -> dict[str, Any]:
    from dataclasses import asdict

    names = ("first_s", "whole_s", "fits_s", "fits_samples_s", "overhead", "burst_s", "burst_frames")
    return asdict(link) | {name: getattr(link, name) for name in names}


def _print_device(load: DeviceLoad) -> None:
    from rich.table import Table

    from protocol.written import duration

    table = Table(title=inert(f"{load.device.name}  {load.device.url}"), title_justify="left", caption_justify="left")
    for head in ("every", "request", "points", "asks", "answers", "bytes/s"):
        table.add_column(head, justify="left" if head == "request" else "right", overflow="fold")
    for one in sorted(load.requests, key=lambda one: one.every_s):
        each = (one.request_bytes + one.reply_bytes) / one.every_s
        sizes = (str(one.points), f"{one.request_bytes} B", f"{one.reply_bytes} B", f"{each:,.0f}")
        every = "connect" if _finite(one.every_s) is None else duration(one.every_s)
        table.add_row(every, inert(one.what), *sizes)
    table.caption = (
        f"{load.requests_s:,.1f} requests/s, {load.bytes_s:,.0f} bytes/s with TCP and IP, "
        f"{load.samples_s:,.1f} samples/s"
    )
    terminal.console().print(table)
