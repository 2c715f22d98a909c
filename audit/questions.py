"""What people answer: the hardware questions (HW-1 ..), and who changed what and why. One TOML file.

    [HW-1]                        one table a question
    answer = "yes"                yes: it is as the check claims; no: it is not
    by = "J. Doe, plant IT"       who looked
    on = 2026-11-20               when
    seen = "one strand, .."       what was seen, in their own words
    photo = "panel.jpg"           optional, beside this file: its hash goes into the report

    [[change]]                    a named change: explains changed answers and missing days between from and to
    from = 2026-11-21             a day, or a time with its offset
    to = 2026-11-22
    by = "J. Doe"
    why = "interface card replaced, ticket 812"

An answer is ATTESTED, never PASS: software saw nothing of it. An unanswered question is SKIP, a "no" is FAIL, an answer
from after the period, or older than a year before its end, is WARN.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Any

from audit import catalogue
from audit.check import Check, CheckStatus, Evidence
from protocol.errors import ConfigError
from protocol.settings.toml_file import read as read_settings

STALE_DAYS = 366
"""An answer older than this at the period's end is to be given again [days]."""
_KEYS = {"answer", "by", "on", "seen", "photo"}


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedChange:
    """A change that a person names."""

    start: datetime
    end: datetime
    by: str
    why: str

    def covers(self, first: datetime, last: datetime) -> bool:
        """Whether it touches the stretch from `first` to `last`."""
        return self.start <= last and first <= self.end

    def plain(self) -> dict[str, str]:
        """The change as the report's JSON tells it."""
        return {"from": _text(self.start), "to": _text(self.end), "by": self.by, "why": self.why}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What people answered to the questions on cables, rooms and changes."""

    path: Path | None = None
    sha256: str = ""
    hardware: Mapping[str, Mapping[str, Any]]
    """Answers by check id; values as they stand in the file."""
    changes: tuple[NamedChange, ...] = ()


def questions() -> list[str]:
    """Ids of the checks that only people can answer at the site."""
    return [one.id for one in catalogue.catalogue().values() if one.id.startswith("HW-")]


def blank() -> str:
    """The file with every question and no answer."""
    lines = [
        "# What people looked at. Fill in answer, by, on and seen; leave an answer empty if nobody looked.",
        "# `checkvalve audit report .. --answers THIS`. Keep it and the photographs with the findings.",
        "",
    ]
    for ident in questions():
        one = catalogue.entry(ident)
        lines += [
            f"[{ident}]",
            f"# {one.title}?",
            f"# {one.how}",
            'answer = ""          # "yes", or "no"',
            'by = ""              # name and office',
            "# on = 2026-01-31",
            'seen = ""            # what you saw, in your own words',
            '# photo = ""         # a file beside this one',
            "",
        ]
    lines += ["# [[change]]", "# from = 2026-01-31", "# to = 2026-01-31", '# by = ""', '# why = ""', ""]
    return "\n".join(lines)


def read(path: Path | None) -> Answers:
    """Read the file; without one nothing is answered.

    Raises:
        ConfigError: it cannot be read, or says something that this cannot take.
    """
    if path is None:
        return Answers(hardware={})
    table, data = read_settings(path, hint="`checkvalve audit questions` prints one")
    known = questions()
    strange = [key for key in table if key not in known and key != "change"]
    if strange:
        raise ConfigError(
            f"{path}: no question is called {strange[0]!r}", hint=f"one of {', '.join(known)}, or [[change]]"
        )
    hardware = {key: _answer(path, key, table[key]) for key in known if key in table}
    changes = table.get("change", [])
    if not isinstance(changes, list):
        raise ConfigError(f"{path}: [change] must be [[change]]")
    return Answers(
        path=path,
        sha256=hashlib.sha256(data).hexdigest(),
        hardware=hardware,
        changes=tuple(_change(path, one) for one in changes),
    )


def checks(answers: Answers, last: date) -> list[Check]:
    """The hardware checks.

    Args:
        last: The period's last day.
    """
    return [_check(ident, answers, last) for ident in questions()]


def _check(ident: str, answers: Answers, last: date) -> Check:
    given = answers.hardware.get(ident)
    if given is None or not given["answer"]:
        return catalogue.check(ident, CheckStatus.SKIP, "nobody answered: `checkvalve audit questions` prints the form")
    on, by = given["on"], given["by"]
    value = {key: str(one) for key, one in given.items() if one}
    photo = given.get("photo")
    if photo and answers.path is not None:
        value["photo_sha256"] = hashlib.sha256((answers.path.parent / photo).read_bytes()).hexdigest()
    evidence = Evidence(value=value, command=f"{answers.path}, [{ident}]", time=on.isoformat())
    said = f"{given['seen'] or 'as claimed'}; {by} on {on}"
    if given["answer"] == "no":
        return catalogue.check(ident, CheckStatus.FAIL, f"it is not so: {said}", evidence)
    if on > last:
        return catalogue.check(ident, CheckStatus.WARN, f"answered after the period: {said}", evidence)
    if on < last - timedelta(days=STALE_DAYS):
        return catalogue.check(ident, CheckStatus.WARN, f"answered more than a year ago: {said}", evidence)
    return catalogue.check(ident, CheckStatus.ATTESTED, said, evidence)


def _answer(path: Path, ident: str, given: object) -> dict[str, Any]:
    where = f"{path}: [{ident}]"
    if not isinstance(given, dict):
        raise ConfigError(f"{where} must be a table")
    strange = [key for key in given if key not in _KEYS]
    if strange:
        raise ConfigError(f"{where} {strange[0]}: no such key", hint=f"one of {', '.join(sorted(_KEYS))}")
    texts = {key: given.get(key, "") for key in ("answer", "by", "seen", "photo")}
    if any(not isinstance(one, str) for one in texts.values()):
        raise ConfigError(f"{where}: answer, by, seen and photo are texts")
    if texts["answer"] not in ("", "yes", "no"):
        raise ConfigError(f"{where} answer: {texts['answer']!r}", hint='"yes" or "no"; what was seen goes into `seen`')
    if texts["answer"] and not texts["by"].strip():
        raise ConfigError(f"{where} by: an answer without a name is none")
    on = given.get("on")
    if texts["answer"] and (not isinstance(on, date) or isinstance(on, datetime)):
        raise ConfigError(f"{where} on: the day is missing", hint="on = 2026-01-31, without quotes")
    if texts["photo"] and not (path.parent / texts["photo"]).is_file():
        raise ConfigError(f"{where} photo: there is no {path.parent / texts['photo']}")
    return texts | {"on": on}


def _change(path: Path, given: object) -> NamedChange:
    if not isinstance(given, dict) or set(given) != {"from", "to", "by", "why"}:
        raise ConfigError(f"{path}: each [[change]] has from, to, by and why")
    start, end = _moment(path, given["from"], time.min), _moment(path, given["to"], time.max)
    by, why = given["by"], given["why"]
    if not (isinstance(by, str) and isinstance(why, str) and by.strip() and why.strip()):
        raise ConfigError(f"{path}: a [[change]] without a name or a reason is none")
    if end < start:
        raise ConfigError(f"{path}: a [[change]] ends before it begins")
    return NamedChange(start=start, end=end, by=by, why=why)


def _moment(path: Path, given: object, of_day: time) -> datetime:
    if isinstance(given, datetime):
        return given.astimezone(UTC) if given.tzinfo else given.replace(tzinfo=UTC)
    if isinstance(given, date):
        return datetime.combine(given, of_day, UTC)
    raise ConfigError(f"{path}: [[change]] from, to: {given!r} is no day", hint="2026-01-31, or 2026-01-31T06:00:00Z")


def _text(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")
