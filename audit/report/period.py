"""Findings over time: every day, every change, every missing day.

A series is what one command found about one subject (`live high`), run after run; what a command says of the machine
that it ran on is that machine's series (`code on high-1`). Two runs that follow each other are
compared check by check and fact by fact: a check whose answer changed, and a machine that was started again, got
another card or another program, are changes. Nothing is smoothed: two changes that cancel each other are two. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

from audit import catalogue
from audit.check import AuditFindings, Check, CheckStatus, Evidence
from audit.questions import NamedChange
from protocol.errors import ConfigError

OF_A_MACHINE = ("code", "selftest", "provoke", "provoke from low")
"""Commands whose only subject is the machine that they ran on; `live` names its side, the others a file."""
FACTS = (
    "host",
    "machine",
    "boot",
    "tool",
    "python",
    "system",
    "interface",
    "ifindex",
    "mac",
    "netns",
    "diode",
    "confined",
    "preflight",
)
"""Facts of a run whose change is worth a line."""
MOST_DAYS = 3660
"""Longest period [days]."""
SHOWN = 60
"""Most lines of a list in the evidence; the report lists all."""
_RANK = {CheckStatus.PASS: 0, CheckStatus.ATTESTED: 0, CheckStatus.SKIP: 1, CheckStatus.WARN: 2, CheckStatus.FAIL: 3}
"""How bad an answer is: what can no longer be measured is worse than a pass."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """One difference between two runs that follow each other."""

    series: str
    subject: str
    """A check's id, or a fact's name."""
    before: str
    after: str
    since: str
    """Time of the earlier run."""
    time: str
    """Time of the later run."""
    found: str
    """What the later run saw."""
    worse: bool
    """A check's answer that is worse than before."""
    named: NamedChange | None = None
    """The change that a person named for it."""

    def plain(self) -> dict[str, Any]:
        """The change as the report's JSON tells it."""
        out: dict[str, Any] = {
            name: getattr(self, name)
            for name in ("series", "subject", "before", "after", "since", "time", "found", "worse")
        }
        return out | {"named": None if self.named is None else self.named.plain()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """One day (UTC) of a series."""

    day: date
    runs: tuple[str, ...]
    """Times of its runs; none: the day is missing."""
    worst: CheckStatus | None
    """FAIL, WARN or PASS; None: missing, or nothing could be measured."""
    named: NamedChange | None = None
    """The change that a person named for a missing day."""


def moment(findings: AuditFindings) -> datetime:
    """When a run began.

    Raises:
        ConfigError: its time is none.
    """
    try:
        return datetime.strptime(findings.time, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise ConfigError(f"findings {findings.what!r}: {findings.time!r} is no time") from None


def subject(findings: AuditFindings) -> str:
    """What a run is about, by which runs are put in series: the command, and where it says nothing else the machine."""
    if findings.what not in OF_A_MACHINE:
        return findings.what
    return f"{findings.what} on {findings.facts.get('host') or 'a machine that is not named'}"


def days_of(runs: Sequence[AuditFindings], first: date, last: date, changes: Sequence[NamedChange]) -> list[Day]:
    """Every day from first to last, runs or none.

    Raises:
        ConfigError: the period is longer than ten years, or ends before it begins.
    """
    count = (last - first).days + 1
    if not 1 <= count <= MOST_DAYS:
        raise ConfigError(f"{first} to {last} is no period", hint=f"1 to {MOST_DAYS} days")
    by_day: dict[date, list[AuditFindings]] = {}
    for one in runs:
        by_day.setdefault(moment(one).date(), []).append(one)
    out = []
    for offset in range(count):
        day = first + timedelta(days=offset)
        of_day = by_day.get(day, [])
        named = None if of_day else _named(changes, *_bounds(day))
        out.append(Day(day=day, runs=tuple(one.time for one in of_day), worst=worst(of_day), named=named))
    return out


def worst(runs: Sequence[AuditFindings]) -> CheckStatus | None:
    """The worst of what was measured, of FAIL, WARN and PASS."""
    statuses = {check.status for one in runs for check in one.checks}
    return next((one for one in (CheckStatus.FAIL, CheckStatus.WARN, CheckStatus.PASS) if one in statuses), None)


def changes_of(series: str, runs: Sequence[AuditFindings], changes: Sequence[NamedChange] = ()) -> list[Changed]:
    """Every difference between runs that follow each other, in their order."""
    out: list[Changed] = []
    for before, after in pairwise(runs):
        named = _named(changes, moment(before), moment(after))
        out += compare(series, before, after, named)
    return out


def failed_at_first(series: str, runs: Sequence[AuditFindings], changes: Sequence[NamedChange] = ()) -> list[Changed]:
    """Checks that failed in the first run and no longer do: no run before tells that it was a change.

    Args:
        series: Their name.
        runs: By time, not empty.
        changes: What people named.
    """
    first, last = runs[0], {check.id: check for check in runs[-1].checks}
    named = _named(changes, moment(first), moment(first))
    out = []
    for check in first.checks:
        now = last.get(check.id)
        if check.status == CheckStatus.FAIL and (now is None or now.status != CheckStatus.FAIL):
            out.append(_changed(series, check.id, None, check, first, first, named))
    return out


def compare(
    series: str, before: AuditFindings, after: AuditFindings, named: NamedChange | None = None
) -> list[Changed]:
    """Every difference between two runs: checks in the catalogue's order, then facts."""
    old, new = ({check.id: check for check in one.checks} for one in (before, after))
    order = {ident: place for place, ident in enumerate(catalogue.catalogue())}
    out = []
    for ident in sorted({*old, *new}, key=lambda ident: (order.get(ident, len(order)), ident)):
        was, now = old.get(ident), new.get(ident)
        if was is not None and now is not None and was.status == now.status:
            continue
        out.append(_changed(series, ident, was, now, before, after, named))
    for name in FACTS:
        one, two = before.facts.get(name), after.facts.get(name)
        if one != two:
            out.append(
                Changed(
                    series=series, subject=name, before=_word(one), after=_word(two), since=before.time,
                    time=after.time, found="", worse=_weaker(name, one, two), named=named,
                )
            )  # fmt: skip
    return out


def _changed(
    series: str,
    ident: str,
    was: Check | None,
    now: Check | None,
    before: AuditFindings,
    after: AuditFindings,
    named: NamedChange | None,
) -> Changed:
    worse = now is None or (was is not None and _RANK[now.status] > _RANK[was.status]) or now.status == CheckStatus.FAIL
    return Changed(
        series=series,
        subject=ident,
        before="not run" if was is None else was.status.value,
        after="not run" if now is None else now.status.value,
        since=before.time,
        time=after.time,
        found="" if now is None else now.found,
        worse=worse,
        named=named,
    )


def _weaker(name: str, before: object, after: object) -> bool:
    """A switch that was turned down."""
    strong = {"confined": ("on", "strict"), "preflight": ("refuse", "loopback")}.get(name)
    return strong is not None and after is not None and after not in strong and before != after


def record(
    days: Mapping[str, Sequence[Day]],
    live: Mapping[str, Sequence[AuditFindings]],
    changed: Sequence[Changed],
    time: str,
) -> list[Check]:
    """What the record over time says by itself: DAY-1 and DAY-2.

    Args:
        days: Of each side.
        live: The runs of each side.
        changed: Every difference of the period; of the sides' own all count, of other series those that failed.
        time: When the report is made, as `stamp` writes it.
    """
    compared = sum(len(runs) for runs in live.values() if len(runs) > 1)
    counted = [one for one in changed if one.series in live or one.after == CheckStatus.FAIL]
    return [day_1(days, time), day_2(counted, compared, time)]


def day_1(days: Mapping[str, Sequence[Day]], time: str) -> Check:
    """DAY-1: both sides on every day."""
    missing = {series: [day for day in held if not day.runs] for series, held in days.items()}
    bare = {series: [day for day in held if day.named is None] for series, held in missing.items()}
    value = {series: [day.day.isoformat() for day in held][:SHOWN] for series, held in missing.items()}
    many = {series: f"{len(held) - len(missing[series])} of {len(held)}" for series, held in days.items()}
    evidence = Evidence(
        value={"days with findings": many, "missing": value}, command="checkvalve audit report", time=time
    )
    if not days or all(not day.runs for held in days.values() for day in held):
        return catalogue.check("DAY-1", CheckStatus.SKIP, "no findings of `audit live` were given", evidence)
    words = "; ".join(f"{series}: {count} days" for series, count in many.items())
    lost = sum(map(len, missing.values()))
    if not lost:
        return catalogue.check("DAY-1", CheckStatus.PASS, words, evidence)
    nameless = sum(map(len, bare.values()))
    word = f"{words}; {lost} missing, {nameless} of them without a named reason"
    return catalogue.check("DAY-1", CheckStatus.FAIL if nameless else CheckStatus.WARN, word, evidence)


def day_2(changed: Sequence[Changed], runs: int, time: str) -> Check:
    """DAY-2: nothing changed for the worse."""
    bad = [one for one in changed if one.worse]
    evidence = Evidence(value=[one.plain() for one in bad[:SHOWN]], command="checkvalve audit report", time=time)
    if runs < 2 and not bad:
        return catalogue.check("DAY-2", CheckStatus.SKIP, f"{runs} runs: nothing to compare", evidence)
    if not bad:
        return catalogue.check(
            "DAY-2", CheckStatus.PASS, f"{runs} runs, {len(changed)} changes, none for the worse", evidence
        )
    bare = [one for one in bad if one.named is None]
    first = (bare or bad)[0]
    words = f"{len(bad)} changes for the worse, {len(bare)} of them without a named reason; "
    words += f"{first.series} {first.subject} {first.before} -> {first.after} by {first.time}"
    return catalogue.check("DAY-2", CheckStatus.FAIL if bare else CheckStatus.WARN, words, evidence)


def _named(changes: Sequence[NamedChange], first: datetime, last: datetime) -> NamedChange | None:
    return next((one for one in changes if one.covers(first, last)), None)


def _bounds(day: date) -> tuple[datetime, datetime]:
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return start, start + timedelta(days=1) - timedelta(seconds=1)


def _word(value: object) -> str:
    return "not told" if value is None else str(value)
