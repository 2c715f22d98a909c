"""The shipment: samples of one stream on their way, each with what identifies it, as columns (pure).

A sample is known for ever by where it was packed: the stream's key, the block's number, the asset, and its rank among
that asset's samples in the block, by tag and time. The rank counts after refresh rows are gone and within the asset
alone, so it is the same whatever else a scope lets through, and whether the block comes from the journal or from the
history, which keeps its rows in another order. Servers know a sample again by these four, however often and in
whatever pieces it comes.

Rows lie by block, within a block by asset, within an asset by the tag's name and by time: the rows of a block and an
asset stand together, a *run*. A shipment is halved between runs where there are several.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgpack
import numpy as np
import zstandard

from protocol.content.array import Array
from protocol.content.catalog import Asset, Tag
from protocol.content.sample import Columns, Flag, concat
from receiver.outputs.base import BatchBody, OpenedBlock
from receiver.outputs.shipping.cargo import CargoForm

LIVE_S = 60.0
"""A block that was completed within this time is live, one that is older or was missing is not [s]."""
SHIPMENT_ROWS = 20_000
"""From so many rows on a shipment is full [samples]; whole blocks only, so that one may have up to a block's more."""
PLAIN_BYTES = 512 * 1024 * 1024
"""Largest shipment unpacked [bytes]: a block of the largest texts is far below."""

_COLUMNS: Mapping[str, Any] = {
    "tag": np.uint32,
    "time_ns": np.int64,
    "other_ns": np.int64,
    "flags": np.uint8,
    "quality": np.uint32,
    "native": np.uint32,
    "kind": np.uint8,
    "floats": np.float64,
    "ints": np.int64,
    "bools": np.bool_,
}
_ROWS: Mapping[str, Any] = {"number": np.int64, "rank": np.uint32, "healed": np.bool_}


@dataclass(frozen=True, slots=True)
class ShippedSeries:
    """One tag as its stream describes it; another unit, type or conversion is another series of the same tag."""

    asset: str
    tag: str
    unit: str
    type: str
    simulated: bool
    vendors: tuple[str, ...]
    conversion: str = ""
    """How its value is made of what the device holds (`Tag.conversion`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shipment:
    """Samples of one stream; every per-row array is as long as `columns`."""

    stream: bytes
    """Its key."""
    boot: int
    """What orders streams (`StreamDescription.boot`)."""
    site: str
    series: tuple[ShippedSeries, ...]
    columns: Columns
    """`tag` is a position in `series`, no id of the stream."""
    number: Array
    """The block of each row, int64."""
    rank: Array
    """Its rank among the rows of its block and asset, uint32."""
    healed: Array
    """Whether its block had been missing, bool."""
    received_ns: int
    """When the first of its blocks was completed, by the low side's clock [ns since 1970 UTC]."""

    def __len__(self) -> int:
        """Samples."""
        return len(self.columns)

    @property
    def blocks(self) -> int:
        """How many blocks its rows are of."""
        return int(np.count_nonzero(np.diff(self.number)) + 1) if len(self) else 0

    def runs(self) -> Array:
        """Rows at which a run begins, ascending from 0."""
        asset = _codes([one.asset for one in self.series])[self.columns.tag]
        change = np.ones(len(self), bool)
        change[1:] = (np.diff(self.number) != 0) | (np.diff(asset) != 0) | (np.diff(self.rank.astype(np.int64)) != 1)
        return np.flatnonzero(change)

    def rows(self, first: int, last: int) -> Shipment:
        """The rows from `first` to before `last`."""
        at = np.arange(first, last)
        cut = {name: getattr(self, name)[first:last] for name in _ROWS}
        return replace(self, columns=self.columns.select(at), **cut)


def gather(blocks: Iterable[OpenedBlock], now_ns: int) -> list[tuple[bool, Shipment]]:
    """Shipments of all samples of these blocks, in their order; each with whether it is live.

    Args:
        now_ns: The low side's wall clock [ns since 1970 UTC].
    """
    kept: dict[tuple[bytes, bool], list[OpenedBlock]] = {}
    rows: Counter[tuple[bytes, bool]] = Counter()
    out = []
    for one in blocks:
        if not isinstance(one.body, BatchBody):
            continue
        which = one.stream.key, not one.healed and now_ns - one.received_ns < LIVE_S * 1e9
        kept.setdefault(which, []).append(one)
        rows[which] += len(one.body.columns)
        if rows[which] >= SHIPMENT_ROWS:
            out.append((which[1], _shipment(kept.pop(which))))
            rows[which] = 0
    out += [(which[1], _shipment(group)) for which, group in kept.items()]
    return [(live, one) for live, one in out if len(one)]


def merged(shipments: Sequence[Shipment]) -> Shipment:
    """Shipments of one stream as one, in their order."""
    first = shipments[0]
    if len(shipments) == 1:
        return first
    known: dict[ShippedSeries, int] = {}
    parts = []
    for one in shipments:
        at = np.array([known.setdefault(series, len(known)) for series in one.series], np.uint32)
        parts.append(replace(one.columns, tag=at[one.columns.tag]))
    joined: dict[str, Any] = {name: np.concatenate([getattr(one, name) for one in shipments]) for name in _ROWS}
    received_ns = min(one.received_ns for one in shipments)
    return replace(first, series=tuple(known), columns=concat(parts), received_ns=received_ns, **joined)


def halves(shipment: Shipment) -> tuple[Shipment, Shipment] | None:
    """Two parts about equally long, cut between runs where there are several; None for a single sample."""
    count = len(shipment)
    if count < 2:
        return None
    runs = shipment.runs()
    at = int(runs[np.argmin(np.abs(runs - count // 2))]) or count // 2
    if len(runs) > 1 and at == count // 2 and at not in runs:
        at = int(runs[1])
    return shipment.rows(0, at), shipment.rows(at, count)


def pack(shipment: Shipment) -> bytes:
    """As it is stored: compressed, with a checksum."""
    held: dict[str, Any] = {
        "stream": shipment.stream,
        "boot": shipment.boot,
        "site": shipment.site,
        "received_ns": shipment.received_ns,
        "series": [
            [one.asset, one.tag, one.unit, one.type, one.simulated, one.vendors, one.conversion]
            for one in shipment.series
        ],
        "texts": shipment.columns.texts,
        **{name: _bytes(getattr(shipment.columns, name), kind) for name, kind in _COLUMNS.items()},
        **{name: _bytes(getattr(shipment, name), kind) for name, kind in _ROWS.items()},
    }
    return zstandard.ZstdCompressor(level=1, write_checksum=True).compress(msgpack.packb(held))


def unpack(data: bytes) -> Shipment:
    """What `pack` made.

    Raises:
        ValueError, KeyError, TypeError: it is not that.
    """
    try:
        held = msgpack.unpackb(zstandard.ZstdDecompressor().decompress(data, max_output_size=PLAIN_BYTES))
    except (zstandard.ZstdError, msgpack.UnpackException, MemoryError) as error:
        raise ValueError(f"a stored shipment cannot be read: {error}") from error
    columns: dict[str, Array] = {name: np.frombuffer(held[name], kind) for name, kind in _COLUMNS.items()}
    rows: dict[str, Array] = {name: np.frombuffer(held[name], kind) for name, kind in _ROWS.items()}
    out = Shipment(
        stream=held["stream"],
        boot=held["boot"],
        site=held["site"],
        received_ns=held["received_ns"],
        series=tuple(_told_series(one) for one in held["series"]),
        columns=Columns(**columns, texts=tuple(held["texts"])),
        **rows,
    )
    if len({len(array) for array in (out.columns.tag, out.columns.time_ns, *rows.values())}) != 1:
        raise ValueError("a stored shipment has columns of unlike lengths")
    return out


class Shipments(CargoForm[Shipment]):
    """Shipments in a store."""

    def pack(self, cargo: Shipment) -> bytes:
        """As `pack`."""
        return pack(cargo)

    def unpack(self, body: bytes) -> Shipment:
        """As `unpack`."""
        return unpack(body)

    def fits(self, parts: Sequence[Shipment], one: Shipment) -> bool:
        """Those of one stream go together."""
        return one.stream == parts[0].stream

    def joined(self, parts: Sequence[Shipment]) -> Shipment:
        """As `merged`."""
        return merged(parts)

    def example(self, cargo: Shipment) -> str:
        """Its first sample."""
        row = next(cargo.columns.rows())
        series = cargo.series[row.tag]
        return f"{series.asset} {series.tag} {row.time_ns} {row.value!r} quality {row.quality:#010x}"


def _bytes(array: Array, kind: Any) -> bytes:
    return np.ascontiguousarray(array, kind).tobytes()


def _told_series(told: Sequence[Any]) -> ShippedSeries:
    asset, tag, unit, kind, simulated, vendors, *conversion = told  # an earlier build wrote none
    return ShippedSeries(asset, tag, unit, kind, simulated, tuple(vendors), *conversion)


def _shipment(blocks: Sequence[OpenedBlock]) -> Shipment:
    """One of all samples of blocks of a stream."""
    of = blocks[0].stream
    bodies = [one.body.columns for one in blocks if isinstance(one.body, BatchBody)]
    lengths = [len(one) for one in bodies]
    whole = concat(bodies)
    order = np.repeat(np.arange(len(blocks)), lengths)
    kept = np.flatnonzero((whole.flags & Flag.REFRESH) == 0)
    ids, tag = np.unique(whole.tag[kept], return_inverse=True)
    series = tuple(_series(of.assets, of.tags[one]) for one in ids.tolist())
    asset = _codes([one.asset for one in series])[tag] if len(series) else tag
    names = [one.tag for one in series]
    places = {name: at for at, name in enumerate(sorted(set(names)))}
    name = np.array([places[one] for one in names], np.int64)[tag] if len(series) else tag
    sorted_at = np.lexsort((whole.time_ns[kept], name, asset, order[kept]))  # stable: then the batch's own order
    kept, tag, asset = kept[sorted_at], tag[sorted_at], asset[sorted_at]
    columns = replace(whole.select(kept), tag=tag.astype(np.uint32))
    numbers = np.array([one.number for one in blocks], np.int64)
    healed = np.array([one.healed for one in blocks], bool)
    return Shipment(
        stream=of.key,
        boot=of.boot,
        site=of.site,
        series=series,
        columns=columns,
        number=numbers[order[kept]],
        rank=_ranks(order[kept], asset),
        healed=healed[order[kept]],
        received_ns=min(one.received_ns for one in blocks),
    )


def _series(assets: Mapping[str, Asset], tag: Tag) -> ShippedSeries:
    asset = assets.get(tag.asset) or Asset(name=tag.asset)
    vendors = tuple(asset.vendors)
    return ShippedSeries(tag.asset, tag.name, tag.unit, tag.type, asset.simulated, vendors, tag.conversion)


def _ranks(order: Array, asset: Array) -> Array:
    """0, 1, 2 .. within each stretch of equal block and asset."""
    count = len(order)
    if not count:
        return np.zeros(0, np.uint32)
    change = np.ones(count, bool)
    change[1:] = (np.diff(order) != 0) | (np.diff(asset) != 0)
    first = np.flatnonzero(change)
    return (np.arange(count) - np.repeat(first, np.diff(np.append(first, count)))).astype(np.uint32)


def _codes(names: Sequence[str]) -> Array:
    """A number for each different name, in the order of their first coming."""
    known: dict[str, int] = {}
    return np.array([known.setdefault(name, len(known)) for name in names], np.int64)
