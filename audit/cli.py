"""`checkvalve audit ..`: the auditor's commands, each handing its arguments to the module that does the work.

Imports stand inside the commands: `capture`, `journal`, `report`, `diff` and `explain` run where there is no POSIX
system, on the auditor's own machine. Exit 0: nothing failed; 1: a check failed; 2: a mistake in the arguments.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from audit.check import Findings

audits = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Evidence that nothing flows back, each check with what it does not prove.",
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(audits, name="audit")

AsJson = Annotated[bool, typer.Option("--json", help="One findings document for programs.")]
Keep = Annotated[Path | None, typer.Option(help="Keep the findings in this folder, for `audit report`.")]
Every = Annotated[bool, typer.Option("--all", help="Show the evidence of what passed too.")]


def finish(found: Findings, *, as_json: bool, keep: Path | None = None, every: bool = False) -> None:
    """Print a run, keep it where asked, and end with its exit code: every command of the group does so."""
    from audit import keeping, show

    if keep is not None:
        path = keeping.keep(found, keep)
        typer.echo(f"kept {path}", err=True)
    typer.echo(found.text() if as_json else show.findings_text(found, every=every), nl=not as_json)
    raise typer.Exit(found.exit_code)


@audits.command()
def capture(
    file: Annotated[Path, typer.Argument(help="A pcap or pcapng file, from a passive tap on the link.")],
    high: Annotated[str | None, typer.Option(help="MAC address of the high side's interface.")] = None,
    low: Annotated[str | None, typer.Option(help="MAC address of the low side's interface, to name it.")] = None,
    port: Annotated[int | None, typer.Option(min=1, max=65535, help="UDP port of the link.")] = None,
    control: Annotated[
        str | None, typer.Option(help="Mark of the positive control's frame, which must be seen: text or hex:..")
    ] = None,
    appliance: Annotated[
        str | None, typer.Option(help="MAC address of a diode appliance's own plant-side port.")
    ] = None,
    by: Annotated[str, typer.Option(help="Who attests the appliance's frames.")] = "",
    keep: Keep = None,
    every: Every = False,
    as_json: AsJson = False,
) -> None:
    """Every frame of a capture by its direction; offline, without root."""
    from audit import capture as captures

    question = captures.Question(
        path=file,
        high=high,
        low=low,
        port=port,
        control=captures.read_mark(control) if control else b"",
        appliance=appliance,
        by=by,
    )
    finish(captures.run(question, now_ns=time.time_ns()), as_json=as_json, keep=keep, every=every)


@audits.command()
def explain(
    ident: Annotated[str | None, typer.Argument(help="A check's id, such as CAP-1; none: all of them.")] = None,
) -> None:
    """What a check claims, how it looks, which clauses it speaks to, and what it does not prove."""
    from audit import show

    typer.echo(show.explained(ident))
