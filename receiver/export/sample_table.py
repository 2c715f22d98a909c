"""The columns of an export: what a sample is in a table that other programs read (pure).

    site asset tag version                    whose value
    type unit conversion                      under which description, and how it is made of what stands in the device
    time other_time                           when it was true; the source or server time that was not used
    kind value_double value_int value_uint    the value, in the column of its kind; the others are null
         value_bool value_text
    quality status native                     good, uncertain, bad; the OPC UA StatusCode; the protocol's own code
    arrived healed                            when its block was complete on this side; after having been missing
    stream block row                          where it came from: the same sample has the same, for ever

A tag may change its type, and a value its kind, so no single column could hold all of them exactly: an unsigned 64-bit
counter is no float, and a text is no number. `kind` says which column to look in. There is no NaN anywhere: readers
disagree about it in the statistics of a file, so it is null, and `kind` says `nan`. Infinities stay.

`row` counts samples of one tag, block and time, from 0: (stream, block, site, asset, tag, version, time, row) is unlike
any other's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, ValueKind
from receiver.outputs.historian.rows import Rows, join
from receiver.outputs.historian.whole.whole_history import SeriesPart

QUALITIES = ("good", "uncertain", "bad")
"""By the two highest bits of a StatusCode (OPC 10000-4, 7.39.1)."""
KINDS = ("none", "double", "int", "bool", "text", "uint", "nan")
"""By number: the first five are `ValueKind`'s."""
UINT, NAN = 5, 6


@dataclass(frozen=True, slots=True)
class NamedColumn:
    """A column of texts of which there are few: `texts[which[i]]`."""

    which: Array
    texts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NullableColumn:
    """A column of numbers; where `there` is false it is null."""

    values: Array
    there: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleTable:
    """`n` samples; the columns in the order of every file."""

    site: NamedColumn
    asset: NamedColumn
    tag: NamedColumn
    version: Array | NullableColumn
    """int32, from 1; null where nobody numbers descriptions."""
    type: NamedColumn
    unit: NamedColumn
    conversion: NamedColumn
    """Such as `int16 x 0.1`; empty where the device's number is the value."""
    time: Array
    """[ns since 1970 UTC], int64."""
    other_time: NullableColumn
    """Same."""
    kind: NamedColumn
    value_double: NullableColumn
    value_int: NullableColumn
    value_uint: NullableColumn
    """uint64."""
    value_bool: NullableColumn
    value_text: list[str | None]
    quality: NamedColumn
    status: Array
    """uint32."""
    native: Array
    """uint32."""
    arrived: NullableColumn
    """[ms since 1970 UTC], int64."""
    healed: NullableColumn
    stream: NamedColumn
    """16 hexadecimal digits."""
    block: Array
    """int64."""
    row: Array
    """int32."""

    def __len__(self) -> int:
        return len(self.time)


COLUMNS = tuple(one.name for one in fields(SampleTable))


def table(parts: Sequence[SeriesPart], streams: dict[int, tuple[bytes, int, str]]) -> SampleTable:
    """The table of these samples, in their order.

    Args:
        parts: At least one.
        streams: By the history's number: key, packer's start, site.
    """
    lengths = np.array([len(part.rows) for part in parts])
    rows = join([part.rows for part in parts])
    sequence, at_ms, healed = (
        np.concatenate([getattr(part.arrived, name) for part in parts]) for name in ("sequence", "at_ms", "healed")
    )
    unsigned = np.repeat(np.array([part.tag.tag.type == "uint64" for part in parts]), lengths)
    floats = rows.value.view(np.float64)
    kind = rows.kind.astype(np.int64)
    kind[(kind == ValueKind.FLOAT) & np.isnan(floats)] = NAN
    kind[(kind == ValueKind.INT) & unsigned] = UINT
    texts: list[str | None] = [None] * len(rows)
    for at in np.flatnonzero(kind == ValueKind.TEXT).tolist():
        texts[at] = rows.texts[int(rows.value[at])]
    known, which = np.unique(rows.stream, return_inverse=True)

    def named(texts: list[str]) -> NamedColumn:
        distinct = {text: at for at, text in enumerate(dict.fromkeys(texts))}
        return NamedColumn(np.repeat(np.array([distinct[text] for text in texts]), lengths), tuple(distinct))

    return SampleTable(
        site=named([part.tag.site for part in parts]),
        asset=named([part.tag.tag.asset for part in parts]),
        tag=named([part.tag.tag.name for part in parts]),
        version=np.repeat(np.array([part.tag.version for part in parts], np.int32), lengths),
        type=named([part.tag.tag.type for part in parts]),
        unit=named([part.tag.tag.unit for part in parts]),
        conversion=named([part.tag.tag.conversion for part in parts]),
        time=rows.time_ns,
        other_time=NullableColumn(rows.other_ns, rows.other_ns != NO_TIME),
        kind=NamedColumn(kind, KINDS),
        value_double=NullableColumn(floats, kind == ValueKind.FLOAT),
        value_int=NullableColumn(rows.value, kind == ValueKind.INT),
        value_uint=NullableColumn(rows.value.view(np.uint64), kind == UINT),
        value_bool=NullableColumn(rows.value != 0, kind == ValueKind.BOOL),
        value_text=texts,
        quality=NamedColumn(np.minimum(rows.quality >> np.uint32(30), 2).astype(np.int64), QUALITIES),
        status=rows.quality,
        native=rows.native,
        arrived=NullableColumn(at_ms, (sequence >= 0) & (at_ms != 0)),
        healed=NullableColumn(healed, sequence >= 0),
        stream=NamedColumn(which, tuple(streams[one][0].hex() if one in streams else "" for one in known.tolist())),
        block=rows.number,
        row=np.concatenate([_repeats(part.rows) for part in parts]),
    )


def _repeats(rows: Rows) -> Array:
    """How many samples of the same block and time stand before each, in rows that are in order."""
    new = np.ones(len(rows), bool)
    same = [rows.time_ns, rows.stream, rows.number]
    new[1:] = np.logical_or.reduce([one[1:] != one[:-1] for one in same])
    begins = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
    return (np.arange(len(rows)) - begins).astype(np.int32)
