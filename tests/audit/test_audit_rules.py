"""Rules that a site is asked for: checks speak to them, none decides one, and no row is better than its checks."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from html import unescape
from pathlib import Path

import pytest
from typer.testing import CliRunner

from audit import catalogue, questions
from audit.check import AuditFindings, CheckStatus
from audit.cli import app
from audit.report import report, rules
from audit.report.rule_rows import rules_part
from audit.report.rules import RuleState

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"
GOOD = dict.fromkeys(catalogue.catalogue(), CheckStatus.PASS)


def said(answers: dict[str, CheckStatus]) -> dict[str, rules.RuleAnswer]:
    """What these answers say to each rule."""
    checks = [catalogue.check(ident, status, "seen") for ident, status in answers.items()]
    return {f"{one.rule.text.name} {one.rule.id}": one for one in rules.answered(checks)}


def made(answers: dict[str, CheckStatus]) -> report.AuditReport:
    """A report of one run with these answers."""
    checks = tuple(catalogue.check(ident, status, "seen") for ident, status in answers.items())
    run = AuditFindings(what="live high", time="2026-11-01T06:00:00Z", facts={}, checks=checks)
    document = report.Document(path="a.json", sha256="0" * 64, findings=run)
    return report.make([document], questions.Answers(hardware={}), made="2026-11-30T12:00:00Z", facts={})


@pytest.mark.parametrize("rule", rules.rules(), ids=lambda one: f"{one.text.name} {one.id}")
def test_every_rule_is_whole(rule: rules.AskedRule) -> None:
    """Its checks exist, each once; it tells what they show, and always what they do not prove."""
    assert [ident for ident in rule.checks if ident not in catalogue.catalogue()] == []
    assert len(set(rule.checks)) == len(rule.checks)
    assert bool(rule.shows) == bool(rule.checks)
    assert len(rule.not_proven) > 30
    assert rule.answered_by in rules.ANSWERED_BY
    assert rule.about


def test_every_text_tells_what_it_rests_on_and_every_rule_stands_once() -> None:
    """Each text has rows, a day from which it stands, and a source; one whose clauses are sold cites no wording."""
    table = tomllib.loads(rules.TABLE.read_text())
    asked = rules.rules()
    assert {one.text.name for one in asked} == set(table["texts"])
    names = [(one.text.name, one.id) for one in asked]
    assert len(set(names)) == len(names)
    for one in asked:
        assert one.text.in_force
        assert re.search(r"20\d\d-\d\d-\d\d|read|own copy", one.text.source)
    iec = [one for one in asked if one.text.name == "IEC 62443-3-3"]
    assert {one.about for one in iec} == {"see your own copy"}


ASKED = (
    "CIP-003 6.1", "CIP-003 6.2", "CIP-003 6.3", "CIP-005 R1 part 1.3", "CIP-005 R2", "CIP-005 R3",
    "IEC 62443-3-3 SR 5.1", "IEC 62443-3-3 SR 5.2", "NE 177 module 1, BASIC and EXTENDED", "NE 177 module 2, BASIC",
    "NE 177 module 2, EXTENDED", "NE 177 module 3, BASIC and EXTENDED", *(f"NCSC {number}" for number in range(1, 9)),
    "SP 800-53 AC-4(7)", "CRA 14(1), (2)",
)  # fmt: skip


@pytest.mark.parametrize("name", ASKED)
def test_a_rule_that_sites_are_asked_for_has_its_row(name: str) -> None:
    """It is in the table and on the page of a report."""
    rule = said({})[name].rule
    assert f"<b>{rule.id}</b> {rule.about}" in unescape(rules_part(made(GOOD)))


def test_what_only_hardware_can_do_is_said_to_be_the_hardwares() -> None:
    """The extended profile's one-way module and AC-4(7) are not answered by software, however many checks pass."""
    for name in ("NE 177 module 2, EXTENDED", "NE 177 module 2, configuration", "SP 800-53 AC-4(7)"):
        one = said(GOOD)[name].rule
        assert one.answered_by == "hardware"
        assert "the hardware's" in one.about
        assert [ident for ident in one.checks if ident.startswith("HW-")]


@pytest.mark.parametrize("ident", catalogue.catalogue())
def test_a_check_that_fails_shows_on_each_rule_that_it_speaks_to_and_on_no_other(ident: str) -> None:
    """The row says FAIL, and names the check that did."""
    for name, one in said({**GOOD, ident: CheckStatus.FAIL}).items():
        speaks = ident in one.rule.checks
        assert (one.state == RuleState.FAIL) == speaks, name
        assert not speaks or one.worst[ident] == "FAIL"


@pytest.mark.parametrize("status", [CheckStatus.SKIP, None])
@pytest.mark.parametrize("ident", catalogue.catalogue())
def test_what_was_skipped_or_not_run_never_reads_as_seen(ident: str, status: CheckStatus | None) -> None:
    """One check that measured nothing leaves each of its rules open."""
    answers = {name: one for name, one in GOOD.items() if name != ident}
    for one in said(answers if status is None else {**answers, ident: status}).values():
        if ident in one.rule.checks:
            assert one.state == RuleState.OPEN
            assert one.worst[ident] == (rules.NOT_RUN if status is None else "SKIP")


@pytest.mark.parametrize(
    ("first", "second", "state"),
    [
        ([CheckStatus.PASS, CheckStatus.FAIL], [], RuleState.FAIL),
        ([CheckStatus.FAIL], [CheckStatus.SKIP], RuleState.FAIL),
        ([CheckStatus.PASS, CheckStatus.WARN], [CheckStatus.SKIP], RuleState.WARN),
        ([CheckStatus.PASS, CheckStatus.SKIP], [CheckStatus.PASS], RuleState.OPEN),
        ([CheckStatus.ATTESTED], [CheckStatus.PASS], RuleState.SEEN),
        ([], [], RuleState.OPEN),
    ],
)
def test_the_worst_answer_of_a_check_counts(
    first: Sequence[CheckStatus], second: Sequence[CheckStatus], state: RuleState
) -> None:
    """A check of two subjects is as good as its worse one, and a rule as its worst check."""
    (rule,) = [one for one in rules.rules() if (one.text.name, one.id) == ("CRA", "14(3), (4)")]
    one, two = rule.checks
    checks = [catalogue.check(one, status, "seen") for status in first]
    checks += [catalogue.check(two, status, "seen") for status in second]
    (answer,) = [each for each in rules.answered(checks) if each.rule == rule]
    assert answer.state == state


def test_a_rule_that_no_check_speaks_to_stays_open() -> None:
    """A paper of the site is not answered by a program."""
    assert said(GOOD)["NCSC 1"].state == RuleState.OPEN


def test_what_each_check_does_not_prove_carries_over_to_its_rules() -> None:
    """The JSON has it beside the rule's own; the page names where it stands."""
    found = made(GOOD)
    for row, one in zip(found.plain()["rules"], found.rules, strict=True):
        assert row["not_proven"] == one.rule.not_proven
        carried = {ident: catalogue.entry(ident).not_proven for ident in one.rule.checks}
        assert row["checks_do_not_prove"] == carried
    text = rules_part(found)
    assert text.count("Nor what each of these checks by itself does not, below.") == sum(
        bool(one.checks) for one in rules.rules()
    )


def test_no_row_claims_that_a_rule_is_met() -> None:
    """Neither the table, nor the page of a report in which everything passes."""
    claims = re.compile(r"\b(compl(y|ies|iant|iance)|conforms?|satisf(y|ies|ied)|fulfil(s|led)?|certified)\b", re.I)
    assert claims.findall(rules.TABLE.read_text()) == []
    assert claims.findall(rules_part(made(GOOD))) == []
    assert "no row says that a rule is met" in rules_part(made(GOOD))


def test_the_page_of_documentation_has_every_row_as_the_table_has_it() -> None:
    """Rule, who answers it, and its checks, in the table's order."""
    page = PAGE.read_text()
    assert [one.text.title for one in rules.rules() if f"In force: {one.text.in_force}." not in page] == []
    rows = re.findall(r"^\| ([^|]+) \| (software|hardware|people|maker) \| ([^|]+) \|$", page, re.MULTILINE)
    told = [(one.strip(), who, checks.strip()) for one, who, checks in rows]
    assert told == [
        (f"{one.text.name} {one.id}", one.answered_by, ", ".join(one.checks) or "none") for one in rules.rules()
    ]


def test_explain_tells_the_rules_of_a_check_and_the_checks_of_a_rule() -> None:
    """On a terminal, without a report."""
    one = " ".join(CliRunner().invoke(app, ["audit", "explain", "HW-1"]).output.split())
    assert "SP 800-53 AC-4(7)" in one
    every = CliRunner().invoke(app, ["audit", "explain", "rules"]).output
    assert every.count("they do not prove:") == len(rules.rules())
    assert "NE 177 module 2, EXTENDED" in every
