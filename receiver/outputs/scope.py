"""What an output may see: everything, or the assets of a vendor, or named assets. Cut before it is handed over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from protocol.content.catalog import Asset, Page, Tag
from protocol.content.sample import Columns
from receiver.outputs.base import BatchBody, EventBody, StateBody, TallyBody


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """All None: everything. Otherwise an asset must fit what is given."""

    vendors: frozenset[str] | None = None
    assets: frozenset[str] | None = None
    tags: frozenset[tuple[str, str]] | None = None
    """(asset, tag): of an asset that stands here, these tags and nothing else; other assets are not touched by it."""

    @property
    def whole(self) -> bool:
        """Nothing is left out."""
        return self.vendors is None and self.assets is None and self.tags is None

    @property
    def text(self) -> str:
        """In words, for a status: `all`, `vendor Acme Pumps`."""
        parts = [("vendor", self.vendors), ("asset", self.assets)]
        told = [f"{word} {', '.join(sorted(names))}" for word, names in parts if names is not None]
        told += [f"tags {', '.join(sorted(f'{asset}/{tag}' for asset, tag in self.tags))}"] if self.tags else []
        return "; ".join(told) or "all"

    def sees(self, asset: Asset) -> bool:
        """Whether an asset is inside."""
        fits_vendor = self.vendors is None or bool(self.vendors & set(asset.vendors))
        return fits_vendor and (self.assets is None or asset.name in self.assets)

    @property
    def limited(self) -> frozenset[str]:
        """Names of assets of which only some tags are inside."""
        return frozenset(asset for asset, _ in self.tags or ())

    def sees_tag(self, asset: str, tag: str) -> bool:
        """Whether a tag of an asset that is inside is inside."""
        return self.tags is None or asset not in self.limited or (asset, tag) in self.tags

    def cut(
        self,
        body: BatchBody | Page | StateBody | EventBody | TallyBody,
        assets: Mapping[str, Asset],
        tags: Mapping[int, Tag],
    ) -> BatchBody | Page | StateBody | EventBody | TallyBody | None:
        """What of a block's content is inside; None where nothing is."""
        if self.whole:
            return body
        seen = {name for name, asset in assets.items() if self.sees(asset)}
        if isinstance(body, BatchBody):
            inside = {ident for ident, tag in tags.items() if tag.asset in seen and self.sees_tag(tag.asset, tag.name)}
            rows = _rows_of(body.columns, inside)
            return BatchBody(columns=rows, first_ns=body.first_ns, last_ns=body.last_ns) if len(rows) else None
        if isinstance(body, Page):
            named = tuple(tag for tag in body.tags if tag.asset in seen and self.sees_tag(tag.asset, tag.name))
            return Page(index=body.index, assets=tuple(filter(self.sees, body.assets)), tags=named)
        if isinstance(body, TallyBody):
            counts = {name: count for name, count in body.assets.items() if name in seen}
            return TallyBody(time_ns=body.time_ns, number=body.number, assets=counts)
        if isinstance(body, EventBody) and not self.sees_tag(body.asset, body.source):
            return None
        return body if body.asset in seen else None


def _rows_of(rows: Columns, idents: set[int]) -> Columns:
    kept = np.isin(rows.tag, np.fromiter(idents, np.uint32, len(idents)))
    return rows if kept.all() else rows.select(kept)
