"""Which block numbers of which stream have come: so a block that comes twice is known, and so are gaps (`gaps.py`)."""

from __future__ import annotations

from protocol.block import Kind
from receiver.outputs.base import Batch, Event, Opened, Other, State, Tally
from receiver.outputs.disk import Connection, Writes
from receiver.outputs.historian.gaps import End, Span, Spans

_SPAN = "REPLACE INTO span VALUES (?, ?, ?, ?, ?, ?)"


class Seen:
    """The spans of every stream, in memory as in the file."""

    def __init__(self, connection: Connection) -> None:
        held: dict[int, list[Span]] = {}
        for stream, *span in connection.execute(
            "SELECT stream, first, last, first_ns, last_ns, since_ns FROM span ORDER BY stream, first"
        ):
            held.setdefault(stream, []).append(Span(*span))
        self._spans = {stream: Spans(spans) for stream, spans in held.items()}
        self._keys: dict[int, bytes] = dict(connection.execute("SELECT id, key FROM stream"))
        self._ends = {
            key: End(last, to_ns, since_ns)
            for key, last, to_ns, since_ns in connection.execute("SELECT key, last, to_ns, since_ns FROM ending")
        }
        self._touched: set[int] = set()

    def add(self, stream: int, block: Opened, writes: Writes) -> bool:
        """Take in a block's number; False where it has come before.

        Args:
            stream: This history's number for the block's stream.
        """
        spans = self._spans.setdefault(stream, Spans())
        if block.number in spans:
            return False
        self._keys[stream] = block.stream.key
        first_ns, last_ns = _times(block)
        spans.add(block.number, first_ns, last_ns, block.received_ns)
        self._touched.add(stream)
        if isinstance(block.body, Other) and block.body.kind == Kind.OPEN:
            self._note_end(block.body, block.received_ns, writes)
        return True

    def finish(self, writes: Writes) -> None:
        """Write down what changed in this hand-over; call once at its end."""
        for stream in self._touched:
            gone, fresh = self._spans[stream].changes()
            writes.add("DELETE FROM span WHERE stream = ? AND first = ?", [(stream, first) for first in gone])
            writes.add(_SPAN, [(stream, s.first, s.last, s.first_ns, s.last_ns, s.since_ns) for s in fresh])
        self._touched.clear()

    def missing(self) -> int:
        """Blocks of all streams that are known to be missing."""
        return sum(spans.missing(self._ends.get(self._keys[stream])) for stream, spans in self._spans.items())

    def _note_end(self, body: Other, since_ns: int, writes: Writes) -> None:
        """An OPEN names the stream before it and that one's last block (SPEC.md, section 6)."""
        previous, time_ns = body.body.get("previous"), body.body.get("time")
        match previous, time_ns:
            case [bytes() as key, int() as last, *_], int() as to_ns:
                self._ends[key] = End(last, to_ns, since_ns)
                writes.add("REPLACE INTO ending VALUES (?, ?, ?, ?)", [(key, last, to_ns, since_ns)])


def _times(block: Opened) -> tuple[int | None, int | None]:
    """First and last time that a block tells, by the poller's clock."""
    body = block.body
    if isinstance(body, Batch):
        return body.first_ns, body.last_ns
    if isinstance(body, State | Event | Tally):
        return body.time_ns, body.time_ns
    if isinstance(body, Other) and body.kind == Kind.OPEN and isinstance(body.body.get("time"), int):
        return body.body["time"], body.body["time"]
    return None, None
