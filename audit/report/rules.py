"""The rules that a site is asked for, and how the checks of a report speak to each of them.

    FAIL   a check that speaks to it failed
    WARN   none failed, one warned
    OPEN   none of both, but one was skipped, was not run, or there is none
    SEEN   every check that speaks to it passed, or a named person attested it

There is no word for a rule that is met: a check speaks to a rule and never decides it, and each row tells what its
checks do not prove even where all of them pass. The table is `rules.toml` beside this file, with the source of each
text and the day it was looked up. Pure.
"""

from __future__ import annotations

import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any

from audit.catalogue import entry
from audit.check import ORDER, Check, CheckStatus

TABLE = Path(__file__).with_name("rules.toml")
NOT_RUN = "not run"
ANSWERED_BY = {
    "software": "this program and the machine it runs on",
    "hardware": "the hardware: the diode, its maker's evaluation, and the person who looked at it",
    "people": "the site: papers, other links, and what people do",
    "maker": "the maker of this program",
}
"""Who can answer a rule in the end."""


class RuleState(StrEnum):
    """What the checks of a report say to a rule, worst first."""

    FAIL = "FAIL"
    WARN = "WARN"
    OPEN = "OPEN"
    SEEN = "SEEN"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleText:
    """A document that asks for something."""

    name: str
    """As the table and people call it, `CIP-003`."""
    title: str
    edition: str
    in_force: str
    source: str
    """What the rows rest on, and when it was looked up."""
    public: bool
    """Whether the clause texts may be read by anybody; where not, rows give numbers and no wording."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRule:
    """One demand of one text."""

    text: RuleText
    id: str
    """As the text numbers it, `6.1`."""
    about: str
    answered_by: str
    """One of `ANSWERED_BY`."""
    checks: tuple[str, ...]
    """Ids of the catalogue; none where no check can speak to it."""
    shows: str
    """What they show where all pass; empty where there is none."""
    not_proven: str
    """What they do not prove even then."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleAnswer:
    """A rule, and what the checks of one report say to it."""

    rule: AskedRule
    state: RuleState
    worst: Mapping[str, str]
    """Worst answer of each of its checks; `NOT_RUN` where there is none."""

    @property
    def counts(self) -> dict[str, int]:
        """How many of its checks gave each answer, those that were not run among them."""
        counted = Counter(self.worst.values())
        return {name: counted[name] for name in (*CheckStatus, NOT_RUN) if counted[name]}

    def plain(self) -> dict[str, Any]:
        """The row as the report's JSON tells it, with all that its checks do not prove."""
        rule = self.rule
        return {
            "text": rule.text.title,
            "edition": rule.text.edition,
            "in_force": rule.text.in_force,
            "source": rule.text.source,
            "id": rule.id,
            "about": rule.about,
            "answered_by": rule.answered_by,
            "state": self.state.value,
            "checks": dict(self.worst),
            "shows": rule.shows,
            "not_proven": rule.not_proven,
            "checks_do_not_prove": {ident: entry(ident).not_proven for ident in rule.checks},
        }


@cache
def rules() -> tuple[AskedRule, ...]:
    """All rules, in the table's order."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    texts = {name: RuleText(name=name, **one) for name, one in table["texts"].items()}
    return tuple(
        AskedRule(**{**one, "text": texts[one["text"]], "checks": tuple(one["checks"])}) for one in table["rules"]
    )


def speaks_to(ident: str) -> list[AskedRule]:
    """The rules that a check speaks to.

    Args:
        ident: Its id.
    """
    return [one for one in rules() if ident in one.checks]


def answered(checks: Sequence[Check]) -> list[RuleAnswer]:
    """Each rule with what these checks say to it.

    Args:
        checks: Of one report; a check of several subjects stands there several times, and its worst answer counts.
    """
    given: dict[str, list[CheckStatus]] = {}
    for one in checks:
        given.setdefault(one.id, []).append(one.status)
    worst = {ident: _worst(statuses) for ident, statuses in given.items()}
    out = []
    for rule in rules():
        own = {ident: worst.get(ident, NOT_RUN) for ident in rule.checks}
        out.append(RuleAnswer(rule=rule, state=_state(set(own.values())), worst=own))
    return out


def _worst(statuses: Sequence[CheckStatus]) -> str:
    return next(one.value for one in ORDER if one in statuses)


def _state(answers: set[str]) -> RuleState:
    if CheckStatus.FAIL in answers:
        return RuleState.FAIL
    if CheckStatus.WARN in answers:
        return RuleState.WARN
    seen = {CheckStatus.PASS.value, CheckStatus.ATTESTED.value}
    return RuleState.SEEN if answers and answers <= seen else RuleState.OPEN
