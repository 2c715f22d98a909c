"""A recommendation on paper: one page of 78 columns, to be carried beside the file and signed by hand (pure).

What does not fit is cut and says so: the file is what counts, and its SHA-256 stands at the end.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from protocol.inert import inert
from protocol.recommendation.carried_file import CarriedRecommendation, moment
from protocol.written import counted

WIDTH = 78
"""Columns: a page of A4 or Letter in any printer's own letters."""
WHAT_LINES, WHY_LINES, VALUE_LINES = 8, 12, 8
"""Most lines of each part: with the rest they fit one page of 60 lines."""
_SIGNED = ("carried in by", "read by", "accepted / rejected by")


def sheet(carried: CarriedRecommendation, digest: str) -> str:
    """The page.

    Args:
        digest: SHA-256 of the file, in hex.
    """
    return "\n".join(_lines(carried, digest)) + "\n"


def _lines(carried: CarriedRecommendation, digest: str) -> Iterator[str]:
    proposal = carried.proposal
    yield "CHECKVALVE RECOMMENDATION".ljust(WIDTH - len(carried.number)) + carried.number
    yield "=" * WIDTH
    yield "A proposal to people. Nothing in it is executed by a program."
    yield ""
    for name, text in (
        ("site", proposal.site),
        ("asset", proposal.asset),
        ("proposed by", f"{carried.by}, {carried.employer or 'the site itself'}"),
        ("made", moment(carried.made_ns)),
        ("released by", f"{carried.released_by}, {moment(carried.released_ns)}"),
        ("because", carried.released_why),
        ("expires", moment(carried.expires_ns)),
    ):
        yield f"  {name:14}{inert(text, WIDTH - 16)}"
    yield from _part("WHAT", _wrapped(proposal.what), WHAT_LINES)
    yield from _part("WHY", _wrapped(proposal.why), WHY_LINES)
    values = [part for one in proposal.values for part in _wrapped(f"{one.name}: {one.now or '?'} -> {one.proposed}")]
    if values:
        yield from _part("VALUES", values, VALUE_LINES)
    if proposal.attachments:
        yield f"  and {counted(len(proposal.attachments), 'attached text')}, in the file"
    yield ""
    yield "SHA-256 of the file"
    for at in (0, 32):
        yield "  " + " ".join(digest[at + one : at + one + 4] for one in range(0, 32, 4))
    for who in _SIGNED:
        yield ""
        yield f"  {who:24}{'_' * 24}  date {'_' * 12}"


def _part(name: str, lines: list[str], most: int) -> Iterator[str]:
    yield ""
    yield name
    yield from (f"  {line}" for line in lines[:most])
    if len(lines) > most:
        yield f"  .. {len(lines) - most} more lines, in the file"


def _wrapped(text: str) -> list[str]:
    return [part for line in text.split("\n") for part in textwrap.wrap(inert(line), WIDTH - 2) or [""]]
