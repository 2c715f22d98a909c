"""What leaves next: the emitter's core, from the spool to frames. Pure but for reading the spool; time is handed in.

Order of what waits, first to last:

    LINK, BEAT     every second
    spares         of blocks whose data left `spread_ms` ago
    new            blocks as the spool gets them
    carousel       OPEN, EPOCH and CATALOG of the current stream, for whoever joins late
    backlog        what piled up while the link or this process was down, newest stretch first
    repeats        whole blocks again at their times (repeat.py)

A block's first sending is finished when its last spare has left; beats say so, and the receiver counts from it.
"""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from protocol.beat import STREAMS, WAITING_RANGES, Beat, StreamTotals
from protocol.erasure import Code
from protocol.frame import SHARD_OVERHEAD, width_for
from protocol.keys import PrivateKey, PublicKey
from protocol.ranges import Ranges, join_nearest
from protocol.record import Record
from protocol.segments import Place, Reader, segment_numbers, segment_path
from sender.carousel import Carousel
from sender.geometry import Geometry
from sender.kept import Kept
from sender.repeat import Repeats
from sender.session import FIRST_LINKS, LINK_PERIOD, Session

BEAT_PERIOD = 1.0
"""A BEAT leaves this often [s]."""
REFRESH_PERIOD = 5.0
"""The spool's segments are listed this often [s]."""
LAG = 2.0
"""New blocks that wait longer than the link needs this long for become backlog, so that what is new goes first [s]."""
CHUNK = 1 << 18
"""Backlog is sent newest chunk first; about this many bytes a chunk [bytes]."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """Frames that may leave together, in order."""

    frames: memoryview
    """Equally long frames, one after another."""
    length: int
    """Bytes of one."""
    done: tuple[bytes, int] | None = None
    """(stream, number) whose first sending is finished once this has left."""

    @property
    def count(self) -> int:
        """Frames in it."""
        return -(-len(self.frames) // self.length)


class Emitter:
    """Decides; the shell (`main.py`) paces and sends."""

    def __init__(
        self,
        folder: Path,
        *,
        mtu: int,
        spread_s: float,
        repeat: tuple[float, ...],
        geometry: Geometry,
        signer: PrivateKey,
        receivers: Sequence[PublicKey],
        boot: int,
        entropy: Callable[[int], bytes],
        wall: Callable[[], int],
        synced: Callable[[], int],
        now: float,
    ) -> None:
        """
        Args:
            folder: The spool.
            mtu: Of the link [bytes].
            spread_s: Spares of a block that has at least as many as data shards leave this much later [s].
            repeat: Times of the repeats [s].
            geometry: For blocks whose shards do not fit the mtu any more.
            signer: The link-sign key.
            receivers: catch keys.
            boot: This start's counter, above all before it.
            wall: Wall time [ns since 1970 UTC].
            synced: Whether that clock is synchronised: 1, 0, or 2 for unknown.
            now: Monotonic time [s].
        """
        self.kept = Kept(folder)
        self.repeats = Repeats(repeat)
        self.carousel = Carousel(folder)
        self.reader = Reader(folder)
        self.backlog: list[tuple[Place, Place]] = []
        """Stretches that had no first sending, oldest first; the last one is taken first."""
        self.taking: tuple[Place, Place] | None = None
        """The stretch of the backlog that is being sent now."""
        self.mark = b""
        """Hash of the last block before `reader.place`: how a restart knows that the spool is still the same."""
        self.finished: dict[bytes, Ranges] = {}
        self.boot = boot
        self.frames_total = 0
        """Frames that left since the start, over all sessions."""
        self._folder, self._spread, self._geometry = folder, spread_s, geometry
        self._width = width_for(mtu)
        self._signer, self._receivers, self._entropy = signer, list(receivers), entropy
        self._wall, self._synced = wall, synced
        self._code = Code()
        self._sessions = 0
        self._beats = 0
        self._turn = 0
        self._ready: deque[Parcel] = deque()
        self._control: deque[Parcel | None] = deque()
        self._late: list[tuple[float, int, Parcel]] = []
        self._serial = 0
        self._running: tuple[int, Reader, Place] | None = None
        self._renew(now)
        self._beat_at, self._link_at, self._refresh_at = now, now + LINK_PERIOD, now
        self.spool_status: dict[str, Any] = {}
        """What the poller says of the spool, passed on in beats."""

    @property
    def engine(self) -> str:
        """Name of the erasure engine in use."""
        return self._code.name

    @property
    def session(self) -> Session:
        """The current link session."""
        return self._session

    def next(self, now: float) -> Parcel | None:
        """What leaves next, None while nothing is due."""
        self._on_time(now)
        if self._control:
            return self._control.popleft() or self._beat_now()
        if self._ready:
            return self._ready.popleft()
        if self._late and self._late[0][0] <= now:
            return heapq.heappop(self._late)[2]
        if self._new(now) or self._round(now) or self._old(now) or self._again(now):
            return self._ready.popleft()
        return None

    def left(self, parcel: Parcel) -> None:
        """A parcel was given to the outlet."""
        self._session.sent(parcel.count, len(parcel.frames))
        self.frames_total += parcel.count
        if parcel.done is not None:
            stream, number = parcel.done
            self.finished.setdefault(stream, Ranges()).add(number)

    def deadline(self, now: float) -> float:
        """When `next` may have something by itself, monotonic [s]; new blocks ring the doorbell."""
        times = [self._beat_at, self._link_at, self.carousel.deadline()]
        if self._late:
            times.append(self._late[0][0])
        repeat = self.repeats.deadline()
        return min([*times, repeat] if repeat is not None else times)

    def idle(self) -> bool:
        """Everything that exists had its first sending."""
        return not (self._ready or self._late or self.backlog) and self.reader.place >= self.reader.end()

    def behind(self) -> float:
        """How long what waits for its first sending takes at the set rate [s]."""
        end = self.reader.end()
        size = sum(self._distance(start, after) for start, after in [*self.backlog, (self.reader.place, end)])
        return size / self._geometry.rate

    def _on_time(self, now: float) -> None:
        if now >= self._session.ends_at:
            self._renew(now)
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_PERIOD
            self.kept.refresh()
        if now >= self._link_at:
            self._link_at = max(self._link_at + LINK_PERIOD, now)
            self._say_link()
        if now >= self._beat_at:
            self._beat_at = max(self._beat_at + BEAT_PERIOD, now)
            self._control.append(None)  # made when it leaves, so that its totals are true then

    def _renew(self, now: float) -> None:
        self._session = Session(
            boot=self.boot,
            counter=self._sessions,
            now=now,
            entropy=self._entropy,
            signer=self._signer,
            receivers=self._receivers,
        )
        self._sessions += 1
        for _ in range(FIRST_LINKS):
            self._say_link()

    def _say_link(self) -> None:
        for link in self._session.links:
            self._control.append(Parcel(memoryview(link), len(link)))

    def _beat_now(self) -> Parcel:
        beat = Beat(
            session=self._session.number,
            boot=self.boot,
            counter=self._beats,
            wall_ns=self._wall(),
            synced=self._synced(),
            streams=tuple(self._totals(stream) for stream in self._told()),
            frames=self._session.frames + 1,
            bytes=self._session.bytes,
            backlog_s=round(self.behind(), 3),
            repeats=self.repeats.after,
            spool=self.spool_status,
        )
        self._beats += 1
        frame = self._session.beat(beat)
        return Parcel(memoryview(frame), len(frame))

    def _told(self) -> list[bytes]:
        """The newest streams; where there are more than a beat holds, the older ones take turns in its last place."""
        streams = self.kept.streams()
        if len(streams) <= STREAMS:
            return streams
        self._turn = (self._turn + 1) % (len(streams) - STREAMS + 1)
        return [streams[self._turn], *streams[len(streams) - STREAMS + 1 :]]

    def _totals(self, stream: bytes) -> StreamTotals:
        finished = self.finished.setdefault(stream, Ranges())
        oldest = self.kept.oldest(stream)
        top = min(finished.top, self.kept.sealed(stream))
        holes = join_nearest(finished.holes(oldest, top) if oldest < top else [], WAITING_RANGES)
        return StreamTotals(
            stream=stream,
            oldest=min(oldest, self.kept.sealed(stream)),
            sealed=self.kept.sealed(stream),
            finished=top,
            waiting=tuple(holes),
        )

    def _new(self, now: float) -> bool:
        end = self.reader.end()
        if self.reader.place >= end:
            return False
        if self._distance(self.reader.place, end) > LAG * self._geometry.rate:
            self.backlog.append((self.reader.place, end))
            self.reader.place = end
            return False
        records = self.reader.read(16, end)
        if records:
            self.mark = records[-1].digest
        self._first_sending(records, self.reader.began, self.reader.place, now)
        return bool(self._ready)

    def _old(self, now: float) -> bool:
        self.taking = None
        if not self.backlog:
            return False
        start, end = self.backlog.pop()
        if self._distance(start, end) > CHUNK:
            cuts = self._cuts(start, end)
            self.backlog += itertools.pairwise(cuts)
            start, end = self.backlog.pop()
        self.taking = (start, end)
        reader = Reader(self._folder, start)
        while records := reader.read(256, end):
            self._first_sending(records, reader.began, reader.place, now)
        reader.close()
        return bool(self._ready)

    def _first_sending(self, records: list[Record], start: Place, end: Place, now: float) -> None:
        if not records:
            return
        for one in records:
            self.kept.note(start.segment, one.stream, one.number)
            self.carousel.note(one, now)
            self._ship(one, 0, now)
        self.repeats.sent(start, end, len(records), now)

    def _round(self, now: float) -> bool:
        for one in self.carousel.due(now):
            self._ship(one, 255, now)
        return bool(self._ready)

    def _again(self, now: float) -> bool:
        if self._running is None:
            due = self.repeats.due(now)
            if due is None:
                return False
            copy, run = due
            self._running = (copy, Reader(self._folder, run.start), run.end)
        copy, reader, end = self._running
        records = reader.read(16, end)
        if not records:
            reader.close()
            self._running = None
            return self._again(now)
        for one in records:
            self._ship(one, copy, now)
        return True

    def _ship(self, one: Record, copy: int, now: float) -> None:
        """Cut a block into frames; its spares wait for their time where it has enough of them."""
        size, need, spare = len(one.block), one.need, one.spare
        if -(-size // need) > self._width:
            need, spare = self._geometry.cut(size, 0.0)
        rows = self._code.rows(one.block, need, spare)
        frames = self._session.shards(one.stream).frames(one.number, size, need, spare, copy, rows)
        length = SHARD_OVERHEAD + rows.shape[1]
        done = (one.stream, one.number) if copy == 0 else None
        if spare >= need and self._spread and copy == 0:
            self._ready.append(Parcel(frames[: need * length], length))
            self._serial += 1
            heapq.heappush(
                self._late, (now + self._spread, self._serial, Parcel(frames[need * length :], length, done))
            )
        else:
            self._ready.append(Parcel(frames, length, done))

    def _distance(self, start: Place, end: Place) -> int:
        """Bytes between two places; whole segments between them are taken as full."""
        if start >= end:
            return 0
        if start.segment == end.segment:
            return end.offset - start.offset
        sizes = self._sizes(start.segment, end.segment)
        return sum(sizes.values()) - start.offset + end.offset if sizes else end.offset

    def _sizes(self, first: int, after: int) -> dict[int, int]:
        held = [number for number in segment_numbers(self._folder) if first <= number < after]
        return {number: segment_path(self._folder, number).stat().st_size for number in held}

    def _cuts(self, start: Place, end: Place) -> list[Place]:
        """Record boundaries that cut a stretch into chunks of about `CHUNK` bytes."""
        reader = Reader(self._folder, start)
        cuts, since = [start], 0
        while records := reader.read(256, end, most_bytes=CHUNK):
            since += sum(one.length for one in records)
            if since >= CHUNK:
                cuts.append(reader.place)
                since = 0
        reader.close()
        return cuts if cuts[-1] == end else [*cuts, end]
