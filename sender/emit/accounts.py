"""What the emitter says of the spool: the totals of its beats, and what of it can never come (again).

A beat holds a few streams and a few ranges; where there are more, they take turns, so that all get said.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from protocol.ranges import Ranges, join_nearest
from protocol.wire.beat import STREAMS, WAITING_RANGES, StreamTotals
from sender.emit.index import SpoolIndex
from sender.store import damage

DAMAGED_TOLD = 64
"""Most ranges of damaged blocks in the status file, the newest."""


class Accounts:
    """Of one emitter."""

    def __init__(self, index: SpoolIndex) -> None:
        self._index = index
        self._turn = self._gone_turn = 0

    def streams(self) -> list[bytes]:
        """The newest streams; where there are more than a beat holds, the older ones take turns in its last place."""
        streams = self._index.streams()
        if len(streams) <= STREAMS:
            return streams
        self._turn = (self._turn + 1) % (len(streams) - STREAMS + 1)
        return [streams[self._turn], *streams[len(streams) - STREAMS + 1 :]]

    def totals(self, stream: bytes, finished: Mapping[bytes, Ranges]) -> StreamTotals:
        """Of one stream.

        Args:
            finished: Numbers that had their first sending.
        """
        done, sealed = finished.get(stream, Ranges()), self._index.sealed(stream)
        oldest = self._index.oldest(stream)
        top = min(done.top, sealed)
        waiting = Ranges(done.holes(oldest, top) if oldest < top else ())
        for first, after in self._index.gone(stream):
            waiting.remove(first, after)
        return StreamTotals(
            stream=stream,
            oldest=min(oldest, sealed),
            sealed=sealed,
            finished=top,
            waiting=tuple(join_nearest(list(waiting), WAITING_RANGES)),
        )

    def gone(self, told: list[bytes], most: int) -> dict[str, Any]:
        """What of these streams can never come (again) though older blocks can: `gone` of a beat, where there is any.

        Args:
            most: Most ranges; `gone_told` says how many were.
        """
        gone = [[stream, first, after] for stream in told for first, after in self._index.gone(stream)]
        if not gone or not most:
            return {}
        at = self._gone_turn % len(gone) if len(gone) > most else 0
        return {"gone": [*gone[at:], *gone[:at]][:most]}

    def gone_told(self, most: int) -> None:
        """So many ranges at most have left; the next ones have their turn."""
        self._gone_turn += most

    def damaged(self) -> dict[str, Any]:
        """What of the spool is damaged, for the status file."""
        lost = self._index.lost()
        ranges = [[stream.hex(), first, after] for stream, held in lost.items() for first, after in held]
        return {"blocks": damage.count(lost), "bytes": self._index.damaged_bytes(), "ranges": ranges[-DAMAGED_TOLD:]}

    def warnings(self) -> list[str]:
        """The same in words, for people."""
        lost, size = self._index.lost(), self._index.damaged_bytes()
        look = f"look at the disk of {self._index.folder}"
        if lost:
            which = f"{damage.count(lost)} blocks of the spool are damaged on the disk and can never be sent (again)"
            return [f"{which}: {damage.words(lost)}; {look}"]
        more = "; the blocks that stood there are kept twice, nothing is lost" if self._index.whole() else ""
        return [f"{size} bytes of the spool are damaged on the disk{more}; {look}"] if size else []
