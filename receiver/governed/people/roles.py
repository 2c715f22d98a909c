"""Which roles one person may not hold together, and which ones belong to the site's own people."""

from __future__ import annotations

from collections.abc import Iterator

from receiver.governed.people.person import PersonRole as Role

_SELF_AUDIT = "nobody audits what they do themselves"

CONFLICTS: dict[frozenset[Role], str] = {
    frozenset({Role.ADMINISTRATOR, Role.READER}): "who enrols people and writes rosters reads no data",
    frozenset({Role.ADMINISTRATOR, Role.APPROVER}): "who enrols people approves nothing, or one person alone lets in",
    frozenset({Role.ADMINISTRATOR, Role.ENGINEER}): "who enrols people approves nothing, or one person alone lets in",
    frozenset({Role.ADMINISTRATOR, Role.CUSTODIAN}): "who writes the rosters keeps no break-glass credentials",
    frozenset({Role.AUDITOR, Role.READER}): "an auditor reads records, never data",
    frozenset({Role.AUDITOR, Role.APPROVER}): _SELF_AUDIT,
    frozenset({Role.AUDITOR, Role.ENGINEER}): _SELF_AUDIT,
    frozenset({Role.AUDITOR, Role.SPONSOR}): _SELF_AUDIT,
    frozenset({Role.AUDITOR, Role.SECURITY}): _SELF_AUDIT,
    frozenset({Role.AUDITOR, Role.CUSTODIAN}): _SELF_AUDIT,
    frozenset({Role.AUDITOR, Role.ADMINISTRATOR}): _SELF_AUDIT,
}
"""Two roles that exclude each other, and why."""

OUTSIDE = frozenset({Role.READER})
"""Roles that a person of another employer may hold."""


def conflicts(roles: frozenset[Role], employer: str) -> Iterator[str]:
    """Why these roles cannot be held together; nothing where they can.

    Args:
        roles: All of one person.
        employer: Of the person; empty for the site's own.
    """
    if not roles:
        yield "no role is named"
    for pair, why in CONFLICTS.items():
        if pair <= roles:
            yield f"{' and '.join(sorted(pair))} exclude each other: {why}"
    if employer and (own := roles - OUTSIDE):
        yield f"{', '.join(sorted(own))}: for the site's own people; a person of {employer} is a reader"
