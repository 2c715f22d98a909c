"""Findings and catalogue entries as text for a terminal. No colour is needed to read them."""

from __future__ import annotations

import json
import textwrap
from typing import Any

from audit.catalogue import KINDS, Entry, catalogue, entry
from audit.check import Check, Clause, Findings, Status, worst_first

WIDTH = 100
"""Columns of running text."""


def explained(ident: str | None) -> str:
    """One check in full, or the list of all.

    Raises:
        ConfigError: no check has that id.
    """
    if ident is None:
        wide = max(map(len, catalogue()))
        return "\n".join(f"{one.id:{wide}}  {one.title}" for one in catalogue().values())
    return _entry_text(entry(ident))


def findings_text(found: Findings, *, every: bool = False) -> str:
    """A run's results, worst first; evidence for all but what passed.

    Args:
        found: The run.
        every: Evidence for what passed too.
    """
    lines = [f"{found.what}  {found.time}"]
    for one in worst_first(found.checks):
        lines += _check_lines(one, evidence=every or one.status not in (Status.PASS, Status.ATTESTED))
    lines.append("")
    lines.append(", ".join(f"{count} {name}" for name, count in found.counts.items() if count) or "no check was run")
    lines.append("This is evidence, not a diode: see `checkvalve audit explain ID` for what each check does not prove.")
    return "\n".join(lines)


def clause_text(one: Clause) -> str:
    """A clause in one line, with its edition."""
    read = "" if one.read else "; cited by number, compare with your own copy"
    return f"{one.id} {one.text} ({one.edition}; informative{read})"


def short(value: Any, most: int = 400) -> str:
    """A raw value on one line."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    text = " ".join(text.split())
    return text if len(text) <= most else text[: most - 2] + ".."


def _check_lines(one: Check, *, evidence: bool) -> list[str]:
    lines = [f"{one.status.value:8} {one.id:7} {one.title}"]
    lines += _wrapped(one.found, "         ")
    if evidence:
        for seen in one.evidence:
            lines += _wrapped(f"{seen.command}: {short(seen.value)}", "         | ")
        if one.remedy and one.status != Status.SKIP:
            lines += _wrapped(f"-> {one.remedy}", "         ")
    return lines


def _entry_text(one: Entry) -> str:
    parts = [
        f"{one.id}  {one.title}",
        f"\n{one.kind}: {KINDS[one.kind]}",
        "\nHow it is checked\n" + "\n".join(_wrapped(one.how, "  ")),
        "\nWhat a pass does not prove\n" + "\n".join(_wrapped(one.not_proven, "  ")),
        "\nWhen it does not pass\n" + "\n".join(_wrapped(one.remedy, "  ")),
        "\nClauses it speaks to\n" + "\n".join(line for c in one.clauses for line in _wrapped(clause_text(c), "  ")),
    ]
    return "\n".join(parts)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent=indent, subsequent_indent=indent, break_long_words=False) or []
