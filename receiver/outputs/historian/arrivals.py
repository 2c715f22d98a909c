"""Which block numbers of which stream have come: so a block that comes twice is known, and so are gaps (`missing.py`).

Since the journal was begun again (`output.py`) a block that has come before may be needed once more: its counts stand,
its samples may be lost. So what came since then is kept apart, in `again`, and a block is new, wanted again, or a
double.

A flipped bit in a span would make doubles of blocks that never came. So `meta` keeps a sum over all spans, written with
them; where it does not fit when they are read, the file is damaged.
"""

from __future__ import annotations

import zlib
from enum import Enum

from protocol.block import BlockKind
from receiver.outputs.base import BatchBody, EventBody, OpenedBlock, OtherBody, StateBody, TallyBody
from receiver.outputs.disk import Connection, DamageError, Writes
from receiver.outputs.historian.missing import Span, Spans, StreamEnd

_SPAN = "REPLACE INTO span VALUES (?, ?, ?, ?, ?, ?)"
_AGAIN = "REPLACE INTO again VALUES (?, ?, ?)"


class Novelty(Enum):
    """How often a block has come."""

    NEW = "new"
    AGAIN = "again"
    """For the first time since the journal was begun again; it is counted already."""
    DOUBLE = "double"


class Arrivals:
    """The spans of every stream, in memory as in the file."""

    def __init__(self, connection: Connection, *, begun_again: bool) -> None:
        """
        Args:
            begun_again: The journal was begun again at some time in this history.
        """
        spans_of: dict[int, list[Span]] = {}
        for stream, *span in connection.execute(
            "SELECT stream, first, last, first_ns, last_ns, since_ns FROM span ORDER BY stream, first"
        ):
            spans_of.setdefault(stream, []).append(Span(*span))
        self._spans = {stream: Spans(spans) for stream, spans in spans_of.items()}
        self._keys: dict[int, bytes] = dict(connection.execute("SELECT id, key FROM stream"))
        self._sums = {
            (stream, span.first): _sum(stream, span) for stream, spans in self._spans.items() for span in spans
        }
        self._sum = sum(self._sums.values())
        row = connection.execute("SELECT value FROM meta WHERE key = 'span_sum'").fetchone()
        if row is not None and row[0] != self._sum:
            raise DamageError("the numbers of the blocks that came do not fit their sum")
        self._ends = {
            key: StreamEnd(last, to_ns, since_ns)
            for key, last, to_ns, since_ns in connection.execute("SELECT key, last, to_ns, since_ns FROM ending")
        }
        self._touched: set[int] = set()
        self._again: dict[int, Spans] | None = {} if begun_again else None
        if self._again is not None:
            since: dict[int, list[Span]] = {}
            for stream, first, last in connection.execute("SELECT stream, first, last FROM again"):
                since.setdefault(stream, []).append(Span(first, last, None, None, 0))
            self._again = {stream: Spans(spans) for stream, spans in since.items()}

    def add(self, stream: int, block: OpenedBlock, writes: Writes) -> Novelty:
        """Take in a block's number.

        Args:
            stream: This history's number for the block's stream.
        """
        spans = self._spans.setdefault(stream, Spans())
        self._keys[stream] = block.stream.key
        known = block.number in spans
        if self._again is not None:
            again = self._again.setdefault(stream, Spans())
            if block.number in again:
                return Novelty.DOUBLE
            again.add(block.number, None, None, 0)
            self._touched.add(stream)
        if known:
            return Novelty.DOUBLE if self._again is None else Novelty.AGAIN
        first_ns, last_ns = _times(block)
        spans.add(block.number, first_ns, last_ns, block.received_ns)
        self._touched.add(stream)
        if isinstance(block.body, OtherBody) and block.body.kind == BlockKind.OPEN:
            self._note_end(block.body, block.received_ns, writes)
        return Novelty.NEW

    def finish(self, writes: Writes) -> None:
        """Write down what changed in this hand-over; call once at its end."""
        if self._touched:
            self._write(writes)
            writes.add("REPLACE INTO meta VALUES ('span_sum', ?)", [(self._sum,)])
        self._touched.clear()

    def _write(self, writes: Writes) -> None:
        for stream in self._touched:
            gone, fresh = self._spans[stream].changes()
            for first in gone:
                self._sum -= self._sums.pop((stream, first), 0)
            for span in fresh:
                self._sum -= self._sums.get((stream, span.first), 0)
                self._sums[stream, span.first] = _sum(stream, span)
                self._sum += self._sums[stream, span.first]
            writes.add("DELETE FROM span WHERE stream = ? AND first = ?", [(stream, first) for first in gone])
            writes.add(_SPAN, [(stream, s.first, s.last, s.first_ns, s.last_ns, s.since_ns) for s in fresh])
            if self._again is not None:
                gone, fresh = self._again[stream].changes()
                writes.add("DELETE FROM again WHERE stream = ? AND first = ?", [(stream, first) for first in gone])
                writes.add(_AGAIN, [(stream, span.first, span.last) for span in fresh])

    def missing(self) -> int:
        """Blocks of all streams that are known to be missing."""
        return sum(spans.missing(self._ends.get(self._keys[stream])) for stream, spans in self._spans.items())

    def _note_end(self, body: OtherBody, since_ns: int, writes: Writes) -> None:
        """An OPEN names the stream before it and that one's last block (SPEC.md, section 6)."""
        previous, time_ns = body.body.get("previous"), body.body.get("time")
        match previous, time_ns:
            case [bytes() as key, int() as last, *_], int() as to_ns:
                self._ends[key] = StreamEnd(last, to_ns, since_ns)
                writes.add("REPLACE INTO ending VALUES (?, ?, ?, ?)", [(key, last, to_ns, since_ns)])


def _sum(stream: int, span: Span) -> int:
    fields = (stream, span.first, span.last, span.first_ns, span.last_ns, span.since_ns)
    return zlib.crc32(repr(fields).encode())


def _times(block: OpenedBlock) -> tuple[int | None, int | None]:
    """First and last time that a block tells, by the poller's clock."""
    body = block.body
    if isinstance(body, BatchBody):
        return body.first_ns, body.last_ns
    if isinstance(body, StateBody | EventBody | TallyBody):
        return body.time_ns, body.time_ns
    if isinstance(body, OtherBody) and body.kind == BlockKind.OPEN and isinstance(body.body.get("time"), int):
        return body.body["time"], body.body["time"]
    return None, None
