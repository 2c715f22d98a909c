"""`checkvalve init low DIR`: a configuration, the keys, and a sheet to print.

What is asked for, on a terminal or by flags, is filled into `empty.toml` beside this file. The finished file is read as
`receive --check` reads it before the folder appears.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import typer

from protocol import commissioning, terminal
from protocol.settings.interview import InitQuestion, answers, filled, setting
from protocol.written import duration
from receiver.config import load
from receiver.portal_settings import PortalTable
from receiver.settings import InletTable, RetentionTable

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)

NAME = "receiver.toml"
TEMPLATE = Path(__file__).with_name("empty.toml")
"""A right configuration without outputs; a machine that is installed begins with it."""
KEYS = {
    "--listen": "inlet.listen",
    "--buffer-mib": "inlet.buffer_mib",
    "--journal": "retention.journal",
    "--history": "retention.history",
    "--max-gb": "retention.max_gb",
    "--pages": "portal.listen",
}
"""Which line of the template a flag sets."""
QUESTIONS = (
    InitQuestion(
        flag="--listen",
        text="this machine's address and port on the diode's interface, such as 192.0.2.2:5005",
        take=setting(InletTable, "inlet", "listen"),
    ),
    InitQuestion(
        flag="--buffer-mib",
        text="receive buffer [MiB]",
        take=setting(InletTable, "inlet", "buffer_mib", number=True),
        default="64",
    ),
    InitQuestion(
        flag="--journal",
        text="how long the journal is kept, for outputs that are down",
        take=setting(RetentionTable, "retention", "journal"),
        default="7d",
    ),
    InitQuestion(
        flag="--history",
        text="how long the history behind the pages is kept",
        take=setting(RetentionTable, "retention", "history"),
        default="400d",
    ),
    InitQuestion(
        flag="--max-gb",
        text="most disk that the journal takes [GB]",
        take=setting(RetentionTable, "retention", "max_gb", number=True),
        default="200",
    ),
    InitQuestion(
        flag="--pages",
        text="address and port of the pages",
        take=setting(PortalTable, "portal", "listen"),
        default="127.0.0.1:8600",
    ),
    InitQuestion(
        flag="--peer",
        text="the high side's public keys, a file high.pub that was carried here",
        take=partial(commissioning.carried, "high"),
        default="",
    ),
)


@app.command(no_args_is_help=True)
def init(
    side: Annotated[Literal["low"], typer.Argument(metavar="low", help="This side; `init high` is the other's.")],
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that is not there yet, or empty.")],
    listen: Annotated[str | None, typer.Option(help="This machine's address and port at the diode.")] = None,
    buffer_mib: Annotated[str | None, typer.Option(help="Receive buffer [MiB]; 64.")] = None,
    journal: Annotated[str | None, typer.Option(help="How long the journal is kept; 7d.")] = None,
    history: Annotated[str | None, typer.Option(help="How long the history is kept; 400d.")] = None,
    max_gb: Annotated[str | None, typer.Option(help="Most disk that the journal takes [GB]; 200.")] = None,
    pages: Annotated[str | None, typer.Option(help="Address and port of the pages; 127.0.0.1:8600.")] = None,
    peer: Annotated[str | None, typer.Option(help="The high side's high.pub, carried here; or later.")] = None,
    sheet: Annotated[
        bool, typer.Option("--sheet", help="Print the sheet of a DIR that is there; make nothing.")
    ] = False,
) -> None:
    """Make DIR: receiver.toml, keys, a commissioning sheet. What no flag says is asked for."""
    if sheet:
        terminal.document(sheet_of(folder))
        return
    commissioning.must_be_free(folder)
    given = dict(
        zip(
            [one.flag for one in QUESTIONS],
            (listen, buffer_mib, journal, history, max_gb, pages, peer),
            strict=True,
        )
    )
    told = answers(QUESTIONS, given, terminal.ask if terminal.asks() else None, terminal.say)
    with commissioning.appearing(folder) as work:
        text = filled(TEMPLATE.read_text(encoding="utf-8"), {path: told[flag] for flag, path in KEYS.items()})
        commissioning.write_new(work / NAME, text)
        commissioning.lay_keys(work, side, told["--peer"])
        commissioning.write_new(work / commissioning.SHEET, sheet_of(work))
    for line in commissioning.next_steps(side, folder, NAME, "receive", there=told["--peer"] is not None):
        terminal.say(line)


def sheet_of(folder: Path) -> str:
    """The sheet of a folder, from its configuration and its keys as they stand.

    Raises:
        ConfigError: either cannot be read.
    """
    config = load(folder / NAME)
    host, port = config.inlet.listen
    page, page_port = config.portal.listen
    keep = config.retention
    facts = {
        "site": "",
        "receiver, listens on": f"{host}:{port}",
        "receive buffer": f"{config.inlet.buffer_mib} MiB",
        "journal": f"{duration(keep.journal)}, at most {keep.max_gb:g} GB",
        "history": duration(keep.history),
        "pages": f"{page}:{page_port}",
        "outputs": ", ".join(one.name for one in config.outputs) or "none besides the history",
        "this machine": "",
        "interface, its MAC": "",
        "rate that linktest bore": "",
        "diode, serial number": "",
    }
    return commissioning.sheet("low", facts, config.keys.own, config.keys.senders)
