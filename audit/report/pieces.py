"""What the page is put together from: sections, tables, answers, links. Cells are HTML already, words are escaped here.

A table is one on paper and on a wide screen; on a phone each row is a card, and each cell says the name of its column
(`data-name`, shown by page.css).
"""

from __future__ import annotations

from collections.abc import Sequence

from audit.check import CheckStatus
from audit.report.show import markup as escape


def section(title: str, inside: str, note: str = "") -> str:
    """A part of the page under its heading."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f"<section><h2>{escape(title)}{small}</h2>{inside}</section>"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of rows of cells.

    Args:
        head: The columns' names.
        rows: A row is a cell a column, or one cell that stands over all of them.
    """
    return framed(head, [row(head, cells) if len(cells) > 1 else group(head, cells[0]) for cells in rows])


def framed(head: Sequence[str], rows: Sequence[str]) -> str:
    """A table of rows that are made already."""
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{''.join(rows)}</tbody></table>"


def row(head: Sequence[str], cells: Sequence[str]) -> str:
    """One row; each cell knows its column."""
    named = [f'<td data-name="{escape(name)}">{cell}</td>' for name, cell in zip(head, cells, strict=True)]
    return f"<tr>{''.join(named)}</tr>"


def group(head: Sequence[str], cell: str) -> str:
    """A row that stands over those below it."""
    return f'<tr class="group"><td colspan="{len(head)}">{cell}</td></tr>'


def chip(status: CheckStatus | str, to: str = "") -> str:
    """An answer with its word.

    Args:
        status: The answer.
        to: Where it leads, an id of this page.
    """
    word = status.value if isinstance(status, CheckStatus) else status
    if to:
        return f'<a class="chip {word}" href="#{escape(to)}">{word}</a>'
    return f'<span class="chip {word}">{word}</span>'


def link(ident: str) -> str:
    """A check's id, which leads to its place."""
    return f'<a class="id" href="#{escape(ident)}">{escape(ident)}</a>'


def when(time: str) -> str:
    """A time, in one piece."""
    return f'<span class="when">{escape(time.replace("T", " ").replace("Z", ""))}</span>'


def wrapped(text: str) -> str:
    """A text without spaces, which may be parted anywhere."""
    return f'<span class="wrap">{escape(text)}</span>'
