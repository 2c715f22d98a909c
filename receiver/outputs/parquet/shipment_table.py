"""A shipment as the table of an export: the same columns, whoever writes the file (pure).

`version` is null: the history numbers the descriptions of a tag, this output does not; `type`, `unit` and `conversion`
stand in each row. Without it the identity is as unlike any other's, since `row` counts the samples of one asset, tag,
block and time.

Rows are put by asset, tag and time, so that neighbours are alike (the file is smaller) and the least and greatest of a
row group are near each other (a reader passes over it).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, Columns, ValueKind
from receiver.export.sample_table import KINDS, NAN, QUALITIES, UINT, NamedColumn, NullableColumn, SampleTable
from receiver.outputs.shipping.shipment import Shipment

MS_NS = 10**6


def shipment_table(shipment: Shipment, received_ns: Mapping[int, int]) -> SampleTable:
    """The table of all its samples.

    Args:
        received_ns: When each block was completed, by its number [ns since 1970 UTC].
    """
    count, series, columns = len(shipment), shipment.series, shipment.columns
    asset = NamedColumn(*_named([one.asset for one in series], columns.tag))
    tag = NamedColumn(*_named([one.tag for one in series], columns.tag))
    order = np.lexsort((shipment.rank, shipment.number, columns.time_ns, tag.which, asset.which))
    columns, number = columns.select(order), shipment.number[order]
    asset, tag = NamedColumn(asset.which[order], asset.texts), NamedColumn(tag.which[order], tag.texts)
    unsigned = np.array([one.type == "uint64" for one in series], bool)[columns.tag]
    doubles, ints, truths, texts = _values(columns)
    kind = columns.kind.astype(np.int64)
    kind[(kind == ValueKind.FLOAT) & np.isnan(doubles)] = NAN
    kind[(kind == ValueKind.INT) & unsigned] = UINT
    everywhere = np.ones(count, bool)
    blocks, at = np.unique(number, return_inverse=True)
    arrived = np.array([received_ns[one] // MS_NS for one in blocks.tolist()], np.int64)[at]
    return SampleTable(
        site=NamedColumn(np.zeros(count, np.int64), (shipment.site,)),
        asset=asset,
        tag=tag,
        version=NullableColumn(np.zeros(count, np.int32), ~everywhere),
        type=NamedColumn(*_named([one.type for one in series], columns.tag)),
        unit=NamedColumn(*_named([one.unit for one in series], columns.tag)),
        conversion=NamedColumn(*_named([one.conversion for one in series], columns.tag)),
        time=columns.time_ns,
        other_time=NullableColumn(columns.other_ns, columns.other_ns != NO_TIME),
        kind=NamedColumn(kind, KINDS),
        value_double=NullableColumn(doubles, kind == ValueKind.FLOAT),
        value_int=NullableColumn(ints, kind == ValueKind.INT),
        value_uint=NullableColumn(ints.view(np.uint64), kind == UINT),
        value_bool=NullableColumn(truths, kind == ValueKind.BOOL),
        value_text=texts,
        quality=NamedColumn(np.minimum(columns.quality >> np.uint32(30), 2).astype(np.int64), QUALITIES),
        status=columns.quality,
        native=columns.native,
        arrived=NullableColumn(arrived, everywhere),
        healed=NullableColumn(shipment.healed[order], everywhere),
        stream=NamedColumn(np.zeros(count, np.int64), (shipment.stream.hex(),)),
        block=number,
        row=_repeats(asset.which, tag.which, columns.time_ns, number),
    )


def _named(texts: list[str], which: Array) -> tuple[Array, tuple[str, ...]]:
    """Codes of the rows and what they mean, by name: so the codes sort as the texts do."""
    distinct = sorted(set(texts))
    places = {text: at for at, text in enumerate(distinct)}
    return np.array([places[text] for text in texts], np.int64)[which], tuple(distinct)


def _values(columns: Columns) -> tuple[Array, Array, Array, list[str | None]]:
    """The values of each kind, spread over all rows."""
    count = len(columns)
    doubles, ints, truths = np.zeros(count), np.zeros(count, np.int64), np.zeros(count, bool)
    doubles[columns.kind == ValueKind.FLOAT] = columns.floats
    ints[columns.kind == ValueKind.INT] = columns.ints
    truths[columns.kind == ValueKind.BOOL] = columns.bools
    texts: list[str | None] = [None] * count
    for at, text in zip(np.flatnonzero(columns.kind == ValueKind.TEXT).tolist(), columns.texts, strict=True):
        texts[at] = text
    return doubles, ints, truths, texts


def _repeats(*keys: Array) -> Array:
    """How many rows of the same keys stand before each, in rows that are in order."""
    new = np.ones(len(keys[0]), bool)
    new[1:] = np.logical_or.reduce([one[1:] != one[:-1] for one in keys])
    begins = np.maximum.accumulate(np.where(new, np.arange(len(new)), 0))
    return (np.arange(len(new)) - begins).astype(np.int32)
