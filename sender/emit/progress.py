"""What the emitter must remember over a restart: `state/emit.json`, rewritten once a second.

    boot      start counter, rising
    new       [segment, offset]: everything before it, but for `backlog`, had its first sending, spares included
    mark      [segment, offset, hash]: a block before it; a spool that was restored and went on differently has another
    backlog   stretches that had none
    repeats   stage, age, stretch: repeats still to come
    finished  ranges a stream, for the beats
    errand    name, position, blocks sent: what a person asked for and how much of it has left (errand_runner.py)

A restart takes what came since `new` as backlog and begins with what is new. Where another block stands at the mark, or
the file is damaged, nothing here is believed and the whole spool is sent again: doubled frames cost only time, the
receiver knows each number. A full disk leaves the file as it was: a restart then sends more than it must.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from protocol.errors import HeldError, StoreError
from protocol.process.full_disk import attempt
from protocol.ranges import Ranges
from protocol.store import statefile
from protocol.store.layout import segment_path
from protocol.store.reader import Reader
from protocol.store.resync import START, scan_pieces
from sender.emit.emitter import Emitter
from sender.store.noted import Noted
from sender.store.spans import Mark

LOCK = "emit.lock"
"""In the state folder: held by the emitter as long as it runs."""


class Progress:
    """Keeper of `emit.json`; holding it is holding the outlet."""

    def __init__(self, state: Path, *, wall_ns: int = 0) -> None:
        """
        Args:
            state: The state folder.
            wall_ns: Wall time, for the name of a damaged file [ns since 1970 UTC].

        Raises:
            HeldError: another emitter has the outlet.
        """
        self._path = state / "emit.json"
        self.troubles: list[str] = []
        """What was wrong with the file at the start, in words."""
        self.full = False
        """The disk had no room for it at the last `save`."""
        state.mkdir(parents=True, exist_ok=True)
        self._lock = os.open(state / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise HeldError(f"{self._path} is held by another emitter") from None
        self._noted = statefile.load(self._path, Noted.from_json, self.troubles.append, wall_ns=wall_ns) or Noted()

    def next_boot(self, wall_ns: int) -> int:
        """A start counter above all before it: max(stored + 1, unix microseconds); stored before it is used."""
        boot = max(self._noted.boot + 1, wall_ns // 1000)
        self._noted = replace(self._noted, boot=boot)
        self._write()
        return boot

    def resume(self, emitter: Emitter, spool: Path, now: float) -> bool:
        """Put the emitter where the last one stopped; False where the whole spool is backlog.

        Where the end of the spool cannot be known, the emitter does it itself as soon as it can.
        """
        emitter.index.refresh()
        end = emitter.reader.end()
        emitter.reader.place = end
        emitter.later = None
        if end == START:
            if emitter.reader.trouble:
                emitter.later = lambda now: self.resume(emitter, spool, now)
            return True
        noted = self._noted
        if noted.new is None or noted.new > end or not _holds(spool, noted.mark):
            emitter.begin_anew(
                "it is another one than emit.json tells of" if noted.new is not None else "".join(self.troubles[:1])
            )
            emitter.carousel.resume(now)
            return False
        emitter.mark = emitter.index.look_through(end)
        emitter.carousel.resume(now)
        emitter.backlog = [*noted.backlog, (noted.new, end)] if noted.new < end else list(noted.backlog)
        emitter.finished = {stream: Ranges(held) for stream, held in noted.finished.items()}
        emitter.repeats.restore(noted.repeats, now)
        return True

    def errand(self) -> dict[str, Any]:
        """The errand that was under way and how far, as `ErrandRunner.note` gave it; empty where there was none."""
        return dict(self._noted.errand)

    def save(self, emitter: Emitter, now: float, errand: Mapping[str, Any] | None = None) -> None:
        """Note how far it is.

        Args:
            errand: As the method of that name gives it back.
        """
        if emitter.later is not None:
            return  # it knows less than the file
        place, mark = emitter.settled()
        kept = set(emitter.index.streams())
        for gone in set(emitter.finished) - kept:
            del emitter.finished[gone]
        self._noted = Noted(
            boot=emitter.boot,
            new=place,
            mark=mark,
            backlog=emitter.unsent(),
            repeats=emitter.repeats.to_json(now),
            finished=emitter.finished,
            errand=dict(errand or {}),
        )
        self._write()

    def close(self) -> None:
        """Let the outlet go."""
        os.close(self._lock)

    def _write(self) -> None:
        noted = statefile.pack(self._noted.to_json())
        self.full = not attempt(self._path, lambda: statefile.write(self._path, noted))


def _holds(spool: Path, mark: Mark | None) -> bool:
    """Whether the block of the mark stands where it stood; where it is damaged, nothing speaks against it."""
    if mark is None:
        return True
    reader = Reader(spool)
    try:
        return reader.at(mark.place).digest == mark.digest
    except StoreError:
        segment, offset = mark.place
        pieces = scan_pieces(segment_path(spool, segment))
        return any(piece.record is None and piece.start <= offset < piece.end for piece in pieces)
    finally:
        reader.close()
