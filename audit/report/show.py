"""Findings, catalogue entries and rules as text for a terminal, every word inert. No colour is needed to read them."""

from __future__ import annotations

import json
import textwrap
from html import escape
from itertools import groupby
from typing import Any

from audit.catalogue import KINDS, CatalogueEntry, catalogue, entry
from audit.check import AuditFindings, Check, CheckStatus, Clause, worst_first
from audit.report.rules import ANSWERED_BY, rules, speaks_to
from protocol.inert import inert, lines

WIDTH = 100
"""Columns of running text."""


def explained(ident: str | None) -> str:
    """One check in full, the list of all, or the rules that a site is asked for.

    Args:
        ident: A check's id; `rules`; None: the list.

    Raises:
        ConfigError: no check has that id.
    """
    if ident is None:
        wide = max(map(len, catalogue()))
        return "\n".join(f"{one.id:{wide}}  {one.title}" for one in catalogue().values())
    if ident.lower() == "rules":
        return _rules_text()
    return _entry_text(entry(ident))


def findings_text(findings: AuditFindings, *, every: bool = False) -> str:
    """A run's results, worst first; evidence for all but what passed.

    Args:
        found: The run.
        every: Evidence for what passed too.
    """
    out = [inert(f"{findings.what}  {findings.time}")]
    for one in worst_first(findings.checks):
        out += _check_lines(one, evidence=every or one.status not in (CheckStatus.PASS, CheckStatus.ATTESTED))
    out.append("")
    out.append(", ".join(f"{count} {name}" for name, count in findings.counts.items() if count) or "no check was run")
    out.append("This is evidence, not a diode: see `checkvalve audit explain ID` for what each check does not prove.")
    return "\n".join(out)


def clause_text(one: Clause) -> str:
    """A clause in one line, with its edition."""
    read = "" if one.read else "; cited by number, compare with your own copy"
    return f"{one.id} {one.text} ({one.edition}; informative{read})"


def short(value: Any, most: int | None = 400) -> str:
    """A raw value on one inert line.

    Args:
        value: Plain JSON.
        most: As `inert` takes it.
    """
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return inert(" ".join(text.split()), most)


def markup(text: str) -> str:
    """A text as HTML shows it letter for letter; nothing in it turns a row of a table around."""
    return escape("\n".join(lines(text)))


def _check_lines(one: Check, *, evidence: bool) -> list[str]:
    out = [inert(f"{one.status.value:8} {one.id:7} {one.title}")]
    out += _wrapped(one.found, "         ")
    if evidence:
        for shown in one.evidence:
            out += _wrapped(f"{shown.command}: {short(shown.value)}", "         | ")
        if one.remedy and one.status != CheckStatus.SKIP:
            out += _wrapped(f"-> {one.remedy}", "         ")
    return out


def _entry_text(one: CatalogueEntry) -> str:
    parts = [
        f"{one.id}  {one.title}",
        f"\n{one.kind}: {KINDS[one.kind]}",
        "\nHow it is checked\n" + "\n".join(_wrapped(one.how, "  ")),
        "\nWhat a pass does not prove\n" + "\n".join(_wrapped(one.not_proven, "  ")),
        "\nWhen it does not pass\n" + "\n".join(_wrapped(one.remedy, "  ")),
        "\nClauses it speaks to\n" + "\n".join(line for c in one.clauses for line in _wrapped(clause_text(c), "  ")),
    ]
    asked = "; ".join(f"{rule.text.name} {rule.id}" for rule in speaks_to(one.id))
    parts += ["\nRules it speaks to\n" + "\n".join(_wrapped(asked or "none", "  "))]
    return "\n".join(parts)


def _rules_text() -> str:
    """Every rule under its text, in the words that the report has."""
    out = []
    for text, asked in groupby(rules(), key=lambda one: one.text):
        out.append(text.title)
        out += _wrapped(f"{text.edition}; in force {text.in_force}. Rests on: {text.source}.", "  ")
        for one in asked:
            out += ["", *_wrapped(f"{text.name} {one.id}: {one.about}", "  ")]
            out += _wrapped(f"answered by {one.answered_by}: {ANSWERED_BY[one.answered_by]}", "    ")
            out += _wrapped(f"checks that speak to it: {', '.join(one.checks) or 'none'}", "    ")
            out += _wrapped(f"where all pass they show: {one.shows}" if one.shows else "", "    ")
            out += _wrapped(f"they do not prove: {one.not_proven}", "    ")
        out.append("")
    return "\n".join(out[:-1])


def _wrapped(text: str, indent: str) -> list[str]:
    text = inert(" ".join(text.split()))
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False) or []
