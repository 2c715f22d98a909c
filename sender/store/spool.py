"""The spool: what was read, sealed and numbered, on the disk before anything of it leaves.

A group of blocks is written and synced every 20 ms or 1 MiB, then the doorbell rings. Retention unlinks whole
segments: those older than `keep` (in running time, summed over starts: a wall clock that jumps deletes nothing), and
more where the spool is larger than `max_gb`, first what was sent and repeated, then what was sent, and last what was
not (retain.py). Each is counted, over all starts, and what will go before it was repeated is told beforehand
(foresee.py).

A full disk keeps live data flowing: room is made in the same order, at once from what was sent, after UNSENT_WAIT from
what was not, in the end from the current segment. Where even that gives no room, blocks wait in memory up to
WAITING_MOST; above it `room` is false and the packer takes no samples, which it counts.

What a disk damaged of it is stated at the start, by number (damage.py, ending.py): in the segments' indexes for the
emitter, in the stream for the low side, in the status for people. `pop_notes` says all this in words, for the packer to
send.
"""

from __future__ import annotations

import contextlib
import itertools
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from protocol import evidence
from protocol.block import BlockKind, signed_body
from protocol.errors import FrameError
from protocol.evidence import Tree
from protocol.limits import GROUP_SYNC_BYTES, GROUP_SYNC_S, SEGMENT_BYTES
from protocol.process.doorbell import Doorbell
from protocol.process.full_disk import attempt
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.index import Segment, join
from protocol.store.layout import kept_path, kept_streams, read_leaves
from protocol.store.reader import read_kept
from protocol.store.record import Record
from protocol.store.resync import scan_kinds
from protocol.store.segment_store import Store, StoreFull
from protocol.written import counted
from sender.store import damage
from sender.store.ending import cut_off
from sender.store.foresee import Filling, loses_s
from sender.store.pack import Previous
from sender.store.retain import ORDER, Fate, Fates

TIDY_PERIOD = 10.0
"""Period of retention and of noting the running time [s]."""
RETRY = 0.5
"""A disk that stays full is tried again this often [s]."""
UNSENT_WAIT = 10.0
"""A disk must be full this long before what was never sent is dropped for it [s]: a log that was rotated meanwhile."""
WAITING_MOST = 64 * 1024 * 1024
"""Most bytes that wait in memory for room on the disk [bytes]: minutes of a large plant, hours of a small one."""
SEGMENTS_LEAST = 16
"""The spool's largest size is at least so many segments: what is dropped at a time is a small part of it."""
SEGMENT_LEAST = 1024 * 1024
"""Smallest segment [bytes]: 16 MiB of spool."""
NOTE_PERIOD = 60.0
"""What was dropped is said at most this often [s]."""


class Spool:
    """The writer's side; one at a time."""

    def __init__(
        self,
        state: Path,
        *,
        keep_s: float,
        most_bytes: int,
        now: float,
        repeated_after_s: float = 0.0,
        wall_ns: int = 0,
    ) -> None:
        """
        Args:
            state: The state folder; the store is `state/spool`.
            keep_s: Longest time a block is kept, in running time [s].
            most_bytes: Largest size [bytes].
            repeated_after_s: When the last repeat of a block leaves after its first sending [s].
            now: Monotonic time [s].
            wall_ns: Wall time, for the name of a damaged file [ns since 1970 UTC].

        Raises:
            StoreError: held by another poller, or the disk fails.
        """
        self.state = state
        self.folder = state / "spool"
        self.store = Store(
            self.folder, segment_bytes=min(SEGMENT_BYTES, max(SEGMENT_LEAST, most_bytes // SEGMENTS_LEAST))
        )
        self.full_since: float | None = None
        """The disk has been full since then, monotonic [s]; None where it was not at the last sync."""
        self.loses_s = math.inf
        """How long until retention takes what is still to be sent or repeated, at the last look [s]."""
        self.free_bytes: int | None = None
        """Room that the disk has besides, at the last look [bytes]; None where it does not say."""
        self._keep_s, self._most, self._repeated_after_s = keep_s, most_bytes, repeated_after_s
        self._filling, self._taken_bytes = Filling(), 0
        self._since: float | None = None
        self._retry_at = now
        self._tidy_at = now + TIDY_PERIOD
        self._notes: list[str] = []
        newest_s = max(segment.born_s for segment in self.store.segments)
        note = statefile.load(self.folder / "note.json", _Note.from_json, self._notes.append, wall_ns=wall_ns)
        note = note or _Note(ran_s=newest_s)
        self._boot, self._ran_before = max(note.boot, _newest_boot(self.folder)), max(note.ran_s, newest_s)
        self.dropped = {fate: note.dropped.get(fate, 0) for fate in ORDER}
        """Blocks that retention took, over all starts."""
        self._started = now
        self._look_for_damage()
        self.warnings = list(self._notes)
        """What was found damaged at the start, in words."""
        self._indexed = self.store.current.size
        self._said_dropped, self._said_at, self._said_full = dict(self.dropped), now - NOTE_PERIOD, False
        self._bell = Doorbell(state / "doorbell", wall_ns=wall_ns)
        self._look_ahead(now, Fates.read(state))

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        self._boot = max(self._boot + 1, wall_ns // 1000)
        while not self._write_note(self._started) and self._make_room(self._started, Fate.UNSENT):
            pass
        return self._boot

    def previous(self) -> Previous | None:
        """The newest stream of the spool, and the head of its tree."""
        stream = self._newest()
        return _describe(self.folder, stream, self.store.segments) if stream else None

    def append(self, one: Record) -> None:
        """Take a block; it is safe once `tick` or `flush` has synced it."""
        self._taken_bytes += one.length
        self.store.append(one)

    @property
    def room(self) -> bool:
        """Whether more blocks can be taken; False on a disk that is full for long."""
        return self.store.waiting_bytes < WAITING_MOST

    def tick(self, now: float) -> None:
        """Sync the group when it is due, tidy when that is due.

        Raises:
            StoreError: the disk fails.
        """
        if self.store.waiting_bytes:
            if self._since is None:
                self._since = now
            if now >= self.deadline(now):
                self.flush(now)
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_PERIOD
            self._retain(now)
            self._write_note(now)
            self.store.republish()
            if self._indexed != self.store.current.size and self.store.note_index():
                self._indexed = self.store.current.size

    def deadline(self, now: float) -> float:
        """When to call `tick` next [s]."""
        if not self.store.waiting_bytes:
            return self._tidy_at
        if self.full_since is not None:
            return self._retry_at
        if self._since is None or self.store.waiting_bytes >= GROUP_SYNC_BYTES:
            return now
        return self._since + GROUP_SYNC_S

    def flush(self, now: float) -> None:
        """Sync what waits, making room where the disk is full, then ring the doorbell.

        Raises:
            StoreError: the disk fails.
        """
        while True:
            try:
                self.store.sync(self.running(now))
            except StoreFull:
                self._retry_at = now + RETRY
                self._is_full(now)
                if not self._make_room(now, self._worst(now)):
                    return  # what waits stays in memory and is tried again
            else:
                break
        self._since = None
        if self.full_since is not None:
            self.full_since = None
            self._said_full = False
            self._notes.append(f"the spool's disk was full and has room again; {self._dropped_words()}")
        self._bell.ring()

    def pop_notes(self, now: float) -> list[str]:
        """What is to be said of the spool, each once; nothing most of the time."""
        if self.dropped[Fate.UNSENT] > self._said_dropped[Fate.UNSENT] and now >= self._said_at + NOTE_PERIOD:
            self._said_at = now
            self._notes.append(f"blocks that never left were dropped from the spool; {self._dropped_words()}")
        out, self._notes = self._notes, []
        return out

    def running(self, now: float) -> float:
        """Running time, summed over starts [s]."""
        return self._ran_before + now - self._started

    def status(self) -> dict[str, Any]:
        """For the status file and the beats."""
        return {
            "bytes": self.store.size,
            "most_bytes": self._most,
            "keep_s": self._keep_s,
            **{f"dropped_{fate}": count for fate, count in self.dropped.items()},
            "waiting_bytes": self.store.waiting_bytes,
            "full": self.full_since is not None,
            **({} if self.free_bytes is None else {"free_bytes": self.free_bytes}),
            **({} if math.isinf(self.loses_s) else {"loses_s": int(self.loses_s)}),
            "damaged": damage.count(self.store.lost),
            "damaged_bytes": sum(one.size for one in self.store.damaged),
        }

    def close(self, now: float) -> None:
        """Sync and let go."""
        self.flush(now)
        self._write_note(now)
        self.store.note_index()
        self.store.close()
        self._bell.close()

    def _newest(self) -> bytes:
        """The stream that the spool ends with; empty where there is none."""
        for segment in reversed(self.store.segments):
            if segment.streams or segment.lost:
                return list(segment.streams or segment.lost)[-1]
        return b""

    def _look_for_damage(self) -> None:
        """Learn what the store lost and say it; what only the order of the blocks tells, the store learns here."""
        found = damage.lost(self.folder, self.store.damaged)
        for segment in self.store.segments:
            if numbers := found.get(segment.number):
                self.store.note_lost(segment, numbers)
        if self.store.unsure and self.store.segments:
            held: dict[bytes, Ranges] = {}
            for segment in self.store.segments:
                join(held, segment.streams)
                join(held, segment.lost)
            self.store.note_lost(self.store.current, cut_off(self.folder, held, self._newest()))
        self.store.take_back()
        lost = self.store.lost
        size = sum(one.size for one in self.store.damaged)
        if lost:
            which = f"{counted(damage.count(lost), 'block')} can never be sent again: {damage.words(lost)}"
            self._notes.append(f"the spool is damaged on its disk, {which}")
        elif size:
            known = any(segment.lost for segment in self.store.segments)
            which = "the blocks that stood there are kept twice" if known else "no block that stood there is known"
            self._notes.append(f"{size} bytes of the spool are damaged on its disk, {which}")
        for stream in self.store.unkept:
            self._notes.append(f"kept blocks of stream {stream.hex()} are damaged on the disk and stand nowhere else")

    def _retain(self, now: float) -> None:
        segments = self.store.segments
        fates = Fates.read(self.state)
        while len(segments) > 1 and self.running(now) - segments[1].born_s > self._keep_s:
            self._drop(segments[0], fates)
        while self.store.size > self._most:
            found = fates.first(segments[:-1], Fate.UNSENT)
            if found is None:
                break
            self._drop(found, fates)
        self._look_ahead(now, fates)

    def _look_ahead(self, now: float, fates: Fates) -> None:
        """What retention will do if all goes on like this."""
        try:
            told = os.statvfs(self.folder)
            self.free_bytes = told.f_bavail * told.f_frsize
        except OSError:
            self.free_bytes = None
        self._filling.look(self._taken_bytes, now)
        room = self._most - self.store.size
        self.loses_s = loses_s(
            self.store.segments,
            fates,
            repeated_after_s=self._repeated_after_s,
            running_s=self.running(now),
            keep_s=self._keep_s,
            room_bytes=room if self.free_bytes is None else min(room, self.free_bytes),
            rate=self._filling.rate(),
        )

    def _worst(self, now: float) -> Fate:
        """What may go for room: what never left only once nothing else helped for a while."""
        patient = self.full_since is not None and now < self.full_since + UNSENT_WAIT
        return Fate.SENT if patient and self.store.waiting_bytes < WAITING_MOST // 2 else Fate.UNSENT

    def _make_room(self, now: float, worst: Fate) -> bool:
        fates = Fates.read(self.state)
        found = fates.first(self.store.segments[:-1], worst)
        if found is not None:
            self._drop(found, fates)
            return True
        if fates.first([self.store.current], worst) is None or self.store.current.size < SEGMENT_LEAST // 4:
            return False
        gone = self.store.begin_anew(self.running(now))
        if gone is not None:
            self._count(gone, fates)
        return gone is not None

    def _drop(self, one: Segment, fates: Fates) -> None:
        self._count(self.store.drop(one), fates)

    def _count(self, gone: Segment, fates: Fates) -> None:
        for fate, blocks in fates.counts(gone).items():
            self.dropped[fate] += blocks
        kept = {stream for segment in self.store.segments for stream in segment.streams}
        for stream in set(gone.streams) - kept:
            self.store.forget(stream, leaves=False)

    def _is_full(self, now: float) -> None:
        if self.full_since is None:
            self.full_since = now
        if not self.room and not self._said_full:
            self._said_full = True
            self._notes.append("the spool's disk is full and memory too: samples are not kept from here on")

    def _dropped_words(self) -> str:
        """Blocks dropped since this was said last."""
        fresh = {fate: count - self._said_dropped[fate] for fate, count in self.dropped.items()}
        self._said_dropped = dict(self.dropped)
        return "dropped: " + ", ".join(f"{counted(count, 'block')} {fate}" for fate, count in fresh.items())

    def _write_note(self, now: float) -> bool:
        """False where the disk is full; a start after a crash then counts a little less running time."""
        path = self.folder / "note.json"
        note = _Note(self._boot, self.running(now), self.dropped)
        return attempt(path, lambda: statefile.write(path, statefile.pack(note.to_json())))


@dataclass(frozen=True, slots=True)
class _Note:
    """`spool/note.json`: what must outlive a start."""

    boot: int = 0
    ran_s: float = 0.0
    """Running time, summed over starts [s]."""
    dropped: Mapping[Fate, int] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        return {"boot": self.boot, "ran_s": self.ran_s, "dropped": dict(self.dropped)}

    @classmethod
    def from_json(cls, told: Mapping[str, Any]) -> _Note:
        boot, ran_s = int(told.get("boot", 0)), float(told.get("ran_s", 0.0))
        dropped = {fate: int(told.get("dropped", {}).get(fate, 0)) for fate in ORDER}
        if not (0 <= boot < 1 << 62 and 0 <= ran_s < math.inf and all(0 <= one < 1 << 62 for one in dropped.values())):
            raise ValueError("no counts")
        return cls(boot, ran_s, dropped)


def _newest_boot(folder: Path) -> int:
    """The highest start counter of the streams that are here, 0 where none tells it."""
    boots = [0]
    for stream in kept_streams(folder):
        for one in itertools.islice(scan_kinds(kept_path(folder, stream), (BlockKind.OPEN,)), 1):
            with contextlib.suppress(FrameError, *statefile.UNBELIEVED):
                boots.append(int(signed_body(one.block)["boot"]))
    return max(boots)


def _describe(folder: Path, stream: bytes, segments: Sequence[Segment]) -> Previous:
    """Last number and tree head of a stream: from its last HEAD on, so that old streams cost little."""
    tree, leaves = Tree(), read_leaves(folder, stream)
    for one in reversed(read_kept(folder, stream)):
        if one.block[3] == BlockKind.HEAD:
            head = evidence.read_head(signed_body(one.block))
            tree = Tree(head.previous, head.frontier)
            break
    both = (held for segment in segments for held in (segment.streams, segment.lost))
    last = max(held[stream].top for held in both if stream in held) - 1
    for number in range(tree.size, last + 1):
        tree.add(leaves[32 * number : 32 * number + 32].ljust(32, b"\0"))
    return Previous(stream=stream, last=last, root=tree.root())
