"""A report as JUnit XML, for what runs it daily: one suite a subject, one case a check.

FAIL is a failure and SKIP is skipped; WARN and ATTESTED pass there, and say so in `system-out`.
Texts are inert, so that nothing stands in them that XML forbids (XML 1.0, 2.2).
"""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from audit.check import CheckStatus
from audit.report.report import AuditReport, NewestAnswer
from protocol.inert import inert


def xml(report: AuditReport) -> str:
    """The report as a JUnit XML document."""
    series = list(dict.fromkeys(one.series for one in report.answers))
    suites = [_suite(name, [one for one in report.answers if one.series == name]) for name in series]
    counts = report.counts
    head = f'<testsuites name={_attribute(report.title)} tests="{len(report.answers)}" failures="{counts["FAIL"]}">'
    return "\n".join(['<?xml version="1.0" encoding="UTF-8"?>', head, *suites, "</testsuites>", ""])


def _suite(name: str, answers: list[NewestAnswer]) -> str:
    failed = sum(one.check.status == CheckStatus.FAIL for one in answers)
    skipped = sum(one.check.status == CheckStatus.SKIP for one in answers)
    head = f'<testsuite name={_attribute(name)} tests="{len(answers)}" failures="{failed}" skipped="{skipped}">'
    return "\n".join([head, *map(_case, answers), "</testsuite>"])


def _case(one: NewestAnswer) -> str:
    check = one.check
    head = f"<testcase classname={_attribute(one.series)} name={_attribute(f'{check.id} {check.title}')}"
    if check.status == CheckStatus.PASS:
        return f"{head}/>"
    if check.status == CheckStatus.FAIL:
        inside = f"<failure message={_attribute(check.found)}>{_clean(check.remedy)}</failure>"
    elif check.status == CheckStatus.SKIP:
        inside = f"<skipped message={_attribute(check.found)}/>"
    else:
        inside = f"<system-out>{_clean(f'{check.status.value}: {check.found}')}</system-out>"
    return f"{head}>{inside}</testcase>"


def _attribute(text: str) -> str:
    return quoteattr(inert(text))


def _clean(text: str) -> str:
    return escape(inert(text))
