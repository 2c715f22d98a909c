"""What the page is put together from: sections, tables, answers, links. Cells are HTML already, words are escaped here.

A table is one on paper and on a wide screen; on a phone each row is a card, and each cell says the name of its column
(`data-name`, shown by page.css).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from audit.check import CheckStatus
from audit.report.show import markup as escape


def section(title: str, inside: str, note: str = "") -> str:
    """A part of the page under its heading."""
    small = f"<small>{escape(note)}</small>" if note else ""
    return f"<section><h2>{escape(title)}{small}</h2>{inside}</section>"


def table(head: Mapping[str, int], rows: Sequence[Sequence[str]]) -> str:
    """A table of rows of cells.

    Args:
        head: The columns' names, and the share of the width that each has [%]; together 100.
        rows: A row is a cell a column, or one cell that stands over all of them.
    """
    shares = "".join(f'<col style="width:{share}%">' for share in head.values())
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    body = "".join(_row(head, cells) if len(cells) > 1 else _group(head, cells[0]) for cells in rows)
    return f"<table><colgroup>{shares}</colgroup><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _row(head: Iterable[str], cells: Sequence[str]) -> str:
    return f"<tr>{''.join(_cell(name, cell) for name, cell in zip(head, cells, strict=True))}</tr>"


def _cell(name: str, cell: str) -> str:
    """An empty one is left out on a phone."""
    return f'<td data-name="{escape(name)}"><div>{cell}</div></td>' if cell else "<td></td>"


def _group(head: Mapping[str, int], cell: str) -> str:
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
    """A time; day and hour stay in one piece each."""
    day, _, hour = time.removesuffix("Z").partition("T")
    return f'<span class="when">{escape(day)}</span> <span class="when">{escape(hour)}</span>'
