"""Commands of the high side that look at devices: `plan`, `discover`, `peek`, `watch`; nothing of them is sent.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from protocol import terminal
from protocol.inert import CELL, inert

if TYPE_CHECKING:
    from rich.table import Table

    from sender.commands.forecast import DeviceLoad
    from sender.commands.link_load import LinkLoad

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

File = Annotated[Path, typer.Argument(help="The high side's configuration, sender.toml.", readable=False)]
Settings = Annotated[
    list[str] | None, typer.Option("--set", help="A key of [asset.<collector>], such as unit=3. May be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


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
    for line in config.warnings:
        terminal.complain(f"warning: {line}")
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

    from protocol.errors import ConfigError
    from sender.commands.watch import Latest, may_match, plain, screen
    from sender.poll.config import load
    from sender.poll.poller import Poller

    config = load(file)
    names = [asset.table.name for asset in config.assets]
    config = replace(config, assets=tuple(one for one in config.assets if may_match(one.table.name, wanted)))
    if names and not config.assets:  # no device is asked for nothing
        raise ConfigError(
            f"no asset is called as --only {wanted!r} begins",
            hint=f"write asset/tag, such as '{names[0]}/*'; there are {', '.join(names[:20])}",
        )
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
