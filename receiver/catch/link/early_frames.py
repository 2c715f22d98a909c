"""Frames of sessions whose LINK has not come yet: a ring of 32 MiB, the oldest go first. Pure.

At the start of a session, or of this process, frames may be here before the key that judges them; nothing about them
can be believed, not even that they are of one sender. So no session holds a place: each frame waits for ten seconds,
less where so many come that the ring is full, and whoever sends frames of invented sessions only makes it shorter.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from protocol.errors import Reason
from protocol.limits import UNKNOWN_BYTES

WAIT_S = 10.0
"""A frame that waited this long is given up [s]: its LINK was due ten times."""

_OBJECT = 160
"""What a kept frame costs besides its bytes [bytes], measured: a bytes object, its time and session, its place."""


class EarlyFrames:
    """The ring of frames that came before their LINK."""

    def __init__(self, refused: Counter[Reason], most_bytes: int = UNKNOWN_BYTES) -> None:
        """
        Args:
            refused: Counts what is given up: FULL, or SESSION where no LINK came for it.
            most_bytes: Size of the ring [bytes].
        """
        self._refused = refused
        self._most = most_bytes
        self._frames: deque[tuple[float, int, bytes]] = deque()
        self._size = 0

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    def oldest(self) -> tuple[float, int] | None:
        """(when it came [s, monotonic], session) of the frame that waits longest."""
        return self._frames[0][:2] if self._frames else None

    def keep(self, session: int, datagram: bytes | memoryview, now: float) -> None:
        """Keep a frame."""
        self._frames.append((now, session, bytes(datagram)))
        self._size += len(datagram) + _OBJECT
        while self._size > self._most:
            self._drop(Reason.FULL)

    def pop(self, session: int) -> Iterator[bytes]:
        """The frames of a session whose LINK came, oldest first; each is gone when the next is asked for."""
        frames = deque(frame for _, number, frame in self._frames if number == session)
        self._frames = deque(entry for entry in self._frames if entry[1] != session)
        self._size -= sum(len(frame) + _OBJECT for frame in frames)
        while frames:
            yield frames.popleft()

    def tick(self, now: float) -> None:
        """Give up what waited too long."""
        while self._frames and now >= self._frames[0][0] + WAIT_S:
            self._drop(Reason.SESSION)

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        return self._frames[0][0] + WAIT_S if self._frames else None

    def _drop(self, reason: Reason) -> None:
        self._size -= len(self._frames.popleft()[2]) + _OBJECT
        self._refused[reason] += 1
