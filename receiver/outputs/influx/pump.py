"""One request after another, until every line was taken or set aside (pure: no socket, no clock).

A group of lines is one request at first. What the server cannot take whole is halved: by size until it fits (413), or
in search of a wrong line (400, 422). A single line that is still refused is set aside only if the server takes others,
so that a proxy which answers 400 to everything costs nothing: where no line of the group was taken, a harmless line of
our own is sent first, and if that is refused as well, everything is held.
"""

from __future__ import annotations

import random
from collections import deque

from receiver.outputs.influx.answer import Verdict, WriteAnswer, verdict, wait_s
from receiver.outputs.influx.line_store import GROUP_LINES, LineSetAside

GROW_AFTER = 32
"""Requests taken in a row after which a limit that a 413 had lowered is doubled again."""


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
        self._work: deque[bytes] = deque()
        self._loaded = False
        self._taken = False
        """Something of this group was taken: what is refused is the line's fault."""
        self._probing = False
        self._smooth = 0
        self.upto = 0
        """Number of the group's last part in the store."""
        self.aside: list[LineSetAside] = []
        """Lines of this group that the server refuses."""
        self.most_lines = GROUP_LINES
        """Most lines to load at once; lowered where the server says that it is too much."""
        self.failures = 0
        """Tries in a row that brought no line further."""
        self.requests = 0
        self.retries = 0
        self.state = "idle"
        """`idle`, `sending`, `retrying` or `held`."""
        self.trouble = ""
        """Why it is not sending; empty where it is."""

    @property
    def loaded(self) -> bool:
        """A group is on its way, or wholly answered and not yet acknowledged."""
        return self._loaded

    @property
    def finished(self) -> bool:
        """Every line of the group was taken or set aside."""
        return self._loaded and not self._work

    def load(self, upto: int, lines: bytes) -> None:
        """Begin with a group."""
        self.upto, self.aside, self._taken, self._probing = upto, [], False, False
        self._work = deque(_cut(lines, self.most_lines))
        self._loaded = True

    def clear(self) -> None:
        """Leave the group: it was acknowledged, or is to be loaded again."""
        self._loaded = False
        self._work.clear()
        if not self.trouble:
            self.state = "idle"

    def request(self) -> bytes:
        """What to send next; only while a group is loaded and not finished."""
        self.state = "sending" if not self.failures else self.state
        self.requests += 1
        return self._probe if self._probing else self._work[0]

    def answered(self, answer: WriteAnswer, now_ns: int) -> float:
        """Take in the answer to `request`.

        Args:
            now_ns: Wall time, for what is set aside [ns since 1970 UTC].

        Returns:
            How long to wait before the next request [s].
        """
        what = verdict(answer)
        if self._probing and what in (Verdict.SEARCH, Verdict.HALVE):
            self._probing = False
            return self._hold(WriteAnswer(answer.status, f"refuses every line, also a harmless one: {answer.message}"))
        if what is Verdict.DONE:
            self._done()
            return 0.0
        if what in (Verdict.SEARCH, Verdict.HALVE):
            self._divide(what, answer, now_ns)
            return 0.0
        if what is Verdict.HOLD:
            return self._hold(answer)
        self.failures += 1
        self.retries += 1
        self.state, self.trouble = "retrying", _said(answer)
        return wait_s(answer, self.failures, self._chance)

    def _hold(self, answer: WriteAnswer) -> float:
        self.failures += 1
        self.state, self.trouble = "held", _said(answer)
        return wait_s(WriteAnswer(403), self.failures, self._chance)

    def _done(self) -> None:
        self.failures, self.state, self.trouble = 0, "sending", ""
        self._taken = True
        if self._probing:
            self._probing = False
            return
        self._work.popleft()
        self._smooth += 1
        if self._smooth >= GROW_AFTER:
            self._smooth = 0
            self.most_lines = min(self.most_lines * 2, GROUP_LINES)

    def _divide(self, what: Verdict, answer: WriteAnswer, now_ns: int) -> None:
        lines = self._work.popleft()
        first, second = halves(lines)
        if self._taken or self.state == "retrying":
            self.failures, self.state, self.trouble = 0, "sending", ""
        if second:
            if what is Verdict.HALVE:
                self._smooth = 0
                self.most_lines = max(first.count(b"\n"), 1)
            self._work.extendleft((second, first))
        elif self._taken:
            self.aside.append(LineSetAside(now_ns, answer.status, answer.message, lines))
        else:
            self._work.appendleft(lines)
            self._probing = True


def _cut(lines: bytes, most: int) -> list[bytes]:
    """Parts of at most so many whole lines."""
    if lines.count(b"\n") <= most:
        return [lines] if lines else []
    each = lines.splitlines(keepends=True)
    return [b"".join(each[at : at + most]) for at in range(0, len(each), most)]


def halves(lines: bytes) -> tuple[bytes, bytes]:
    """Two parts of whole lines, about equally long; the second is empty where there is one line."""
    cut = lines.find(b"\n", len(lines) // 2) + 1
    if cut == len(lines):
        cut = lines.rfind(b"\n", 0, len(lines) // 2) + 1
    return (lines[:cut], lines[cut:]) if cut else (lines, b"")


def _said(answer: WriteAnswer) -> str:
    return f"{answer.status or 'no answer'}: {answer.message}"
