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
from typing import Any, TypeAlias

from protocol.limits import MISSING_AFTER
from protocol.ranges import Ranges
from protocol.store.record import How
from protocol.wire.beat import Beat, StreamTotals
from receiver.catch.numbers import BlockCounts, StreamNumbers
from receiver.catch.outlook import outlook_of
from receiver.gap import Gap

GONE_BEATS = 900
"""Beats without a word of a stream after which it is given up (a quarter of an hour: 900 older streams had a turn)."""

LATE_NS = 2 * 10**9
"""A repeat may be so late [ns]: it waits its turn behind new blocks."""

_Span: TypeAlias = tuple[bytes, int, int]
"""Stream, first, one past the last."""


class Gaps:
    """The numbers of all streams, and what beats say of them."""

    def __init__(self, streams: Mapping[bytes, StreamNumbers] | None = None) -> None:
        """
        Args:
            streams: As they were kept over a restart.
        """
        self.streams = dict(streams or {})
        self.held: dict[bytes, Ranges] = {stream: numbers.held for stream, numbers in self.streams.items()}
        """Numbers that are in the journal, by stream; to look in, not to change."""
        self._pending: deque[tuple[float, int, Beat]] = deque()
        self._beats = 0
        self._repeats: list[int] = []
        self._settled_ns = 0
        """When the beat came that was counted last; 0 where there was none."""

    def hear(self, beat: Beat, now: float, wall_ns: int) -> None:
        """A beat; it counts from MISSING_AFTER later.

        Args:
            now: Monotonic time [s].
            wall_ns: Our wall clock, for what people are told [ns since 1970 UTC].
        """
        self._beats += 1
        self._repeats = sorted(int(one * 1e9) for one in beat.repeats)
        for totals in beat.streams:
            numbers = self._numbers(totals.stream)
            numbers.named_at = self._beats
            numbers.sealed, numbers.finished = totals.sealed, totals.finished
            numbers.changed = True
        self._pending.append((now + MISSING_AFTER, wall_ns, beat))

    def tick(self, now: float) -> list[_Span]:
        """Let time pass; returns (stream, first, after) of what is missing from now on."""
        missing = []
        while self._pending and self._pending[0][0] <= now:
            _, heard_ns, beat = self._pending.popleft()
            for stream, first, after in _lost(beat):
                numbers = self.streams.get(stream)
                if numbers is not None and after <= max(numbers.sealed, numbers.expected.top):
                    numbers.lose(first, after)
            begun_ns, self._settled_ns = self._settled_ns or heard_ns, heard_ns
            over = 1 - min(beat.repeats, default=0.0) * 1e9 / max(heard_ns - begun_ns, 1)
            for totals in [*beat.streams, *self._given_up()]:
                spans = self._numbers(totals.stream).settle(totals, heard_ns, begun_ns, max(over, 0.0))
                missing += [(totals.stream, first, after) for first, after in spans]
        return missing

    def deadline(self) -> float | None:
        """When to call `tick` next [s, monotonic]."""
        return self._pending[0][0] if self._pending else None

    def how(self, stream: bytes, number: int, *, repaired: bool) -> How:
        """What a block that is complete now counts as."""
        if stream in self.streams and number in self.streams[stream].expected:
            return How.HEALED
        return How.REPAIRED if repaired else How.WHOLE

    def accept(self, stream: bytes, number: int, how: How) -> None:
        """A block is on its way to the journal; `how` as told by `how` just before."""
        self._numbers(stream).accept(number, how)

    def damage(self, stream: bytes, first: int, after: int, wall_ns: int) -> None:
        """Numbers that were journaled can no longer be read.

        Args:
            wall_ns: Our wall clock, for what people are told [ns since 1970 UTC].
        """
        self._numbers(stream).find_damage(first, after, wall_ns)

    def named(self, numbers: StreamNumbers) -> bool:
        """Whether beats still name a stream."""
        return 0 < numbers.named_at >= self._beats - GONE_BEATS

    def counts(self) -> BlockCounts:
        """The figures of all streams together."""
        return sum((numbers.counts() for numbers in self.streams.values()), BlockCounts())

    def gaps(self, wall_ns: int) -> list[Gap]:
        """What is missing, longest missing first.

        Args:
            wall_ns: Our wall clock, for when it will heal [ns since 1970 UTC].
        """
        gaps = []
        for stream, numbers in self.streams.items():
            for first, after, heard_ns in numbers.missing():
                heals_ns = next((heard_ns + ns for ns in self._repeats if heard_ns + ns + LATE_NS > wall_ns), None)
                since_ns = heard_ns + int(MISSING_AFTER * 1e9)
                gaps.append(Gap(stream=stream, first=first, after=after, since_ns=since_ns, heals_ns=heals_ns))
            gaps += [Gap(stream=stream, first=a, after=b, since_ns=ns, damaged=True) for a, b, ns in numbers.absent()]
        return sorted(gaps, key=lambda gap: (gap.since_ns, gap.stream, gap.first))

    def outlooks(self) -> dict[bytes, dict[str, Any]]:
        """For keeping over a restart: the streams that changed since the last call."""
        changed = {stream: numbers for stream, numbers in self.streams.items() if numbers.changed}
        for numbers in changed.values():
            numbers.changed = False
        return {stream: outlook_of(numbers) for stream, numbers in changed.items()}

    def _numbers(self, stream: bytes) -> StreamNumbers:
        if stream not in self.streams:
            self.streams[stream] = numbers = StreamNumbers()
            numbers.named_at = self._beats
            self.held[stream] = numbers.held
        return self.streams[stream]

    def _given_up(self) -> Iterable[StreamTotals]:
        """Streams that beats do not name any more, as a last beat would have told them."""
        for stream, numbers in self.streams.items():
            top = max(numbers.sealed, numbers.expected.top)
            if self._beats - numbers.named_at > GONE_BEATS and numbers.oldest < top:
                numbers.changed = True
                yield StreamTotals(stream=stream, oldest=top, sealed=top, finished=top)


def _lost(beat: Beat) -> Iterable[_Span]:
    """What a beat says can never come though older blocks can; nothing of another shape is taken."""
    gone = (beat.spool or {}).get("gone")
    for span in gone if isinstance(gone, list) else ():
        match span:
            case [bytes() as stream, int() as first, int() as after] if 0 <= first < after:
                yield stream, first, after
