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
    """Both None: everything. Otherwise an asset must fit what is given."""

    vendors: frozenset[str] | None = None
    assets: frozenset[str] | None = None

    @property
    def whole(self) -> bool:
        """Nothing is left out."""
        return self.vendors is None and self.assets is None

    @property
    def text(self) -> str:
        """In words, for a status: `all`, `vendor Acme Pumps`."""
        parts = [("vendor", self.vendors), ("asset", self.assets)]
        told = [f"{word} {', '.join(sorted(names))}" for word, names in parts if names is not None]
        return "; ".join(told) or "all"

    def sees(self, asset: Asset) -> bool:
        """Whether an asset is inside."""
        fits_vendor = self.vendors is None or bool(self.vendors & set(asset.vendors))
        return fits_vendor and (self.assets is None or asset.name in self.assets)

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
            rows = _rows_of(body.columns, {ident for ident, tag in tags.items() if tag.asset in seen})
            return BatchBody(columns=rows, first_ns=body.first_ns, last_ns=body.last_ns) if len(rows) else None
        if isinstance(body, Page):
            inside = tuple(asset for asset in body.assets if self.sees(asset))
            return Page(index=body.index, assets=inside, tags=tuple(tag for tag in body.tags if tag.asset in seen))
        if isinstance(body, TallyBody):
            counts = {name: count for name, count in body.assets.items() if name in seen}
            return TallyBody(time_ns=body.time_ns, number=body.number, assets=counts)
        return body if body.asset in seen else None


def _rows_of(rows: Columns, idents: set[int]) -> Columns:
    kept = np.isin(rows.tag, np.fromiter(idents, np.uint32, len(idents)))
    return rows if kept.all() else rows.select(kept)
