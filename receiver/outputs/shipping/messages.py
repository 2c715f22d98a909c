"""A shipment as messages of JSON lines, for servers that pass messages on (pure).

A message holds samples of one block and one asset, a line each, in their order:

    {"site":"north","asset":"pump-7","tag":"pressure","unit":"bar","type":"float32","time_ns":1763884800000000000,
     "value":4.2,"quality":0,"boot":1763884800000000,"stream":"73747265616d2d31","number":12,"rank":0}

    value     number, truth or text; null where there is none, and for NaN and infinities, which `text` names then
    quality   OPC UA StatusCode, 0 is good; `native`, where it is not 0, the protocol's own code
    other_ns  the second time, where the device gave one [ns since 1970]
    conversion   how the value is made of what stands in the device, or left out; where it, unit or type changes, the
              values before and after are not one quantity
    healed, simulated   true, or left out

Integers are written whole, beyond 2**53 too: a reader in JavaScript reads `time_ns` and uint64 as text or BigInt. A
sample is the same one where `stream`, `number`, `asset` and `rank` are: who keeps what he reads writes it under these
four, and may be given it any number of times. `boot, number, rank` is the order of a tag's samples, whenever they come.

A message's id is made of the same: stream, block, asset, first rank and count. It is the same whenever the same block
is sent again, unless a server took so little at once that the block had to be cut.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import quote

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, Columns, ValueKind
from receiver.outputs.shipping.shipment import Shipment

PART_BYTES = 256 * 1024
"""A message is full at this size [bytes]: below what servers take by themselves (1 MB and more), headers with it."""


@dataclass(frozen=True, slots=True)
class ShippedMessage:
    """Samples of one block and one asset."""

    asset: str
    id: str
    """Printable ASCII without spaces."""
    body: bytes
    """JSON lines, the last without its newline."""
    rows: range
    """Of the shipment."""


def messages(shipment: Shipment, most_bytes: int) -> Iterator[ShippedMessage]:
    """All of it, in order; a single line is never cut, so that a message may be longer than `most_bytes`."""
    lines = _lines(shipment)
    sizes = np.cumsum([len(one) + 1 for one in lines])
    most = min(most_bytes, PART_BYTES)
    starts = [*shipment.runs().tolist(), len(lines)]
    for first, end in pairwise(starts):
        asset = shipment.series[shipment.columns.tag[first]].asset
        at = first
        while at < end:
            before = int(sizes[at]) - len(lines[at]) - 1
            last = min(max(int(np.searchsorted(sizes, before + most + 1, "right")), at + 1), end)
            rank = int(shipment.rank[at])
            told = f"{shipment.stream.hex()}.{shipment.number[at]}.{quote(asset, safe='')}.{rank}.{last - at}"
            yield ShippedMessage(asset, told, b"\n".join(lines[at:last]), range(at, last))
            at = last


def _lines(shipment: Shipment) -> list[bytes]:
    columns = shipment.columns
    heads = [
        orjson.dumps(
            {"site": shipment.site, "asset": one.asset, "tag": one.tag, "unit": one.unit, "type": one.type}
            | ({"conversion": one.conversion} if one.conversion else {})
            | ({"simulated": True} if one.simulated else {})
        )[:-1]
        for one in shipment.series
    ]
    tail = b',"boot":%d,"stream":"%s"' % (shipment.boot, shipment.stream.hex().encode())
    rows = zip(
        columns.tag.tolist(),
        columns.time_ns.tolist(),
        _values(columns, np.array([one.type == "uint64" for one in shipment.series], bool)),
        columns.quality.tolist(),
        columns.native.tolist(),
        columns.other_ns.tolist(),
        shipment.number.tolist(),
        shipment.rank.tolist(),
        shipment.healed.tolist(),
        strict=True,
    )
    out = []
    for tag, time_ns, value, quality, native, other_ns, number, rank, healed in rows:
        line = b'%s,"time_ns":%d,"value":%s,"quality":%d%s,"number":%d,"rank":%d' % (
            heads[tag],
            time_ns,
            value,
            quality,
            tail,
            number,
            rank,
        )
        if native:
            line += b',"native":%d' % native
        if other_ns != NO_TIME:
            line += b',"other_ns":%d' % other_ns
        out.append(line + (b',"healed":true}' if healed else b"}"))
    return out


def _values(columns: Columns, unsigned: Array) -> list[bytes]:
    """Each value as it stands behind `"value":`."""
    out = [b"null"] * len(columns)
    kind = columns.kind
    at = np.flatnonzero(kind == ValueKind.FLOAT)
    for row, value in zip(at.tolist(), columns.floats.tolist(), strict=True):
        told = orjson.dumps(value)
        if told == b"null":
            told = b'null,"text":"%s"' % (b"NaN" if value != value else b"Infinity" if value > 0 else b"-Infinity")
        out[row] = told
    at = np.flatnonzero(kind == ValueKind.INT)
    whole = unsigned[columns.tag[at]]
    for row, value, positive in zip(at.tolist(), columns.ints.tolist(), whole.tolist(), strict=True):
        out[row] = b"%d" % (value % 2**64 if positive else value)
    for row, truth in zip(np.flatnonzero(kind == ValueKind.BOOL).tolist(), columns.bools.tolist(), strict=True):
        out[row] = b"true" if truth else b"false"
    for row, text in zip(np.flatnonzero(kind == ValueKind.TEXT).tolist(), columns.texts, strict=True):
        out[row] = orjson.dumps(text.encode(errors="replace").decode())
    return out
