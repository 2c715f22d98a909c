"""The report's first page, all that most readers see: verdict, period, machines, what failed, what is not proven.

Its lists end where the page would, and say how many more stand behind; texts are cut in their middle. Everything on it
stands in full further down.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from audit.check import CheckStatus
from audit.report.report import BOUND, AuditReport, NewestAnswer
from audit.report.rules import RuleState
from audit.report.show import markup as escape
from protocol.inert import inert

FAILS = 8
"""Most checks of what failed."""
WARNS = 5
"""Most checks of what warned."""
MACHINES = 5
"""Most machines."""
IDS = 30
"""Most ids in a row."""
TEXT = 150
"""Characters of one text."""


def first_page(report: AuditReport) -> str:
    """One section that prints on one page.

    Args:
        report: The whole.
    """
    lines = [
        ("period", f"{report.first} to {report.last} (UTC): {len(report.documents)} findings, {_days(report)}"),
        *(("machine" if not place else "", text) for place, text in enumerate(_machines(report))),
    ]
    rows = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in lines)
    return (
        f'<section class="first"><h2>Summary</h2>{_verdict(report)}<dl class="short">{rows}</dl>'
        f"<h3>What failed</h3>{_listed(report, CheckStatus.FAIL, FAILS)}"
        f"<h3>What warned</h3>{_listed(report, CheckStatus.WARN, WARNS)}"
        f"<h3>What is not proven</h3>{_unproven(report)}</section>"
    )


def _verdict(report: AuditReport) -> str:
    counts = report.counts
    seen = [side for side in report.sides if any(day.runs for day in report.days.get(f"live {side}", ()))]
    looked = f"Looked at: {' and '.join(seen) or 'neither'} side."
    missing = [side for side in report.sides if side not in seen]
    looked += f" Nothing of `audit live` on the {' and the '.join(missing)} side was given." if missing else ""
    if counts["FAIL"]:
        word = (
            f"{counts['FAIL']} checks failed: the claim that nothing flows back does not stand until each is settled."
        )
    elif counts["WARN"]:
        word = f"Nothing failed; {counts['WARN']} answers warn and need a person's look."
    elif not counts["PASS"] and not counts["ATTESTED"]:
        word = "Nothing failed, and nothing passed: no check could be measured."
    else:
        word = "Nothing that was looked at failed or warned."
    return f'<p class="text verdict">{escape(f"{word} {looked}")}</p>'


def _days(report: AuditReport) -> str:
    missing = {series: sum(not day.runs for day in days) for series, days in report.days.items()}
    return ", ".join(
        f"{series} {count} of {len(report.days[series])} days missing" for series, count in missing.items()
    )


def _machines(report: AuditReport) -> list[str]:
    """Each machine that findings are of: what was looked at there, and with which program."""
    held: dict[tuple[str, str], tuple[dict[str, None], str]] = {}
    for one in report.documents:
        facts = one.findings.facts
        key = (str(facts.get("host") or "not named"), str(facts.get("machine", "")))
        what, _ = held.setdefault(key, ({}, ""))
        what[one.findings.what] = None
        held[key] = (what, str(facts.get("tool", "")).partition(",")[0])
    out = []
    for (host, mark), (what, tool) in list(held.items())[:MACHINES]:
        alone = sum(name == host for name, _ in held) == 1
        name = host if alone or not mark else f"{host} ({mark[:8]})"
        out.append(inert(f"{name}: {', '.join(what)}" + (f"; {tool}" if tool else ""), TEXT))
    return out + ([f"{len(held) - MACHINES} more, under Made of"] if len(held) > MACHINES else [])


def _listed(report: AuditReport, status: CheckStatus, most: int) -> str:
    """A line a check, however many runs gave that answer."""
    bad: dict[str, list[NewestAnswer]] = {}
    for one in report.answers:
        if one.check.status == status:
            bad.setdefault(one.check.id, []).append(one)
    if not bad:
        return '<p class="text">None.</p>'
    items = "".join(f"<li>{_line(answers)}</li>" for answers in list(bad.values())[:most])
    more = f"<li>{len(bad) - most} more checks, under What needs a person</li>" if len(bad) > most else ""
    return f"<ul>{items}{more}</ul>"


def _line(answers: Sequence[NewestAnswer]) -> str:
    first = answers[0]
    check = first.check
    series = first.series + (f" and {len(answers) - 1} more" if len(answers) > 1 else "")
    step = f" Next step: {check.remedy}" if check.status == CheckStatus.FAIL and check.remedy else ""
    link = f'<a class="id" href="#{escape(check.id)}">{escape(check.id)}</a>'
    series, found, step = (escape(inert(text, TEXT)) for text in (series, check.found, step))
    return f'{link} <span class="wrap">{series}: {found}.{step}</span>'


def _unproven(report: AuditReport) -> str:
    skipped = list(dict.fromkeys(one.check.id for one in report.answers if one.check.status == CheckStatus.SKIP))
    said = list(dict.fromkeys(one.check.id for one in report.answers if one.check.status == CheckStatus.ATTESTED))
    lines = [BOUND]
    lines += [f"Could not be measured (SKIP): {_row(skipped)}."] if skipped else []
    lines += [f"Nobody ran: {_row(report.not_run)}."] if report.not_run else []
    lines += [f"Stands on a named person's word alone (ATTESTED): {_row(said)}."] if said else []
    lines += [f"{len(report.weakened)} switches were turned down in the period; they stand on the next page."] * bool(
        report.weakened
    )
    lines.append(_rules(report))
    return f"<ul>{''.join(f'<li>{escape(one)}</li>' for one in lines)}</ul>"


def _rules(report: AuditReport) -> str:
    counted = Counter(one.state for one in report.rules)
    states = ", ".join(f"{counted[state]} {state}" for state in RuleState)
    return f"Rules a site is asked for: {states}. Checks speak to them; no row says that one is met."


def _row(idents: Sequence[str]) -> str:
    more = f" and {len(idents) - IDS} more" if len(idents) > IDS else ""
    return ", ".join(idents[:IDS]) + more
