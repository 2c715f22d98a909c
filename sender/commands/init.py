"""`checkvalve init high DIR`: a configuration with an empty plant, the keys, and a sheet to print.

What the link needs is asked for, on a terminal or by flags; `empty.toml` beside this file is filled with it. The
finished file is read as `send --check` reads it before the folder appears. Devices are added afterwards, by `discover`.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from protocol import commissioning, terminal
from protocol.settings.interview import InitQuestion, answers, filled, setting
from protocol.written import duration
from sender.poll.config import load
from sender.poll.tables import SpoolTable, TopKeys
from sender.settings import OutletTable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

NAME = "sender.toml"
TEMPLATE = Path(__file__).with_name("empty.toml")
"""A right configuration with an empty plant; a machine that is installed begins with it."""
KEYS = {
    "--site": "site",
    "--to": "outlet.to",
    "--rate-mbit": "outlet.rate_mbit",
    "--mtu": "outlet.mtu",
    "--loss-target": "outlet.loss_target",
    "--keep": "spool.keep",
    "--max-gb": "spool.max_gb",
}
"""Which line of the template a flag sets."""
QUESTIONS = (
    InitQuestion(
        flag="--site", text="the plant's name, as the low side shall call it", take=setting(TopKeys, "", "site")
    ),
    InitQuestion(
        flag="--to",
        text="the receiver's address and port, such as 192.0.2.2:5005",
        take=setting(OutletTable, "outlet", "to"),
    ),
    InitQuestion(
        flag="--rate-mbit",
        text="most that may leave, all headers counted [Mbit/s]",
        take=setting(OutletTable, "outlet", "rate_mbit", number=True),
        default="20",
    ),
    InitQuestion(
        flag="--mtu",
        text="largest IP packet that every device up to the receiver takes [bytes]",
        take=setting(OutletTable, "outlet", "mtu", number=True),
        default="1500",
    ),
    InitQuestion(
        flag="--loss-target",
        text="random loss that shall cost nothing",
        take=setting(OutletTable, "outlet", "loss_target"),
        default="1%",
    ),
    InitQuestion(
        flag="--keep",
        text="how long what was sent is kept, for gap codes",
        take=setting(SpoolTable, "spool", "keep"),
        default="14d",
    ),
    InitQuestion(
        flag="--max-gb",
        text="most disk that it takes [GB]",
        take=setting(SpoolTable, "spool", "max_gb", number=True),
        default="20",
    ),
    InitQuestion(
        flag="--peer",
        text="the low side's public keys, a file low.pub that was carried here",
        take=partial(commissioning.carried, "low"),
        default="",
    ),
)


@app.command(no_args_is_help=True)
def init(
    side: Annotated[Literal["high"], typer.Argument(metavar="high", help="This side; `init low` is the other's.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or empty.")],
    site: Annotated[str | None, typer.Option(help="The plant's name.")] = None,
    to: Annotated[str | None, typer.Option(help="The receiver's address and port.")] = None,
    rate_mbit: Annotated[str | None, typer.Option(help="Most that may leave [Mbit/s]; 20.")] = None,
    mtu: Annotated[str | None, typer.Option(help="Largest IP packet [bytes]; 1500.")] = None,
    loss_target: Annotated[str | None, typer.Option(help="Random loss that shall cost nothing; 1%.")] = None,
    keep: Annotated[str | None, typer.Option(help="How long what was sent is kept; 14d.")] = None,
    max_gb: Annotated[str | None, typer.Option(help="Most disk that it takes [GB]; 20.")] = None,
    peer: Annotated[str | None, typer.Option(help="The low side's low.pub, carried here; or later.")] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Print the sheet of a DIR that is there; make nothing.")
    ] = False,
) -> None:
    """Make DIR: sender.toml with an empty plant, keys, a commissioning sheet. What no flag says is asked for."""
    if sheet:
        terminal.document(sheet_of(folder))
        return
    commissioning.must_be_free(folder)
    given = dict(
        zip(
            [one.flag for one in QUESTIONS],
            (site, to, rate_mbit, mtu, loss_target, keep, max_gb, peer),
            strict=True,
        )
    )
    told = answers(QUESTIONS, given, terminal.ask if terminal.asks() else None, terminal.say)
    with commissioning.appearing(folder) as work:
        text = filled(TEMPLATE.read_text(encoding="utf-8"), {path: told[flag] for flag, path in KEYS.items()})
        commissioning.write_new(work / NAME, text)
        commissioning.lay_keys(work, side, told["--peer"])
        commissioning.write_new(work / commissioning.SHEET, sheet_of(work))
    for line in commissioning.next_steps(side, folder, NAME, "send", there=told["--peer"] is not None):
        terminal.say(line)


def sheet_of(folder: Path) -> str:
    """The sheet of a folder, from its configuration and its keys as they stand.

    Raises:
        ConfigError: either cannot be read.
    """
    config = load(folder / NAME)
    outlet = config.outlet
    host, port = outlet.to
    tags = sum(one.point.count for asset in config.assets for one in asset.watched)
    facts = {
        "site": config.site,
        "receiver, to": f"{host}:{port}",
        "rate": f"{outlet.rate_mbit:g} Mbit/s",
        "largest packet": f"{outlet.mtu} bytes",
        "loss that costs nothing": "" if outlet.loss_target is None else f"{outlet.loss_target:.3%}",
        "repeated after": ", ".join(map(duration, outlet.repeat)) or "never",
        "spool": f"{duration(config.spool.keep)}, at most {config.spool.max_gb:g} GB",
        "devices, tags": f"{len(config.assets)}, {tags}",
        "sender.toml, SHA-256": config.digest[:32],
        "": config.digest[32:],
        "this machine": "",
        "interface, its address": "",
        "receiver's MAC address": "",
        "diode, serial number": "",
    }
    return commissioning.sheet("high", facts, config.keys.own, config.keys.receivers)
