"""`audit incident`: the three reports of article 14 of the Cyber Resilience Act as forms, with their deadlines.

    0-timeline.md        when which report is due, and whom else to tell
    1-early-warning.md   24 hours after the maker became aware
    2-notification.md    72 hours after that moment, not after the first report
    3-final.md           a weakness: 14 days after a measure against it is there; a severe incident: a month after 2

It is the maker's duty. Hours run through nights and weekends. The forms ask what the article asks (`incident.toml`)
and are filled with what this machine knows: version, hashes, the moment, who made them. They are text: nothing is sent.
"""

from __future__ import annotations

import calendar
import hashlib
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from protocol.errors import ConfigError
from protocol.inert import inert

TABLE = Path(__file__).with_name("incident.toml")
EARLY, NOTIFICATION, FINAL = timedelta(hours=24), timedelta(hours=72), timedelta(days=14)
"""Article 14(2) and (4); the first two run from the moment of awareness, the last from the measure."""
IN_FORCE = datetime(2024, 12, 10, tzinfo=UTC)
"""Article 71(1): nothing that the regulation asks for can have begun before."""
STAGES = {"early": "1-early-warning.md", "notification": "2-notification.md", "final": "3-final.md"}
"""The reports, and the file of each."""
TITLES = {"early": "Early warning", "notification": "Notification", "final": "Final report"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Incident:
    """What happened, as far as deadlines go."""

    severe: bool
    """A severe incident (article 14(3)); else an exploited weakness (14(1))."""
    aware: datetime
    """When the maker became aware: the first word of it that could be believed."""
    fixed: datetime | None = None
    """When an update or another measure was there for users; None: not yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """When a report is due."""

    stage: str
    """One of `STAGES`."""
    due: datetime | None
    """None: what it runs from has not happened yet."""
    rule: str
    """From what it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IncidentFacts:
    """What is filled in already."""

    product: str
    """Name and version."""
    files: str
    """Hash of the installed files' list."""
    bill: str
    """Where the bill of materials lies, and its SHA-256; or that there is none here."""
    contact: str
    made: str
    """When and by whom the forms were made."""


def read_time(name: str, text: str, now: datetime) -> datetime:
    """A moment that somebody typed.

    Args:
        name: Of the option, for the message.
        text: ISO 8601 with its zone, or `now`.
        now: The present.

    Raises:
        ConfigError: it is none, has no zone, or has not come yet.
    """
    if text == "now":
        return now.replace(microsecond=0)
    hint = f"with its zone, such as {now:%Y-%m-%dT%H:%MZ}; or `now`"
    try:
        given = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{name} {text}: no time", hint=hint) from None
    if given.tzinfo is None:
        raise ConfigError(f"{name} {text}: in which zone? hours count here", hint=hint)
    if given > now:
        raise ConfigError(f"{name} {text} has not come yet", hint=hint)
    if given < IN_FORCE:
        raise ConfigError(f"{name} {text}: before the regulation itself ({IN_FORCE:%Y-%m-%d})", hint=hint)
    return given.astimezone(UTC)


def deadlines(incident: Incident) -> list[Deadline]:
    """When each report is due."""
    notification = incident.aware + NOTIFICATION
    out = [
        Deadline(stage="early", due=incident.aware + EARLY, rule="24 hours after you became aware"),
        Deadline(stage="notification", due=notification, rule="72 hours after you became aware"),
    ]
    if incident.severe:
        rule = "a month after the notification was sent, sooner than this where that was sent sooner"
        return [*out, Deadline(stage="final", due=_month_after(notification), rule=rule)]
    due = None if incident.fixed is None else incident.fixed + FINAL
    return [*out, Deadline(stage="final", due=due, rule="14 days after an update or another measure is there")]


def forms(incident: Incident, facts: IncidentFacts) -> dict[str, str]:
    """The files, by name."""
    kind = "severe" if incident.severe else "weakness"
    table = _table()[kind]
    ends = deadlines(incident)
    out = {"0-timeline.md": _timeline(incident, facts, ends, table)}
    for one in ends:
        out[STAGES[one.stage]] = _form(incident, facts, one, table)
    return out


def timeline(ends: Sequence[Deadline], now: datetime) -> list[str]:
    """A line a report, for a terminal: what is due, when, and how long that is from now."""
    return [f"{_due(one):17}  {TITLES[one.stage]}: {one.rule}{_left(one, now)}" for one in ends]


def bill_of_materials(path: Path) -> str:
    """The file and its hash.

    Raises:
        ConfigError: it cannot be read.
    """
    try:
        return f"{path}, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}"
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}", hint="--sbom takes the bundle's sbom.cdx.json") from None


def _form(incident: Incident, facts: IncidentFacts, end: Deadline, table: Mapping[str, Any]) -> str:
    questions = table[end.stage]
    lines = [
        f"# {TITLES[end.stage]}: {table['title']} in {inert(facts.product)}",
        "",
        f"Regulation (EU) 2024/2847, article {questions[0]['ref'].partition(')(')[0]}). "
        f"**Due: {_due(end)}** ({end.rule}).",
        "",
        *_head(incident, facts),
        "| sent at, by whom | |",
        "| its number on the platform | |",
    ]
    for place, one in enumerate(questions, 1):
        lines += ["", f"## {place}. {one['ask']}", "", f"({one['ref']})", "", "> "]
    lines += ["", "What is not known yet is written as not known: a report in time is worth more than a whole one."]
    return "\n".join(lines) + "\n"


def _timeline(incident: Incident, facts: IncidentFacts, ends: Sequence[Deadline], table: Mapping[str, Any]) -> str:
    lines = [
        f"# Timeline: {table['title']} in {inert(facts.product)}",
        "",
        f"Regulation (EU) 2024/2847, article {table['article']}. Hours run through nights and weekends.",
        "",
        *_head(incident, facts),
        "",
        "| due | report | runs from | sent |",
        "|---|---|---|---|",
        *(f"| {_due(one)} | {TITLES[one.stage]} ({STAGES[one.stage]}) | {one.rule} | |" for one in ends),
        "",
        "How: on the single reporting platform (article 16), to ENISA and at once to the CSIRT that is the coordinator"
        " where the maker has its main establishment. The maker is aware from the first word that could be believed:"
        " write down where it came from.",
        "",
        "Without delay besides: users that are concerned, and what they can do (article 14(8)).",
        "",
        "| who became aware, by what | |",
        "|---|---|",
        "| users told at, how | |",
        "| measure there since | |",
    ]
    return "\n".join(lines) + "\n"


def _head(incident: Incident, facts: IncidentFacts) -> list[str]:
    fixed = "not yet" if incident.fixed is None else _at(incident.fixed)
    told = {
        "product": facts.product,
        "installed files": facts.files,
        "bill of materials": facts.bill,
        "contact": facts.contact,
        "aware since": _at(incident.aware),
        "measure there since": fixed,
        "form made": facts.made,
    }
    rows = [f"| {name} | {inert(text, None).replace('|', '/')} |" for name, text in told.items()]
    return ["| | |", "|---|---|", *rows]


def _month_after(moment: datetime) -> datetime:
    """The same day of the next month, or its last one where it has no such day."""
    year, month = (moment.year, moment.month + 1) if moment.month < 12 else (moment.year + 1, 1)
    return moment.replace(year=year, month=month, day=min(moment.day, calendar.monthrange(year, month)[1]))


def _due(one: Deadline) -> str:
    return "not running yet" if one.due is None else _at(one.due)


def _left(one: Deadline, now: datetime) -> str:
    if one.due is None:
        return ""
    hours = (one.due - now).total_seconds() / 3600
    span = f"{abs(hours):.1f} hours" if abs(hours) < 100 else f"{abs(hours) / 24:.0f} days"
    return f"; {span} are left" if hours > 0 else f"; OVERDUE by {span}: send what you have"


def _at(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%MZ}"


@cache
def _table() -> dict[str, Any]:
    return tomllib.loads(TABLE.read_text(encoding="utf-8"))
