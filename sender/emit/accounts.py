"""What the emitter says of the spool: the totals of its beats, and what of it can never come (again).

A beat holds a few streams and a few ranges, fewer on a link with a small mtu; where there are more, they take turns, so
that all get said. Of ranges that are gone it names as many as of streams.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from protocol.ranges import Ranges, join_nearest
from protocol.wire.beat import STREAMS, WAITING_RANGES, Beat, StreamTotals
from protocol.wire.frame import SHARD_OVERHEAD, width_for
from sender.emit.link_session import LinkSession, LinkTerms
from sender.emit.spool_index import Numbers, SpoolIndex
from sender.store import damage

DAMAGED_TOLD = 64
"""Most ranges of damaged blocks in the status file, the newest."""


class Accounts:
    """What beats, the status file and people are told of a spool."""

    def __init__(self, index: SpoolIndex, link: LinkTerms) -> None:
        self._index, self._link = index, link
        self._turn = self._gone_turn = 0

    def beat(
        self, session: LinkSession, counter: int, finished: Numbers, behind_s: float, figures: Mapping[str, Any]
    ) -> bytes:
        """A BEAT frame that fits the link.

        Args:
            session: Whose totals it says.
            counter: Which beat of this boot.
            finished: Numbers that had their first sending.
            behind_s: How long what waits for one takes [s].
            figures: What the poller says of the spool.
        """
        beat = Beat(
            session=session.number,
            boot=self._link.boot,
            counter=counter,
            wall_ns=self._link.wall(),
            synced=self._link.synced(),
            streams=(),
            frames=session.frames + 1,
            bytes=session.bytes,
            backlog_s=round(behind_s, 3),
            repeats=self._link.repeat,
        )
        self._turn += 1
        room = STREAMS
        while True:
            streams = self.streams(max(1, room))
            totals = tuple(self.totals(stream, finished, min(max(1, room), WAITING_RANGES)) for stream in streams)
            spool = {**figures, **self.gone(streams, room)} if room else {}
            frame = session.beat(replace(beat, streams=totals, spool=spool))
            if len(frame) <= width_for(self._link.mtu) + SHARD_OVERHEAD or not room:
                break
            room //= 2  # many streams, many holes, a small mtu
        self._gone_turn += room
        return frame

    def streams(self, most: int = STREAMS) -> list[bytes]:
        """The newest streams; where there are more than `most`, the older ones take turns in the first place."""
        streams = self._index.streams()
        older = len(streams) - most + 1
        return streams if older < 2 else [streams[self._turn % older], *streams[older:]]

    def totals(self, stream: bytes, finished: Numbers, most: int = WAITING_RANGES) -> StreamTotals:
        """Of one stream.

        Args:
            finished: Numbers that had their first sending.
            most: Most ranges of what waits; more of them are joined.
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
            waiting=tuple(join_nearest(list(waiting), most)),
        )

    def gone(self, streams: list[bytes], most: int) -> dict[str, Any]:
        """What of these streams can never come (again) though older blocks can: `gone` of a beat, where there is any.

        Args:
            most: Most ranges; the next ones have their turn in the next beat.
        """
        gone = [[stream, first, after] for stream in streams for first, after in self._index.gone(stream)]
        if not gone or not most:
            return {}
        at = self._gone_turn % len(gone) if len(gone) > most else 0
        return {"gone": [*gone[at:], *gone[:at]][:most]}

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
