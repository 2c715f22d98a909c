"""`checkvalve recommendation receiver.toml`: what vendors recommend, and the file of one that a person carries in.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from protocol import terminal

EitherFile = Annotated[
    Path, typer.Argument(help="A side's configuration: its sender.toml, or its receiver.toml.", readable=False)
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]


def recommendation(
    file: EitherFile,
    what: Annotated[str | None, typer.Argument(metavar="NUMBER", help="Of one recommendation, rec-..")] = None,
    to: Annotated[Path | None, typer.Option(help="Folder for the file to carry in, and its page to print.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="Folder of recommend.key, as `checkvalve keys new recommend DIR` makes it.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """What vendors recommend and what became of it; with --to the signed file that a person carries in."""
    from protocol.errors import ConfigError
    from receiver.commands import recommendation as work

    if what is None and (to or key):
        raise ConfigError("which recommendation?", hint="name its number: without --to and --key all are listed")
    if (to is None) != (key is None):
        raise ConfigError("--to and --key go together", hint="--to FOLDER --key keys/low-recommend writes the file")
    if what is not None and to is not None and key is not None:
        paths = work.export(file, what, to, key)
        if as_json:
            terminal.data({"files": [str(path) for path in paths]})
            return
        for path in paths:
            terminal.say(path)
        return
    told = work.looked(file, what)
    if as_json:
        terminal.data({"recommendations": [work.as_json(one) for one in told]})
        return
    for line in work.lines(told, whole=what is not None):
        terminal.say(line)
