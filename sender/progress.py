"""What the emitter must remember over a restart: `state/emit.json`, rewritten once a second.

    boot      start counter, rising
    new       [segment, offset]: everything before it, but for `backlog`, had its first sending, spares included
    mark      hash of the block that ends there: a spool that was restored and went on differently does not have it
    backlog   stretches that had none
    repeats   stage, age, stretch: repeats still to come
    finished  ranges a stream, for the beats

A restart takes what came since `new` as backlog and begins with what is new. Where the mark is not found, nothing
here is believed and the whole spool is sent again: doubled frames cost only time, the receiver knows each number.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections import deque
from pathlib import Path
from typing import Any

from protocol.errors import HeldError
from protocol.ranges import Ranges
from protocol.segments import START, Place, Reader, write_file
from sender.emit import Emitter


class Progress:
    """Keeper of `emit.json`; holding it is holding the outlet."""

    def __init__(self, state: Path, *, settle_s: float) -> None:
        """
        Args:
            state: The state folder.
            settle_s: A block's spares have left this long after its data [s].

        Raises:
            HeldError: another emitter has the outlet.
        """
        self._path = state / "emit.json"
        self._settle = settle_s
        state.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(state / "emit.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HeldError(f"{self._path} is held by another emitter") from None
        self._held = self._read()
        self._trail: deque[tuple[float, Place, bytes]] = deque()

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        boot = max(int(self._held.get("boot", 0)) + 1, wall_ns // 1000)
        self._held["boot"] = boot
        write_file(self._path, json.dumps(self._held).encode())
        return boot

    def resume(self, emitter: Emitter, spool: Path, now: float) -> bool:
        """Put the emitter where the last one stopped; False where the whole spool is backlog."""
        emitter.kept.refresh()
        end = emitter.reader.end()
        emitter.reader.place = end
        if end == START:
            return True
        try:
            new, mark = Place(*self._held["new"]), bytes.fromhex(self._held["mark"])
            believed = new <= end and _ends_with(spool, new, mark)
            backlog = [(Place(a, b), Place(c, d)) for a, b, c, d in self._held["backlog"]]
            finished = {
                bytes.fromhex(key): Ranges((a, b) for a, b in held) for key, held in self._held["finished"].items()
            }
            repeats = self._held["repeats"]
        except (KeyError, TypeError, ValueError):
            believed = False
        if not believed:
            emitter.backlog = [(START, end)]
            return False
        emitter.backlog = [*backlog, (new, end)] if new < end else backlog
        emitter.finished = finished
        emitter.repeats.restore(repeats, now)
        emitter.mark = mark
        for stream in emitter.kept.streams()[-1:] or list(finished)[-1:]:
            emitter.carousel.resume(stream, now)
        for stream, held in finished.items():
            for first, after in held:
                emitter.kept.note(new.segment, stream, first)
                emitter.kept.note(new.segment, stream, after - 1)
        return True

    def save(self, emitter: Emitter, now: float) -> None:
        """Note how far it is."""
        self._trail.append((now, emitter.reader.place, emitter.mark))
        if emitter.idle():
            self._trail = deque([self._trail[-1]])
        while len(self._trail) > 1 and self._trail[1][0] <= now - self._settle:
            self._trail.popleft()
        _, place, mark = self._trail[0]
        stretches = [*emitter.backlog, *([emitter.taking] if emitter.taking else [])]
        kept = set(emitter.kept.streams())
        for gone in set(emitter.finished) - kept:
            del emitter.finished[gone]
        self._held = {
            "boot": emitter.boot,
            "new": list(place),
            "mark": mark.hex(),
            "backlog": [[*start, *end] for start, end in stretches],
            "repeats": emitter.repeats.to_json(now),
            "finished": {key.hex(): list(held) for key, held in emitter.finished.items()},
        }
        write_file(self._path, json.dumps(self._held).encode())

    def close(self) -> None:
        """Let the outlet go."""
        os.close(self._lock)

    def _read(self) -> dict[str, Any]:
        try:
            held = json.loads(self._path.read_text())
            return held if isinstance(held, dict) else {}
        except (OSError, ValueError):
            return {}


def _ends_with(spool: Path, place: Place, mark: bytes) -> bool:
    """Whether a block with that hash ends exactly at `place`."""
    if place == START or place.offset == 0:
        return not mark
    reader = Reader(spool, Place(place.segment, 0))
    try:
        last = b""
        while records := reader.read(256, place):
            if reader.place.segment != place.segment:
                return False
            last = records[-1].digest
        return reader.place == place and last == mark
    finally:
        reader.close()
