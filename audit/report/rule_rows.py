"""The page's part on rules: a row a rule, with the checks that speak to it and what they do not prove."""

from __future__ import annotations

from audit.report.pieces import chip, link, section, table
from audit.report.report import AuditReport
from audit.report.rules import ANSWERED_BY, RuleAnswer, RuleState, RuleText
from audit.report.show import markup as escape

NOTE = "checks speak to a rule and never decide it; no row says that a rule is met"
_HEAD = {
    "rule": 16, "answered by": 11, "state": 10, "checks that speak to it": 18,
    "where all pass they show": 22, "they do not prove": 23,
}  # fmt: skip


def rules_part(report: AuditReport) -> str:
    """The section on rules."""
    rows: list[list[str]] = []
    text: RuleText | None = None
    for one in report.rules:
        if one.rule.text != text:
            text = one.rule.text
            rows.append([_text(text)])
        rows.append(_row(one))
    words = "; ".join(f"{name}: {told}" for name, told in _STATES.items())
    who = "; ".join(f"{name}: {told}" for name, told in ANSWERED_BY.items())
    foot = f'<p class="text">State: {escape(words)}. Answered by: {escape(who)}.</p>'
    return section("Rules a site is asked for", foot + table(_HEAD, rows), NOTE)


def _text(text: RuleText) -> str:
    bought = "" if text.public else " Its clause texts are not public: numbers are cited, no wording."
    return (
        f"<b>{escape(text.title)}</b> ({escape(text.edition)}; in force {escape(text.in_force)})."
        f"{bought} Rests on: {escape(text.source)}."
    )


def _row(one: RuleAnswer) -> list[str]:
    rule = one.rule
    checks = ", ".join(_check(ident, answer) for ident, answer in one.worst.items()) or "none"
    also = ' <span class="dim">Nor what each of these checks by itself does not, below.</span>' if rule.checks else ""
    shows = escape(rule.shows) if one.state == RuleState.SEEN else f'<span class="dim">{escape(rule.shows)}</span>'
    return [
        f"<b>{escape(rule.id)}</b> {escape(rule.about)}",
        escape(rule.answered_by),
        chip(one.state.value),
        checks,
        shows,
        escape(rule.not_proven) + also,
    ]


def _check(ident: str, answer: str) -> str:
    """A check that was run leads to its place; one that was not has none."""
    name = link(ident) if answer != "not run" else f'<span class="id">{escape(ident)}</span>'
    return f"{name}&nbsp;{escape(answer)}"


_STATES = {
    "FAIL": "a check that speaks to it failed",
    "WARN": "one warned",
    "OPEN": "one was skipped or not run, or there is none",
    "SEEN": "every one passed, or a named person attested it",
}
