"""What an answer showed, for the record: which assets and tags, of which time, how many values.

Whoever makes an answer out of the history says so here, on the request, as soon as it is known. The look is written
into the trail while the answer is made (`scoped_reading.py`), and where that cannot be done the answer is not sent. An
answer of an address that shows data and says nothing about it is a bug, and is not sent either.

Where many things were asked for by name and some are not there, or not the reader's, the answer says that too: it goes
on record as a refused read, as a 404 does, and somebody who searches by hand is found out alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from starlette.requests import Request

from receiver.governed.trail.entry import Fact, TrailEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What one answer shows."""

    kind: str
    """Of the trail's entry: `read.page`, `read.trend`, .."""
    assets: tuple[str, ...]
    """Names; empty: none of them."""
    tags: tuple[tuple[str, str], ...] = ()
    """(asset, tag); of an asset without one all of its tags."""
    from_ns: int | None = None
    """Start of the time shown [ns since 1970 UTC]; None: what is current."""
    to_ns: int | None = None
    rows: int | None = None
    """Values shown; None where they are not counted."""

    def entry(self, *, at_ns: int, who: str, origin: str, more: dict[str, Fact]) -> TrailEntry:
        """As it is written down.

        Args:
            at_ns: The wall clock [ns since 1970 UTC].
            who: Key of the person.
            origin: Network address.
            more: Grants, session and what else the answer was given under.
        """
        facts: dict[str, Fact] = {"assets": [*self.assets], **more}
        if self.tags:
            facts["tags"] = [[asset, tag] for asset, tag in self.tags]
        numbers = (("from_ns", self.from_ns), ("to_ns", self.to_ns), ("rows", self.rows))
        facts |= {name: number for name, number in numbers if number is not None}
        return TrailEntry(kind=self.kind, at_ns=at_ns, who=who, origin=origin, facts=facts)


def show(
    request: Request,
    kind: str,
    assets: Iterable[str],
    tags: Iterable[tuple[str, str]] = (),
    *,
    between: tuple[int, int] | None = None,
    rows: int | None = None,
) -> None:
    """Say what the answer to this request shows; from here on it is being written down, while the answer is made."""
    from_ns, to_ns = between or (None, None)
    look = Look(kind=kind, assets=tuple(assets), tags=tuple(tags), from_ns=from_ns, to_ns=to_ns, rows=rows)
    if noting := request.scope.get("state", {}).get("noting"):
        noting(look)


def absent(request: Request, names: Sequence[str]) -> None:
    """Say that of what this request asked for by name these are not there, or not the reader's."""
    if names and (refusing := request.scope.get("state", {}).get("refusing")):
        refusing(names)
