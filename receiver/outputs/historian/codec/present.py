"""Current values as bytes: a group of them a hand-over, one row a series (pure).

    series  time_ns  other_ns  kind  value  quality  native  seen_ns  boot  number  mark         ints, in this order
    texts   of the TEXT rows, whose `value` is 0

A later group's row of a series takes the place of an earlier one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from protocol.content.array import Array
from protocol.content.column import number, pack_ints, read_ints
from protocol.content.sample import ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import Connection
from receiver.outputs.historian.codec import packed

_MOST = 2**24


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Current values of some series; every array has one int64 a series, and is sorted by series."""

    series: Array
    time_ns: Array
    other_ns: Array
    kind: Array
    value: Array
    """64 bits, as in `Rows`; 0 for a text."""
    quality: Array
    native: Array
    seen_ns: Array
    """When it was last renewed, by the low side's clock."""
    boot: Array
    """The packer's start counter of the stream it came from."""
    number: Array
    """The block it came in."""
    mark: Array
    """The hand-over."""
    texts: tuple[str, ...]
    """Values of the TEXT rows."""

    def __len__(self) -> int:
        return len(self.series)


COLUMNS = tuple(field.name for field in fields(Present) if field.name != "texts")


def pack(present: Present) -> bytes:
    """The current values as bytes."""
    wire: dict[str, object] = {name: pack_ints(getattr(present, name)) for name in COLUMNS}
    return packed.pack_hot({"n": len(present), "texts": list(present.texts), **wire})


def unpack(body: bytes) -> Present:
    """The current values of `pack`'s bytes.

    Raises:
        StoreError: the bytes are not what was written, or a later version wrote them.
    """
    try:
        wire = packed.unpack(body, "a group of current values")
        n = number(wire.get("n"), 0, _MOST)
        present = Present(texts=tuple(wire["texts"]), **{name: read_ints(wire.get(name), n) for name in COLUMNS})
        if np.count_nonzero(present.kind == int(ValueKind.TEXT)) != len(present.texts):
            raise ValueError("texts of other rows")
        return present
    except packed.FAILS as error:
        raise StoreError(f"a group of current values in the history cannot be read: {error}") from error


def newest(groups: Sequence[Present]) -> Present:
    """Of several groups, oldest first, the newest row of each series."""
    if len(groups) == 1:
        return groups[0]
    columns = {name: np.concatenate([_NONE, *(getattr(group, name) for group in groups)]) for name in COLUMNS}
    series = columns["series"]
    _, back = np.unique(series[::-1], return_index=True)
    at = len(series) - 1 - back
    texts: Sequence[str] = [text for group in groups for text in group.texts]
    if texts:
        is_text = columns["kind"] == int(ValueKind.TEXT)
        place = np.cumsum(is_text) - 1
        texts = [texts[one] for one in place[at[is_text[at]]].tolist()]
    return Present(**{name: column[at] for name, column in columns.items()}, texts=tuple(texts))


def before(connection: Connection) -> Present | None:
    """As the first builds kept them, a row a series in the table `latest`; None where there is none."""
    rows = connection.execute(_BEFORE).fetchall()
    if not rows:
        return None
    *columns, texts = zip(*rows, strict=True)
    held = {name: np.array(column, np.int64) for name, column in zip(COLUMNS, columns, strict=True)}
    held["value"][held["kind"] == int(ValueKind.TEXT)] = 0
    return Present(texts=tuple(text for text in texts if text is not None), **held)


_NONE = np.zeros(0, np.int64)
_BEFORE = f"SELECT {', '.join(COLUMNS)}, text FROM latest ORDER BY series"  # noqa: S608  fixed names
