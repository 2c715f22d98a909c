"""Every check of the kit by its id: what it claims, how it looks, which clauses it speaks to, what it does not prove.

The table is `checks.toml` beside this file, so that it can be read, printed and translated without reading code. Ids
are stable: a report of today is compared with one of next year by them (`checkvalve audit diff`), and one that goes out
of use is never given again.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType

from audit.check import Check, CheckStatus, Clause, Evidence
from protocol.errors import ConfigError

TABLE = Path(__file__).with_name("checks.toml")

KINDS = {
    "kernel": "state of the operating system, read on the machine itself",
    "process": "state of a running process",
    "capture": "frames that a tap recorded",
    "journal": "what the two disks hold",
    "source": "the program's own text and files",
    "test": "an attempt that must fail",
    "human": "what a named person looked at",
}
"""Where a check takes its evidence from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueEntry:
    """One check, as the catalogue tells it."""

    id: str
    title: str
    """What it claims when it passes."""
    kind: str
    """One of `KINDS`."""
    how: str
    """What is looked at, and when it passes."""
    clauses: tuple[Clause, ...]
    remedy: str
    """What to do when it does not pass."""
    not_proven: str
    """What a pass does not prove."""


@cache
def catalogue() -> Mapping[str, CatalogueEntry]:
    """All checks by id, in the table's order."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    clauses = {
        ident: Clause(
            id=ident, text=one["text"], edition=table["editions"][one["edition"]], read=one.get("read", False)
        )
        for ident, one in table["clauses"].items()
    }
    return MappingProxyType({ident: _entry(ident, one, clauses) for ident, one in table["checks"].items()})


def entry(ident: str) -> CatalogueEntry:
    """One check; letters may be small.

    Raises:
        ConfigError: none has that id.
    """
    found = catalogue().get(ident.upper())
    if found is None:
        near = [one for one in catalogue() if one.split("-")[0] == ident.upper().split("-")[0]]
        raise ConfigError(
            f"no check is called {ident!r}", hint=f"one of {', '.join(near or catalogue())}; `audit explain` lists all"
        )
    return found


def check(ident: str, status: CheckStatus, found: str, *evidence: Evidence) -> Check:
    """A result of a check of the catalogue.

    Args:
        ident: Its id.
        status: The answer.
        found: What was seen, one line.
        evidence: What it was seen in.
    """
    catalogued = entry(ident)
    return Check(
        id=catalogued.id,
        title=catalogued.title,
        status=status,
        found=found,
        evidence=evidence,
        clauses=catalogued.clauses,
        remedy="" if status in (CheckStatus.PASS, CheckStatus.ATTESTED) else catalogued.remedy,
        not_proven=catalogued.not_proven,
    )


def _entry(ident: str, one: Mapping[str, object], clauses: Mapping[str, Clause]) -> CatalogueEntry:
    names = one["clauses"]
    assert isinstance(names, list)
    assert one["kind"] in KINDS
    return CatalogueEntry(
        id=ident,
        title=str(one["title"]),
        kind=str(one["kind"]),
        how=str(one["how"]),
        clauses=tuple(clauses[name] for name in names),
        remedy=str(one["remedy"]),
        not_proven=str(one["not_proven"]),
    )
