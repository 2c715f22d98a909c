"""LINK and BEAT: what the emitter says of itself, each every second, and the link sessions that this is about.

A session's LINK is said FIRST_LINKS times before any other frame of it: whoever asks `next` first hands those out
first. A BEAT is made when it leaves, so that its totals are true then.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from sender.emit.interleave import Parcel
from sender.emit.link_session import LinkSession, LinkTerms

BEAT_PERIOD = 1.0
"""A BEAT leaves this often [s]."""
LINK_PERIOD = 1.0
"""A LINK leaves this often [s]."""
FIRST_LINKS = 3
"""LINKs before the first frame of a session: at 5 % loss all three are lost once in 8,000 starts."""


class LinkControl:
    """LINK, BEAT and the link session of one emitter."""

    def __init__(self, link: LinkTerms, beat: Callable[[LinkSession, int], bytes], now: float) -> None:
        """
        Args:
            link: Of the emitter.
            beat: Makes the BEAT of a session with this counter.
            now: Monotonic time [s].
        """
        self._link, self._beat = link, beat
        self._waiting: deque[Parcel | None] = deque()  # None: a BEAT
        self._sessions = self._beats = 0
        self.renew(now)
        self._beat_at, self._link_at = now, now + LINK_PERIOD

    def renew(self, now: float) -> None:
        """Begin the next session."""
        self.session = LinkSession(self._link, self._sessions, now)
        """The present one."""
        self._sessions += 1
        for _ in range(FIRST_LINKS):
            self._say_link()

    def next(self, now: float) -> Parcel | None:
        """The LINK or BEAT that is due."""
        if now >= self._link_at:
            self._link_at = max(self._link_at + LINK_PERIOD, now)
            self._say_link()
        if now >= self._beat_at:
            self._beat_at = max(self._beat_at + BEAT_PERIOD, now)
            self._waiting.append(None)
        if not self._waiting:
            return None
        return self._waiting.popleft() or self._next_beat()

    def deadline(self) -> float:
        """When `next` has something, monotonic [s]."""
        return min(self._beat_at, self._link_at)

    def left(self, parcel: Parcel) -> None:
        """Count what left; frames that were made before the key was renewed are no more this session's."""
        if parcel.frames[4:8] == self.session.number.to_bytes(4, "big"):
            self.session.sent(parcel.count, len(parcel.frames))

    def _say_link(self) -> None:
        self._waiting += (Parcel(memoryview(link), len(link)) for link in self.session.links)

    def _next_beat(self) -> Parcel:
        frame = self._beat(self.session, self._beats)
        self._beats += 1
        return Parcel(memoryview(frame), len(frame))
