"""One request after another, until every line was taken or set aside (pure: no socket, no clock).

A group of lines is one request at first. What is too much for the server (413, or no answer in time) is halved until it
fits. What it refuses (400, 422) is searched for by the kind of refusal (`line_refusal.py`), so that many refused lines
cost few requests:

    old      the newest line alone, then the times halved: all lines up to a time go at once, and such lines of later
             groups too, without a request
    clash    all lines with that field are one request of their own, after the others; refused again, they go at once
    line     halved down to the line; after SEARCHES refusals in a group the series of which two lines were refused go
             whole, and parts are no longer halved below some size that grows

What is refused is set aside only if the server takes other lines, so that a proxy which answers 400 to everything costs
nothing: where no line of the group was taken, a harmless line of our own is sent first, and if that is refused as well,
everything is held.
"""

from __future__ import annotations

import random
from collections import Counter, deque

from receiver.outputs.influx.answer import WriteAnswer, next_step, ruling, said, wait_s
from receiver.outputs.influx.line_group import GROUP_LINES, LineGroup, line_count
from receiver.outputs.influx.line_refusal import (
    LINE,
    OLD,
    LineRefusal,
    RefusalCause,
    each,
    refusal,
    series_of,
    split,
    time_of,
)
from receiver.outputs.shipping.cargo import RefusedSamples
from receiver.outputs.shipping.server_answer import Ruling

GROW_AFTER = 32
"""Requests taken in a row after which a limit that was lowered is doubled again."""
LEAST_LINES = 50
"""Silence halves no further: a server that is gone is no reason for requests of one line."""
SEARCHES = 200
"""Refusals in one group that are searched down to the line."""


class Pump:
    """The lines of one group on their way."""

    def __init__(self, probe: bytes, chance: random.Random) -> None:
        """
        Args:
            probe: A line that any server takes, with its newline.
            chance: Gives the jitter of waits.
        """
        self._probe = probe
        self._chance = chance
        self._work: deque[_LinePart] = deque()
        self._loaded = False
        self._taken = False
        """Something of this group was taken: what is refused is the line's fault."""
        self._probing = False
        self._smooth = 0
        self._refusals = 0
        self._refused_series: Counter[bytes] = Counter()
        self._too_old: int | None = None
        """Lines up to this time are refused, as was seen [ns]."""
        self.ids: tuple[int, ...] = ()
        """Numbers of the group's parts in the store."""
        self.aside: list[RefusedSamples[LineGroup]] = []
        """Lines of this group that the server refuses."""
        self._lines = b""
        """All of this group."""
        self._limit = self.most_lines = GROUP_LINES
        """Most lines to load at once; `most_lines` is lowered where the server says, or shows, that it is too much."""
        self.failures = 0
        """Tries in a row that brought no line further."""
        self.requests = 0
        self.retries = 0
        self.state = "idle"
        """`idle`, `sending`, `retrying` or `held`."""
        self.trouble = self.next_step = ""
        """Why it is not sending, and what a person does about it; empty where it is."""

    @property
    def loaded(self) -> bool:
        """A group is on its way, or wholly answered and not yet acknowledged."""
        return self._loaded

    @property
    def finished(self) -> bool:
        """Every line of the group was taken or set aside."""
        return self._loaded and not self._work

    def allow(self, most_lines: int) -> None:
        """Most lines of a request to this kind of server."""
        if self.most_lines == self._limit:
            self.most_lines = most_lines
        self._limit = most_lines

    def load(self, ids: tuple[int, ...], lines: bytes, now_ns: int) -> None:
        """Begin with a group; what is known to be too old is set aside at once."""
        self.ids, self.aside, self._taken, self._probing = ids, [], False, False
        self._lines, self._refusals = lines, 0
        self._refused_series.clear()
        if self._too_old is not None:
            old = [line for line in each(lines) if time_of(line) <= self._too_old]
            if old:
                gone = set(old)
                lines = b"".join(line for line in each(lines) if line not in gone)
                self._set_aside(OLD, WriteAnswer(0, "not sent: it refused newer ones"), b"".join(old), now_ns)
        self._work = deque(_LinePart(one) for one in _cut(lines, self.most_lines))
        self._loaded = True

    def rest(self) -> LineGroup | None:
        """The lines of the group that were taken, where some were refused; None where all were taken."""
        if not self.aside:
            return None
        gone = {line for one in self.aside for line in each(one.cargo.lines)}
        return LineGroup(b"".join(line for line in each(self._lines) if line not in gone))

    def clear(self) -> None:
        """Leave the group: it was acknowledged, or is to be loaded again."""
        self._loaded, self._lines = False, b""
        self._work.clear()
        if not self.trouble:
            self.state = "idle"

    def forget(self) -> None:
        """Forget what was learned of refusals: the server may keep longer by now."""
        self._too_old = None

    def hold(self, why: str, step: str) -> None:
        """Held by something else than an answer."""
        self.state, self.trouble, self.next_step = "held", why, step

    def request(self) -> bytes:
        """What to send next; only while a group is loaded and not finished."""
        self.state = "sending" if not self.failures else self.state
        self.requests += 1
        return self._probe if self._probing else self._work[0].request()

    def answered(self, answer: WriteAnswer, now_ns: int) -> float:
        """Take in the answer to `request`.

        Args:
            now_ns: Wall time, for what is set aside [ns since 1970 UTC].

        Returns:
            How long to wait before the next request [s].
        """
        what = ruling(answer)
        if self._probing and what in (Ruling.REFUSED, Ruling.LARGE):
            self._probing = False
            return self._hold(WriteAnswer(answer.status, f"refuses every line, also a harmless one: {answer.message}"))
        if what is Ruling.TAKEN:
            self._done(now_ns)
            return 0.0
        if what is Ruling.REFUSED:
            self._search(answer, now_ns)
            return 0.0
        if what is Ruling.LARGE:
            self._halve(answer, now_ns)
            return 0.0
        if what is Ruling.SLOW and not self._probing:
            self._slow()
        if what is Ruling.HOLD:
            return self._hold(answer)
        self.failures += 1
        self.retries += 1
        self.state, self.trouble, self.next_step = "retrying", said(answer), next_step(answer)
        return wait_s(answer, self.failures, self._chance)

    def _hold(self, answer: WriteAnswer) -> float:
        self.failures += 1
        self.state, self.trouble, self.next_step = "held", said(answer), next_step(answer)
        return wait_s(WriteAnswer(403), self.failures, self._chance)

    def _done(self, now_ns: int) -> None:
        self._clear_trouble()
        self._taken = True
        if self._probing:
            self._probing = False
            return
        part = self._work.popleft()
        if part.searches_times:
            part.taken()
            self._went_on(part, now_ns)
            return
        self._smooth += 1
        if self._smooth >= GROW_AFTER:
            self._smooth = 0
            self.most_lines = min(self.most_lines * 2, self._limit)

    def _slow(self) -> None:
        """No answer in time: less at once."""
        part = self._work.popleft()
        first, second = halves(part.lines)
        self._smooth = 0
        if second and part.lines.count(b"\n") > LEAST_LINES:
            self.most_lines = max(first.count(b"\n"), LEAST_LINES)
            self._work.extendleft((_LinePart(second), _LinePart(first)))
        else:
            self._work.appendleft(part)

    def _halve(self, answer: WriteAnswer, now_ns: int) -> None:
        part = self._work.popleft()
        if self._taken or self.state == "retrying":
            self._clear_trouble()
        first, second = halves(part.lines)
        if second:
            self._smooth = 0
            self.most_lines = max(first.count(b"\n"), 1)
            self._work.extendleft((_LinePart(second), _LinePart(first)))
        elif self._taken:
            self._set_aside(LINE, answer, part.lines, now_ns)
        else:
            self._work.appendleft(part)
            self._probing = True

    def _search(self, answer: WriteAnswer, now_ns: int) -> None:
        """Part of what was sent is refused."""
        if not self._taken:
            self._probing = True  # only a server that takes something at all may cost a line
            return
        self._clear_trouble()
        self._refusals += 1
        part, why = self._work.popleft(), refusal(answer.message)
        if part.searches_times:
            if why.cause is RefusalCause.OLD:
                part.refused(answer)
            else:
                self._set_aside(LINE, answer, part.leave_out(), now_ns)
            self._went_on(part, now_ns)
        elif part.whole:
            self._set_aside(part.whole, answer, part.lines, now_ns)
        elif why.cause is RefusalCause.OLD:
            part.search_times(answer)
            self._work.appendleft(part)
        elif why.cause is RefusalCause.CLASH:
            self._pull(part, why, answer, now_ns)
        else:
            self._search_lines(part, answer, now_ns)

    def _went_on(self, part: _LinePart, now_ns: int) -> None:
        """One more answer of a search for a time."""
        if not part.found:
            self._work.appendleft(part)
            return
        old, rest = part.split()
        if old:
            self._too_old = max(time_of(old[-1]), self._too_old or -(2**63))
            self._set_aside(OLD, part.answer, b"".join(old), now_ns)
        if rest:
            self._work.appendleft(_LinePart(b"".join(rest)))

    def _pull(self, part: _LinePart, why: LineRefusal, answer: WriteAnswer, now_ns: int) -> None:
        """Lines with the field go behind the others, together."""
        of_clash, others = split(part.lines, why)
        if not of_clash:  # it says one field and means another
            self._search_lines(part, answer, now_ns)
            return
        self._work.appendleft(_LinePart(b"".join(of_clash), whole=why))
        if others:
            self._work.appendleft(_LinePart(b"".join(others)))

    def _search_lines(self, part: _LinePart, answer: WriteAnswer, now_ns: int) -> None:
        first, second = halves(part.lines)
        least = 1 if self._refusals <= SEARCHES else 4 ** (self._refusals * 2 // SEARCHES)
        if second and part.lines.count(b"\n") > least:
            self._work.extendleft((_LinePart(second), _LinePart(first)))
            return
        self._set_aside(LINE, answer, part.lines, now_ns)
        self._refused_series[series_of(part.lines)] += 1
        if self._refusals > SEARCHES:
            often = {series for series, times in self._refused_series.items() if times > 1}
            self._refused_series.clear()
            if often:
                self._take_along(often)

    def _take_along(self, often: set[bytes]) -> None:
        """All lines of some series that are left in the group, each series as one part."""
        along: dict[bytes, list[bytes]] = {}
        for at, part in enumerate(self._work):
            if not part.searches_times and not part.whole:
                kept: list[bytes] = []
                for line in each(part.lines):
                    series = series_of(line)
                    (along.setdefault(series, []) if series in often else kept).append(line)
                self._work[at] = _LinePart(b"".join(kept))
        self._work = deque(part for part in self._work if part.lines)
        self._work.extendleft(_LinePart(b"".join(lines), whole=LINE) for lines in along.values())

    def _set_aside(self, why: LineRefusal, answer: WriteAnswer, lines: bytes, now_ns: int) -> None:
        words = said(answer) if answer.status else answer.message
        self.aside.append(RefusedSamples(now_ns, why.words, words, LineGroup(lines)))

    def _clear_trouble(self) -> None:
        self.failures, self.state, self.trouble, self.next_step = 0, "sending", "", ""


class _LinePart:
    """Lines that are one request; or, while their times are searched, one line of them after another."""

    def __init__(self, lines: bytes, *, whole: LineRefusal | None = None) -> None:
        self.lines = lines
        self.whole = whole
        """Refused, all of it is set aside as this."""
        self._sorted: list[bytes] = []
        self._low = self._high = self._at = 0
        """Lines below `_low` are refused, lines from `_high` on are taken; `_at` is asked."""
        self.answer = WriteAnswer(0)
        """The last refusal of a search for a time."""

    @property
    def searches_times(self) -> bool:
        """One line is sent at a time, to find up to which time they are refused."""
        return bool(self._sorted)

    def search_times(self, answer: WriteAnswer) -> None:
        """Begin; the newest is asked first: mostly all are too old."""
        self._sorted = sorted(each(self.lines), key=time_of)
        self._low, self._high = 0, len(self._sorted)
        self._at = self._high - 1
        self.answer = answer

    def request(self) -> bytes:
        """What to send."""
        return self._sorted[self._at] if self._sorted else self.lines

    def refused(self, answer: WriteAnswer) -> None:
        """The line that was asked, and all older ones, are too old."""
        self.answer = answer
        self._low = self._at + 1
        self._at = (self._low + self._high) // 2

    def taken(self) -> None:
        """The line that was asked is new enough."""
        self._high = self._at
        self._at = (self._low + self._high) // 2

    def leave_out(self) -> bytes:
        """The line that was asked is refused for another reason: it is taken out."""
        line = self._sorted.pop(self._at)
        self._high -= 1
        self._at = max(min(self._at, self._high - 1), self._low)
        return line

    @property
    def found(self) -> bool:
        """The time is known."""
        return self._low >= self._high

    def split(self) -> tuple[list[bytes], list[bytes]]:
        """(too old, the others)."""
        return self._sorted[: self._low], self._sorted[self._low :]


def _cut(lines: bytes, most: int) -> list[bytes]:
    """Parts of at most so many whole lines."""
    if line_count(lines) <= most:
        return [lines] if lines else []
    whole = lines.splitlines(keepends=True)
    return [b"".join(whole[at : at + most]) for at in range(0, len(whole), most)]


def halves(lines: bytes) -> tuple[bytes, bytes]:
    """Two parts of whole lines, about equally long; the second is empty where there is one line."""
    cut = lines.find(b"\n", len(lines) // 2) + 1
    if cut == len(lines):
        cut = lines.rfind(b"\n", 0, len(lines) // 2) + 1
    return (lines[:cut], lines[cut:]) if cut else (lines, b"")
