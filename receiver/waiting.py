"""Frames of one session whose LINK has not come yet: a ring of 32 MiB, the oldest go first. Pure.

At the start of a session, or of this process, frames may be here before the key that judges them; nothing about them
can be believed. So there is one such session at a time, and it holds its place only while its frames keep coming: who
sends frames of invented sessions can make a receiver miss the first second of a session, and no more.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Iterator

from protocol.errors import Reason
from protocol.limits import UNKNOWN_BYTES

QUIET_S = 3.0
"""A session that was silent this long gives its place up [s]: a LINK comes every second, so its own was due thrice."""

_OBJECT = 80
"""What a kept frame costs besides its bytes [bytes], measured: a bytes object and its place in the ring."""


class Waiting:
    """The ring."""

    def __init__(self, refused: Counter[Reason], most_bytes: int = UNKNOWN_BYTES) -> None:
        """
        Args:
            refused: Counts what is given up: FULL, or SESSION where no LINK came for it.
            most_bytes: Size of the ring [bytes].
        """
        self.session: int | None = None
        """The one session whose frames wait."""
        self.since = 0.0
        """When its first frame came [s, monotonic]."""
        self._refused = refused
        self._most = most_bytes
        self._frames: deque[bytes] = deque()
        self._size = 0
        self._heard = 0.0

    def __len__(self) -> int:
        """Frames that wait."""
        return len(self._frames)

    def keep(self, session: int, datagram: bytes | memoryview, now: float) -> None:
        """Keep a frame, or count it as refused where another session has the ring."""
        if self.session is None:
            self.session, self.since = session, now
        if session != self.session:
            self._refused[Reason.SESSION] += 1
            return
        self._heard = now
        self._frames.append(bytes(datagram))
        self._size += len(datagram) + _OBJECT
        while self._size > self._most:
            self._size -= len(self._frames.popleft()) + _OBJECT
            self._refused[Reason.FULL] += 1

    def take(self, session: int) -> Iterator[bytes]:
        """The frames of a session whose LINK came, oldest first; each is gone when the next is asked for."""
        while session == self.session and self._frames:
            frame = self._frames.popleft()
            self._size -= len(frame) + _OBJECT
            yield frame
        if session == self.session:
            self.session = None

    def tick(self, now: float) -> None:
        """Give a silent session up."""
        if self.session is not None and now >= self._heard + QUIET_S:
            self._refused[Reason.SESSION] += len(self._frames)
            self._frames.clear()
            self._size = 0
            self.session = None

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        return None if self.session is None else self._heard + QUIET_S
