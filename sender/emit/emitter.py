"""What leaves next: the emitter's core, from the spool to frames. Pure but for reading the spool; time is handed in.

Order of what waits, first to last:

    LINK, BEAT     every second
    first          blocks on their first sending: portions that are due (interleave.py)
    new            blocks as the spool gets them
    carousel       OPEN, EPOCH and CATALOG of the current stream, for whoever joins late
    backlog        what piled up while the link or this process was down, newest stretch first
    resend         what a gap code named (resend.py)
    repeats        whole blocks again at their times (repeat.py)

A block's first sending is finished when its last spare has left; beats say so, and the receiver counts from it. A block
that is damaged on the disk is stepped over wherever it is met, everything else goes on. One that is kept twice leaves
from its second copy; any other counts as finished and beats name it as gone, so that the receiver waits no longer.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.keys import PrivateKey, PublicKey
from protocol.ranges import Ranges
from protocol.store.layout import segment_path
from protocol.store.reader import Reader
from protocol.store.record import Record
from protocol.store.resync import START, Damage, Place
from protocol.wire.beat import Beat
from protocol.wire.erasure import Code
from protocol.wire.frame import SHARD_OVERHEAD, width_for
from sender.emit.accounts import Accounts
from sender.emit.carousel import Carousel
from sender.emit.index import SpoolIndex
from sender.emit.interleave import Done, Group, Interleave, Parcel, portions
from sender.emit.repeat import Repeats, Reruns
from sender.emit.resend import COPY, Resend
from sender.emit.session import FIRST_LINKS, LINK_PERIOD, STEPS, LinkSession
from sender.geometry import Geometry
from sender.store.spans import Mark, cuts, distance

BEAT_PERIOD = 1.0
"""A BEAT leaves this often [s]."""
REFRESH_PERIOD = 5.0
"""The spool's segments are listed this often [s]."""
LAG = 2.0
"""New blocks that wait longer than the link needs this long for become backlog, so that what is new goes first [s]."""
CHUNK = 1 << 18
"""Backlog is sent newest chunk first; about this many bytes a chunk [bytes]."""
GONE_TOLD = 8
"""Most ranges that a beat says are not kept any more above a stream's oldest block; more of them take turns."""
CAROUSEL_COPY = 255
"""What the carousel's frames say of themselves (SPEC.md, 3.1)."""


class Emitter:
    """Decides; the shell (`process.py`) paces and sends."""

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
            spread_s: Pause between two portions of a block [s], see interleave.py.
            repeat: Times of the repeats [s].
            geometry: For blocks whose shards do not fit the mtu any more.
            signer: The link-sign key.
            receivers: catch keys.
            boot: This start's counter, above all before it.
            wall: Wall time [ns since 1970 UTC].
            synced: Whether that clock is synchronised: 1, 0, or 2 for unknown.
            now: Monotonic time [s].
        """
        self.index = SpoolIndex(folder)
        self.accounts = Accounts(self.index)
        self.repeats = Repeats(repeat)
        self.carousel = Carousel(folder, geometry)
        self.reader = Reader(folder)
        self.backlog: list[tuple[Place, Place]] = []
        """Stretches that had no first sending, oldest first; the last one is taken first."""
        self.mark: Mark | None = None
        """The last new block that was read."""
        self.finished: dict[bytes, Ranges] = {}
        self.boot = boot
        self.frames_total = 0
        """Frames that left since the start, over all sessions."""
        self.resend: Resend | None = None
        """What a person asked for by a gap code."""
        self.later: Callable[[float], object] | None = None
        """What is to be done as soon as the end of the spool is known; until then nothing of it is sent."""
        self.anew = 0
        """How often the whole spool was sent again."""
        self._why = ""
        self.spool_status: dict[str, Any] = {}
        """What the poller says of the spool, passed on in beats."""
        self._folder, self._spread, self._geometry = folder, spread_s, geometry
        self._width = width_for(mtu)
        self._signer, self._receivers, self._entropy = signer, list(receivers), entropy
        self._wall, self._synced = wall, synced
        self._code = Code()
        self._sessions = 0
        self._beats = 0
        self._control: deque[Parcel | None] = deque()
        self._first, self._old_first = Interleave(), Interleave()
        self._round_ready: deque[Parcel] = deque()
        self._rest: deque[Parcel] = deque()
        self._groups: deque[Group] = deque()
        self._old_groups: deque[Group] = deque()
        self._reruns = Reruns(folder, self.repeats)
        self._renew(now)
        self._beat_at, self._link_at, self._refresh_at = now, now + LINK_PERIOD, now

    @property
    def engine(self) -> str:
        """Name of the erasure engine in use."""
        return self._code.name

    @property
    def session(self) -> LinkSession:
        """The current link session."""
        return self._session

    def next(self, now: float) -> Parcel | None:
        """What leaves next, None while nothing is due. What it gave before has left by now."""
        self._on_time(now)
        self._first.settle(now)
        self._old_first.settle(now)
        if self._control:
            return self._control.popleft() or self._beat_now()
        parcel = self._first.next(now)
        if parcel is None and self._new(now):
            parcel = self._first.next(now)
        if parcel is None and (self._round_ready or self._round(now)):
            parcel = self._round_ready.popleft()
        if parcel is None:
            parcel = self._old_first.next(now)
        if parcel is None and self._old(now):
            parcel = self._old_first.next(now)
        if parcel is None and (self._rest or self._asked(now) or self._again(now)):
            parcel = self._rest.popleft()
        return parcel

    def control(self, now: float) -> Parcel | None:
        """What leaves next of LINK and BEAT alone, while what `next` gave has not left; the key is not renewed."""
        self._speak(now)
        return (self._control.popleft() or self._beat_now()) if self._control else None

    def left(self, parcel: Parcel) -> None:
        """A parcel was given to the outlet."""
        if parcel.frames[4:8] == self._session.number.to_bytes(4, "big"):  # else made before the key was renewed
            self._session.sent(parcel.count, len(parcel.frames))
        self.frames_total += parcel.count
        if parcel.done is not None:
            stream, number, group = parcel.done
            self.finished.setdefault(stream, Ranges()).add(number)
            group.left -= 1

    def deadline(self, now: float) -> float:
        """When `next` may have something by itself, monotonic [s]; new blocks ring the doorbell."""
        if self.resend is not None and not self.resend.done:
            return now
        times = [self._first.deadline(), self._old_first.deadline(), self.repeats.deadline()]
        known = [at for at in times if at is not None]
        return min([*known, self._beat_at, self._link_at, self.carousel.deadline()])

    def outlast(self, seconds: float, steps: int, now: float) -> None:
        """See that the session lasts so long and has so many step numbers: else begin the next one now."""
        if now + seconds > self._session.ends_at or self._session.steps + steps > STEPS:
            self._renew(now)

    def begin_anew(self, why: str) -> None:
        """All that the spool holds is sent, whatever was sent of it.

        Args:
            why: In words, for a warning; empty where nothing is wrong.
        """
        end = self.reader.end()
        self.index = SpoolIndex(self._folder)
        self.accounts = Accounts(self.index)
        self.index.refresh()
        self.mark = self.index.look_through(end)
        self.finished = {}
        self._reruns.stop()
        self.backlog = [(START, end)] if end > START else []
        self.reader.close()
        self.reader.place = end
        self._groups.clear()
        self._old_groups.clear()
        self._end_damaged()
        self.anew, self._why = self.anew + 1, why

    def idle(self) -> bool:
        """Everything that exists had its first sending."""
        waits = self._first or self._old_first or self.backlog
        return not waits and self.reader.place >= self.reader.end()

    def resent(self) -> bool:
        """What was asked for by a gap code has left, or nothing was."""
        return (self.resend is None or self.resend.done) and not self._rest

    def warnings(self) -> list[str]:
        """What a person must know of the spool, in words."""
        trouble = [self.reader.trouble] if self.reader.trouble else []
        anew = [f"all of the spool is sent again: {self._why}"] if self._why and self.backlog else []
        return [*trouble, *self.accounts.warnings(), *anew]

    def settled(self) -> tuple[Place, Mark | None]:
        """Up to here all new blocks had their first sending, and a record before it."""
        while self._groups and not self._groups[0].left:
            self._groups.popleft()
        return (self._groups[0].start, self._groups[0].mark) if self._groups else (self.reader.place, self.mark)

    def unsent(self) -> list[tuple[Place, Place]]:
        """Stretches before it of which some block did not."""
        while self._old_groups and not self._old_groups[0].left:
            self._old_groups.popleft()
        return [*self.backlog, *((one.start, one.end) for one in self._old_groups if one.left)]

    def behind(self) -> float:
        """How long what waits for its first sending takes at the set rate [s]."""
        waits = [*self.backlog, (self.reader.place, self.reader.end())]
        return sum(distance(self._folder, start, end) for start, end in waits) / self._geometry.rate

    def _on_time(self, now: float) -> None:
        if now >= self._session.ends_at:
            self._renew(now)
        if now >= self._refresh_at:
            self._refresh_at = now + REFRESH_PERIOD
            self.index.refresh()
            self._end_damaged()
            if self.reader.beyond:
                self.begin_anew("it is another one than before")
            if not segment_path(self._folder, self.reader.place.segment).exists():
                self.reader.close()  # a file that is open takes room on the disk also when it is gone
        self._speak(now)

    def _speak(self, now: float) -> None:
        if now >= self._link_at:
            self._link_at = max(self._link_at + LINK_PERIOD, now)
            self._say_link()
        if now >= self._beat_at:
            self._beat_at = max(self._beat_at + BEAT_PERIOD, now)
            self._control.append(None)  # made when it leaves, so that its totals are true then

    def _renew(self, now: float) -> None:
        self._session = LinkSession(
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
        told = self.accounts.streams()
        beat = Beat(
            session=self._session.number,
            boot=self.boot,
            counter=self._beats,
            wall_ns=self._wall(),
            synced=self._synced(),
            streams=tuple(self.accounts.totals(stream, self.finished) for stream in told),
            frames=self._session.frames + 1,
            bytes=self._session.bytes,
            backlog_s=round(self.behind(), 3),
            repeats=self.repeats.after,
            spool={**self.spool_status, **self.accounts.gone(told, GONE_TOLD)},
        )
        self._beats += 1
        frame = self._session.beat(beat)
        most = GONE_TOLD
        while len(frame) > self._width + SHARD_OVERHEAD and most:  # many streams, many holes, a small mtu
            most //= 2
            fewer = {**self.spool_status, **self.accounts.gone(told, most)}
            frame = self._session.beat(replace(beat, spool=fewer))
        self.accounts.gone_told(most)
        return Parcel(memoryview(frame), len(frame))

    def _new(self, now: float) -> bool:
        end = self.reader.end()
        if self.later is not None and end > START:
            self.later(now)
        if self.later is not None or self.reader.place >= end:
            return False
        if distance(self._folder, self.reader.place, end) > LAG * self._geometry.rate:
            self.backlog.append((self.reader.place, end))
            self.reader.place = end
            return False
        before, mark = self.reader.place, self.mark
        records = self.reader.read(16, end)
        self._learn(self.reader.damaged, 0)
        if not records:
            return False
        self.mark = Mark(_last(self.reader, records), records[-1].digest)
        group = Group(before, self.reader.place, mark, len(records))
        self._groups.append(group)
        self._first_sending(records, self.reader, group, self._first, now)
        return True

    def _old(self, now: float) -> bool:
        if not self.backlog:
            return False
        start, end = self.backlog.pop()
        if distance(self._folder, start, end) > CHUNK:
            self.backlog += itertools.pairwise(cuts(self._folder, start, end, CHUNK))
            start, end = self.backlog.pop()
        group = Group(start, end, None, 0)
        self._old_groups.append(group)
        reader = Reader(self._folder, start)
        while records := reader.read(256, end):
            group.left += len(records)
            self._first_sending(records, reader, group, self._old_first, now)
        reader.close()
        self._learn(reader.damaged, 0)
        return bool(group.left)

    def _first_sending(self, records: list[Record], reader: Reader, group: Group, into: Interleave, now: float) -> None:
        for one in records:
            self.index.note(reader.began.segment, one.stream, one.number)
            self.carousel.note(one, now)
            frames, length, need, spare = self._frames(one, 0)
            how = portions(need, spare, self._spread, self._geometry.rate)
            into.add(frames, length, how, Done(one.stream, one.number, group), now)
        self.repeats.sent(reader.began, reader.place, len(records), now)

    def _round(self, now: float) -> bool:
        self._whole(self.carousel.due(now), CAROUSEL_COPY, self._round_ready)
        return bool(self._round_ready)

    def _asked(self, now: float) -> bool:
        if self.resend is not None:
            self._whole(self.resend.step(), COPY, self._rest)
            self._learn(self.resend.damaged, COPY)
        return bool(self._rest)

    def _again(self, now: float) -> bool:
        while (found := self._reruns.step(now)) is not None:
            self._whole(found, self._reruns.copy, self._rest)
            self._learn(self._reruns.damaged, self._reruns.copy)
            if self._rest:
                return True
        return False

    def _learn(self, damaged: list[Damage], copy: int) -> None:
        """Somebody stepped over this in a sending; what of it stands in the kept files too leaves from there."""
        if damaged:
            self.index.damage(damaged, self.reader.end())
            self._end_damaged()
            for segment in {one.start.segment for one in damaged} if copy else ():
                self._whole(self.index.saved(segment), copy, self._rest)
            damaged.clear()

    def _end_damaged(self) -> None:
        """What is damaged waits for nothing; what stands in the kept files too has its first sending from there."""
        for stream, ranges in self.index.lost().items():
            for first, after in ranges:
                self.finished.setdefault(stream, Ranges()).add(first, after)
        for one in self.index.unsent(self.finished):
            self._whole([one], 0, self._rest)
            self.finished.setdefault(one.stream, Ranges()).add(one.number)

    def _whole(self, records: Iterable[Record], copy: int, into: deque[Parcel]) -> None:
        """Blocks that leave at once."""
        for one in records:
            frames, length, _, _ = self._frames(one, copy)
            into.append(Parcel(frames, length))

    def _frames(self, one: Record, copy: int) -> tuple[memoryview, int, int, int]:
        """All frames of a block, the bytes of each, and (need, spare)."""
        size, need, spare = len(one.block), one.need, one.spare
        if -(-size // need) > self._width:
            need, spare = self._geometry.cut(size, 0.0)
        rows = self._code.rows(one.block, need, spare)
        frames = self._session.shards(one.stream).frames(one.number, size, need, spare, copy, rows)
        return frames, SHARD_OVERHEAD + rows.shape[1], need, spare


def _last(reader: Reader, records: list[Record]) -> Place:
    """Where the last of the records just read begins."""
    return Place(reader.place.segment, reader.place.offset - records[-1].length)
