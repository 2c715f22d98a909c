"""A check's result, and a run of them: what every proof of this room hands back, and what the report is made of.

    PASS      seen, here and now, by this program
    FAIL      seen to be otherwise
    WARN      not what it should be, and not a way back either; or a guess that a person must look at
    SKIP      could not be measured here; the text says why, and it is never counted as a pass
    ATTESTED  said by a named person on a date; software cannot see it and does not call it a pass

Every result carries its evidence (the raw value, the command or the file it came from, when), the clauses that it helps
to answer, a remedy, and what it does *not* prove. Clauses are informative: they say which demand of which edition a
check speaks to, and never that the demand is met. No I/O here and no clock.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from protocol.errors import ConfigError
from protocol.inert import as_json

FORMAT = "checkvalve-audit-v1"
"""First key of a findings document; another format is refused, never guessed."""


class CheckStatus(StrEnum):
    """The five answers a check can give."""

    PASS = "PASS"  # noqa: S105  an answer, not a password
    FAIL = "FAIL"
    WARN = "WARN"
    SKIP = "SKIP"
    ATTESTED = "ATTESTED"


ORDER = (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.SKIP, CheckStatus.ATTESTED, CheckStatus.PASS)
"""Worst first: the order in which a reader wants them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Clause:
    """One demand of one edition of one document."""

    id: str
    """As the document numbers it, `AC-4(7)`."""
    text: str
    """Its title, or what it asks in a few words of our own."""
    edition: str
    """Document, edition and year."""
    read: bool = False
    """Whether its text was at hand when this table was written; where not, compare with your own copy."""
    informative: bool = True
    """Always: the check helps to answer the clause and does not decide it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """One thing that was looked at."""

    value: Any
    """The raw value as plain JSON: what a tool printed, a file held, or was counted."""
    command: str
    """The command that shows it again, or the file that was read."""
    time: str
    """When it was looked at, UTC, as `stamp` writes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check's result. Make it with `catalogue.check`, which knows titles, clauses and remedies."""

    id: str
    """As in the catalogue, `CAP-1`."""
    title: str
    """What it claims when it passes, one line."""
    status: CheckStatus
    found: str
    """What was seen, one line."""
    evidence: tuple[Evidence, ...] = ()
    clauses: tuple[Clause, ...] = ()
    remedy: str = ""
    """What to do when it does not pass."""
    not_proven: str = ""
    """What a pass does not prove."""

    def plain(self) -> dict[str, Any]:
        """As it stands in a findings document."""
        return {
            "id": self.id,
            "title": self.title,
            "status": self.status.value,
            "found": self.found,
            "evidence": [{"value": one.value, "command": one.command, "time": one.time} for one in self.evidence],
            "clauses": [_clause_plain(one) for one in self.clauses],
            "remedy": self.remedy,
            "not_proven": self.not_proven,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFindings:
    """One run of one audit command."""

    what: str
    """The command and its subject, `live high`, `capture link.pcap`."""
    time: str
    """When it began, UTC, as `stamp` writes it."""
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Where and by whom: host, boot id, kernel, tool version, hashes of what was read; plain JSON."""
    checks: tuple[Check, ...] = ()

    @property
    def counts(self) -> dict[str, int]:
        """How many checks gave each answer; every answer has its place."""
        counted = Counter(check.status for check in self.checks)
        return {status.value: counted[status] for status in CheckStatus}

    @property
    def exit_code(self) -> int:
        """0 where nothing failed, else 1, as JUnit runners do."""
        return int(any(check.status == CheckStatus.FAIL for check in self.checks))

    def plain(self) -> dict[str, Any]:
        """The findings document, with the keys that `read_findings` reads."""
        return {
            "format": FORMAT,
            "what": self.what,
            "time": self.time,
            "facts": dict(self.facts),
            "counts": self.counts,
            "checks": [check.plain() for check in self.checks],
        }

    def text(self) -> str:
        """The findings document, JSON in ASCII with a newline at its end."""
        return as_json(self.plain(), indent=1) + "\n"


def read_findings(text: str, name: str = "findings") -> AuditFindings:
    """Read a findings document.

    Args:
        text: The JSON.
        name: Where it came from, for the message.

    Raises:
        ConfigError: it is none.
    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise ConfigError(f"{name}: format {document['format']!r}, not {FORMAT}", hint="made by another version")
        return AuditFindings(
            what=str(document["what"]),
            time=str(document["time"]),
            facts=dict(document["facts"]),
            checks=tuple(_read_check(one) for one in document["checks"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(
            f"{name} is no findings document: {type(error).__name__} {error}",
            hint="give it what `checkvalve audit .. --json` or `--keep` wrote",
        ) from None


def verdict(seen: bool | None) -> CheckStatus:
    """PASS for True, FAIL for False, SKIP for what could not be measured."""
    return CheckStatus.SKIP if seen is None else CheckStatus.PASS if seen else CheckStatus.FAIL


def stamp(time_ns: int) -> str:
    """A time as this room writes it: ISO 8601, UTC, whole seconds.

    Args:
        time_ns: Wall time [ns since 1970 UTC]; what no calendar holds is written as it is.
    """
    try:
        return datetime.fromtimestamp(time_ns // 1_000_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{time_ns} ns"


def worst_first(checks: Sequence[Check]) -> list[Check]:
    """FAIL, WARN, SKIP, ATTESTED, PASS; within an answer in the order given."""
    return sorted(checks, key=lambda check: ORDER.index(check.status))


def _clause_plain(one: Clause) -> dict[str, Any]:
    return {"id": one.id, "text": one.text, "edition": one.edition, "read": one.read, "informative": one.informative}


def _read_check(document: Mapping[str, Any]) -> Check:
    return Check(
        id=str(document["id"]),
        title=str(document["title"]),
        status=CheckStatus(document["status"]),
        found=str(document["found"]),
        evidence=tuple(
            Evidence(value=one["value"], command=str(one["command"]), time=str(one["time"]))
            for one in document["evidence"]
        ),
        clauses=tuple(
            Clause(id=str(one["id"]), text=str(one["text"]), edition=str(one["edition"]), read=bool(one["read"]))
            for one in document["clauses"]
        ),
        remedy=str(document["remedy"]),
        not_proven=str(document["not_proven"]),
    )
