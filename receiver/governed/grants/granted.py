"""What somebody may read at one moment: the sum of their grants in force."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from receiver.governed.grants.extent import Extent
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
    """Keys of the grants it comes from, sorted."""
    extents: tuple[Extent, ...] = ()
    """What each of them is for, in the same order; empty where nobody needs to know."""

    def covering(self, assets: Iterable[str], tags: Iterable[tuple[str, str]] = ()) -> tuple[str, ...]:
        """What a look is recorded under: the grants that are for some of it; for a look at nothing, all of them.

        Args:
            assets: Names of those that were shown.
            tags: (asset, tag) that were shown; of an asset without one all that the scope holds.
        """
        shown, named = frozenset(assets), frozenset(tags)
        if not self.extents or not shown:
            return self.grants
        pairs = zip(self.grants, self.extents, strict=True)
        return tuple(key for key, extent in pairs if extent.touches(shown, named))
