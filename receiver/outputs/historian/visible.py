"""What a reader may know: the assets and series inside its scope, and nothing else.

This is the one place where a scope is applied. Everything the door answers goes through `assets` and `series` here;
what is not in them does not exist for the reader.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, NamedTuple

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.content.catalog import Asset, Tag
from receiver.outputs.disk import Connection
from receiver.outputs.historian.views import Scope, TagView


class VisibleSeries(NamedTuple):
    """A series that the reader may see, as its newest description has it."""

    asset: int
    name: str
    unsigned: bool
    rank: tuple[int, int]
    """(packer's start counter, block number) of its description."""
    body: bytes


@dataclass(frozen=True, slots=True)
class VisibleStream:
    """A stream of a visible site."""

    index: int
    key: str
    """In hex."""
    boot: int
    site: str


class Visible:
    """The descriptions as of one moment, cut to a scope."""

    def __init__(self, connection: Connection | None, scope: Scope) -> None:
        """
        Args:
            connection: `current.db` in a transaction; None where there is no history: nothing is known then.
            scope: What may be known.
        """
        self.all = scope.whole
        """Nothing is cut: also what concerns the sender itself may be told."""
        self.scope = scope
        self.assets: dict[int, Asset] = {}
        self.series: dict[int, VisibleSeries] = {}
        self._by_name: defaultdict[tuple[int, str], list[int]] = defaultdict(list)
        self._names: Counter[int] = Counter()
        self._of_asset: defaultdict[int, list[int]] = defaultdict(list)
        self._starts: defaultdict[int, int] = defaultdict(int)
        """Of each asset: the newest start of the packer under which a series of it was described."""
        self._views: dict[int, TagView] = {}
        self.streams: list[VisibleStream] = []
        """Streams of visible sites."""
        self._rank = np.zeros(1, np.int64)
        if connection is not None:
            self._load(connection, scope)

    def _load(self, connection: Connection, scope: Scope) -> None:
        for one, site, body in connection.execute("SELECT id, site, body FROM asset"):
            asset = _described(Asset, body, {"site": site})
            if scope.sees(asset):
                self.assets[one] = asset
        for one, asset_id, name, kind, boot, number, body in connection.execute(
            "SELECT id, asset, name, type, boot, number, body FROM series"
        ):
            if asset_id in self.assets and scope.sees_tag(self.assets[asset_id].name, name):
                self.series[one] = VisibleSeries(asset_id, name, kind == "uint64", (boot, number), body)
                self._by_name[asset_id, name].append(one)
                self._of_asset[asset_id].append(one)
                self._starts[asset_id] = max(self._starts[asset_id], boot)
        self._names.update(asset for asset, _ in self._by_name)
        for versions in self._by_name.values():
            versions.sort(key=lambda one: (self.series[one].rank, one))
        sites = {asset.site for asset in self.assets.values()}
        streams = connection.execute("SELECT id, hex(key), boot, site FROM stream ORDER BY boot, key").fetchall()
        self._rank = np.zeros(max((row[0] for row in streams), default=0) + 1, np.int64)
        for place, (index, *_) in enumerate(streams):
            self._rank[index] = place
        self.streams = [
            VisibleStream(index, key.lower(), boot, site)
            for index, key, boot, site in streams
            if self.all or site in sites
        ]

    @property
    def rank(self) -> Array:
        """By stream number: its place in the order of packer starts."""
        return self._rank

    def names(self) -> Mapping[int, str]:
        """Visible asset numbers and names."""
        return {one: asset.name for one, asset in self.assets.items()}

    def view(self, series: int) -> TagView:
        """A visible series as the reader sees it."""
        if series in self._views:
            return self._views[series]
        entry = self.series[series]
        versions = self._by_name[entry.asset, entry.name]
        asset = self.assets[entry.asset]
        view = TagView(
            series=series,
            site=asset.site,
            tag=_described(Tag, entry.body, {"id": 0, "asset": asset.name}),
            version=versions.index(series) + 1,
            current=versions[-1] == series,
            earlier_start=entry.rank[0] < self._starts[entry.asset],
        )
        self._views[series] = view
        return view

    def versions(self, series: int) -> Sequence[int]:
        """The series of a visible one's name, in the order they were described."""
        entry = self.series[series]
        return self._by_name[entry.asset, entry.name]

    def of_asset(self, asset: int) -> Sequence[int]:
        """The series of a visible asset."""
        return self._of_asset.get(asset, ())

    def tag_names(self, asset: int) -> int:
        """How many tag names a visible asset has."""
        return self._names[asset]


_FIELDS: dict[type[Any], frozenset[str]] = {kind: frozenset(f.name for f in fields(kind)) for kind in (Asset, Tag)}


def _described(kind: type[Any], body: bytes, known: Mapping[str, Any]) -> Any:
    """An `Asset` or a `Tag` from its stored fields and those known better; fields new to this build are left out."""
    values = {name: value for name, value in orjson.loads(body).items() if name in _FIELDS[kind]}
    values.update(known)
    return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()})
