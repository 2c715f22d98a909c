"""`audit report`: findings of many runs, of both sides, and what people answered, as one report.

    report.html   for people: one file, no script, nothing loaded, prints
    report.json   for programs: the same and every raw value
    junit.xml     for whatever runs it daily; the exit code is 1 where anything failed

The newest run of each command and subject in the period is what a check's answer is taken from, of a file that was
judged more than once the worst (`standing.py`), of any day; older runs of `audit live` are the days. What failed in the
period and no longer does stays in the report (DAY-2). A check of the catalogue that
nobody ran is listed as not run and never counted as well.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from audit import catalogue, questions
from audit.check import AuditFindings, Check, CheckStatus, read_findings
from audit.questions import Answers
from audit.report import period, rules, standing
from audit.report.period import Changed, Day
from protocol.errors import ConfigError
from protocol.inert import as_json

FORMAT = "checkvalve-audit-report-v1"
SIDES = ("high", "low")
BOUND = (
    "Software cannot be the diode. This report says what was seen, when and by which command; that nothing can flow"
    " back is for the hardware to do and for people to look at. Below each check stands what it does not prove."
)
"""Said at the head of every report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """One findings document and where it came from."""

    path: str
    sha256: str
    findings: AuditFindings


@dataclass(frozen=True, slots=True, kw_only=True)
class NewestAnswer:
    """A check's newest answer of one subject."""

    series: str
    """`live high`, `capture link.pcap`, `people`, `record`."""
    time: str
    check: Check


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditReport:
    """Everything that the three files tell."""

    title: str
    made: str
    first: date
    last: date
    sides: tuple[str, ...]
    facts: Mapping[str, Any]
    """Who made it, where, with which program."""
    documents: tuple[Document, ...]
    outside: int
    """Documents whose time is not in the period."""
    not_read: tuple[str, ...]
    """What lies in the folders of findings and is none."""
    answers: tuple[NewestAnswer, ...]
    """In the catalogue's order, then by subject."""
    not_run: tuple[str, ...]
    days: Mapping[str, Sequence[Day]]
    changed: tuple[Changed, ...]
    weakened: tuple[str, ...]
    """Switches that were turned down in any run, in words."""
    people: Answers

    @property
    def counts(self) -> dict[str, int]:
        """Answers by status; what was not run is apart."""
        counted = Counter(one.check.status for one in self.answers)
        return {status.value: counted[status] for status in CheckStatus}

    @property
    def exit_code(self) -> int:
        """1 where anything failed."""
        return int(any(one.check.status == CheckStatus.FAIL for one in self.answers))

    @property
    def rules(self) -> list[rules.RuleAnswer]:
        """The rules that a site is asked for, each with what the answers say to it."""
        return rules.answered([one.check for one in self.answers])

    def plain(self) -> dict[str, Any]:
        """The report as JSON: for other programs."""
        return _plain(self)

    def text(self) -> str:
        """The JSON document, in ASCII."""
        return as_json(self.plain(), indent=1) + "\n"


def load(paths: Sequence[Path]) -> list[Document]:
    """Findings documents of files and folders; the same one twice counts once.

    Raises:
        ConfigError: one is no findings document, or there is none.
    """
    out: dict[str, Document] = {}
    for path in [file for one in paths for file in (sorted(one.glob("*.json")) if one.is_dir() else [one])]:
        try:
            data = path.read_bytes()
            text = data.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{path} cannot be read: {error}") from None
        digest = hashlib.sha256(data).hexdigest()
        out.setdefault(digest, Document(path=str(path), sha256=digest, findings=read_findings(text, str(path))))
    if not out:
        raise ConfigError(f"no findings in {', '.join(map(str, paths))}", hint="`checkvalve audit .. --keep FOLDER`")
    return sorted(out.values(), key=lambda one: (one.findings.time, one.findings.what, one.path))


def make(
    documents: Sequence[Document],
    people: Answers,
    *,
    made: str,
    facts: Mapping[str, Any],
    first: date | None = None,
    last: date | None = None,
    sides: Sequence[str] = SIDES,
    title: str = "One-way link: audit report",
    not_read: Sequence[str] = (),
) -> AuditReport:
    """Put it together.

    Args:
        documents: All of them, by time.
        people: What was answered.
        made: When the report is made, as `stamp` writes it.
        facts: Of this run.
        first: First day (UTC); None: of the oldest document.
        last: Last day; None: of the newest.
        sides: Whose days are counted.
        title: The report's heading.
        not_read: What lies in the folders of findings and is none.

    Raises:
        ConfigError: no document is in the period, or one has no time.
    """
    first, last, inside = _inside(documents, first, last)
    series = _series([one.findings for one in inside])
    live = {f"live {side}": series.get(f"live {side}", []) for side in sides}
    days = {name: period.days_of(runs, first, last, people.changes) for name, runs in live.items()}
    changed = [one for name, runs in series.items() for one in period.changes_of(name, runs, people.changes)]
    own = {name: runs for name, runs in series.items() if not standing.is_file(runs[-1])}
    changed += [one for name, runs in own.items() for one in period.failed_at_first(name, runs, people.changes)]
    changed.sort(key=lambda one: (one.time, one.series))
    counted = [
        one for one in changed if one.series in own and (one.series in live or not one.series.startswith("live "))
    ]
    of_time = period.record(days, live, counted, made)
    said = questions.checks(people, last)
    answers = _in_order(
        [
            *((name, *one) for name, runs in series.items() for one in standing.of_series(runs, people.changes)),
            *(("people", _said(one, made), one) for one in said),
            *(("record", made, one) for one in of_time),
        ]
    )
    ran = {one.check.id for one in answers}
    return AuditReport(
        title=title,
        made=made,
        first=first,
        last=last,
        sides=tuple(sides),
        facts=facts,
        documents=tuple(inside),
        outside=len(documents) - len(inside),
        not_read=tuple(not_read),
        answers=tuple(answers),
        not_run=tuple(ident for ident in catalogue.catalogue() if ident not in ran),
        days=days,
        changed=tuple(changed),
        weakened=tuple(_weakened(series)),
        people=people,
    )


def _inside(documents: Sequence[Document], first: date | None, last: date | None) -> tuple[date, date, list[Document]]:
    """The period's days, and the documents in it; of a file that was judged in it, what was ever said of that file."""
    all_days = [period.moment(one.findings).date() for one in documents]
    first, last = first or min(all_days), last or max(all_days)
    inside = [one for one, day in zip(documents, all_days, strict=True) if first <= day <= last]
    if not inside:
        raise ConfigError(
            f"no findings between {first} and {last}", hint=f"there are some of {min(all_days)} and later"
        )
    held, files = {one.sha256 for one in inside}, {mark for one in inside if (mark := standing.file_mark(one.findings))}
    inside = [one for one in documents if one.sha256 in held or standing.file_mark(one.findings) in files]
    return first, last, inside


def _in_order(given: Sequence[tuple[str, str, Check]]) -> list[NewestAnswer]:
    """Answers as the catalogue has them, then by subject; each is given as series, time, check."""
    order = {ident: place for place, ident in enumerate(catalogue.catalogue())}
    answers = [NewestAnswer(series=series, time=time, check=check) for series, time, check in given]
    return sorted(answers, key=lambda one: (order.get(one.check.id, len(order)), one.check.id, one.series))


def _series(runs: Sequence[AuditFindings]) -> dict[str, list[AuditFindings]]:
    """Runs by what they looked at: what shares a name and is not the same is two, told apart by a mark."""
    of_name: dict[str, list[AuditFindings]] = {}
    for one in runs:
        of_name.setdefault(period.subject(one), []).append(one)
    out: dict[str, list[AuditFindings]] = {}
    for name, same in of_name.items():
        groups = standing.groups(same)
        for mark, of_mark in groups.items():
            told = f"{name} ({mark[:8]})" if mark and len(groups) > 1 else name
            while told in out:  # marks that begin alike, or a file that is called as one: never two series in one
                told += f" ({mark})"
            out[told] = of_mark
    return out


def _said(one: Check, made: str) -> str:
    return one.evidence[0].time if one.evidence else made


_TURNED = {
    ("confined", "off"): "the process at the link ran unconfined (--confine=off)",
    ("confined", "none"): "the kernel confined nothing: the process at the link could have made any call",
    ("preflight", "warn"): "preflight only warned: the link started on a machine that it would have refused",
}


def _weakened(series: Mapping[str, Sequence[AuditFindings]]) -> list[str]:
    out = []
    for name, runs in series.items():
        for (key, value), words in _TURNED.items():
            times = [one.time for one in runs if one.facts.get(key) == value]
            if times:
                out.append(f"{name}: {words}; {len(times)} of {len(runs)} runs, {times[0]} to {times[-1]}")
        kinds = sorted({str(one.facts["diode"]) for one in runs if str(one.facts.get("diode", "")).startswith("appl")})
        out += [f"{name}: {kind}: its own frames towards the plant are attested, not excluded" for kind in kinds]
        pauses = [one.facts["pause_s"] for one in runs if isinstance(one.facts.get("pause_s"), int | float)]
        if pauses:
            out.append(f"{name}: pauses of up to {max(pauses):g} s were not held against it")
        told = [one.facts["appliance"] for one in runs if isinstance(one.facts.get("appliance"), dict)]
        for mac, by in sorted({(str(one.get("mac")), str(one.get("by") or "nobody")) for one in told}):
            out.append(f"{name}: frames of appliance {mac} were not held against it, attested by {by}")
    return out


def _plain(report: AuditReport) -> dict[str, Any]:
    return {
        "format": FORMAT,
        "title": report.title,
        "made": report.made,
        "period": {"from": report.first.isoformat(), "to": report.last.isoformat()},
        "bound": BOUND,
        "facts": dict(report.facts),
        "counts": report.counts,
        "exit_code": report.exit_code,
        "weakened": list(report.weakened),
        "answers": [{"of": one.series, "time": one.time, **one.check.plain()} for one in report.answers],
        "not_run": list(report.not_run),
        "rules": [one.plain() for one in report.rules],
        "days": {
            name: [
                {
                    "day": day.day.isoformat(),
                    "runs": list(day.runs),
                    "worst": None if day.worst is None else day.worst.value,
                    "missing": not day.runs,
                    "named": None if day.named is None else day.named.plain(),
                }
                for day in days
            ]
            for name, days in report.days.items()
        },
        "changes": [one.plain() for one in report.changed],
        "people": {
            "file": str(report.people.path or ""),
            "sha256": report.people.sha256,
            "changes": [one.plain() for one in report.people.changes],
        },
        "documents": [
            {"path": one.path, "sha256": one.sha256, "what": one.findings.what, "time": one.findings.time,
             "counts": one.findings.counts, "facts": dict(one.findings.facts)}
            for one in report.documents
        ],
        "outside_the_period": report.outside,
        "not_read": list(report.not_read),
    }  # fmt: skip
