"""`checkvalve audit ..`: the auditor's commands, each handing its arguments to the module that does the work.

Imports stand inside the commands: `capture`, `journal`, `report`, `diff` and `explain` run where there is no POSIX
system, on the auditor's own machine. Exit 0: nothing failed; 1: a check failed; 2: a mistake in the arguments.
"""

from __future__ import annotations

from typing import Annotated

import typer

audits = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Evidence that nothing flows back, each check with what it does not prove.",
)
app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
app.add_typer(audits, name="audit")


@audits.command()
def explain(
    ident: Annotated[str | None, typer.Argument(help="A check's id, such as CAP-1; none: all of them.")] = None,
) -> None:
    """What a check claims, how it looks, which clauses it speaks to, and what it does not prove."""
    from audit import show

    typer.echo(show.explained(ident))
