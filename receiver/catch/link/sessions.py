"""Which link session the sender is in, and whether that is now or a recording. Pure: bytes and times in.

A LINK says the tag key of a session, once a second. It is judged in this order, cheapest first:

    the last one again      compared, counted, not verified
    length                  SHORT, LONG
    one known to be false   SIGNATURE
    signer                  KEY
    receiver                RECEIVER
    at or above its floor   FLOOR
    its turn                RATE where there are too many: draw.py
    signature, sealed key   SIGNATURE

and then its session is the current one. The keys of the last two sessions are kept, for frames that were under way.
With several receivers every LINK reaches all of them: one for another receiver in the present session is verified
once, so that it is counted as received (the sender counts it as sent). In any other session one a second is verified,
and only what the sender made is RECEIVER: where such come and none for this receiver does, its key is not in the
sender's list. RATE are those beyond.

What a person is advised rests on signed bytes alone: of LINKs below the floor one a second is verified, and only one
that the sender made is told (`old`). It may still be a recording; that is for a person to judge.

A receiver without floors cannot tell a recording by its order. Then a session is unconfirmed until a beat's wall
clock is within 24 hours of ours, or a person confirms it; its data are journaled meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from random import Random
from typing import NamedTuple, TypeVar

from protocol.errors import FrameError, Reason
from protocol.keys import PrivateKey, PublicKey
from protocol.limits import UNCONFIRMED_S
from protocol.wire.announce import Link, check_link, open_link, read_link
from protocol.wire.beat import Beat
from receiver.catch.link.draw import Draw, RateLimit
from receiver.catch.link.heard_session import HeardSession, loss
from receiver.catch.store.floors import LOWERED_MOST, Floors

SESSIONS_KEPT = 2
"""Sessions whose keys are kept: the current one and the one before."""

OTHERS_CHECKS, OLD_CHECKS = 4, 1
"""LINKs for other receivers, and of sessions that are not the present one, that are verified in a second: they open
nothing."""

_Verified = TypeVar("_Verified")


class OldLink(NamedTuple):
    """A LINK that the sender made, below the floor."""

    session: int
    heard: float
    """When it came last [s, monotonic]."""


class Sessions:
    """The sessions that are known, and the floors."""

    def __init__(self, own: PrivateKey, signers: Iterable[PublicKey], floors: Floors, chance: Random) -> None:
        """
        Args:
            own: The catch key.
            signers: Public keys that are believed; those that are no link-sign keys are left out.
            floors: Of the last run.
            chance: Draws among LINKs in a flood; seeded so that nobody outside knows.
        """
        self.known: dict[int, HeardSession] = {}
        """By number, oldest first, at most two."""
        self.current: HeardSession | None = None
        """The session that the last believed LINK named."""
        self.floors = floors
        """As of now; replaced as a whole, so that another thread may read it."""
        self.old: OldLink | None = None
        """The last one that was verified since the current one was opened."""
        self.draw = Draw(chance)
        """LINKs whose turn to be verified may come."""
        self._own = own
        self._signers = {key.id: key for key in signers if key.kind == "link-sign"}
        self._last = b""
        self._last_old = b""
        self._others: dict[bytes, bytes] = {}
        """Verified LINKs of the present session, by receiver: as many as the sender has others."""
        self._others_limit, self._old_limit = RateLimit(OTHERS_CHECKS), RateLimit(OLD_CHECKS)
        self._retired = [0] * 5

    def judge_link(self, datagram: bytes, now: float, *, drawn: bool = False) -> HeardSession | None:
        """Judge a LINK.

        Args:
            now: Monotonic time [s].
            drawn: Its turn has come (`draw.due`).

        Returns:
            The session that it opened, None where it said nothing new or its turn may come.

        Raises:
            FrameError: with the reason for which it, or one that waited in its place, was refused.
        """
        if datagram == self._last:
            self._count(self._own.public.id, len(datagram), now)
            return None
        link = read_link(datagram)
        if self.draw.is_false(datagram):
            raise FrameError(Reason.SIGNATURE, size=len(datagram))
        if link.signer not in self._signers:
            raise FrameError(Reason.KEY, size=len(datagram))
        if link.receiver != self._own.public.id:
            self._for_another(datagram, link, now)
            return None
        if self.floors.link is not None and link.order < self.floors.link:
            self._below(datagram, link, now)
        if not drawn and not self.draw.at_once.spend(now):
            if not self.draw.put(datagram, now):
                raise FrameError(Reason.RATE, size=len(datagram))
            return None
        return self._believe(datagram, link, now)

    def judge_beat(self, datagram: bytes, session: HeardSession, wall_ns: int) -> Beat:
        """Judge a BEAT of a known session.

        Args:
            wall_ns: Our wall clock [ns since 1970 UTC].

        Raises:
            FrameError: SHORT, TAG, BODY or FLOOR.
        """
        beat = session.beat.read(datagram)
        if self.floors.beat is not None and beat.order <= self.floors.beat:
            raise FrameError(Reason.FLOOR, size=len(datagram))
        near = abs(beat.wall_ns - wall_ns) <= UNCONFIRMED_S * 10**9
        self.floors = replace(self.floors, beat=beat.order, confirmed=self.floors.confirmed or near)
        session.count_one()
        session.hear(beat.frames)
        return beat

    def accept(self, session: int) -> bool:
        """A person confirms a session; False where it is not the current one.

        Where no floor had said that it is the present, the person says by this that what came before stands below it.
        """
        if self.current is None or self.current.number != session:
            return False
        if not self.floors.confirmed:
            lowered = min(self.floors.lowered + 1, LOWERED_MOST)
            self.floors = replace(self.floors, confirmed=True, lowered=lowered)
        return True

    def lower(self) -> bool:
        """A person forgets the floors: the next LINK is taken, and judged as by a receiver that has none.

        Returns:
            False where that was done LOWERED_MOST times: the floors stand.
        """
        if self.floors.lowered >= LOWERED_MOST:
            return False
        self.floors = Floors(lowered=self.floors.lowered + 1)
        self.old = None
        self._last = self._last_old = b""
        return True

    def totals(self) -> tuple[int, int, float, int]:
        """(frames sent, as beats said, received, part and number lost between beats) over all sessions seen."""
        sums = _sums(self._retired, self.known.values())
        return sums[0], sums[1], loss(sums[2], sums[3]), max(0, sums[2] - sums[3])

    def again(self) -> int:
        """Authentic frames that came more often than they were sent, over all sessions seen."""
        return _sums(self._retired, self.known.values())[4]

    def _believe(self, datagram: bytes, link: Link, now: float) -> HeardSession | None:
        """Look at the signature, and open the session that it says."""
        key = self._verify(datagram, open_link, self._own)
        self._last = datagram
        self._others.clear()
        self.old = None
        self.floors = replace(self.floors, link=link.order)
        session, opened = self.known.get(link.session), None
        if session is None or not session.same_key(key):
            session = opened = self._open(HeardSession(link.session, key))
        session.count_link(link.receiver, now)
        return opened

    def _open(self, session: HeardSession) -> HeardSession:
        for older in self.known.values():
            older.retire()
        self._forget(session.number)
        if len(self.known) >= SESSIONS_KEPT:
            self._forget(next(iter(self.known)))
        self.known[session.number] = self.current = session
        return session

    def _forget(self, number: int) -> None:
        """A session goes, and its counts stay."""
        if number in self.known:
            self._retired = _sums(self._retired, [self.known.pop(number)])

    def _for_another(self, datagram: bytes, link: Link, now: float) -> None:
        if self._others.get(link.receiver) != datagram:
            ours = self.current is not None and self.current.number == link.session
            if not (self._others_limit if ours else self._old_limit).spend(now):
                raise FrameError(Reason.RATE, size=len(datagram))
            self._verify(datagram, check_link)
            if not ours:
                raise FrameError(Reason.RECEIVER, size=len(datagram))
            self._others[link.receiver] = datagram
        self._count(link.receiver, len(datagram), now)

    def _below(self, datagram: bytes, link: Link, now: float) -> None:
        """Refuse it as FLOOR, and now and then look whether the sender made it."""
        if datagram != self._last_old and self._old_limit.spend(now):
            self._verify(datagram, check_link)
            self._last_old = datagram
        if datagram == self._last_old:
            self.old = OldLink(link.session, now)
        raise FrameError(Reason.FLOOR, size=len(datagram))

    def _verify(self, datagram: bytes, verify: Callable[..., _Verified], *own: PrivateKey) -> _Verified:
        """Look at the signature; a LINK that is false is remembered."""
        try:
            return verify(datagram, self._signers, *own)
        except FrameError:
            self.draw.note_false(datagram)
            raise

    def _count(self, receiver: bytes, size: int, now: float) -> None:
        if self.current is not None and not self.current.count_link(receiver, now):
            raise FrameError(Reason.DOUBLE, size=size)


def _sums(sums: Sequence[int], sessions: Iterable[HeardSession]) -> list[int]:
    """Frames sent, received, compared as sent, compared as received, and again."""
    rows = [(session.sent, session.received, *session.compared, session.again) for session in sessions]
    return [sum(column) for column in zip(sums, *rows, strict=True)]
