"""The clauses that a pack speaks to: `clauses.toml` beside this file, each row with what it does not prove. Pure.

    ROWS      the month has entries of a part that speaks to it
    NOTHING   it has none: nothing happened, or nothing is kept; the page says so, and no more

There is no word for a clause that is met.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

TABLE = Path(__file__).with_name("clauses.toml")

PARTS = (
    "people", "requests", "grants", "looks", "sign-ins", "reviews", "break-glass", "drills", "alerts", "trail",
)  # fmt: skip
"""Of a pack, as `EvidencePack.counts` names them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClauseText:
    """A document that asks for something."""

    name: str
    title: str
    edition: str
    in_force: str
    source: str
    public: bool
    """Whether the clause texts may be read by anybody; where not, rows give numbers and no wording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedClause:
    """One demand of one text."""

    text: ClauseText
    id: str
    about: str
    parts: tuple[str, ...]
    shows: str
    not_proven: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenClause:
    """A clause, and how much of the month speaks to it."""

    clause: AskedClause
    counts: Mapping[str, int]
    """Rows of each of its parts."""

    @property
    def state(self) -> str:
        """`ROWS` or `NOTHING`."""
        return "ROWS" if any(self.counts.values()) else "NOTHING"

    def plain(self) -> dict[str, Any]:
        """As JSON tells it."""
        one = self.clause
        return {
            "text": one.text.title,
            "edition": one.text.edition,
            "in_force": one.text.in_force,
            "source": one.text.source,
            "id": one.id,
            "about": one.about,
            "state": self.state,
            "rows": dict(self.counts),
            "shows": one.shows,
            "not_proven": one.not_proven,
        }


@cache
def clauses() -> tuple[AskedClause, ...]:
    """All of them, in the table's order."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    texts = {name: ClauseText(name=name, **one) for name, one in table["texts"].items()}
    return tuple(
        AskedClause(**{**one, "text": texts[one["text"]], "parts": tuple(one["parts"])}) for one in table["clauses"]
    )


def spoken(counts: Mapping[str, int]) -> list[SpokenClause]:
    """Each clause with what a pack of these counts has."""
    return [SpokenClause(clause=one, counts={part: counts[part] for part in one.parts}) for one in clauses()]
