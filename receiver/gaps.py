"""What should be here, what is, and what is missing since when. Pure: beats, blocks and times in, counts out.

Per stream three sets of block numbers decide everything:

    expected   a beat said "first sending finished" and MISSING_AFTER has passed; or it is here
    held       it is in the journal; every such number was counted as whole, repaired or healed
    oldest     numbers below it are not kept by the sender any more

    missing = expected, not held, from `oldest` on          healed = completed while missing or expired
    expired = expected, not held, below `oldest`            expected = whole + repaired + healed + missing + expired

The sum holds because it is how the figures are made: nothing is counted twice in two places. Beats that are lost cost
nothing, the next one says more. A number that comes late is welcome at any age, also when it counted as expired.

A stream that no beat names any more is given up: its numbers can never come again. A beat has room for eight streams
and the older ones take turns, so that takes GONE_BEATS beats to know.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from protocol.beat import Beat, StreamTotals
from protocol.limits import MISSING_AFTER
from protocol.ranges import Ranges
from protocol.record import How

GONE_BEATS = 900
"""Beats without a word of a stream after which it is given up (a quarter of an hour: 900 older streams had a turn)."""

OPEN_MOST = 1024
"""Most stretches a stream whose time of becoming missing is kept apart; above it neighbours share the earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """Blocks, each in exactly one of the five last."""

    expected: int = 0
    whole: int = 0
    repaired: int = 0
    healed: int = 0
    missing: int = 0
    expired: int = 0

    def __add__(self, other: Counts) -> Counts:
        return Counts(
            expected=self.expected + other.expected,
            whole=self.whole + other.whole,
            repaired=self.repaired + other.repaired,
            healed=self.healed + other.healed,
            missing=self.missing + other.missing,
            expired=self.expired + other.expired,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Neighbouring numbers that are missing since the same beat."""

    stream: bytes
    first: int
    after: int
    """One past the last."""
    since_ns: int
    """When they became missing, our wall clock [ns since 1970 UTC]."""
    heals_ns: int | None
    """When the next repeat of them is due, None where the sender plans none [ns since 1970 UTC]."""


class Open(NamedTuple):
    """A stretch that was expected from one beat on; what of it is not held is missing since then."""

    first: int
    after: int
    finished_ns: int
    """When the beat came that said it was sent, our wall clock [ns since 1970 UTC]."""


class Stream:
    """One stream's sets and counts."""

    def __init__(self, held: Iterable[tuple[int, int]] = (), classes: Mapping[How, int] | None = None) -> None:
        """
        Args:
            held: Numbers that are in the journal.
            classes: How they came; their sum is the count of `held`.
        """
        self.held = Ranges(held)
        self.classes = {how: (classes or {}).get(how, 0) for how in How}
        self.expected = Ranges(self.held)
        self.oldest = 0
        self.sealed = 0
        """Numbers below this exist, as the last beat said."""
        self.finished = 0
        """Numbers below this had their first sending, but for those that wait, as the last beat said."""
        self.open: list[Open] = []
        """Sorted by number, disjoint."""
        self.named_at = 0
        """Count of beats when one last named it."""
        self.changed = True
        """Since `Gaps.outlooks` was called last."""
        self._counts: Counts | None = None

    def accept(self, number: int, how: How) -> None:
        """A block is on its way to the journal."""
        if self.held.add(number):
            self.expected.add(number)
            self.classes[how] += 1
            self.changed, self._counts = True, None

    def counts(self) -> Counts:
        """The figures; their sum is right by construction."""
        if self._counts is None:
            self._counts = self._count()
        return self._counts

    def settle(self, told: StreamTotals, finished_ns: int) -> list[tuple[int, int]]:
        """Expect what a beat said was finished; returns what is missing from now on."""
        self._counts = None
        self.oldest = max(self.oldest, told.oldest)
        waiting = Ranges(told.waiting)
        waiting.remove_below(self.oldest)
        fresh = [
            hole
            for first, after in waiting.holes(0, max(told.finished, self.oldest))
            for hole in self.expected.holes(first, after)
        ]
        missing: list[tuple[int, int]] = []
        for first, after in fresh:
            self.expected.add(first, after)
            one = Open(first, after, finished_ns)
            holes = self._holes(one)
            if holes:
                self.open.insert(bisect_left(self.open, one), one)
                missing += holes
        self._tidy()
        return missing

    def missing(self) -> list[Open]:
        """What is missing now, with its time."""
        return [Open(first, after, one.finished_ns) for one in self.open for first, after in self._holes(one)]

    def to_json(self) -> dict[str, Any]:
        """What a restart must know besides `held` and its classes."""
        return {
            "expected": list(self.expected),
            "oldest": self.oldest,
            "sealed": self.sealed,
            "finished": self.finished,
            "open": [list(one) for one in self.open],
        }

    @classmethod
    def kept(
        cls, held: Iterable[tuple[int, int]], classes: Mapping[How, int], told: Mapping[str, Any] | None
    ) -> Stream:
        """As a restart finds it.

        Args:
            held: Numbers that are in the journal now.
            classes: How they came.
            told: What `to_json` gave some time ago; None where it was never asked.
        """
        one = cls(held, classes)
        if told is not None:
            for first, after in told["expected"]:
                one.expected.add(int(first), int(after))
            one.oldest, one.sealed, one.finished = int(told["oldest"]), int(told["sealed"]), int(told["finished"])
            one.open = sorted(Open(int(first), int(after), int(at_ns)) for first, after, at_ns in told["open"])
            one.changed = False
        return one

    def _count(self) -> Counts:
        expired = self.expected.below(self.oldest) - self.held.below(self.oldest)
        return Counts(
            expected=self.expected.count,
            whole=self.classes[How.WHOLE],
            repaired=self.classes[How.REPAIRED],
            healed=self.classes[How.HEALED],
            missing=self.expected.count - self.held.count - expired,
            expired=expired,
        )

    def _tidy(self) -> None:
        """Forget stretches that are closed, and join neighbours where there are too many."""
        self.open = [one for one in self.open if self._holes(one)]
        while len(self.open) > OPEN_MOST:
            paired = self._paired()
            if len(paired) == len(self.open):
                return
            self.open = paired

    def _holes(self, one: Open) -> list[tuple[int, int]]:
        return self.held.holes(max(one.first, self.oldest), max(one.after, self.oldest))

    def _paired(self) -> list[Open]:
        """Each two neighbours as one, where everything between them is expected; what is held between is no gap."""
        out: list[Open] = []
        rest = iter(self.open)
        for one in rest:
            following = next(rest, None)
            if following is None or self.expected.holes(one.after, following.first):
                out += [one] if following is None else [one, following]
            else:
                out.append(Open(one.first, following.after, min(one.finished_ns, following.finished_ns)))
        return out


class Gaps:
    """All streams."""

    def __init__(self, streams: Mapping[bytes, Stream] | None = None) -> None:
        """
        Args:
            streams: As they were kept over a restart.
        """
        self.streams = dict(streams or {})
        self.held: dict[bytes, Ranges] = {key: one.held for key, one in self.streams.items()}
        """Numbers that are in the journal, by stream; to look in, not to change."""
        self._pending: deque[tuple[float, int, tuple[StreamTotals, ...]]] = deque()
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
        self._pending.append((now + MISSING_AFTER, wall_ns, beat.streams))

    def tick(self, now: float) -> list[tuple[bytes, int, int]]:
        """Let time pass; returns (stream, first, after) of what is missing from now on."""
        out = []
        while self._pending and self._pending[0][0] <= now:
            _, finished_ns, streams = self._pending.popleft()
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

    def named(self, one: Stream) -> bool:
        """Whether beats still name a stream."""
        return 0 < one.named_at >= self._beats - GONE_BEATS

    def counts(self) -> Counts:
        """The figures of all streams together."""
        return sum((one.counts() for one in self.streams.values()), Counts())

    def gaps(self, wall_ns: int) -> list[Gap]:
        """What is missing, longest missing first.

        Args:
            wall_ns: Our wall clock, for when it will heal [ns since 1970 UTC].
        """
        found = [
            Gap(
                stream=stream,
                first=first,
                after=after,
                since_ns=finished_ns + int(MISSING_AFTER * 1e9),
                heals_ns=self._heals(finished_ns, wall_ns),
            )
            for stream, one in self.streams.items()
            for first, after, finished_ns in one.missing()
        ]
        return sorted(found, key=lambda gap: (gap.since_ns, gap.stream, gap.first))

    def outlooks(self) -> dict[bytes, dict[str, Any]]:
        """For keeping over a restart: the streams that changed since the last call."""
        changed = {key: one for key, one in self.streams.items() if one.changed}
        for one in changed.values():
            one.changed = False
        return {key: one.to_json() for key, one in changed.items()}

    def _stream(self, key: bytes) -> Stream:
        one = self.streams.get(key)
        if one is None:
            one = self.streams[key] = Stream()
            one.named_at = self._beats
            self.held[key] = one.held
        return one

    def _heals(self, finished_ns: int, wall_ns: int) -> int | None:
        times = (finished_ns + int(after * 1e9) for after in self._repeats)
        return next((time_ns for time_ns in times if time_ns > wall_ns), None)

    def _gone(self) -> Iterable[StreamTotals]:
        """Streams that beats do not name any more, as a last beat would have told them."""
        for key, one in self.streams.items():
            if self._beats - one.named_at > GONE_BEATS:
                top = max(one.sealed, one.expected.top)
                if one.oldest < top:
                    one.changed = True
                    yield StreamTotals(stream=key, oldest=top, sealed=top, finished=top)
