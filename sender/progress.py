"""What the emitter must remember over a restart: `state/emit.json`, rewritten once a second.

    boot      start counter, rising
    new       [segment, offset]: everything before it, but for `backlog`, had its first sending, spares included
    mark      [segment, offset, hash]: a block before it; a spool that was restored and went on differently has another
    backlog   stretches that had none
    repeats   stage, age, stretch: repeats still to come
    finished  ranges a stream, for the beats
    errand    name, position, blocks sent: what a person asked for and how much of it has left (errand.py, desk.py)

A restart takes what came since `new` as backlog and begins with what is new. Where the mark is not found, nothing
here is believed and the whole spool is sent again: doubled frames cost only time, the receiver knows each number.
A full disk leaves the file as it was: a restart then sends more than it must.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from protocol import statefile
from protocol.errors import HeldError, StoreError
from protocol.ranges import Ranges
from protocol.segments import START, Place, Reader
from sender.emit import Emitter
from sender.interleave import Mark


class Progress:
    """Keeper of `emit.json`; holding it is holding the outlet."""

    def __init__(self, state: Path) -> None:
        """
        Args:
            state: The state folder.

        Raises:
            HeldError: another emitter has the outlet.
        """
        self._path = state / "emit.json"
        self.full = False
        """The disk had no room for it at the last `save`."""
        state.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(state / "emit.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HeldError(f"{self._path} is held by another emitter") from None
        self._held = self._read()

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        boot = max(int(self._held.get("boot", 0)) + 1, wall_ns // 1000)
        self._held["boot"] = boot
        self._write()
        return boot

    def resume(self, emitter: Emitter, spool: Path, now: float) -> bool:
        """Put the emitter where the last one stopped; False where the whole spool is backlog."""
        emitter.kept.refresh()
        end = emitter.reader.end()
        emitter.reader.place = end
        if end == START:
            return True
        emitter.mark = emitter.kept.look_through(end)
        emitter.carousel.resume(now)
        try:
            new, mark = Place(*self._held["new"]), _mark(self._held["mark"])
            believed = new <= end and _holds(spool, mark)
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
        return True

    def errand(self) -> dict[str, Any]:
        """The errand that was under way and how far, as `Desk.note` gave it; empty where there was none."""
        held = self._held.get("errand")
        return dict(held) if isinstance(held, dict) else {}

    def save(self, emitter: Emitter, now: float, errand: Mapping[str, Any] | None = None) -> None:
        """Note how far it is.

        Args:
            errand: As the method of that name gives it back.
        """
        place, mark = emitter.settled()
        kept = set(emitter.kept.streams())
        for gone in set(emitter.finished) - kept:
            del emitter.finished[gone]
        self._held = {
            "boot": emitter.boot,
            "new": list(place),
            "mark": None if mark is None else [*mark.place, mark.digest.hex()],
            "backlog": [[*start, *end] for start, end in emitter.unsent()],
            "repeats": emitter.repeats.to_json(now),
            "finished": {key.hex(): list(held) for key, held in emitter.finished.items()},
            "errand": dict(errand or {}),
        }
        self._write()

    def close(self) -> None:
        """Let the outlet go."""
        os.close(self._lock)

    @staticmethod
    def held_by_another(state: Path) -> bool:
        """Whether an emitter runs: its lock is held."""
        try:
            lock = os.open(state / "emit.lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def _read(self) -> dict[str, Any]:
        try:
            held = json.loads(self._path.read_text())
            return held if isinstance(held, dict) else {}
        except (OSError, ValueError):
            return {}

    def _write(self) -> None:
        try:
            statefile.write(self._path, json.dumps(self._held).encode())
            self.full = False
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise StoreError(f"{self._path}: {error}") from error
            self.full = True
            self._path.with_name(self._path.name + ".new").unlink(missing_ok=True)


def _mark(held: list[Any] | None) -> Mark | None:
    return None if held is None else Mark(Place(int(held[0]), int(held[1])), bytes.fromhex(held[2]))


def _holds(spool: Path, mark: Mark | None) -> bool:
    """Whether the block of the mark stands where it stood."""
    if mark is None:
        return True
    reader = Reader(spool)
    try:
        return reader.at(mark.place).digest == mark.digest
    except StoreError:
        return False
    finally:
        reader.close()
