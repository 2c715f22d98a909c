"""Tables as one Parquet file, a row group a table, compressed with zstd; or as an Arrow IPC stream.

    time, other_time   TIMESTAMP, nanoseconds, adjusted to UTC        arrived   the same, milliseconds
    value_uint         unsigned 64-bit                                 no NaN    null instead, see sample_table.py

What concerns the whole file is in its key-value metadata under `checkvalve`, as JSON. pyarrow is an extra of the low
side (`parquet`): it is imported only here.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import IO, Any

import numpy as np

from protocol.content.array import Array
from protocol.errors import ConfigError
from receiver.export.sample_table import COLUMNS, NamedColumn, NullableColumn, SampleTable

_TIMES = {"time": "ns", "other_time": "ns", "arrived": "ms"}
_TYPES = {
    "version": "int32",
    "value_double": "float64",
    "value_int": "int64",
    "value_uint": "uint64",
    "value_bool": "bool_",
    "status": "uint32",
    "native": "uint32",
    "healed": "bool_",
    "block": "int64",
    "row": "int32",
}


def library() -> tuple[ModuleType, ModuleType]:
    """pyarrow and pyarrow.parquet, with all that they would load later: whoever writes may have become another user by
    then, who cannot enter the folder of the interpreter.

    Raises:
        ConfigError: they are not installed.
    """
    try:
        import pyarrow
        import pyarrow.compute
        import pyarrow.ipc
        import pyarrow.parquet
    except ImportError as error:
        hint = "pip install 'checkvalve-low[parquet]', or export CSV: --out NAME.csv"
        raise ConfigError("Parquet needs pyarrow, which is not installed", hint=hint) from error
    return pyarrow, pyarrow.parquet


class ParquetFile:
    """One file while it is being written."""

    def __init__(self, sink: IO[bytes]) -> None:
        """
        Args:
            sink: Where its bytes go; it need not be seekable.

        Raises:
            ConfigError: pyarrow is not installed.
        """
        self._arrow, self._parquet = library()
        types = {name: self._arrow.timestamp(unit, "UTC") for name, unit in _TIMES.items()}
        types |= {name: getattr(self._arrow, kind)() for name, kind in _TYPES.items()}
        self._schema = self._arrow.schema([(name, types.get(name, self._arrow.string())) for name in COLUMNS])
        self._writer = self._begun(sink)

    def _begun(self, sink: IO[bytes]) -> Any:
        return _writer(self._parquet, sink, self._schema)

    def add(self, table: SampleTable) -> None:
        """One row group."""
        arrays = [self._array(name, getattr(table, name)) for name in COLUMNS]
        batch = self._arrow.Table.from_arrays(arrays, schema=self._schema)
        self._writer.write_table(batch, max(len(table), 1))

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end of the file.

        Args:
            told: Plain JSON, for its metadata.
        """
        self._writer.add_key_value_metadata({"checkvalve": json.dumps(told)})
        self._writer.close()

    def drop(self) -> None:
        """Let go of a file that will not be whole, while its sink is open still; after `finish` nothing is done."""
        with contextlib.suppress(OSError, ValueError, self._arrow.ArrowException):
            self._writer.close()

    def _array(self, name: str, column: NamedColumn | NullableColumn | Array | list[str | None]) -> Any:
        kind = self._schema.field(name).type
        if isinstance(column, NamedColumn):
            texts = self._arrow.array([_whole(text) for text in column.texts], self._arrow.string())
            return texts.take(self._arrow.array(column.which))
        if isinstance(column, list):
            return self._arrow.array([None if text is None else _whole(text) for text in column], kind)
        if isinstance(column, NullableColumn):
            return self._arrow.array(np.ascontiguousarray(column.values), mask=~column.there).cast(kind)
        return self._arrow.array(np.ascontiguousarray(column)).cast(kind)


class ArrowStream(ParquetFile):
    """The same columns as an Arrow IPC stream, which is read while it comes; a record batch a table."""

    def _begun(self, sink: IO[bytes]) -> Any:
        return self._arrow.ipc.new_stream(sink, self._schema)

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end; a stream has no place for what is told of the whole."""
        self._writer.close()


class RowFile:
    """A file of plain rows, such as buckets and gaps."""

    def __init__(self, sink: IO[bytes], columns: Mapping[str, str]) -> None:
        """
        Args:
            sink: Where its bytes go.
            columns: Name and kind: `string`, `int64`, `float64`, `bool_`, or `time` for nanoseconds since 1970 UTC.

        Raises:
            ConfigError: pyarrow is not installed.
        """
        self._arrow, self._parquet = library()
        stamp = self._arrow.timestamp("ns", "UTC")
        kinds = [(name, stamp if kind == "time" else getattr(self._arrow, kind)()) for name, kind in columns.items()]
        self._schema = self._arrow.schema(kinds)
        self._writer = self._begun(sink)

    def _begun(self, sink: IO[bytes]) -> Any:
        return _writer(self._parquet, sink, self._schema)

    def add(self, rows: Sequence[Sequence[Any]]) -> None:
        """One row group; None is null."""
        columns = [
            [_whole(one) if isinstance(one, str) else one for one in column] for column in zip(*rows, strict=True)
        ]
        if columns:
            arrays = [self._arrow.array(one, field.type) for one, field in zip(columns, self._schema, strict=True)]
            self._writer.write_table(self._arrow.Table.from_arrays(arrays, schema=self._schema))

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end of the file.

        Args:
            told: Plain JSON, for its metadata.
        """
        self._writer.add_key_value_metadata({"checkvalve": json.dumps(told)})
        self._writer.close()


class RowStream(RowFile):
    """The same rows as an Arrow IPC stream."""

    def _begun(self, sink: IO[bytes]) -> Any:
        return self._arrow.ipc.new_stream(sink, self._schema)

    def finish(self, told: Mapping[str, Any]) -> None:
        """The end; a stream has no place for what is told of the whole."""
        self._writer.close()


def _writer(parquet: ModuleType, sink: IO[bytes], schema: Any) -> Any:
    return parquet.ParquetWriter(sink, schema, compression="zstd", compression_level=3, store_schema=False)


def _whole(text: str) -> str:
    """A text that UTF-8 can hold: a lone surrogate becomes the sign for it."""
    return text.encode("utf-8", "replace").decode()
