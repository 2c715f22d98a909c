"""Which data a request or a grant is about: whole assets, or named tags of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from receiver.governed import fact
from receiver.governed.trail.entry import Fact
from receiver.outputs.scope import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """Assets by name; of those that stand in `tags` only these tags."""

    assets: frozenset[str]
    tags: frozenset[tuple[str, str]] = frozenset()
    """(asset, tag); every asset in it stands in `assets` too."""

    @property
    def limited(self) -> frozenset[str]:
        """Assets of which not all is meant."""
        return frozenset(asset for asset, _ in self.tags)

    def covers(self, other: Extent) -> bool:
        """Whether all of `other` is inside."""
        whole = self.assets - self.limited
        return other.assets <= self.assets and all(
            asset in whole or (asset in other.limited and {one for one in other.tags if one[0] == asset} <= self.tags)
            for asset in other.assets
        )

    def touches(self, assets: frozenset[str], tags: frozenset[tuple[str, str]]) -> bool:
        """Whether some of it was shown.

        Args:
            assets: Names of those that were shown.
            tags: (asset, tag) that were shown; of an asset without one, all of it.
        """
        narrowed = self.limited & {asset for asset, _ in tags}
        return bool((self.assets & assets) - narrowed or self.tags & tags)

    def to_facts(self) -> dict[str, Fact]:
        """As it stands in the trail."""
        return {"assets": [*sorted(self.assets)], "tags": [[asset, tag] for asset, tag in sorted(self.tags)]}

    @classmethod
    def of_facts(cls, given: Mapping[str, Fact]) -> Extent:
        """From the trail.

        Raises:
            ValueError: It is not what `to_facts` wrote.
        """
        return cls(assets=frozenset(fact.texts(given, "assets")), tags=frozenset(fact.pairs(given, "tags")))


def union(parts: Iterable[Extent]) -> Extent:
    """All of several: an asset is limited only where none of them has it whole."""
    held = list(parts)
    assets = frozenset(asset for one in held for asset in one.assets)
    whole = frozenset(asset for one in held for asset in one.assets - one.limited)
    return Extent(assets=assets, tags=frozenset(tag for one in held for tag in one.tags if tag[0] not in whole))


def scope_of(extent: Extent, employer: str) -> Scope:
    """What a reader sees of it; people of another employer see no asset that does not name that employer as vendor."""
    vendors = frozenset({employer}) if employer else None
    return Scope(vendors=vendors, assets=extent.assets, tags=extent.tags or None)
