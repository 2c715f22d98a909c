"""Replies that may still come: how a line without numbers never gives a value under another name.

RTU frames have no transaction number, and there are devices on TCP that answer 0 whatever was asked. There the only
tie between reply and request is their order, so two things are kept count of:

    owed    a request that was not answered in its time may be answered yet. Until that reply has come, or has had time
            enough, no other request of the same shape (unit, function, length) is sent: it could be taken for its
            reply. The same request may be asked again: its late reply is a right one.
    stray   a reply that came while nothing was asked. An earlier one may not be what it seemed: the pass is spoilt.

A reply too many shows only after the last true one, so a pass whose last two requests have one shape listens a little
longer before its values count. A last reply of another shape than the one before it proves the order by itself.
A gateway may answer every connection it has open, so in RTU what is owed outlives the connection. Pure; time is
handed in.
"""

from __future__ import annotations

from dataclasses import dataclass

from collectors.modbus.replies import Question

LATE_S = 5.0
"""A reply may come so long after its request's time was over, or as long again as that time where it is longer [s]:
serial gateways were seen to hold one back for 4.2 s; `late_ms` says another."""

KNOWN_S = 60.0
"""What is not waited for any longer is known for what it is until then [s]: later ones are waited for so long."""

LISTEN_S = 0.02
"""Shortest time of listening for a reply too many [s]."""


@dataclass(slots=True)
class _Owed:
    question: Question
    sent: float
    until: float
    """When it is not waited for any longer [s, monotonic]; a while longer it is known when it comes."""


class Late:
    """What one line's devices may still say."""

    def __init__(self) -> None:
        self._owed: list[_Owed] = []
        self._strays: dict[int, int] = {}
        self._last: dict[int, tuple[Question, bool]] = {}
        self._blurred: set[int] = set()
        self.slowest = 0.0
        """Longest that a reply lately took [s]; 0 before the first."""
        self._longest = 0.0

    def owe(self, question: Question, sent: float, timeout: float, late: float) -> None:
        """It was not answered in its time.

        Args:
            sent: When it was asked [s, monotonic].
            timeout: Its time [s].
            late: How long after it a reply may come [s]; 0 where nobody has said so.
        """
        until = sent + max(timeout + (late or max(timeout, LATE_S)), 1.5 * self._longest)
        self._owed.append(_Owed(question, sent, until))

    def wait(self, question: Question, now: float) -> float:
        """How long until its reply could not be mistaken [s]; 0: it may be asked."""
        self._owed = [one for one in self._owed if one.until > now or one.sent + KNOWN_S > now]
        others = [one.until for one in self._owed if one.until > now and _alike(one.question, question)]
        return max(others, default=now) - now

    def answered(self, question: Question, took: float, sent: float, timeout: float, *, refused: bool) -> None:
        """It was answered with data of its shape, or `refused` with an exception, which has no shape of its own."""
        unit = question.reply_unit
        self.slowest = max(took, 0.95 * self.slowest)
        before, self._last[unit] = self._last.get(unit), (question, refused)
        if before is not None:
            one, was_refused = before
            alike = one.shape == question.shape or (one.pdu[0] == question.pdu[0] and (refused or was_refused))
            if not alike:
                self._blurred.discard(unit)
            elif one != question:
                self._blurred.add(unit)
        for owed in self._owed:
            if owed.question == question:  # one of the two has come, the other may still
                owed.until = max(owed.until, sent + timeout)

    def pays(self, unit: int, pdu: bytes, asked: Question | None, now: float) -> bool:
        """Whether a reply is one that was owed rather than the answer to what is asked now."""
        for one in self._owed:
            mistaken = asked is None or not asked.fits(pdu) or (one.until > now and _alike(one.question, asked))
            if one.question.reply_unit == unit and one.question.fits(pdu) and mistaken:
                self._owed.remove(one)
                self._longest = max(self._longest, now - one.sent)
                return one.until > now
        return False

    def stray(self, unit: int) -> None:
        """A reply came that nothing had asked for."""
        self._strays[unit] = self._strays.get(unit, 0) + 1

    def strays(self, unit: int) -> int:
        """Such replies so far."""
        return self._strays.get(unit, 0)

    def listen(self, unit: int) -> float:
        """How long to listen before the last replies of a unit count [s]."""
        return max(LISTEN_S, 2 * self.slowest) if unit in self._blurred else 0.0

    def doubt(self, unit: int) -> None:
        """Its connection was lost with a request: the reply may come on the next one, behind others."""
        self._blurred.add(unit)

    def proven(self, unit: int) -> None:
        """Nobody said a word too many."""
        self._blurred.discard(unit)

    def forget(self) -> None:
        """The connection is a new one, on which nothing old can come."""
        self._owed.clear()
        self._last.clear()
        self._blurred.clear()


def _alike(one: Question, other: Question) -> bool:
    return one != other and one.shape == other.shape
