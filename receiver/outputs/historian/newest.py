"""The current value of every series: advanced by the sender's order, never by a clock or by arrival.

Order is (packer's start, block number, row). So a healed old value does not overwrite a newer one, and a device whose
clock stands in 2099 pins nothing. Refresh rows count here, and only here.

What a hand-over renewed is written as one group (`present.py`), not as a row a series; once there are as many rows in
groups as there are series, all of them are written as one, and the others go. So a hand-over writes little where little
came, and a reader of everything reads each series twice at most.
"""

from __future__ import annotations

import numpy as np

from protocol.content.array import Array
from protocol.content.sample import NO_TIME, ValueKind
from protocol.errors import StoreError
from receiver.outputs.disk import Connection, DamageError, Writes
from receiver.outputs.historian.codec.present import COLUMNS, Present, before, newest, pack, unpack
from receiver.outputs.historian.rows import Rows, stable

_WRITE = "INSERT INTO present VALUES (?, ?, ?)"
MOST_GROUPS = 64
"""Groups at which all are written as one, however few rows they have: each costs a reader about 60 us."""


class Newest:
    """All current values, in memory as in the file."""

    def __init__(self, connection: Connection) -> None:
        self._columns = {name: np.zeros(64, np.int64) for name in COLUMNS}
        self._columns["boot"][:] = -1
        self._bits = np.zeros(64, np.int64)
        self._texts: dict[int, str] = {}
        self._known = 0
        groups = self._load(connection)
        self._group_rows = sum(len(group) for group in groups)
        self._group_count = len(groups)
        if groups:
            self._put(newest(groups))
        self.same_time = 0
        """Rows that had the time of the row before them in their series, with another value, seen on arrival."""

    def advance(self, rows: Rows, boot: Array, seen_ns: Array, mark: int, writes: Writes) -> None:
        """Make current what is newer.

        Args:
            rows: All rows of a hand-over, in the sender's order.
            boot: The packer's start counter of each row's stream.
            seen_ns: When each row's block was completed, by the low side's clock.
            mark: Of this hand-over, rising.
        """
        if not len(rows):
            return
        self._grow(int(rows.series.max()))
        bits = _comparable(rows)
        by_series = stable(rows.series)
        sorted_series = rows.series[by_series]
        new = np.ones(len(by_series), bool)
        np.not_equal(sorted_series[1:], sorted_series[:-1], out=new[1:])
        first = np.flatnonzero(new)
        self._count_same_time(sorted_series, rows.time_ns[by_series], bits, by_series, first)
        series = sorted_series[first].astype(np.int64)
        at = by_series[np.append(first[1:], len(by_series)) - 1]
        known = self._columns
        newer = boot[at] > known["boot"][series]
        newer |= (boot[at] == known["boot"][series]) & (rows.number[at] > known["number"][series])
        if not newer.all():
            series, at = series[newer], at[newer]
        last = rows.pick(at)
        is_text = last.kind == ValueKind.TEXT
        present = Present(
            series=series,
            time_ns=last.time_ns,
            other_ns=last.other_ns,
            kind=last.kind.astype(np.int64),
            value=np.where(is_text, 0, last.value),
            quality=last.quality.astype(np.int64),
            native=last.native.astype(np.int64),
            seen_ns=seen_ns[at],
            boot=boot[at],
            number=last.number,
            mark=np.full(len(at), mark),
            texts=tuple(last.texts[one] for one in last.value[is_text].tolist()),
        )
        self._put(present, bits[at])
        self._write(present, mark, writes)

    def all(self) -> Present:
        """Every current value."""
        series = np.flatnonzero(self._columns["boot"] >= 0)
        columns = {name: column[series] for name, column in self._columns.items()}
        texts = tuple(self._texts[one] for one in series[columns["kind"] == int(ValueKind.TEXT)].tolist())
        return Present(**columns, texts=texts)

    def _load(self, connection: Connection) -> list[Present]:
        """The groups; those of a build that kept a row a series are written as one group first."""
        try:
            groups = [unpack(body) for (body,) in connection.execute("SELECT body FROM present ORDER BY id")]
        except StoreError as error:
            raise DamageError(str(error)) from error
        rows = before(connection)
        if rows is not None:
            groups = [newest([rows, *groups])]
            writes = Writes()
            writes.add("DELETE FROM present", [()])
            writes.add("DELETE FROM latest", [()])
            writes.add(_WRITE, [(int(groups[0].mark.max()), len(groups[0]), pack(groups[0]))])
            writes.run(connection)
        return groups

    def _put(self, present: Present, bits: Array | None = None) -> None:
        series = present.series
        if not len(series):
            return
        self._grow(int(series.max()))
        self._known += int(np.count_nonzero(self._columns["boot"][series] < 0))
        for name, column in self._columns.items():
            column[series] = getattr(present, name)
        is_text = present.kind == int(ValueKind.TEXT)
        self._texts.update(zip(series[is_text].tolist(), present.texts, strict=True))
        if bits is None:
            bits = present.value.copy()
            bits[is_text] = [hash(text) for text in present.texts]
        self._bits[series] = bits

    def _write(self, present: Present, mark: int, writes: Writes) -> None:
        if not len(present):
            return
        whole = self._group_rows + len(present) > 2 * self._known or self._group_count >= MOST_GROUPS
        if whole:
            present = self.all()
            writes.add("DELETE FROM present", [()])
            self._group_rows = self._group_count = 0
        writes.add(_WRITE, [(mark, len(present), pack(present))])
        self._group_rows += len(present)
        self._group_count += 1

    def _count_same_time(self, series: Array, time_ns: Array, bits: Array, by_series: Array, first: Array) -> None:
        before_ns = np.roll(time_ns, 1)
        before_ns[first] = np.where(
            self._columns["boot"][series[first]] < 0, NO_TIME, self._columns["time_ns"][series[first]]
        )
        same = np.flatnonzero(time_ns == before_ns)
        if len(same):
            before = np.roll(bits[by_series], 1)
            before[first] = self._bits[series[first]]
            self.same_time += int(np.count_nonzero(bits[by_series][same] != before[same]))

    def _grow(self, series: int) -> None:
        while series >= len(self._bits):
            more = len(self._bits)
            for name, column in self._columns.items():
                self._columns[name] = np.concatenate([column, np.full(more, -1 if name == "boot" else 0, np.int64)])
            self._bits = np.concatenate([self._bits, np.zeros(more, np.int64)])


def _comparable(rows: Rows) -> Array:
    """64 bits a row that differ where values differ (a text by its hash)."""
    if not rows.texts:
        return rows.value
    at = np.flatnonzero(rows.kind == ValueKind.TEXT)
    bits = rows.value.copy()
    bits[at] = [hash(rows.texts[one]) for one in rows.value[at].tolist()]
    return bits
