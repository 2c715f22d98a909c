"""The report as one HTML file: no script, nothing loaded, every text inert and escaped; prints on A4.

From the whole to the single: a summary of one page, what needs a person, every day, every change, all checks in one
table, the rules a site is asked for, then each check with its evidence, the clauses, the documents it is made of, and
room for signatures.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from audit.catalogue import KINDS, catalogue
from audit.check import Check, CheckStatus, worst_first
from audit.report.days import days_part
from audit.report.first_page import first_page
from audit.report.pieces import chip, link, section, table, when
from audit.report.report import AuditReport, NewestAnswer
from audit.report.rule_rows import rules_part
from audit.report.rules import speaks_to
from audit.report.show import clause_text, short
from audit.report.show import markup as escape
from protocol.inert import inert

STYLE = Path(__file__).with_name("page.css")
SHOWN = 700
"""Characters of a raw value shown; report.json holds all of it."""
NOT_READ = 40
"""Most names of what was not read."""
CHANGES = 400
"""Most changes listed; report.json holds all."""
_MARK = (
    '<svg viewBox="0 0 26 17" aria-hidden="true"><path fill="none" stroke="currentColor" stroke-width="2" '
    'd="M1 8.5h7M18 8.5h7M8 2l10 6.5L8 15zM18 2v13"/></svg>'
)
_GROUND = ("host", "machine", "by", "tool", "system", "boot", "interface", "mac", "diode", "confined", "preflight")
"""Facts that tell on which machine, with which program and how a run was made."""
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def html(report: AuditReport) -> str:
    """The report as one HTML page that needs nothing beside it."""
    parts = [
        _tiles(report),
        first_page(report),
        _weakened(report),
        _needs(report),
        days_part(report),
        _changes(report),
        _overview(report),
        rules_part(report),
        _checks(report),
        _clauses(report),
        _documents(report),
        _signatures(),
    ]
    head = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(report.title)}, {report.first} to {report.last}</title>"
        f"<style>\n{STYLE.read_text(encoding='utf-8')}</style></head><body>"
    )
    strip = (
        f'<header class="strip">{_MARK}<h1>{escape(report.title)}</h1><p>{report.first} to {report.last} (UTC)</p>'
        f"<p>made {escape(report.made)} by {escape(str(report.facts.get('by', '')))}</p></header>"
    )
    return "\n".join([head, strip, "<main>", *filter(None, parts), "</main></body></html>", ""])


def _tiles(report: AuditReport) -> str:
    counts = report.counts
    word = (
        "checks failed"
        if counts["FAIL"]
        else "nothing failed; some need a look"
        if counts["WARN"]
        else "nothing failed"
        if counts["PASS"] or counts["ATTESTED"]
        else "nothing was measured"
    )
    tiles = [f'<div class="word"><dt>verdict</dt><dd>{word}</dd></div>']
    for name in ("FAIL", "WARN", "SKIP", "ATTESTED", "PASS"):
        kind = name if counts[name] and name in ("FAIL", "WARN") else "" if counts[name] else "none"
        tiles.append(f'<div class="{kind}"><dt>{name}</dt><dd>{counts[name]}</dd></div>')
    tiles.append(
        f'<div class="{"" if report.not_run else "none"}"><dt>not run</dt><dd>{len(report.not_run)}</dd></div>'
    )
    return f'<dl class="panel tiles">{"".join(tiles)}</dl>'


def _weakened(report: AuditReport) -> str:
    if not report.weakened:
        live = [one.findings for one in report.documents if one.findings.what.startswith("live ")]
        mute = sum("confined" not in one.facts for one in live)
        words = "None was seen in any run of the period."
        words += f" {mute} of {len(live)} live runs were not told where to look (--config)." if mute else ""
        return section("Weakened switches", f'<p class="text">{words}</p>')
    lines = "".join(f"<li>{escape(one)}</li>" for one in report.weakened)
    return f'<section class="alert"><h2>Weakened switches</h2><ul>{lines}</ul></section>'


def _needs(report: AuditReport) -> str:
    bad = [one for one in report.answers if one.check.status in (CheckStatus.FAIL, CheckStatus.WARN)]
    if not bad:
        return section("What needs a person", '<p class="text">No check failed or warned.</p>')
    order = {id(check): place for place, check in enumerate(worst_first([one.check for one in bad]))}
    rows = [
        [
            chip(one.check.status),
            link(one.check.id),
            escape(one.series),
            escape(one.check.found),
            escape(one.check.remedy),
        ]
        for one in sorted(bad, key=lambda one: order[id(one.check)])
    ]
    head = {"": 12, "check": 9, "of": 17, "found": 34, "next step": 28}
    return section("What needs a person", table(head, rows), f"{len(bad)} lines")


def _changes(report: AuditReport) -> str:
    if not report.changed:
        return section("Every change", '<p class="text">No run differs from the one before it.</p>')
    rows = []
    for one in report.changed[:CHANGES]:
        named = "" if one.named is None else f"{one.named.why} ({one.named.by})"
        subject = link(one.subject) if one.subject in catalogue() else escape(one.subject)
        mark = chip(one.after) if one.after in CheckStatus.__members__ else escape(one.after)
        texts = [escape(one.found), escape(named)]
        rows.append([when(one.time), escape(one.series), subject, escape(one.before), mark, *texts])
    more = len(report.changed) - len(rows)
    note = f"{len(report.changed)} between runs that follow each other" + (
        f"; {more} more in report.json" if more else ""
    )
    head = {"seen": 12, "of": 13, "what": 10, "before": 11, "after": 12, "found": 26, "named reason": 16}
    return section("Every change", table(head, rows), note)


def _overview(report: AuditReport) -> str:
    by_series: dict[str, list[NewestAnswer]] = {}
    for one in report.answers:
        by_series.setdefault(one.check.id, []).append(one)
    sides = [f"live {side}" for side in report.sides]
    head = {"check": 9, "claims": 91 - 15 * (len(sides) + 1), **dict.fromkeys([*sides, "other runs"], 15)}
    rows: list[list[str]] = []
    kind = ""
    for entry in catalogue().values():
        if entry.kind != kind:
            kind = entry.kind
            rows.append([f"{kind}: {KINDS[kind]}"])
        given = by_series.get(entry.id, [])
        cells = [_chips([one for one in given if one.series == side]) for side in sides]
        others = _chips([one for one in given if one.series not in sides])
        if not given:
            others = '<span class="dim">not run</span>'
        ident = link(entry.id) if given else f'<span class="id">{entry.id}</span>'
        rows.append([ident, escape(entry.title), *cells, others])
    return section("All checks", table(head, rows), "the newest run of each command in the period")


def _chips(answers: Iterable[NewestAnswer]) -> str:
    return " ".join(chip(one.check.status, one.check.id) for one in answers)


def _checks(report: AuditReport) -> str:
    by_id: dict[str, list[NewestAnswer]] = {}
    for one in report.answers:
        by_id.setdefault(one.check.id, []).append(one)
    blocks = [_check(ident, answers) for ident, answers in by_id.items()]
    return section("Each check", "".join(blocks), "evidence, clauses, and what it does not prove")


def _check(ident: str, answers: Sequence[NewestAnswer]) -> str:
    check = answers[0].check
    entry = catalogue().get(ident)
    results = "".join(_result(one) for one in answers)
    remedy = next((one.check.remedy for one in answers if one.check.remedy), "")
    words = [
        ("how", entry.how if entry is not None else ""),
        ("next step", remedy),
        ("does not prove", check.not_proven),
        ("speaks to", "; ".join(clause_text(one) for one in check.clauses)),
        ("and of rules", "; ".join(f"{one.text.name} {one.id}" for one in speaks_to(ident))),
    ]
    lines = "".join(f"<dt>{name}</dt><dd>{escape(text)}</dd>" for name, text in words if text)
    title = f'<h3><span class="id">{escape(ident)}</span><span>{escape(check.title)}</span></h3>'
    body = f'<div class="body">{results}<dl>{lines}</dl></div>'
    return f'<article class="check" id="{escape(ident)}">{title}{body}</article>'


def _result(one: NewestAnswer) -> str:
    seen = "".join(_seen(one.check, index) for index in range(len(one.check.evidence)))
    where = f'<span class="where">{escape(one.series)}, {escape(one.time)}:</span>'
    return (
        f'<div class="result"><div>{chip(one.check.status)}</div>'
        f'<div><p class="wrap">{where} {escape(one.check.found)}</p>{seen}</div></div>'
    )


def _seen(check: Check, index: int) -> str:
    one = check.evidence[index]
    whole = short(one.value, None)
    cut = ' <span class="dim">(cut; whole in report.json)</span>' if len(whole) > SHOWN else ""
    text = inert(whole, SHOWN)
    command = f'<code class="cmd">{escape(one.command)}  [{escape(one.time)}]</code>'
    return f'<div class="seen">{command}<code>{escape(text)}{cut}</code></div>'


def _clauses(report: AuditReport) -> str:
    rows: dict[str, tuple[str, list[NewestAnswer]]] = {}
    for one in report.answers:
        for clause in one.check.clauses:
            rows.setdefault(clause.id, (clause_text(clause), []))[1].append(one)
    lines = []
    for ident, (text, answers) in sorted(rows.items()):
        worst = worst_first([one.check for one in answers])[0].status
        names = ", ".join(link(name) for name in dict.fromkeys(one.check.id for one in answers))
        lines.append([f'<span class="id">{escape(ident)}</span>', escape(text), names, chip(worst)])
    note = "informative: a check helps to answer a clause and never decides it"
    head = {"clause": 11, "text and edition": 49, "checks": 27, "worst answer": 13}
    return section("By clause", table(head, lines), note)


def _documents(report: AuditReport) -> str:
    grounds: dict[tuple[str, ...], str] = {}
    rows = []
    for one in report.documents:
        findings = one.findings
        ground = tuple(str(findings.facts.get(key, "")) for key in _GROUND)
        letter = grounds.setdefault(ground, f"m{len(grounds) + 1}")
        counts = ", ".join(f"{count} {name}" for name, count in findings.counts.items() if count)
        name = escape(Path(one.path).name)
        digest = f'<code class="digest">{one.sha256}</code>'
        rows.append([when(findings.time), escape(findings.what), escape(counts), letter, name, digest])
    note = f"{len(report.documents)} documents"
    note += f"; {report.outside} are outside of the period" if report.outside else ""
    people = report.people
    said = f"{people.path}, sha256 {people.sha256}" if people.path else "no file of answers was given"
    facts = "; ".join(f"{key} {value}" for key, value in report.facts.items())
    beside = ", ".join(report.not_read[:NOT_READ]) or "nothing"
    more = f" and {len(report.not_read) - NOT_READ} more" if len(report.not_read) > NOT_READ else ""
    foot = (
        f'<p class="text wrap">Answers of people: {escape(said)}.<br>Made with: {escape(facts)}.'
        f"<br>In the folders of findings and not read: {escape(beside + more)}.</p>"
    )
    machines = [[mark, escape(_facts(ground))] for ground, mark in grounds.items()]
    runs = table({"time": 12, "run": 17, "answers": 17, "on": 6, "file": 20, "sha256": 28}, rows)
    return section("Made of", table({"": 6, "on which machine, with which program": 94}, machines) + runs + foot, note)


def _facts(ground: Sequence[str]) -> str:
    return "; ".join(f"{key} {value}" for key, value in zip(_GROUND, ground, strict=True) if value)


def _signatures() -> str:
    names = ("auditor: name, date, signature", "high side: name, date, signature", "low side: name, date, signature")
    return f'<section><h2>Signed</h2><div class="sign">{"".join(f"<div>{one}</div>" for one in names)}</div></section>'
