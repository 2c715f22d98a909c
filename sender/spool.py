"""The spool: what was read, sealed and numbered, on the disk before anything of it leaves.

A group of blocks is written and synced every 20 ms or 1 MiB, then the doorbell rings. Retention unlinks whole
segments, oldest first, once they are older than `keep` (in running time, summed over starts: a wall clock that jumps
deletes nothing) or the spool is larger than `max_gb`. What was dropped before it had been sent is counted apart. A
full disk drops the oldest segment and goes on: live data are worth more than old ones.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from protocol import evidence
from protocol.block import Kind
from protocol.evidence import Tree
from protocol.journal import Segment, Store, StoreFull
from protocol.limits import GROUP_SYNC_BYTES, GROUP_SYNC_S
from protocol.record import Record
from protocol.seal import signed_body
from protocol.segments import Place, read_kept, read_leaves, write_file
from sender.pack import Previous

TIDY_PERIOD = 10.0
"""Period of retention and of noting the running time [s]."""


class Spool:
    """The writer's side; one at a time."""

    def __init__(self, state: Path, *, keep_s: float, most_bytes: int, now: float) -> None:
        """
        Args:
            state: The state folder; the store is `state/spool`.
            keep_s: Longest time a block is kept, in running time [s].
            most_bytes: Largest size [bytes].
            now: Monotonic time [s].

        Raises:
            StoreError: held by another poller, or the disk fails.
        """
        self.state = state
        self.folder = state / "spool"
        self.store = Store(self.folder)
        self.dropped_sent = 0
        """Blocks that retention took after their first sending."""
        self.dropped_unsent = 0
        """Blocks that retention took before it: lost for good."""
        self.full = False
        """The disk was full at the last sync."""
        self._keep_s, self._most = keep_s, most_bytes
        self._since: float | None = None
        self._tidy_at = now + TIDY_PERIOD
        note = self._read_note()
        self._ran_before, self._boot = float(note.get("ran_s", 0.0)), int(note.get("boot", 0))
        self._started = now
        self._bell = _make_bell(state / "doorbell")

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        self._boot = max(self._boot + 1, wall_ns // 1000)
        self._write_note(self._started)
        return self._boot

    def previous(self) -> Previous | None:
        """The newest stream of the spool, and the head of its tree."""
        for segment in reversed(self.store.segments):
            if segment.streams:
                stream = list(segment.streams)[-1]
                return _describe(self.folder, stream, segment)
        return None

    def append(self, one: Record) -> None:
        """Take a block; it is safe once `tick` or `flush` has synced it."""
        self.store.append(one)

    def tick(self, now: float) -> None:
        """Sync the group when it is due, tidy when that is due.

        Raises:
            StoreError: the disk fails.
        """
        if self.store.waiting_bytes:
            if self._since is None:
                self._since = now
            if now >= self._since + GROUP_SYNC_S or self.store.waiting_bytes >= GROUP_SYNC_BYTES:
                self.flush(now)
        if now >= self._tidy_at:
            self._tidy_at = now + TIDY_PERIOD
            self._write_note(now)
            self._retain(now)

    def deadline(self, now: float) -> float:
        """When to call `tick` next [s]."""
        if self.store.waiting_bytes:
            return now if self._since is None else self._since + GROUP_SYNC_S
        return self._tidy_at

    def flush(self, now: float) -> None:
        """Sync what waits, making room where the disk is full, then ring the doorbell."""
        while True:
            try:
                self.store.sync(self.running(now))
                self.full = False
                break
            except StoreFull:
                self.full = True
                if not self._drop():
                    return  # nothing left to drop: what waits stays in memory and is tried again
        self._since = None
        self._ring()

    def running(self, now: float) -> float:
        """Running time, summed over starts [s]."""
        return self._ran_before + now - self._started

    def status(self) -> dict[str, Any]:
        """For the status file and the beats."""
        return {
            "bytes": self.store.size,
            "keep_s": self._keep_s,
            "dropped_sent": self.dropped_sent,
            "dropped_unsent": self.dropped_unsent,
            "full": self.full,
        }

    def close(self, now: float) -> None:
        """Sync and let go."""
        self.flush(now)
        self._write_note(now)
        self.store.close()
        if self._bell is not None:
            os.close(self._bell)

    def _retain(self, now: float) -> None:
        segments = self.store.segments
        while len(segments) > 1 and (
            self.store.size > self._most or self.running(now) - segments[1].born_s > self._keep_s
        ):
            if not self._drop():
                break

    def _drop(self) -> bool:
        gone = self.store.drop_oldest()
        if gone is None:
            return False
        blocks = sum(held.count for held in gone.streams.values())
        if Place(gone.number + 1, 0) <= self._sent_up_to():
            self.dropped_sent += blocks
        else:
            self.dropped_unsent += blocks
        kept = {stream for segment in self.store.segments for stream in segment.streams}
        for stream in set(gone.streams) - kept:
            self.store.forget(stream, leaves=False)
        return True

    def _sent_up_to(self) -> Place:
        """Below this everything had its first sending, as the emitter last noted."""
        try:
            held = json.loads((self.state / "emit.json").read_text())
            return min(Place(*held["new"]), *(Place(*part[:2]) for part in held["backlog"]), Place(2**62, 0))
        except (OSError, ValueError, KeyError, TypeError):
            return Place(0, 0)

    def _read_note(self) -> dict[str, Any]:
        try:
            held = json.loads((self.folder / "note.json").read_text())
            return held if isinstance(held, dict) else {}
        except (OSError, ValueError):
            return {}

    def _write_note(self, now: float) -> None:
        note = {"boot": self._boot, "ran_s": self.running(now)}
        write_file(self.folder / "note.json", json.dumps(note).encode())

    def _ring(self) -> None:
        if self._bell is not None:
            try:
                os.write(self._bell, b"!")
            except OSError:
                return  # nobody listens, or it rings already: the reader looks every 20 ms anyway


def _make_bell(path: Path) -> int | None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.exists():
            os.mkfifo(path, 0o660)
        return os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return None


def _describe(folder: Path, stream: bytes, newest: Segment) -> Previous:
    """Last number and tree head of a stream: from its last HEAD on, so that old streams cost little."""
    tree, leaves = Tree(), read_leaves(folder, stream)
    for one in reversed(read_kept(folder, stream)):
        if one.block[3] == Kind.HEAD:
            head = evidence.read_head(signed_body(one.block))
            tree = Tree(head.previous, head.frontier)
            break
    last = newest.streams[stream].top - 1
    for number in range(tree.size, last + 1):
        tree.add(leaves[32 * number : 32 * number + 32])
    return Previous(stream=stream, last=last, root=tree.root())
