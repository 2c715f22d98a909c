"""Which series a sample belongs to: descriptions of many streams, joined where they are equal.

Every start of the packer opens a stream with tag ids of its own. Here a tag is a series: (site, asset, name, type,
unit, address, conversion), the same through all streams; if one of those changes it is a new series, shown under the
same name. Values before and after are never in one chunk or roll-up, so nothing adds them up.
What else a description says (ranges, texts, periods) is taken from the newest one, by packer's start and block
number, whatever the order in which they come.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.content.catalog import Asset, Page, Tag
from receiver.outputs.base import StreamDescription
from receiver.outputs.disk import Connection, Writes

Rank = tuple[int, int]
"""(packer's start counter, block number): what orders descriptions, states and samples."""

SENDER = 0
"""The asset number of what concerns the sender itself."""

_STREAM = "INSERT INTO stream VALUES (?, ?, ?, ?)"
_ASSET = "REPLACE INTO asset VALUES (?, ?, ?, ?, ?, ?)"
_SERIES = "REPLACE INTO series VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"


class Key(NamedTuple):
    """What tells one series from another: change any of it, and a new series begins."""

    asset: int
    name: str
    type: str
    unit: str
    source: str
    """Address and conversion, see `source_of`."""


def source_of(address: str, conversion: str) -> str:
    """Where a value stands and how it is made of that, as one text: the column `address`, which is older than
    conversions. Where there is none it is the address alone, so histories of before are gone on with."""
    return f"{address}\n{conversion}" if conversion else address


@dataclass(slots=True)
class StreamSeries:
    """One stream, and the series of the tag ids it has used so far."""

    index: int
    boot: int
    site: str
    ids: Array = field(default_factory=lambda: np.zeros(0, np.uint32))
    """Known tag ids, sorted."""
    series: Array = field(default_factory=lambda: np.zeros(0, np.uint32))
    """The series of each."""


class Registry:
    """All streams, assets and series, in memory as in the file."""

    def __init__(self, connection: Connection, *, above: int = 0) -> None:
        """
        Args:
            above: New streams, assets and series are numbered above this: up to it, numbers were used that are lost.
        """
        self._sources: dict[bytes, StreamSeries] = {}
        self._assets: dict[tuple[str, str], int] = {}
        self._asset_rank: dict[int, Rank] = {}
        self._series: dict[Key, int] = {}
        self._series_rank: dict[int, Rank] = {}
        self.names: dict[int, str] = {}
        """Asset number -> name."""
        self.changed = False
        """Something was written since this was last set to False."""
        self._asset_of = np.zeros(64, np.uint32)
        self._unsigned = np.zeros(64, bool)
        self._next_stream = self._next_asset = self._next_series = above + 1
        for index, key, boot, site in connection.execute("SELECT id, key, boot, site FROM stream"):
            self._sources[key] = StreamSeries(index, boot, site)
            self._next_stream = max(self._next_stream, index + 1)
        for one, site, name, boot, number in connection.execute("SELECT id, site, name, boot, number FROM asset"):
            self._assets[site, name] = one
            self._asset_rank[one] = (boot, number)
            self.names[one] = name
            self._next_asset = max(self._next_asset, one + 1)
        for one, asset, name, kind, unit, address, boot, number in connection.execute(
            "SELECT id, asset, name, type, unit, address, boot, number FROM series"
        ):
            self._note(one, Key(asset, name, kind, unit, address), (boot, number))

    def __len__(self) -> int:
        """How many series."""
        return len(self._series)

    def knows(self, series: int) -> bool:
        """Whether a series of this number is described."""
        return series in self._series_rank

    @property
    def streams(self) -> int:
        """How many streams."""
        return len(self._sources)

    @property
    def asset_of(self) -> Array:
        """Asset number by series number."""
        return self._asset_of

    @property
    def unsigned(self) -> Array:
        """By series number: its integers are unsigned 64-bit in two's complement."""
        return self._unsigned

    def rank(self) -> Array:
        """By stream number: its place in the order of packer starts."""
        ordered = sorted((source.boot, key, source.index) for key, source in self._sources.items())
        places = np.zeros(self._next_stream, np.int64)
        for place, (_, _, index) in enumerate(ordered):
            places[index] = place
        return places

    def source(self, stream: StreamDescription, writes: Writes) -> StreamSeries:
        """The stream's entry, made at its first block."""
        source = self._sources.get(stream.key)
        if source is None:
            source = StreamSeries(self._next_stream, stream.boot, stream.site)
            self._next_stream += 1
            self._sources[stream.key] = source
            writes.add(_STREAM, [(source.index, stream.key, stream.boot, stream.site)])
            self.changed = True
        return source

    def page(self, source: StreamSeries, page: Page, number: int, writes: Writes) -> None:
        """Take in a page of descriptions: block `number` of the stream."""
        rank = (source.boot, number)
        for asset in page.assets:
            self._describe_asset(source.site, asset, rank, writes)
        for tag in page.tags:
            self._describe_tag(source.site, tag, rank, writes)

    def asset(self, stream: StreamDescription, name: str, writes: Writes) -> int:
        """Number of the asset with this name, `SENDER` for no name; described as the stream knows it."""
        if not name:
            return SENDER
        known = self._assets.get((stream.site, name))
        if known is not None:
            return known
        asset = stream.assets.get(name) or Asset(name=name, site=stream.site)
        return self._describe_asset(stream.site, asset, (stream.boot, -1), writes)

    def series(self, source: StreamSeries, stream: StreamDescription, tags: Array, writes: Writes) -> Array:
        """The series number of each tag id; ids not met before are looked up in the stream's descriptions."""
        if not len(source.ids):
            self._learn(source, stream, np.unique(tags).tolist(), writes)
        at = np.minimum(np.searchsorted(source.ids, tags), max(len(source.ids) - 1, 0))
        unknown = source.ids[at] != tags
        if unknown.any():
            self._learn(source, stream, np.unique(tags[unknown]).tolist(), writes)
            at = np.searchsorted(source.ids, tags)
        numbers: Array = source.series[at]
        return numbers

    def _learn(self, source: StreamSeries, stream: StreamDescription, ids: Iterable[int], writes: Writes) -> None:
        pairs = dict(zip(source.ids.tolist(), source.series.tolist(), strict=True))
        for one in ids:
            tag = stream.tags[one]
            self.asset(stream, tag.asset, writes)
            pairs[one] = self._describe_tag(source.site, tag, (stream.boot, -1), writes)
        ordered = sorted(pairs)
        source.ids = np.array(ordered, np.uint32)
        source.series = np.array([pairs[one] for one in ordered], np.uint32)

    def _describe_asset(self, site: str, asset: Asset, rank: Rank, writes: Writes) -> int:
        one = self._assets.setdefault((site, asset.name), self._next_asset)
        self._next_asset = max(self._next_asset, one + 1)
        if rank > self._asset_rank.get(one, (-1, -2)):
            self._asset_rank[one] = rank
            self.names[one] = asset.name
            writes.add(_ASSET, [(one, site, asset.name, *rank, orjson.dumps(asset))])
            self.changed = True
        return one

    def _describe_tag(self, site: str, tag: Tag, rank: Rank, writes: Writes) -> int:
        asset = self._assets.get((site, tag.asset))
        if asset is None:
            asset = self._describe_asset(site, Asset(name=tag.asset, site=site), (rank[0], -1), writes)
        key = Key(asset, tag.name, tag.type, tag.unit, source_of(tag.address, tag.conversion))
        one = self._series.get(key, self._next_series)
        if rank > self._series_rank.get(one, (-1, -2)):
            self._note(one, key, rank)
            writes.add(_SERIES, [(one, *key, *rank, orjson.dumps(tag))])
            self.changed = True
        return one

    def _note(self, one: int, key: Key, rank: Rank) -> None:
        self._series[key] = one
        self._series_rank[one] = rank
        self._next_series = max(self._next_series, one + 1)
        while one >= len(self._asset_of):
            self._asset_of = np.concatenate([self._asset_of, np.zeros(len(self._asset_of), np.uint32)])
            self._unsigned = np.concatenate([self._unsigned, np.zeros(len(self._unsigned), bool)])
        self._asset_of[one] = key.asset
        self._unsigned[one] = key.type == "uint64"
