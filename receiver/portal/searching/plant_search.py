"""What of a plant fits a text: each of its words stands somewhere in what a person knows of an asset or a tag.

Assets come before tags. In both a name that is the text comes first, then one with a part that is it, then one with a
part that begins with it, then the others; of equals the order is that of the names. No I/O and no clock.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from protocol.content.catalog import Asset, Tag
from receiver.portal.plant_picture import LiveAsset, LiveTag, Picture

LONGEST_TEXT = 200
"""Characters of a text that is looked for."""

_PARTS = re.compile(r"[^\w]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantFinds:
    """What was found."""

    assets: Sequence[LiveAsset]
    tags: Sequence[LiveTag]
    more: int
    """Assets and tags beyond those."""


class PlantSearch:
    """Searches one picture; what it looks through is kept from one search to the next."""

    def __init__(self, picture: Picture) -> None:
        """
        Args:
            picture: The plant as it stands now, cut to a scope.
        """
        self._picture = picture
        self._known: dict[int, tuple[Tag, str]] = {}
        """By series: what is known of a tag, and for which description."""

    def find(self, text: str, *, most: int) -> PlantFinds:
        """What fits; nothing for a text without words.

        Args:
            text: Words, in any order, whatever the case.
            most: Assets and tags together.
        """
        wanted = text[:LONGEST_TEXT].casefold().split()
        if not wanted:
            return PlantFinds(assets=(), tags=(), more=0)
        held = list(self._picture.assets.values())
        assets = [one for one in held if _fits(wanted, _asset_text(one.asset))]
        tags = [one for live_asset in held for one in live_asset.tags if _fits(wanted, self._tag_text(one))]
        self._known = {series: self._known[series] for series in self._picture.tags if series in self._known}
        whole = " ".join(wanted)
        assets.sort(key=lambda one: (_distance(whole, one.asset.name), one.asset.name))
        tags.sort(key=lambda one: (_distance(whole, one.tag.name), one.tag.asset, one.tag.name))
        shown = tags[: max(most - len(assets), most // 2)]
        first = assets[: most - len(shown)]
        return PlantFinds(assets=first, tags=shown, more=len(assets) + len(tags) - len(first) - len(shown))

    def _tag_text(self, live_tag: LiveTag) -> str:
        tag, known = live_tag.tag, self._known.get(live_tag.series)
        if known is None or known[0] is not tag:
            known = tag, f"{tag.asset} {tag.name} {tag.description} {live_tag.unit}".casefold()
            self._known[live_tag.series] = known
        return known[1]


def _asset_text(asset: Asset) -> str:
    parts = (asset.name, asset.site, asset.path, asset.model, asset.serial, *asset.vendors)
    return " ".join(parts).casefold()


def _fits(wanted: Iterable[str], text: str) -> bool:
    return all(word in text for word in wanted)


def _distance(text: str, name: str) -> int:
    """How near a name is to a text that it, or something beside it, holds: 0 is the same."""
    folded = name.casefold()
    if folded == text:
        return 0
    parts = _PARTS.split(folded)
    if text in parts or folded.endswith(("/" + text, "." + text)):
        return 1
    return 2 if any(part.startswith(text) for part in parts) else 3
