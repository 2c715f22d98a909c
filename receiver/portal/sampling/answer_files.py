"""The forms of an answer: each takes samples, or buckets, table by table, and gives its bytes as they are made.

    json      {"next", "columns", "samples": [[..], ..], "gaps": [[..], ..]}; times as RFC 3339, to the nanosecond
    csv       as `checkvalve export` writes it, safe to open in a spreadsheet
    parquet   one file, its columns as in docs/export.md
    arrow     the same columns as an IPC stream

In JSON a value that is not a number any program can hold is text (an integer beyond 2**53) or null (NaN, infinities).
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import IO, Any, Protocol, cast

import numpy as np
import orjson

from receiver.export.csv_text import moments
from receiver.export.parquet_file import ArrowStream, RowStream
from receiver.export.sample_table import KINDS, NullableColumn, SampleTable
from receiver.export.writing import BUCKET_COLUMNS, PlainFile, SampleFile
from receiver.portal.plant_picture import EXACT
from receiver.portal.sampling.sample_question import AnswerForm

COLUMNS = (
    *("site", "asset", "tag", "unit", "version", "time", "value", "quality"),
    *("status", "arrived", "healed", "stream", "block", "row"),
)
"""Of a sample in JSON; what they mean stands in docs/export.md."""
GAP_COLUMNS = ("site", "from", "to", "what", "blocks")


class Chunks(io.RawIOBase):
    """Takes bytes as a file does, and gives them away."""

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        some = bytes(data)
        self._held.append(some)
        return len(some)

    def take(self) -> bytes:
        """What was written since the last time."""
        some = b"".join(self._held)
        self._held.clear()
        return some

    @property
    def sink(self) -> IO[bytes]:
        """As the writers of files know it."""
        return cast("IO[bytes]", self)


class AnswerFile(Protocol):
    """What samples are written into."""

    def add(self, rows: SampleTable, /) -> None: ...

    def finish(self, told: Mapping[str, Any], /) -> None: ...


def sample_file(form: AnswerForm, chunks: Chunks, cursor: str | None) -> AnswerFile:
    """The answer to which samples are added.

    Args:
        cursor: What comes next, for the forms that tell it.
    """
    if form is AnswerForm.JSON:
        return JsonSamples(chunks, cursor)
    if form is AnswerForm.ARROW:
        return ArrowStream(chunks.sink)
    return SampleFile(chunks.sink, parquet=form is AnswerForm.PARQUET)


def buckets_file(form: AnswerForm, chunks: Chunks) -> PlainFile | JsonBuckets | ArrowBuckets:
    """The answer to which buckets are added."""
    if form is AnswerForm.JSON:
        return JsonBuckets(chunks)
    if form is AnswerForm.ARROW:
        return ArrowBuckets(chunks.sink)
    return PlainFile(chunks.sink, BUCKET_COLUMNS, parquet=form is AnswerForm.PARQUET)


class JsonSamples:
    """Samples in JSON, written as they come."""

    def __init__(self, chunks: Chunks, cursor: str | None) -> None:
        self._chunks, self._first = chunks, True
        head = orjson.dumps({"next": cursor, "columns": COLUMNS})
        chunks.write(head[:-1] + b',"samples":[')

    def add(self, rows: SampleTable, /) -> None:
        """Some of them."""
        told = b",".join(orjson.dumps(row) for row in zip(*_told(rows), strict=True))
        self._chunks.write(told if self._first else b"," + told)
        self._first = False

    def finish(self, told: Mapping[str, Any], /) -> None:
        """The end, with the gaps."""
        self._chunks.write(b'],"gap_columns":' + orjson.dumps(GAP_COLUMNS))
        self._chunks.write(b',"gaps":' + orjson.dumps(told["gaps"]) + b"}")


class JsonBuckets(PlainFile):
    """Buckets in JSON."""

    def __init__(self, chunks: Chunks) -> None:
        self._chunks: Chunks = chunks
        self._rows: list[Sequence[Any]] = []

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Some of them."""
        self._rows += [(*row[:5], _rfc3339([row[5]])[0], *row[6:]) for row in rows]

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end."""
        self._chunks.write(orjson.dumps({"columns": [*BUCKET_COLUMNS], "buckets": self._rows, **told}))


class ArrowBuckets(PlainFile):
    """Buckets as an Arrow stream."""

    def __init__(self, sink: IO[bytes]) -> None:
        self._stream = RowStream(sink, BUCKET_COLUMNS)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """Some of them."""
        self._stream.add(rows)

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end."""
        self._stream.finish(told)


def gap_rows(gaps: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Gaps as JSON has them.

    Args:
        gaps: Rows of `plain_rows.COLUMNS["gaps"]`.
    """
    return [
        [site, _rfc3339([from_ns])[0], None if to_ns is None else _rfc3339([to_ns])[0], what, blocks]
        for site, from_ns, to_ns, what, blocks, *_ in gaps
    ]


def _rfc3339(times: Sequence[int]) -> list[str]:
    return moments(np.asarray(times, np.int64))


def _told(rows: SampleTable) -> list[list[Any]]:
    """The columns as JSON has them."""
    held = (_named(rows, "site"), _named(rows, "asset"), _named(rows, "tag"), _named(rows, "unit"))
    arrived = [None if at is None else moments(np.array([at * 10**6]))[0] for at in _nullable(rows.arrived)]
    version = _nullable(rows.version) if isinstance(rows.version, NullableColumn) else rows.version.tolist()
    ends = (rows.status.tolist(), arrived, _nullable(rows.healed), _named(rows, "stream"))
    times = moments(rows.time)
    return [
        *held,
        version,
        times,
        _values(rows),
        _named(rows, "quality"),
        *ends,
        rows.block.tolist(),
        rows.row.tolist(),
    ]


def _values(rows: SampleTable) -> list[Any]:
    columns = {
        "double": _finite(rows.value_double.values.tolist()),
        "int": [_exact(one) for one in rows.value_int.values.tolist()],
        "uint": [_exact(one) for one in rows.value_uint.values.tolist()],
        "bool": rows.value_bool.values.tolist(),
        "text": [None if one is None else one.encode("utf-8", "replace").decode() for one in rows.value_text],
    }
    kinds = [KINDS[one] for one in rows.kind.which.tolist()]
    return [columns[kind][at] if kind in columns else None for at, kind in enumerate(kinds)]


def _exact(value: int) -> int | str:
    return value if -EXACT <= value <= EXACT else str(value)


def _finite(values: list[float]) -> list[float | None]:
    return [one if abs(one) < np.inf else None for one in values]


def _named(rows: SampleTable, name: str) -> list[str]:
    column = getattr(rows, name)
    texts = [one.encode("utf-8", "replace").decode() for one in column.texts]
    return [texts[one] for one in column.which.tolist()]


def _nullable(column: NullableColumn) -> list[Any]:
    pairs = zip(column.values.tolist(), column.there.tolist(), strict=True)
    return [value if there else None for value, there in pairs]
