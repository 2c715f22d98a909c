"""What should be here, what is, and what is missing since when. Pure: beats, blocks and times in, counts out.

The sets of one stream and how its figures are made: numbers.py. Beats that are lost cost nothing, the next one says
more. Three kinds of numbers that should be here are not:

    missing   never came; repeats are to come, and after the last one a code
    damaged   was in the journal, and the disk gives it no more: a code, for its repeats are over
    lost      a beat's `gone` names it: the sender's disk lost it, so it counts as expired and no code helps

A stream that no beat names any more is given up: its numbers can never come again. A beat has room for eight streams
and the older ones take turns, so that takes GONE_BEATS beats to know. `gone` takes turns too: it is remembered.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from protocol.limits import MISSING_AFTER
from protocol.ranges import Ranges
from protocol.store.record import How
from protocol.wire.beat import Beat, StreamTotals
from receiver.catch.numbers import BlockCounts, StreamNumbers
from receiver.catch.outlook import outlook_of

GONE_BEATS = 900
"""Beats without a word of a stream after which it is given up (a quarter of an hour: 900 older streams had a turn)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Neighbouring numbers that are missing since the same moment."""

    stream: bytes
    first: int
    after: int
    """One past the last."""
    since_ns: int
    """When they became missing, our wall clock [ns since 1970 UTC]."""
    heals_ns: int | None
    """When the next repeat of them is due, None where the sender plans none [ns since 1970 UTC]."""
    damaged: bool = False
    """They were journaled and can no longer be read."""


_Span: TypeAlias = tuple[bytes, int, int]
"""Stream, first, one past the last."""


class Gaps:
    """All streams."""

    def __init__(self, streams: Mapping[bytes, StreamNumbers] | None = None) -> None:
        """
        Args:
            streams: As they were kept over a restart.
        """
        self.streams = dict(streams or {})
        self.held: dict[bytes, Ranges] = {key: one.held for key, one in self.streams.items()}
        """Numbers that are in the journal, by stream; to look in, not to change."""
        self._pending: deque[tuple[float, int, tuple[StreamTotals, ...], list[_Span]]] = deque()
        self._beats = 0
        self._repeats: tuple[float, ...] = ()

    def hear(self, beat: Beat, now: float, wall_ns: int) -> None:
        """A beat; it counts from MISSING_AFTER later.

        Args:
            now: Monotonic time [s].
            wall_ns: Our wall clock, for what people are told [ns since 1970 UTC].
        """
        self._beats += 1
        self._repeats = tuple(sorted(beat.repeats))
        for told in beat.streams:
            one = self._stream(told.stream)
            one.named_at = self._beats
            one.sealed, one.finished = told.sealed, told.finished
            one.changed = True
        self._pending.append((now + MISSING_AFTER, wall_ns, beat.streams, _lost(beat)))

    def tick(self, now: float) -> list[_Span]:
        """Let time pass; returns (stream, first, after) of what is missing from now on."""
        out = []
        while self._pending and self._pending[0][0] <= now:
            _, finished_ns, streams, lost = self._pending.popleft()
            for stream, first, after in lost:
                known = self.streams.get(stream)
                if known is not None and after <= max(known.sealed, known.expected.top):
                    known.lose(first, after)
            for told in [*streams, *self._gone()]:
                missing = self._stream(told.stream).settle(told, finished_ns)
                out += [(told.stream, first, after) for first, after in missing]
        return out

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        return self._pending[0][0] if self._pending else None

    def how(self, stream: bytes, number: int, *, repaired: bool) -> How:
        """What a block that is complete now counts as."""
        one = self.streams.get(stream)
        if one is not None and number in one.expected:
            return How.HEALED
        return How.REPAIRED if repaired else How.WHOLE

    def accept(self, stream: bytes, number: int, how: How) -> None:
        """A block is on its way to the journal; `how` as told by `how` just before."""
        self._stream(stream).accept(number, how)

    def damage(self, stream: bytes, first: int, after: int, wall_ns: int) -> None:
        """Numbers that were journaled can no longer be read.

        Args:
            wall_ns: Our wall clock, for what people are told [ns since 1970 UTC].
        """
        self._stream(stream).find_damage(first, after, wall_ns)

    def named(self, one: StreamNumbers) -> bool:
        """Whether beats still name a stream."""
        return 0 < one.named_at >= self._beats - GONE_BEATS

    def counts(self) -> BlockCounts:
        """The figures of all streams together."""
        return sum((one.counts() for one in self.streams.values()), BlockCounts())

    def gaps(self, wall_ns: int) -> list[Gap]:
        """What is missing, longest missing first.

        Args:
            wall_ns: Our wall clock, for when it will heal [ns since 1970 UTC].
        """
        found = []
        for stream, numbers in self.streams.items():
            for first, after, sent_ns in numbers.missing():
                heals_ns = next((ns for ns in (sent_ns + int(s * 1e9) for s in self._repeats) if ns > wall_ns), None)
                since_ns = sent_ns + int(MISSING_AFTER * 1e9)
                found.append(Gap(stream=stream, first=first, after=after, since_ns=since_ns, heals_ns=heals_ns))
            for first, after, since_ns in numbers.absent():
                gap = Gap(stream=stream, first=first, after=after, since_ns=since_ns, heals_ns=None, damaged=True)
                found.append(gap)
        return sorted(found, key=lambda gap: (gap.since_ns, gap.stream, gap.first))

    def outlooks(self) -> dict[bytes, dict[str, Any]]:
        """For keeping over a restart: the streams that changed since the last call."""
        changed = {key: one for key, one in self.streams.items() if one.changed}
        for one in changed.values():
            one.changed = False
        return {key: outlook_of(one) for key, one in changed.items()}

    def _stream(self, key: bytes) -> StreamNumbers:
        one = self.streams.get(key)
        if one is None:
            one = self.streams[key] = StreamNumbers()
            one.named_at = self._beats
            self.held[key] = one.held
        return one

    def _gone(self) -> Iterable[StreamTotals]:
        """Streams that beats do not name any more, as a last beat would have told them."""
        for key, one in self.streams.items():
            if self._beats - one.named_at > GONE_BEATS:
                top = max(one.sealed, one.expected.top)
                if one.oldest < top:
                    one.changed = True
                    yield StreamTotals(stream=key, oldest=top, sealed=top, finished=top)


def _lost(beat: Beat) -> list[_Span]:
    """What a beat says can never come though older blocks can; nothing of another shape is taken."""
    told = (beat.spool or {}).get("gone")
    out: list[_Span] = []
    for one in told if isinstance(told, list) else ():
        match one:
            case [bytes() as stream, int() as first, int() as after] if 0 <= first < after:
                out.append((stream, first, after))
    return out
