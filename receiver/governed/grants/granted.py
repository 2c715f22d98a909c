"""What somebody may read at one moment: the sum of their grants in force."""

from __future__ import annotations

from dataclasses import dataclass

from receiver.outputs.scope import Scope

NOTHING = Scope(vendors=frozenset(), assets=frozenset())
"""A scope that no asset is in."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Granted:
    """A scope, and how long it stays as it is."""

    scope: Scope
    until_ns: int
    """Until when it surely stays so, unless somebody acts: it is asked for again then [ns since 1970 UTC]."""
    grants: tuple[str, ...]
    """Keys of the grants it comes from, sorted: what a look is recorded under."""
