"""Which blocks of a stream have come, and the holes between them as times (pure).

A stream's blocks are numbered from 0 without a hole, so what is missing is seen from the numbers alone. Each span of
numbers that have come keeps two times of the poller's clock: the first time its lowest timed block tells, and the last
time its highest timed block tells (catalog pages and keys tell none). A hole between two spans is a gap from the last
time before it to the first time after it. A number that comes late shrinks, splits or closes its hole; whatever the
order of arrival, the spans end up the same.

    0 1 2 . . 5 6 . 8        spans 0-2, 5-6, 8      holes 3-4, 7
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from receiver.outputs.base import BOOTS

BOOT_IS_TIME = 10**15
"""A start counter from here on is also the microseconds since 1970 at the stream's start (wire.md: boot); 2001."""


@dataclass(slots=True)
class Span:
    """Block numbers `first` to `last`, all of which have come."""

    first: int
    last: int
    first_ns: int | None
    """Earliest told time, by the poller's clock; None where none of its blocks tells one."""
    last_ns: int | None
    """Latest told time, same."""
    since_ns: int
    """When the hole before it was seen first, by the low side's clock."""


@dataclass(frozen=True, slots=True)
class MissingSpan:
    """Block numbers from `first` on and below `after`, none of which has come."""

    first: int
    after: int
    """One past the last."""
    from_ns: int
    """Last time before them, by the poller's clock."""
    to_ns: int
    """First time behind them, same."""
    since_ns: int
    """When it was seen first, by the low side's clock."""


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """What the next stream's OPEN tells of this one: it ended with block `last`, before `to_ns`."""

    last: int
    to_ns: int
    since_ns: int
    """When that OPEN came, by the low side's clock."""


class Spans:
    """The spans of one stream, and which of them changed since the last `changes`."""

    def __init__(self, spans: Sequence[Span] = ()) -> None:
        self._spans = sorted(spans, key=lambda span: span.first)
        self._firsts = [span.first for span in self._spans]
        self._gone: set[int] = set()
        self._fresh: dict[int, Span] = {}

    def __iter__(self) -> Iterator[Span]:
        return iter(self._spans)

    def __contains__(self, number: int) -> bool:
        at = bisect_right(self._firsts, number) - 1
        return at >= 0 and number <= self._spans[at].last

    def add(self, number: int, first_ns: int | None, last_ns: int | None, received_ns: int) -> None:
        """Take in a block that has not come before.

        Args:
            number: Its number in the stream.
            first_ns: First time it tells, by the poller's clock; None where it tells none.
            last_ns: Last time it tells, same.
            received_ns: When it came, by the low side's clock.
        """
        at = bisect_right(self._firsts, number)
        before = self._spans[at - 1] if at and self._spans[at - 1].last == number - 1 else None
        after = self._spans[at] if at < len(self._spans) and self._spans[at].first == number + 1 else None
        if before:
            before.last = number
            before.first_ns = _known(before.first_ns, first_ns)
            before.last_ns = _known(last_ns, before.last_ns)
            if after:
                before.last = after.last
                before.first_ns = _known(before.first_ns, after.first_ns)
                before.last_ns = _known(after.last_ns, before.last_ns)
                self._drop(at)
            self._fresh[before.first] = before
            return
        if after:
            self._drop(at)
            span = Span(
                number, after.last, _known(first_ns, after.first_ns), _known(after.last_ns, last_ns), after.since_ns
            )
        else:
            later = self._spans[at].since_ns if at < len(self._spans) else received_ns
            span = Span(number, number, first_ns, last_ns, later)
        self._spans.insert(at, span)
        self._firsts.insert(at, number)
        self._fresh[number] = span
        self._gone.discard(number)

    def changes(self) -> tuple[list[int], list[Span]]:
        """First numbers of spans that are no more, and the spans that are new or longer; forgets both."""
        gone, fresh = sorted(self._gone), list(self._fresh.values())
        self._gone, self._fresh = set(), {}
        return gone, fresh

    def missing(self, end: StreamEnd | None) -> int:
        """Numbers that have not come, of those up to the highest one or up to the stream's end."""
        if not self._spans:
            return 0
        last = max(self._spans[-1].last, -1 if end is None else end.last)
        return last + 1 - sum(span.last + 1 - span.first for span in self._spans)

    def _drop(self, at: int) -> None:
        first = self._firsts.pop(at)
        del self._spans[at]
        self._fresh.pop(first, None)
        self._gone.add(first)


def missing_spans(spans: Sequence[Span], boot: int, end: StreamEnd | None = None) -> list[MissingSpan]:
    """The holes below the highest number, and the one up to the stream's end where that is told, in order.

    A hole whose neighbours tell no time takes the nearest told one on that side; before the first told time it
    begins at the stream's start. Where no block tells a time at all, it is when the hole was seen.

    Args:
        spans: Sorted, not touching.
        boot: `Stream.boot`; the start counter in it is from `BOOT_IS_TIME` on also the start [us since 1970 UTC].
        end: Where the stream ended, None while it runs or is not told.
    """
    out: list[MissingSpan] = []
    started = boot % BOOTS
    known = started * 1000 if started >= BOOT_IS_TIME else None
    expected = 0
    for at, span in enumerate(spans):
        if span.first > expected:
            nearest = span.since_ns if known is None else known
            to_ns = next((later.first_ns for later in spans[at:] if later.first_ns is not None), nearest)
            from_ns = to_ns if known is None else known
            low, high = min(from_ns, to_ns), max(from_ns, to_ns)
            out.append(MissingSpan(expected, span.first, low, high, span.since_ns))
        known = _known(span.last_ns, known)
        expected = span.last + 1
    if end is not None and expected and expected <= end.last:
        from_ns = end.to_ns if known is None else known
        out.append(MissingSpan(expected, end.last + 1, min(from_ns, end.to_ns), max(from_ns, end.to_ns), end.since_ns))
    return out


def _known(first: int | None, second: int | None) -> int | None:
    return second if first is None else first
