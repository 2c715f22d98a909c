"""Commands of reading that is asked for and granted: `request list|approve|deny`, `grant list|revoke`.

As in `cli.py`, a command only reads its arguments, calls what does the work, and prints.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from protocol import terminal

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
request = typer.Typer(no_args_is_help=True, help="What people ask to read.")
grant = typer.Typer(no_args_is_help=True, help="What people may read.")
app.add_typer(request, name="request")
app.add_typer(grant, name="grant")

File = Annotated[Path, typer.Argument(help="The low side's configuration, receiver.toml.", readable=False)]
Asked = Annotated[str, typer.Argument(help="Key of the request, r-..")]
Given = Annotated[str, typer.Argument(help="Key of the grant, g-..")]
Login = Annotated[str, typer.Option("--as", help="Your login; password and code are asked for.")]
Why = Annotated[str, typer.Option(help="The reason, in a sentence; it is kept.")]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON object for programs.")]
Everything = Annotated[bool, typer.Option("--all", help="Also those that are decided or over.")]


@request.command("list")
def list_requests(file: File, everything: Everything = False, as_json: AsJson = False) -> None:
    """Requests that wait for an answer."""
    from receiver.commands.programme import grant_work as work

    _listed(work.requests(file, everything=everything), as_json=as_json)


@request.command()
def approve(file: File, key: Asked, login: Login, why: Why) -> None:
    """Say yes, as one who may."""
    from receiver.commands.programme import grant_work as work

    terminal.say(work.decided(file, key, login, why, _ask, yes=True))


@request.command()
def deny(file: File, key: Asked, login: Login, why: Why) -> None:
    """Say no, as one who may."""
    from receiver.commands.programme import grant_work as work

    terminal.say(work.decided(file, key, login, why, _ask, yes=False))


@grant.command("list")
def list_grants(file: File, everything: Everything = False, as_json: AsJson = False) -> None:
    """Grants that are in force, or will be."""
    from receiver.commands.programme import grant_work as work

    _listed(work.grants(file, everything=everything), as_json=as_json)


@grant.command()
def revoke(file: File, key: Given, login: Login, why: Why) -> None:
    """End a grant now, as one who may: security, its approver, the reader's sponsor, the reader."""
    from receiver.commands.programme import grant_work as work

    terminal.say(work.revoked(file, key, login, why, _ask))


def _listed(told: dict[str, object], *, as_json: bool) -> None:
    from receiver.commands.programme import grant_work as work

    if as_json:
        terminal.data(told)
        return
    for line in work.lines(told):
        terminal.say(line)


def _ask(what: str) -> str:
    """Not shown while it is typed; of what is piped in, a line."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt(what, hide_input=True, err=True))
