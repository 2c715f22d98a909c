"""Tables as CSV (RFC 4180, UTF-8, a line ends with LF): one line a sample, safe to open in a spreadsheet (pure).

    time              ISO 8601 in UTC with nine digits and Z
    value             one column for all kinds; `kind` says what it is; empty for none and nan; inf and -inf as such
    true, false       booleans
    nothing           null

A text of the plant may begin with `=`, and a spreadsheet would run it as a formula. So in names, units and text values
an apostrophe stands before `= + - @` (and their full-width forms) where a cell could begin: at the start, and behind a
separator or a quote, because a spreadsheet of another country takes another separator. One that begins with an
apostrophe gets another. Characters that end lines or steer terminals are written as their escapes (`inert.py`), so that
a line is a sample. Numbers are never touched. What must come back letter for letter is asked for as Parquet.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from protocol.content.array import Array
from protocol.inert import inert
from receiver.export.sample_table import COLUMNS, NamedColumn, NullableColumn, SampleTable

_FORMULA = re.compile("(^|[,;|\"'\\s])([=+\\-@＝＋－＠])")
_QUOTED = re.compile('[",\n\r]')
_SINGLE = ("value_double", "value_int", "value_uint", "value_bool", "value_text")
HEADER = tuple(dict.fromkeys("value" if name in _SINGLE else name for name in COLUMNS))


def harmless(text: str) -> str:
    """A text of the plant for a cell: one line, and no formula in any spreadsheet."""
    text = inert(text, None)
    if text.startswith("'"):
        text = "'" + text
    return _FORMULA.sub(r"\1'\2", text)


def cell(text: str) -> str:
    """A harmless text as it stands between commas."""
    text = harmless(text)
    return '"' + text.replace('"', '""') + '"' if _QUOTED.search(text) or text != text.strip() else text


def header(names: Iterable[str] = HEADER) -> bytes:
    """The first line."""
    return (",".join(names) + "\n").encode()


def lines(table: SampleTable) -> bytes:
    """A line a sample."""
    times = {"time": moments(table.time), "other_time": _moments(table.other_time), "arrived": _arrived(table.arrived)}
    made = {"value": _values(table), **times}
    columns = [made[name] if name in made else _column(getattr(table, name)) for name in HEADER]
    return b"".join((",".join(row) + "\n").encode() for row in zip(*columns, strict=True))


def rows(columns: Mapping[str, str], cells: Iterable[Sequence[Any]]) -> bytes:
    """Lines of plain rows, such as buckets and gaps.

    Args:
        columns: Name and kind, as `parquet_file.RowFile` has them.
        cells: None is nothing; texts are made harmless.
    """
    kinds = list(columns.values())
    return "".join(",".join(map(_plain, row, kinds)) + "\n" for row in cells).encode()


def moments(time_ns: Array) -> list[str]:
    """ISO 8601 in UTC, nine digits and Z."""
    stamps = np.datetime_as_string(time_ns.astype("datetime64[ns]"))
    return [f"{one}Z" for one in stamps.tolist()]


def _moments(column: NullableColumn) -> list[str]:
    return [text if there else "" for text, there in zip(moments(column.values), column.there.tolist(), strict=True)]


def _arrived(column: NullableColumn) -> list[str]:
    return _moments(NullableColumn(column.values * 10**6, column.there))


def _plain(value: Any, kind: str) -> str:
    if value is None:
        return ""
    if kind == "time":
        return moments(np.array([value], np.int64))[0]
    if kind == "bool_":
        return "true" if value else "false"
    return cell(value) if kind == "string" else str(value)


def _column(column: NamedColumn | NullableColumn | Array) -> list[str]:
    if isinstance(column, NamedColumn):
        texts = [cell(text) for text in column.texts]
        return [texts[at] for at in column.which.tolist()]
    return _some(column) if isinstance(column, NullableColumn) else [str(one) for one in column.tolist()]


def _some(column: NullableColumn) -> list[str]:
    texts = [""] * len(column.there)
    at = np.flatnonzero(column.there)
    held = column.values[at]
    told = ["true" if one else "false" for one in held.tolist()] if held.dtype == bool else map(str, held.tolist())
    for place, text in zip(at.tolist(), told, strict=True):
        texts[place] = text
    return texts


def _values(table: SampleTable) -> list[str]:
    """The one column of values."""
    texts = [cell(text) if text is not None else "" for text in table.value_text]
    doubles = table.value_double
    for column in (table.value_int, table.value_uint, table.value_bool):
        if column.there.any():
            texts = [new or old for new, old in zip(_some(column), texts, strict=True)]
    finite = np.flatnonzero(doubles.there & np.isfinite(doubles.values))
    dumped = orjson.dumps(np.ascontiguousarray(doubles.values[finite]), option=orjson.OPT_SERIALIZE_NUMPY)
    for at, text in zip(finite.tolist(), dumped[1:-1].decode().split(",") if len(finite) else (), strict=True):
        texts[at] = text
    for at in np.flatnonzero(doubles.there & np.isinf(doubles.values)).tolist():
        texts[at] = "inf" if doubles.values[at] > 0 else "-inf"
    return texts
