"""One entry of the trail: what happened, when, by whom, from where.

The trail is the one truth of governed reading. People, requests and grants have no tables of their own: their registers
are folded from these entries, in their order, so that nothing can be in force that is not on record, and who reads the
record alone can say what was in force at any moment. Secrets (passwords, keys, session ids) are never in an entry.

Kinds are two words, `SUBJECT.VERB` in the past tense: `person.enrolled`, `request.made`, `grant.revoked`, `read.trend`.
Only the kinds of `GOVERNING` subjects are folded; the others are looks, sign-ins and alerts, a thousand times as many.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Fact: TypeAlias = "str | int | float | bool | list[Fact] | dict[str, Fact] | None"
"""A value as JSON has it."""

GOVERNING = frozenset(
    {"person", "service", "request", "grant", "roster", "visit", "recommendation", "review", "break-glass", "clock"}
)
"""Subjects whose entries decide what is allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailEntry:
    """What is to be written; the trail adds number and hashes."""

    kind: str
    """`SUBJECT.VERB`, lower case letters and hyphens."""
    at_ns: int
    """The low side's wall clock [ns since 1970 UTC]."""
    who: str
    """Key of the person, `service:KEY`, `command:LOGIN` for what was typed on the machine, or `system`."""
    origin: str = ""
    """Network address it came from; empty for what did not come by the network."""
    facts: Mapping[str, Fact] = field(default_factory=dict)
    """What belongs to this kind; names of people, requests and grants are keys (`person`, `request`, `grant`)."""

    @property
    def subject(self) -> str:
        """The first word of the kind."""
        return self.kind.partition(".")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailRecord:
    """An entry in its place."""

    number: int
    """From 1, without holes."""
    entry: TrailEntry
    hash: bytes
    """SHA-256 over the hash before and the entry [32 bytes]."""
