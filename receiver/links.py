"""Which link session the sender is in, and whether that is now or a recording. Pure: bytes and times in.

A LINK says the tag key of a session, once a second. It is judged in this order, cheapest first:

    the last one again      compared, counted, not verified
    length                  SHORT, LONG
    receiver, signer        KEY
    at or above its floor   FLOOR
    20 a second             RATE
    signature, sealed key   SIGNATURE

and then its session is the current one. The keys of the last two sessions are kept, for frames that were under way.
With several receivers every LINK reaches all of them: one for another receiver in a session that is known here is
verified once, so that it is counted as received (the sender counts it as sent), and is KEY else.

A receiver without floors cannot tell a recording by its order. Then a session is unconfirmed until a beat's wall
clock is within 24 hours of ours, or a person confirms it; its data are journaled meanwhile.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import replace

from protocol.announce import check_link, open_link, read_link
from protocol.beat import Beat, BeatTag
from protocol.errors import FrameError, Reason
from protocol.frame import ProbeTag, ShardTag
from protocol.keys import PrivateKey, PublicKey
from protocol.limits import LINK_CHECKS, UNCONFIRMED_S
from receiver.floors import Floors, Order

SESSIONS_KEPT = 2
"""Sessions whose keys are kept: the current one and the one before."""

OTHERS_KEPT = 3
"""LINKs for other receivers that are remembered; at most four receivers share a link."""


class Session:
    """One session: its tags, and what was received of it beside what was sent."""

    def __init__(self, number: int, key: bytes) -> None:
        """
        Args:
            number: Its number in the frames.
            key: The link key, 32 bytes.
        """
        self.number = number
        self.tags: dict[bytes, ShardTag] = {}
        """By stream; only of streams of which an authentic frame came."""
        self.beat = BeatTag(key, number)
        self.probe = ProbeTag(key, number)
        self.received = 0
        """Authentic frames received, repeats and doubles included."""
        self.sent = 0
        """Frames sent, as the last beat said; 0 before one came."""
        self.loss = 0.0
        """Part of the frames lost between the last two beats, 0 to 1."""
        self.compared: Order = (0, 0)
        """(sent, received) between the first and the last beat: what the loss in all is counted from."""
        self._key = key
        self._first: Order | None = None
        self._last: Order = (0, 0)

    def tag_for(self, stream: bytes) -> ShardTag:
        """The tag of a stream that is not in `tags` yet."""
        return ShardTag(self._key, self.number, stream)

    def same_key(self, key: bytes) -> bool:
        """Whether it is this session's key."""
        return key == self._key

    def hear(self, sent: int) -> None:
        """Compare with the totals of a beat that was counted as received already."""
        now = (sent, self.received)
        if self._first is None:
            self._first = now
        elif sent > self._last[0]:
            self.loss = _loss(sent - self._last[0], self.received - self._last[1])
        self._last = now
        self.sent = sent
        self.compared = (sent - self._first[0], self.received - self._first[1])


class Links:
    """The sessions that are known, and the floors."""

    def __init__(self, own: PrivateKey, signers: Iterable[PublicKey], floors: Floors) -> None:
        """
        Args:
            own: The catch key.
            signers: Public keys that are believed; those that are no link-sign keys are left out.
            floors: Of the last run.
        """
        self.sessions: dict[int, Session] = {}
        """By number, oldest first, at most two."""
        self.current: Session | None = None
        """The newest."""
        self.floors = floors
        """As of now; replaced as a whole, so that another thread may read it."""
        self.refused_below: int | None = None
        """The session of the last authentic-looking LINK below the floor, None where the current one is newer."""
        self._own = own
        self._signers = {key.id: key for key in signers if key.kind == "link-sign"}
        self._last = b""
        self._others: dict[bytes, bytes] = {}
        self._checks: deque[float] = deque(maxlen=LINK_CHECKS)
        self._retired = [0, 0, 0, 0]  # sent, received, compared sent, compared received

    def take_link(self, datagram: bytes, now: float) -> Session | None:
        """Judge a LINK.

        Args:
            now: Monotonic time [s].

        Returns:
            The session that it opened, None where it said nothing new.

        Raises:
            FrameError: with the reason for which it was refused.
        """
        if datagram == self._last:
            self.refused_below = None
            self._count()
            return None
        link = read_link(datagram)
        if link.receiver != self._own.public.id:
            self._for_another(datagram, link.receiver, link.session, now)
            return None
        if link.signer not in self._signers:
            raise FrameError(Reason.KEY, size=len(datagram))
        if self.floors.link is not None and link.order < self.floors.link:
            self.refused_below = link.session
            raise FrameError(Reason.FLOOR, size=len(datagram))
        self._limit(len(datagram), now)
        key = open_link(datagram, self._signers, self._own)
        self._last = datagram
        self._others.clear()
        self.refused_below = None
        self.floors = replace(self.floors, link=link.order)
        known = self.sessions.get(link.session)
        if known is not None and known.same_key(key):
            known.received += 1
            return None
        return self._open(Session(link.session, key))

    def take_beat(self, datagram: bytes, session: Session, wall_ns: int) -> Beat:
        """Judge a BEAT of a known session.

        Args:
            wall_ns: Our wall clock [ns since 1970 UTC].

        Raises:
            FrameError: SHORT, TAG, BODY or FLOOR.
        """
        beat = session.beat.read(datagram)
        session.received += 1
        if self.floors.beat is not None and beat.order <= self.floors.beat:
            raise FrameError(Reason.FLOOR, size=len(datagram))
        near = abs(beat.wall_ns - wall_ns) <= UNCONFIRMED_S * 10**9
        self.floors = replace(self.floors, beat=beat.order, confirmed=self.floors.confirmed or near)
        session.hear(beat.frames)
        return beat

    def accept(self, session: int) -> bool:
        """A person confirms a session; False where it is not the current one."""
        if self.current is None or self.current.number != session:
            return False
        self.floors = replace(self.floors, confirmed=True)
        return True

    def lower(self) -> None:
        """A person forgets the floors: the next LINK is taken, and judged as by a receiver that has none."""
        self.floors = Floors()
        self.refused_below = None
        self._last = b""

    def totals(self) -> tuple[int, int, float]:
        """(frames sent, as beats said, frames received, part lost between beats) over all sessions seen."""
        sums = list(self._retired)
        for one in self.sessions.values():
            for at, value in enumerate((one.sent, one.received, *one.compared)):
                sums[at] += value
        return sums[0], sums[1], _loss(sums[2], sums[3])

    def _open(self, session: Session) -> Session:
        session.received = 1
        self._retire(self.sessions.pop(session.number, None))
        while len(self.sessions) >= SESSIONS_KEPT:
            self._retire(self.sessions.pop(next(iter(self.sessions))))
        self.sessions[session.number] = session
        self.current = session
        return session

    def _retire(self, gone: Session | None) -> None:
        if gone is not None:
            for at, value in enumerate((gone.sent, gone.received, *gone.compared)):
                self._retired[at] += value

    def _for_another(self, datagram: bytes, receiver: bytes, number: int, now: float) -> None:
        if self._others.get(receiver) != datagram:
            if self.current is None or self.current.number != number or len(self._others) >= OTHERS_KEPT:
                raise FrameError(Reason.KEY, size=len(datagram))
            self._limit(len(datagram), now)
            check_link(datagram, self._signers)
            self._others[receiver] = datagram
        self._count()

    def _count(self) -> None:
        if self.current is not None:
            self.current.received += 1

    def _limit(self, size: int, now: float) -> None:
        if len(self._checks) == LINK_CHECKS and now - self._checks[0] < 1.0:
            raise FrameError(Reason.RATE, size=size)
        self._checks.append(now)


def _loss(sent: int, received: int) -> float:
    """Part lost; doubled frames on the way never make it negative."""
    return min(1.0, max(0.0, 1 - received / sent)) if sent > 0 else 0.0
